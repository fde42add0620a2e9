//! Renditions in, whole playlists out.

use reelmill_api::rendition::DynamicRange;

use super::*;
use crate::verify::tests::two_rungs_and_sound;

fn check(made: &[Made], want: &str) {
    assert_eq!(
        multivariant(&AttemptId::new(1, 7), made),
        format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n{want}")
    );
}

/// Like `of`, with another name and track.
fn another(of: &Made, name: &str, track: Track) -> Made {
    let mut made = of.clone();
    name.clone_into(&mut made.rendition.name);
    made.rendition.track = track;
    made
}

fn sound(channels: u32, language: &str, surround: bool) -> Track {
    Track::Audio { channels, sample_rate: 48_000, language: Some(language.to_owned()), surround }
}

#[test]
fn the_multivariant_playlist_says_what_the_bytes_are() {
    check(&two_rungs_and_sound().renditions, "\
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a1-00000007/audio/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1643607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio\"
a1-00000007/720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1643607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio\"
a1-00000007/360p/index.m3u8
");
}

#[test]
fn surround_is_a_group_of_its_own_with_the_same_members() {
    let mut made = two_rungs_and_sound().renditions;
    made.remove(1);
    let audio = made.pop().expect("sound");
    let mut surround = another(&audio, "audio-surround", sound(6, "eng", true));
    (surround.rendition.peak_bps, surround.rendition.average_bps) = (400_000, 390_000);
    made.push(another(&audio, "audio", sound(2, "eng", false)));
    made.push(surround);
    made.push(another(&audio, "audio-2", sound(2, "eng", false)));
    made.push(another(&audio, "audio-3", sound(1, "und", false)));
    check(&made, "\
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a1-00000007/audio/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English 2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"2\",URI=\"a1-00000007/audio-2/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"1\",URI=\"a1-00000007/audio-3/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\",URI=\"a1-00000007/audio-surround/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"English 2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"2\",URI=\"a1-00000007/audio-2/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"Audio\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"1\",URI=\"a1-00000007/audio-3/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1643607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio\"
a1-00000007/720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2400000,AVERAGE-BANDWIDTH=1905607,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"surround\"
a1-00000007/720p/index.m3u8
");
}

#[test]
fn codecs_and_ranges_may_differ_from_rung_to_rung_and_text_lies_beside() {
    let mut made = two_rungs_and_sound().renditions;
    made.pop();
    "hvc1.2.4.L93.90".clone_into(&mut made[0].rendition.codecs);
    if let Track::Video { dynamic_range, .. } = &mut made[0].rendition.track {
        *dynamic_range = DynamicRange::Pq;
    }
    let text = Track::Text { language: Some("ger".to_owned()), forced: false, hearing_impaired: true };
    made.push(another(&made[1].clone(), "text", text));
    check(&made, "\
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"German (for the hard of hearing)\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound\",URI=\"a1-00000007/text/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1515607,CODECS=\"hvc1.2.4.L93.90\",RESOLUTION=1280x720,FRAME-RATE=25.000,SUBTITLES=\"text\",VIDEO-RANGE=PQ
a1-00000007/720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1515607,CODECS=\"avc1.64001f\",RESOLUTION=640x360,FRAME-RATE=25.000,SUBTITLES=\"text\",VIDEO-RANGE=SDR
a1-00000007/360p/index.m3u8
");
}

#[test]
fn all_media_playlists_have_the_longest_segments_target_duration() {
    let mut renditions = two_rungs_and_sound().renditions;
    renditions[1].segment_ticks = vec![u64::from(renditions[1].timescale) * 11 / 2];
    assert_eq!(target_duration(&renditions), 6);
}

#[test]
fn a_media_playlist_lists_exact_lengths() {
    let verified = two_rungs_and_sound();
    let want = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"init.mp4\"
#EXTINF:4.000000,
seg_00000.m4s
#EXTINF:1.280000,
seg_00001.m4s
#EXT-X-ENDLIST
";
    assert_eq!(media(&verified.renditions[0], target_duration(&verified.renditions)), want);
    assert_eq!(exact_seconds(1001 * 120, 30000), "4.004000");
    assert_eq!(exact_seconds(1, 3), "0.333333");
    assert_eq!(exact_seconds(2, 3), "0.666667");
}
