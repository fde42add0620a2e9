//! What a DASH manifest promises, checked against the bytes: every rendition is there, each segment where the boxes show it.

use super::{codecs, number, peak};
use crate::{
    mpd::{Representation, Set},
    output::{Output, Rendition},
};

const CICP: &str = "urn:mpeg:mpegB:cicp:";

impl Output {
    /// Everything that holds of any manifest.
    pub(super) fn manifest_is_true(&self) {
        let manifest = &self.manifest;
        assert_eq!(manifest.kind, "static");
        assert_eq!(manifest.profiles, "urn:mpeg:dash:profile:isoff-live:2011");
        for (content, renditions) in [("video", &self.videos), ("audio", &self.sounds)] {
            let sets: Vec<_> = manifest.sets.iter().filter(|set| set.content == content).collect();
            let listed: usize = sets.iter().map(|set| set.representations.len()).sum();
            assert_eq!(listed, renditions.len(), "every {content} rendition once");
            for rendition in renditions {
                let (set, listed) = found(&sets, rendition);
                same_segments(rendition, listed);
                if content == "video" { picture(rendition, set, listed) } else { sound(rendition, set) }
            }
            sets.iter().for_each(|set| switchable(set));
        }
        self.lengths_are_true();
        self.copy_is_the_same();
    }

    /// It lasts as long as the longest of its renditions is seen or heard; the longest segment is fetched before.
    fn lengths_are_true(&self) {
        let all = || self.videos.iter().chain(&self.sounds);
        let end = |r: &Rendition| {
            r.track.seconds(
                r.shown_at().last().expect("samples") + r.samples.iter().flatten().last().expect("samples").ticks,
            )
        };
        let want = all().map(end).fold(0.0, f64::max);
        assert!(
            (self.manifest.seconds - want).abs() < 1e-5,
            "{} s, and the last is shown at {want}",
            self.manifest.seconds
        );
        let longest = all().flat_map(|r| r.media.segments.iter().map(|(seconds, _)| *seconds)).fold(0.0, f64::max);
        assert!((self.manifest.min_buffer_seconds - longest).abs() < 1e-5, "{}", self.manifest.min_buffer_seconds);
    }

    /// The attempt's folder has the same manifest, for itself.
    fn copy_is_the_same(&self) {
        let (attempt, _) = self.videos[0].uri.split_once('/').expect("an attempt's folder");
        let top = self.text("manifest.mpd").replace(&format!("  <BaseURL>{attempt}/</BaseURL>\n"), "");
        assert_eq!(self.text(&format!("{attempt}/manifest.mpd")), top);
    }
}

fn found<'a>(sets: &[&'a Set], rendition: &Rendition) -> (&'a Set, &'a Representation) {
    let mut all = sets.iter().flat_map(|set| set.representations.iter().map(move |r| (*set, r)));
    all.find(|(_, r)| r.id == rendition.name).unwrap_or_else(|| panic!("{} is not in the manifest", rendition.name))
}

/// The same files as in the media playlist, each at the time when its first sample is shown. What an encoder puts before
/// its sound is before 0, and not counted.
fn same_segments(rendition: &Rendition, listed: &Representation) {
    let name = &rendition.name;
    let folder = rendition.uri.strip_suffix("index.m3u8").expect("a media playlist");
    assert_eq!(listed.init, Some(format!("{folder}{}", rendition.media.init)));
    let files: Vec<_> = rendition.media.segments.iter().map(|(_, file)| format!("{folder}{file}")).collect();
    assert_eq!(listed.segments.iter().map(|(.., file)| file.clone()).collect::<Vec<_>>(), files);
    assert_eq!(listed.timescale, rendition.track.timescale, "{name}");
    for (samples, (at, ticks, file)) in rendition.samples.iter().zip(&listed.segments) {
        let from = samples.iter().map(|s| s.shown_at).min().expect("samples").max(0);
        let to = samples.iter().map(|s| s.shown_at + s.ticks).max().expect("samples");
        assert_eq!((*at, at + ticks), (from, to), "{file} is shown");
    }
    let (said, peak) = (number(listed.text("bandwidth").parse().expect("bits")), peak(rendition));
    assert!(said >= peak - 1.0 && said <= peak * 1.1, "{name}: a bandwidth of {said}, and the true peak is {peak}");
}

fn picture(video: &Rendition, set: &Set, listed: &Representation) {
    assert_eq!(listed.text("codecs"), codecs::of_video(video));
    let size = format!("{}x{}", listed.text("width"), listed.text("height"));
    assert_eq!(size, video.attributes.text("RESOLUTION"));
    assert_eq!(listed.text("sar"), "1:1");
    let (n, d) = listed.text("frameRate").split_once('/').unwrap_or((listed.text("frameRate"), "1"));
    let rate = n.parse::<f64>().expect("a number") / d.parse::<f64>().expect("a number");
    assert_eq!(format!("{rate:.3}"), video.attributes.text("FRAME-RATE"));
    let transfer = match video.track.says("color_transfer").as_str() {
        "smpte2084" => Some("16"),
        "arib-std-b67" => Some("18"),
        _ => None,
    };
    assert_eq!(set.says(&format!("{CICP}TransferCharacteristics")), transfer);
}

fn sound(sound: &Rendition, set: &Set) {
    let channels = sound.track.says("channels");
    let configuration = if channels == "8" { "12".to_owned() } else { channels };
    assert_eq!(set.says(&format!("{CICP}ChannelConfiguration")), Some(configuration.as_str()));
    assert_eq!(set.language.as_deref(), sound.attributes.find("LANGUAGE"));
    assert_eq!(set.label.as_deref(), sound.attributes.find("NAME"));
    let role = if sound.attributes.text("DEFAULT") == "YES" { "main" } else { "alternate" };
    assert_eq!(set.says("urn:mpeg:dash:role:2011"), Some(role));
}

/// A player changes between representations of a set at any segment, and keeps its decoder.
fn switchable(set: &Set) {
    let first = &set.representations[0];
    for other in &set.representations {
        assert_eq!(other.text("codecs")[..4], first.text("codecs")[..4]);
        let times = |r: &Representation| r.segments.iter().map(|(at, ticks, _)| (*at, *ticks)).collect::<Vec<_>>();
        assert_eq!((other.timescale, times(other)), (first.timescale, times(first)));
    }
}
