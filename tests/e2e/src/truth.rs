//! What every output promises, checked against its bytes: playlists as text, ffprobe and ffmpeg as judges.

use crate::{
    judge,
    output::{Output, Rendition},
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
            self.rates_are_true(video);
        }
        for sound in &self.sounds {
            evenly_spaced(sound, -2048);
            each_segment_is_what_its_playlist_says(sound);
            one_sound_as_announced(sound);
            judge::decodes(&sound.file);
        }
        self.codecs_are_true();
        self.targets_agree();
        self.groups_agree();
    }

    /// RFC 8216bis, 4.1: the peak of the picture and of the most demanding sound beside it; and the means.
    fn rates_are_true(&self, video: &Rendition) {
        let most = |of: fn(&Rendition) -> f64| of(video) + self.sounds.iter().map(of).fold(0.0, f64::max);
        let (said, peak) = (number(video.attributes.number("BANDWIDTH")), most(peak));
        assert!(said >= peak - 1.0 && said <= peak * 1.1, "BANDWIDTH={said}, and the true peak is {peak}");
        let (said, mean) = (number(video.attributes.number("AVERAGE-BANDWIDTH")), most(mean));
        assert!((said - mean).abs() <= 2.0, "AVERAGE-BANDWIDTH={said}, and the true mean is {mean}");
    }

    fn codecs_are_true(&self) {
        for video in &self.videos {
            let mut codecs: Vec<_> = video.attributes.text("CODECS").split(',').map(str::to_owned).collect();
            assert_eq!(codecs.remove(0), avc_codec(video), "profile, constraints and level as in the avcC box");
            let want: Vec<_> = self.sounds.first().map(|_| "mp4a.40.2".to_owned()).into_iter().collect();
            assert_eq!(codecs, want, "AAC-LC where there is sound, and nothing else");
        }
    }

    /// RFC 8216bis, 6.2.4: all media playlists have one target duration.
    fn targets_agree(&self) {
        let targets: Vec<_> = self.videos.iter().chain(&self.sounds).map(|r| r.media.target).collect();
        assert!(targets.iter().all(|t| *t == targets[0]), "target durations of {targets:?}");
    }

    /// RFC 8216bis, 4.4.6: every variant's group is there, one of its members is the default, no two share a name.
    fn groups_agree(&self) {
        for video in &self.videos {
            let group = self.sounds.first().map(|s| s.attributes.text("GROUP-ID"));
            assert_eq!(video.attributes.find("AUDIO"), group);
        }
        let of = |name: &str| self.sounds.iter().map(|s| s.attributes.text(name).to_owned()).collect::<Vec<_>>();
        let mut names = of("NAME");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), self.sounds.len(), "no name twice");
        let defaults = of("DEFAULT").iter().filter(|d| *d == "YES").count();
        assert_eq!(defaults, self.sounds.len().min(1), "one default");
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
    assert!((listed - real).abs() < 1e-5, "{}: {listed} s listed, {real} s real", rendition.name);
}

fn one_picture_as_announced(video: &Rendition) {
    let (track, says) = (&video.track, |name: &str| video.track.says(name));
    assert_eq!(video.attributes.text("RESOLUTION"), format!("{}x{}", says("width"), says("height")));
    assert_eq!((says("sample_aspect_ratio"), says("pix_fmt")), ("1:1".to_owned(), "yuv420p".to_owned()));
    assert!(track.stream.get("side_data_list").is_none(), "nothing is left to be turned: {}", track.stream);
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

/// The codec by RFC 6381 from the avcC box, which must say what the pictures' own headers say to a judge.
fn avc_codec(video: &Rendition) -> String {
    let avcc = video.find_box(b"avcC");
    let (profile, constraints, level) = (avcc[5], avcc[6], avcc[7]);
    let name = match profile {
        0x42 => "Constrained Baseline",
        0x4d => "Main",
        0x64 => "High",
        other => panic!("profile {other}"),
    };
    assert_eq!((video.track.says("profile"), video.track.says("level")), (name.to_owned(), level.to_string()));
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
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
