//! Records in, verdicts out: each check has a record that makes it fail.

use reelmill_api::{ErrorKind, Failure};

use super::*;
use crate::{
    plan::{
        self, Plan,
        tests::{hls_ladder, ladder, source, video},
    },
    storyboard::jpeg::Sheet,
};

/// A plan for 132 frames at 25 fps in two rungs with sound.
fn planned() -> (Grid, LadderPlan) {
    let mut media = source(1280, 720, "25/1");
    video(&mut media).frames = Some(132);
    let whole = plan::plan(&hls_ladder(), &media).expect("a plan");
    let mut plan = ladder(&whole).clone();
    plan.videos.retain(|v| v.name != "480p");
    plan.audios[0].ends_at_ms = Some(5312);
    (whole.grid, plan)
}

fn segment(starts_at: u64, ticks: u64, samples: u64, bytes: u64) -> SegmentFacts {
    let shown_from = i64::try_from(starts_at).expect("a small time");
    SegmentFacts { starts_at, ticks, samples, shown_from, sync_samples: vec![0], bytes }
}

fn init(size: Option<(u32, u32)>) -> InitFacts {
    match size {
        Some(_) => InitFacts::for_tests("avc1.64001f", 12_800, size, None),
        None => InitFacts::for_tests("mp4a.40.2", 48_000, None, Some((48_000, 2))),
    }
}

/// The init segment of a video rendition as an encoder would write it, at 25 frames a second.
fn init_of(video: &VideoPlan) -> InitFacts {
    let codecs = match (video.codec, video.depth) {
        (VideoCodec::Hevc, 8) => "hvc1.1.6.L120.90",
        (VideoCodec::Hevc, _) => "hvc1.2.4.L120.90",
        (VideoCodec::Av1, 8) => "av01.0.08M.08",
        (VideoCodec::Av1, _) => "av01.0.08M.10",
        _ => "avc1.64001f",
    };
    let size = Some((video.size.width, video.size.height));
    let mut init = InitFacts::for_tests(codecs, 12_800, size, None);
    init.colour = video.hdr.then_some(Cicp { primaries: 9, transfer: 16, matrix: 9 });
    init
}

fn arrived(plan: &LadderPlan) -> Record {
    arrived_in(plan, |_| 1_000_000)
}

/// 132 frames of each picture and 5.27 s of each sound; `bytes` are those of a rendition's first segment.
fn arrived_in(plan: &LadderPlan, bytes: impl Fn(&VideoPlan) -> u64) -> Record {
    let mut record = Record::default();
    for v in &plan.videos {
        let rendition = record.arrived.entry(v.name.clone()).or_default();
        rendition.init = Some((init_of(v), 800));
        rendition.segments = [(0, segment(0, 51_200, 100, bytes(v))), (1, segment(51_200, 16_384, 32, 300))].into();
        rendition.listed = Some(2);
    }
    for a in &plan.audios {
        let rendition = record.arrived.entry(a.name.clone()).or_default();
        rendition.init = Some((InitFacts::for_tests("mp4a.40.2", 48_000, None, Some((48_000, a.channels))), 700));
        let sound = |at: u64, packets: u64, bytes| SegmentFacts {
            sync_samples: (0..packets).collect(),
            ..segment(at, packets * 1024, packets, bytes)
        };
        rendition.segments = [(0, sound(0, 187, 63_829)), (1, sound(191_488, 60, 20_480))].into();
        rendition.listed = Some(2);
    }
    let size = plan.storyboard.expect("the preset wants one").sheet_size();
    record.sheets = [(0, Sheet { width: size.width, height: size.height, bytes: 9000 })].into();
    record
}

/// An output that passed, for the tests of playlists.
pub(crate) fn two_rungs_and_sound() -> Verified {
    let (grid, plan) = planned();
    verify(grid, &plan, &arrived(&plan)).expect("a whole output")
}

/// An output of a plan for 25 frames a second that passed, each rung at the highest rate that it may have.
pub(crate) fn at_its_highest_rates(whole: &Plan) -> Verified {
    let plan = ladder(whole);
    let most = |video: &VideoPlan| video.rate.and_then(|rate| rate.max_bps).expect("rungs have a highest rate");
    let record = arrived_in(plan, |video| u64::from(most(video)) / 8 * 4);
    verify(Grid { frames: Expected::Exactly(132), ..whole.grid }, plan, &record).expect("a whole output")
}

#[test]
fn a_whole_output_passes_and_is_measured() {
    let verified = two_rungs_and_sound();
    let rendition = &verified.renditions[0].rendition;
    assert_eq!((rendition.samples, rendition.segments, rendition.bytes), (132, 2, 1_001_100));
    assert_eq!((rendition.peak_bps, rendition.average_bps), (2_000_000, 1_515_607));
    assert!(verified.checks.contains(&"frame count equal to the source's".to_owned()));
    assert_eq!(verified.remarks, Vec::<String>::new());
}

fn refused(spoil: impl FnOnce(&mut Record)) -> Failure {
    let (grid, plan) = planned();
    let mut record = arrived(&plan);
    spoil(&mut record);
    verify(grid, &plan, &record).expect_err("a spoilt record")
}

fn check(want: &str, spoil: impl FnOnce(&mut Arrived)) {
    let failure = refused(|record| spoil(record.arrived.get_mut("360p").expect("it arrived")));
    assert_eq!(failure.message, format!("the output was not published: rendition 360p: {want}"));
    assert_eq!(failure.kind, ErrorKind::Infrastructure);
}

#[test]
fn nothing_half_passes() {
    check("its init segment did not arrive", |r| r.init = None);
    check("segment 0 did not arrive", |r| drop(r.segments.remove(&0)));
    check("the engine ended before it was complete", |r| r.listed = None);
    check("segment 2 did not arrive", |r| r.listed = Some(3));
    check("the engine lists 1 segments and made 2", |r| r.listed = Some(1));
    check("it has no segments", |r| r.segments.clear());
    check("segment 1 did not arrive", |r| drop(r.segments.remove(&1)));
    check("it has 100 frames, 720p has 132", |r| {
        r.segments.remove(&1);
        r.listed = Some(1);
    });
    check("segment 1 starts at tick 51712 instead of 51200", |r| {
        r.segments.get_mut(&1).expect("there").starts_at += 512
    });
    check("segment 0 has 99 frames instead of 100", |r| r.segments.get_mut(&0).expect("there").samples = 99);
    check("segment 1 has 101 frames instead of 100", |r| r.segments.get_mut(&1).expect("there").samples = 101);
    check("segment 0 has keyframes at [0, 50] instead of only at its start", |r| {
        r.segments.get_mut(&0).expect("there").sync_samples = vec![0, 50];
    });
    check("segment 1 has keyframes at [] instead of only at its start", |r| {
        r.segments.get_mut(&1).expect("there").sync_samples.clear()
    });
    check("segment 1 lasts 16385 ticks, not 32 frames", |r| r.segments.get_mut(&1).expect("there").ticks += 1);
    check("it is avc1.64001f 640x358 instead of H.264 640x360", |r| r.init = Some((init(Some((640, 358))), 1)));
    check("its first picture is shown at tick 1024 instead of 0", |r| {
        r.segments.get_mut(&0).expect("there").shown_from = 1024;
    });
    assert!(refused(|r| drop(r.arrived.remove("360p"))).message.ends_with("nothing of it arrived"));
    assert!(
        refused(|r| r.failure = Some(Failure::new(ErrorKind::Infrastructure, "cannot store")))
            .message
            .contains("cannot store")
    );
    assert!(refused(|r| r.sheets.clear()).message.ends_with("storyboard: sheet 0 did not arrive"));
    let other_sound = |r: &mut Record| {
        let audio = r.arrived.get_mut("audio").expect("it arrived");
        audio.init = Some((InitFacts::for_tests("mp4a.40.2", 48_000, None, Some((44_100, 2))), 1));
    };
    assert!(refused(other_sound).message.contains("its sound is"));
    let late_sound = |r: &mut Record| {
        let audio = r.arrived.get_mut("audio").expect("it arrived");
        audio.init = Some((InitFacts::for_tests("mp4a.40.2", 48_000, None, Some((48_000, 2))).skipping(24_000), 1));
    };
    assert!(refused(late_sound).message.ends_with("its sound begins at tick 0, of which 24000 are skipped"));
}

#[test]
fn a_source_that_ends_early_is_called_cut() {
    let (mut grid, mut plan) = planned();
    let record = arrived(&plan);
    grid.frames = Expected::About(400);
    let failure = verify(grid, &plan, &record).expect_err("too short");
    assert_eq!(failure.kind, ErrorKind::BadSource);
    assert_eq!(failure.message, "it is cut or damaged: it declares 16.0 s of video, and only 5.3 s could be decoded");
    grid.frames = Expected::Within(400);
    let failure = verify(grid, &plan, &record).expect_err("too short");
    assert_eq!(
        failure.message,
        "it is cut or damaged: it declares 16.0 s of video and sound, and only 5.3 s could be decoded"
    );
    grid.frames = Expected::Exactly(146);
    assert!(verify(grid, &plan, &record).is_err(), "half a second of counted frames is too much to lose");
    grid.frames = Expected::Exactly(133);
    let verified = verify(grid, &plan, &record).expect("one frame less is remarked");
    assert_eq!(verified.remarks, ["the source declares 133 frames and gave 132"]);
    grid.frames = Expected::Unknown;
    assert!(verify(grid, &plan, &record).is_ok());
    plan.audios[0].ends_at_ms = Some(7000);
    assert_eq!(
        verify(grid, &plan, &record).expect_err("too short").message,
        "it is cut or damaged: it declares 7.0 s of sound in track 1, and only 5.3 s could be decoded"
    );
    plan.audios[0].ends_at_ms = None;
    assert!(verify(grid, &plan, &record).is_ok());
}

#[test]
fn where_the_source_has_one_length_for_all_any_track_may_be_the_longest() {
    let (mut grid, mut plan) = planned();
    let mut record = arrived(&plan);
    let sound = record.arrived.get_mut("audio").expect("it arrived");
    sound.segments.get_mut(&1).expect("there").ticks = 48_000 * 12;
    plan.audios[0].ends_at_ms = None;
    grid.frames = Expected::Within(400);
    verify(grid, &plan, &record).expect("16.0 s of sound are what was declared");
    grid.frames = Expected::Within(420);
    assert!(verify(grid, &plan, &record).is_err(), "16.8 s are more than any track has");
    grid.frames = Expected::About(400);
    assert!(verify(grid, &plan, &record).is_err(), "these are the pictures' own");
}
