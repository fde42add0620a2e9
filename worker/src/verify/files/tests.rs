//! Files in, verdicts out: each check has a file that makes it fail.

use reelmill_api::{ErrorKind, MediaFacts, Preset, preset::BUILT_IN};

use super::*;
use crate::{
    movie::{Bytes, Entry},
    plan::{
        Product, plan,
        tests::{source, video},
    },
};

fn preset(name: &str) -> Preset {
    let (file, text) = BUILT_IN.iter().find(|(file, _)| *file == format!("{name}.toml")).expect("built in");
    Preset::from_toml(file, text).expect("built in")
}

/// 300 frames at 29.97 with a time code and sound that lasts as long.
fn facts() -> MediaFacts {
    let mut media = source(1920, 1080, "30000/1001");
    video(&mut media).frames = Some(300);
    video(&mut media).pixel_format = "yuv420p10le".to_owned();
    media.timecode = Some("01:00:00;02".to_owned());
    media
}

fn planned(name: &str) -> Plan {
    plan(&preset(name), &facts()).expect("a plan")
}

fn file(plan: &Plan) -> &FilePlan {
    let Product::Files(files) = &plan.product else { panic!("no files") };
    &files[0]
}

fn track(kind: Kind, codec: &str, timescale: u32, samples: u64, each: u32) -> Found {
    let ticks = samples * u64::from(each);
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    let shown = ticks as f64 / f64::from(timescale);
    let entry = Entry { codec: codec.to_owned(), ..Entry::default() };
    let bytes = Bytes::Each { bytes: 1000, count: samples };
    let (starts_at, skipped, keys, upright, time_code) = (0.0, 0, None, true, None);
    Found {
        kind,
        entry,
        timescale,
        samples,
        ticks,
        each: Some(each),
        starts_at,
        shown,
        skipped,
        keys,
        bytes,
        upright,
        time_code,
    }
}

/// A file as it should be.
fn whole(plan: &Plan) -> Movie {
    let file = file(plan);
    let (codec, avid_profile, sound) = match file.video.codec {
        VideoCodec::Prores => ("apch", None, "in24"),
        VideoCodec::Dnxhr => ("AVdh", Some(1271), "in24"),
        _ => ("avc1.640028", None, "mp4a.40.2"),
    };
    let mut video = track(Kind::Video, codec, 30_000, 300, 1001);
    let size = (file.video.size.width, file.video.size.height);
    let tags = Some(Tags { primaries: 1, transfer: 1, matrix: 1 });
    video.entry = Entry { size: Some(size), pixel: Some((1, 1)), tags, avid_profile, ..video.entry };
    video.keys = (!file.video.codec.is_mezzanine()).then(|| (0..300).step_by(file.video.gop as usize).collect());
    let mut tracks = vec![video];
    for audio in &file.audios {
        let mut heard = track(Kind::Audio, sound, 48_000, 480_480, 1);
        heard.entry.sound = Some((audio.sample_rate, audio.channels));
        tracks.push(heard);
    }
    let mut code = track(Kind::TimeCode, "tmcd", 30_000, 1, 300_300);
    code.time_code = Some(TimeCode { drops: true, per_second: 30, frames: 107_894, at: 0 });
    tracks.push(code);
    Movie { bytes: 100_000_000, index_first: true, tracks }
}

fn verdict(plan: &Plan, movie: &Movie) -> Result<VerifiedFiles, Failure> {
    verify(plan, &[Made { plan: file(plan), movie, path: "a1-00000007/x".to_owned() }])
}

#[test]
fn a_whole_file_passes_and_is_measured() {
    for name in ["archive-prores", "archive-dnxhr", "social-vertical", "proxy"] {
        let plan = planned(name);
        let verified = verdict(&plan, &whole(&plan)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let made = &verified.renditions[0];
        assert_eq!((made.samples, made.bytes, made.segments), (300, 100_000_000, 0), "{name}");
        assert_eq!(made.average_bps, 79_920_080, "{name}");
        // 30 frames and 48000 samples of 1000 bytes each.
        assert_eq!(made.peak_bps, 30 * 8000 + 48_000 * 8000, "{name}");
        assert!(verified.checks.contains(&"frame count equal to the source's".to_owned()), "{name}");
        assert!(verified.checks.iter().any(|check| check.ends_with("time code 01:00:00;02")), "{name}");
    }
}

fn refused(name: &str, spoil: impl FnOnce(&mut Movie)) -> Failure {
    let plan = planned(name);
    let mut movie = whole(&plan);
    spoil(&mut movie);
    verdict(&plan, &movie).expect_err("a spoilt file")
}

fn check(name: &str, want: &str, spoil: impl FnOnce(&mut Movie)) {
    let failure = refused(name, spoil);
    assert_eq!(failure.message, format!("the output was not published: rendition {name}: {want}"));
    assert_eq!(failure.kind, ErrorKind::Infrastructure);
}

#[test]
fn nothing_but_what_was_planned_passes() {
    let (prores, social, dnxhr) = ("archive-prores", "social-vertical", "archive-dnxhr");
    check(prores, "it has 0 tracks of video", |m| drop(m.tracks.remove(0)));
    check(prores, "it has 0 tracks of sound instead of 1", |m| drop(m.tracks.remove(1)));
    check(social, "its index lies behind its media", |m| m.index_first = false);
    check(prores, "its frames last 1000 of 30000 ticks", |m| m.tracks[0].each = Some(1000));
    check(prores, "its frames do not all last the same", |m| m.tracks[0].each = None);
    check(prores, "it starts at 0.033 s", |m| m.tracks[0].starts_at = 0.033);
    check(prores, "it lasts 10.010 s, of which 9.000 s are shown", |m| m.tracks[0].shown = 9.0);
    check(prores, "not all of its frames stand by themselves", |m| m.tracks[0].keys = Some(vec![0, 2]));
    check(social, "it does not begin with a keyframe", |m| m.tracks[0].keys = Some(vec![1]));
    check(social, "from the keyframe at 59 it is 241 frames to the next", |m| m.tracks[0].keys = Some(vec![0, 59]));
    check(prores, "its colours are not tagged", |m| m.tracks[0].entry.tags = None);
    check(prores, "its colours are tagged 9-1-1 instead of bt709, bt709, bt709", |m| {
        m.tracks[0].entry.tags = Some(Tags { primaries: 9, transfer: 1, matrix: 1 });
    });
    check(prores, "audio: it is in24 Some((48000, 1)) instead of 48000 Hz, 2 channels", |m| {
        m.tracks[1].entry.sound = Some((48_000, 1));
    });
    check(prores, "audio: it starts at 0.500 s", |m| m.tracks[1].starts_at = 0.5);
    check(prores, "the time code 01:00:00;02 is missing", |m| drop(m.tracks.pop()));
    check(prores, "its time code is frame 107892 instead of 01:00:00;02", |m| {
        m.tracks[2].time_code = Some(TimeCode { drops: true, per_second: 30, frames: 107_892, at: 0 });
    });
    let codec = |failure: Failure| assert!(failure.message.contains(": it is "), "{}", failure.message);
    check(prores, "it says that its pictures are to be turned", |m| m.tracks[0].upright = false);
    codec(refused(prores, |m| "apcn".clone_into(&mut m.tracks[0].entry.codec)));
    codec(refused(prores, |m| m.tracks[0].entry.size = Some((1920, 1088))));
    codec(refused(prores, |m| m.tracks[0].entry.pixel = Some((64, 45))));
    codec(refused(dnxhr, |m| m.tracks[0].entry.avid_profile = Some(1272)));
}

#[test]
fn a_source_that_ends_early_is_called_cut() {
    let shorter = |at: usize| {
        refused("archive-prores", |m| {
            m.tracks[at].samples /= 2;
            m.tracks[at].ticks /= 2;
            m.tracks[at].shown /= 2.0;
        })
    };
    let pictures = shorter(0);
    assert_eq!(pictures.kind, ErrorKind::BadSource);
    assert_eq!(pictures.message, "it is cut or damaged: it declares 10.0 s of video, and only 5.0 s could be decoded");
    let sound = shorter(1);
    assert!(sound.message.contains("10.0 s of sound in track 1, and only 5.0 s"), "{}", sound.message);
}

#[test]
fn all_files_have_the_same_frames() {
    let plan = planned("social-vertical");
    let Product::Files(files) = &plan.product else { panic!("no files") };
    let first = whole(&plan);
    let mut second = first.clone();
    "av01.0.08M.08".clone_into(&mut second.tracks[0].entry.codec);
    let made = |movie: &Movie| {
        let path = "a1-00000007/x".to_owned();
        verify(
            &plan,
            &[Made { plan: &files[0], movie: &first, path: path.clone() }, Made { plan: &files[1], movie, path }],
        )
    };
    assert_eq!(made(&second).expect("both are whole").renditions.len(), 2);
    second.tracks[0].samples = 299;
    let failure = made(&second).expect_err("one is shorter");
    assert!(failure.message.ends_with("it has 299 frames, social-vertical has 300"), "{}", failure.message);
}
