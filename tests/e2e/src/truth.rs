//! What every output promises, checked against its bytes: playlists as text, ffprobe and ffmpeg as judges.

mod codecs;
mod manifest;

use std::collections::BTreeSet;

use crate::{
    judge,
    output::{Output, Rendition},
    playlist::Attributes,
};

impl Output {
    /// Everything that holds of any output.
    pub fn is_true(&self) {
        let first = &self.videos[0];
        for video in &self.videos {
            evenly_spaced(video, 0);
            assert_eq!(video.keyframes(), first.keyframes(), "one keyframe grid");
            each_segment_is_what_its_playlist_says(video);
            one_picture_as_announced(video);
            assert_eq!(video.track.packets.len(), first.track.packets.len(), "as many frames in every rung");
            judge::decodes(&video.file);
        }
        for sound in &self.sounds {
            evenly_spaced(sound, -2048);
            each_segment_is_what_its_playlist_says(sound);
            one_sound_as_announced(sound);
            judge::decodes(&sound.file);
        }
        for (variant, uri) in &self.master.variants {
            let video = self.videos.iter().find(|video| video.uri == *uri).expect("fetched");
            self.rates_are_true(variant, video);
            self.codecs_are_true(variant, video);
            range_is_true(variant, video);
        }
        self.targets_agree();
        self.groups_agree();
        self.manifest_is_true();
    }

    /// RFC 8216bis, 4.1: the peak of the picture and of the most demanding sound beside it; and the means.
    fn rates_are_true(&self, variant: &Attributes, video: &Rendition) {
        let most = |of: fn(&Rendition) -> f64| of(video) + self.beside(variant).into_iter().map(of).fold(0.0, f64::max);
        let (said, peak) = (number(variant.number("BANDWIDTH")), most(peak));
        assert!(said >= peak - 1.0 && said <= peak * 1.1, "BANDWIDTH={said}, and the true peak is {peak}");
        let (said, mean) = (number(variant.number("AVERAGE-BANDWIDTH")), most(mean));
        assert!((said - mean).abs() <= 2.0, "AVERAGE-BANDWIDTH={said}, and the true mean is {mean}");
    }

    fn codecs_are_true(&self, variant: &Attributes, video: &Rendition) {
        let mut codecs: Vec<_> = variant.text("CODECS").split(',').map(str::to_owned).collect();
        assert_eq!(codecs.remove(0), codecs::of_video(video), "as in the picture's configuration");
        let want: Vec<_> = self.sounds.first().map(|_| "mp4a.40.2".to_owned()).into_iter().collect();
        assert_eq!(codecs, want, "AAC-LC where there is sound, and nothing else");
    }

    /// The renditions of a variant's group of sound.
    fn beside(&self, variant: &Attributes) -> Vec<&Rendition> {
        let group = variant.find("AUDIO");
        let members = self.sound_lines().filter(|line| Some(line.text("GROUP-ID")) == group);
        let of = |line: &Attributes| self.sounds.iter().find(|sound| sound.uri == line.text("URI"));
        members.map(|line| of(line).expect("fetched")).collect()
    }

    fn sound_lines(&self) -> impl Iterator<Item = &Attributes> {
        self.master.media.iter().filter(|line| line.text("TYPE") == "AUDIO")
    }

    /// RFC 8216bis, 6.2.4: all media playlists have one target duration.
    fn targets_agree(&self) {
        let targets: Vec<_> = self.videos.iter().chain(&self.sounds).map(|r| r.media.target).collect();
        assert!(targets.iter().all(|t| *t == targets[0]), "target durations of {targets:?}");
    }

    /// RFC 8216bis, 4.4.6.1.1: groups have the same members, which differ only by address and channels; one of them is the
    /// default, no two share a name, and no two that are chosen by language share that.
    fn groups_agree(&self) {
        let mut groups: Vec<_> = self.sound_lines().map(|line| line.text("GROUP-ID")).collect();
        groups.dedup();
        let members = |group: &str| -> Vec<_> {
            let own = self.sound_lines().filter(|line| line.text("GROUP-ID") == group);
            let about = ["NAME", "LANGUAGE", "DEFAULT", "AUTOSELECT"];
            own.map(|line| about.map(|name| line.find(name).map(str::to_owned))).collect()
        };
        for group in &groups {
            let lines = members(group);
            assert_eq!(lines, members(groups[0]), "{group} and {} have the same members", groups[0]);
            let distinct = |of: fn(&[Option<String>; 4]) -> Option<String>| {
                let all: Vec<_> = lines.iter().filter_map(of).collect();
                assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "twice among {all:?}");
            };
            distinct(|line| line[0].clone());
            distinct(|line| line[1].clone().filter(|_| line[3].as_deref() == Some("YES")));
            assert_eq!(lines.iter().filter(|line| line[2].as_deref() == Some("YES")).count(), 1, "one default");
        }
        let each: Vec<_> = if groups.is_empty() { vec![None] } else { groups.into_iter().map(Some).collect() };
        let variants: Vec<_> = self.master.variants.iter().map(|(a, uri)| (a.find("AUDIO"), uri.as_str())).collect();
        let want = each.iter().flat_map(|group| self.videos.iter().map(|video| (*group, video.uri.as_str())));
        assert_eq!(variants, want.collect::<Vec<_>>(), "each picture with each group, the first group first");
    }
}

/// No packet is missing, double or out of step over the whole rendition, by its boxes and by ffprobe. It is shown from 0
/// on to the tick; what an audio encoder puts before its sound comes before 0.
fn evenly_spaced(rendition: &Rendition, earliest: i64) {
    let samples: Vec<_> = rendition.samples.concat();
    let shown = rendition.shown_at();
    assert!((earliest..=0).contains(&shown[0]), "{} starts at tick {}", rendition.name, shown[0]);
    let step = samples[0].ticks;
    in_step(&rendition.name, "shown by its boxes", &shown, step);
    in_step(&rendition.name, "decoded by its boxes", &samples.iter().map(|s| s.decoded_at).collect::<Vec<_>>(), step);
    let track = &rendition.track;
    assert_eq!(track.shown_at()[0], shown[0], "ffprobe sees it start where the boxes say");
    in_step(&rendition.name, "shown by ffprobe", &track.shown_at(), step);
    in_step(&rendition.name, "decoded by ffprobe", &track.packets.iter().map(|p| p.dts).collect::<Vec<_>>(), step);
    assert_eq!(track.packets.len(), samples.len(), "ffprobe sees all that is there");
}

fn in_step(rendition: &str, what: &str, at: &[i64], step: i64) {
    for (n, pair) in at.windows(2).enumerate() {
        assert_eq!(pair[1] - pair[0], step, "{rendition}: {what}: from {n} at {} to the next", pair[0]);
    }
}

/// Each segment begins with a keyframe, and lasts as long as its EXTINF says.
fn each_segment_is_what_its_playlist_says(rendition: &Rendition) {
    let parts = rendition.segments.iter().zip(&rendition.samples);
    for ((part, samples), (seconds, name)) in parts.zip(&rendition.media.segments) {
        assert!(part.packets[0].key, "{name} begins with a keyframe");
        assert_eq!(part.packets.len(), samples.len(), "{name} can be read on its own");
        let real = part.seconds(samples.iter().map(|s| s.ticks).sum());
        assert!((real - seconds).abs() < 1e-6, "{name} lasts {real} s, and its EXTINF says {seconds}");
        assert!(seconds.round() <= number(rendition.media.target), "{name} is longer than the target duration");
    }
    let real = rendition.track.seconds(rendition.samples.concat().iter().map(|s| s.ticks).sum());
    let listed = rendition.media.seconds();
    // Each length is written to the microsecond.
    let rounding = 1e-6 * number(rendition.sizes.len().max(10) as u64);
    assert!((listed - real).abs() < rounding, "{}: {listed} s listed, {real} s real", rendition.name);
}

fn one_picture_as_announced(video: &Rendition) {
    let (track, says) = (&video.track, |name: &str| video.track.says(name));
    assert_eq!(video.attributes.text("RESOLUTION"), format!("{}x{}", says("width"), says("height")));
    assert_eq!(says("sample_aspect_ratio"), "1:1");
    assert!(!track.stream.to_string().contains("Display Matrix"), "nothing is left to be turned: {}", track.stream);
    for tag in ["color_primaries", "color_transfer", "color_space"] {
        assert_ne!(says(tag), "unknown", "{tag}");
    }
    assert_eq!(says("color_range"), "tv");
    let rate = number(u64::try_from(track.timescale).expect("positive"))
        / number(u64::try_from(video.samples[0][0].ticks).expect("positive"));
    assert_eq!(video.attributes.text("FRAME-RATE"), format!("{rate:.3}"));
}

fn one_sound_as_announced(sound: &Rendition) {
    let says = |name: &str| sound.track.says(name);
    assert_eq!((says("codec_name"), says("profile")), ("aac".to_owned(), "LC".to_owned()));
    assert_eq!(sound.attributes.text("CHANNELS"), says("channels"));
    assert_eq!(sound.samples[0][0].ticks, 1024, "an AAC packet holds 1024 samples");
}

/// VIDEO-RANGE where it is not what players assume, by the picture's own tags; a high one has 10 bits.
fn range_is_true(variant: &Attributes, video: &Rendition) {
    let says = |name: &str| video.track.says(name);
    let range = match says("color_transfer").as_str() {
        "smpte2084" => "PQ",
        "arib-std-b67" => "HLG",
        _ => "SDR",
    };
    assert_eq!(variant.find("VIDEO-RANGE").unwrap_or("SDR"), range);
    assert_eq!(says("pix_fmt"), if range == "SDR" { "yuv420p" } else { "yuv420p10le" });
}

/// The largest rate of any run of segments that lasts between half and one and a half target durations; of all of them
/// where that is less.
fn peak(rendition: &Rendition) -> f64 {
    let target = number(rendition.media.target);
    let parts: Vec<_> = rendition.media.segments.iter().map(|(s, _)| *s).zip(&rendition.sizes).collect();
    let mut peak = if rendition.media.seconds() < target * 0.5 { mean(rendition) } else { 0.0 };
    for from in 0..parts.len() {
        for to in from..parts.len() {
            let seconds: f64 = parts[from..=to].iter().map(|(s, _)| s).sum();
            let bytes: u64 = parts[from..=to].iter().map(|(_, b)| **b).sum();
            if seconds >= target * 0.5 && seconds <= target * 1.5 {
                peak = f64::max(peak, number(bytes) * 8.0 / seconds);
            }
        }
    }
    peak
}

fn mean(rendition: &Rendition) -> f64 {
    number(rendition.sizes.iter().sum()) * 8.0 / rendition.media.seconds()
}

#[allow(clippy::cast_precision_loss, reason = "sizes and rates of clips of seconds")]
fn number(n: u64) -> f64 {
    n as f64
}
