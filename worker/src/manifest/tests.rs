//! Renditions in, whole manifests out.

mod every_ladder;

use reelmill_api::rendition::Track;

use super::*;
use crate::{fmp4::Cicp, verify::tests::two_rungs_and_sound};

#[test]
fn the_manifest_says_what_the_bytes_are() {
    let mut made = two_rungs_and_sound().renditions;
    made[2].priming_ticks = 1024;
    let want = r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT5.280000S" minBufferTime="PT4.000000S">
  <BaseURL>a1-00000007/</BaseURL>
  <Period id="0" start="PT0S">
    <AdaptationSet id="1" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
      <Representation id="720p" codecs="avc1.64001f" bandwidth="2000000" width="1280" height="720" frameRate="25" sar="1:1">
        <SegmentTemplate timescale="12800" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg_$Number%05d$.m4s" startNumber="0">
          <SegmentTimeline>
            <S t="0" d="51200"/>
            <S d="16384"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
      <Representation id="360p" codecs="avc1.64001f" bandwidth="2000000" width="640" height="360" frameRate="25" sar="1:1">
        <SegmentTemplate timescale="12800" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg_$Number%05d$.m4s" startNumber="0">
          <SegmentTimeline>
            <S t="0" d="51200"/>
            <S d="16384"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="2" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1" lang="en" selectionPriority="2">
      <AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" value="2"/>
      <Label>English</Label>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
      <Representation id="audio" codecs="mp4a.40.2" bandwidth="128000" audioSamplingRate="48000">
        <SegmentTemplate timescale="48000" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/seg_$Number%05d$.m4s" startNumber="0">
          <SegmentTimeline>
            <S t="0" d="190464"/>
            <S d="61440"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
"#;
    assert_eq!(beside(&AttemptId::new(1, 7), &manifest(&made, None)), want);
    assert!(!manifest(&made, None).contains("BaseURL"), "in its own folder it needs no other");
}

/// The lines of a manifest that contain a word.
fn lines(made: &[Made], word: &str) -> Vec<String> {
    manifest(made, None).lines().filter(|l| l.contains(word)).map(|l| l.trim().to_owned()).collect()
}

#[test]
fn segments_of_one_length_are_one_entry() {
    let mut made = two_rungs_and_sound().renditions;
    made[0].segment_ticks = vec![51_200; 900];
    made[0].segment_ticks.push(512);
    assert_eq!(lines(&made, "<S ")[..2], [r#"<S t="0" d="51200" r="899"/>"#, r#"<S d="512"/>"#]);
}

#[test]
fn a_codec_is_a_set_and_colours_that_differ_are_said() {
    let mut made = two_rungs_and_sound().renditions;
    "hvc1.1.6.L120.90".clone_into(&mut made[0].rendition.codecs);
    let sets = lines(&made, "<AdaptationSet");
    assert_eq!(sets.len(), 3, "{sets:?}");
    let switching = r#"<SupplementalProperty schemeIdUri="urn:mpeg:dash:adaptation-set-switching:2016" value="#;
    assert_eq!(lines(&made, "switching"), [format!("{switching}\"2\"/>"), format!("{switching}\"1\"/>")]);
    made[0].colour = Some(Cicp { primaries: 9, transfer: 18, matrix: 9 });
    let colour =
        |what: &str, n: u8| format!(r#"<SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:{what}" value="{n}"/>"#);
    let want = [colour("ColourPrimaries", 9), colour("TransferCharacteristics", 18), colour("MatrixCoefficients", 9)];
    assert_eq!(lines(&made, "cicp:").iter().filter(|l| !l.contains("Channel")).cloned().collect::<Vec<_>>(), want);
    made[0].colour = Some(Cicp { primaries: 1, transfer: 1, matrix: 1 });
    assert_eq!(lines(&made, "cicp:").len(), 1, "standard colours are what players assume");
}

#[test]
fn each_track_in_each_layout_is_a_set() {
    let mut made = two_rungs_and_sound().renditions;
    let sound = |name: &str, channels, language: &str, surround| {
        let mut sound = made[2].clone();
        name.clone_into(&mut sound.rendition.name);
        sound.rendition.track =
            Track::Audio { channels, sample_rate: 48_000, language: Some(language.to_owned()), surround };
        sound
    };
    let sounds = [
        sound("audio", 2, "eng", false),
        sound("audio-surround", 6, "eng", true),
        sound("audio-2", 2, "ger", false),
        sound("audio-2-surround", 8, "ger", true),
    ];
    made.truncate(1);
    made.extend(sounds);
    let ids: Vec<_> =
        lines(&made, "<Representation").iter().map(|l| l.split('"').nth(1).unwrap_or_default().to_owned()).collect();
    assert_eq!(ids, ["720p", "audio", "audio-2", "audio-surround", "audio-2-surround"]);
    let values = |word: &str| {
        lines(&made, word).iter().map(|l| l.split('"').nth(3).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values("ChannelConfiguration"), ["2", "2", "6", "12"]);
    assert_eq!(values("<Role"), ["main", "alternate", "main", "alternate"]);
    assert_eq!(lines(&made, "selectionPriority").len(), 1);
}
