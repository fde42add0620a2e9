//! Plans in, whole command lines out; and which engine a setting means.

use reelmill_api::{
    Rational,
    media::{Fields, Rotation},
};

use super::{EngineKind, ffmpeg, select, software};
use crate::{
    config::HwAccel,
    plan::{
        plan,
        tests::{hls_ladder, source, video},
    },
};

fn command_line(media: &reelmill_api::MediaFacts) -> String {
    let plan = plan(&hls_ladder(), media).expect("a plan");
    let args = ffmpeg::command(&plan, software::pictures(&plan), "http://127.0.0.1:1/in", &|rendition| {
        format!("http://127.0.0.1:1/out/{rendition}")
    });
    // One option a line reads better than one line of all.
    args.join(" ").replace(" -", "\n-") + "\n"
}

fn check(media: &reelmill_api::MediaFacts, want: &str) {
    let got = command_line(media);
    if std::env::var_os("REELMILL_BLESS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(want);
        std::fs::write(path, &got).expect("the snapshot can be written");
        return;
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(want);
    let want = std::fs::read_to_string(&path).expect("the snapshot exists");
    assert_eq!(got, want, "{} (REELMILL_BLESS=1 writes it anew)", path.display());
}

#[test]
fn a_small_source_with_sound() {
    check(&source(640, 360, "30000/1001"), "small.txt");
}

#[test]
fn a_turned_interlaced_anamorphic_source_without_sound() {
    let mut media = source(720, 576, "25/1");
    media.audio.clear();
    let picture = video(&mut media);
    picture.rotation = Rotation::Ccw90;
    picture.fields = Fields::Interlaced;
    picture.sample_aspect = Rational::new(16, 15).expect("not zero");
    check(&media, "repaired.txt");
}

#[test]
fn an_hdr_source_is_tone_mapped_once_before_the_rungs_part() {
    let mut media = source(1920, 1080, "24/1");
    media.audio.clear();
    video(&mut media).colour.transfer = Some("arib-std-b67".to_owned());
    check(&media, "hdr.txt");
}

#[test]
fn sound_just_before_the_first_picture_is_cut() {
    let mut media = source(640, 360, "25/1");
    video(&mut media).starts_at_seconds = 0.023;
    check(&media, "lead.txt");
}

#[test]
fn cuda_on_a_jetson_means_its_own_engine() {
    let table = [
        (HwAccel::Cuda, true, true, Some(EngineKind::Jetson)),
        (HwAccel::Cuda, true, false, Some(EngineKind::Jetson)),
        (HwAccel::Jetson, true, true, Some(EngineKind::Jetson)),
        (HwAccel::Cuda, false, true, Some(EngineKind::Nvenc)),
        (HwAccel::Cuda, false, false, None),
        (HwAccel::Jetson, false, true, None),
        (HwAccel::None, true, true, Some(EngineKind::Software)),
        (HwAccel::Auto, false, false, Some(EngineKind::Software)),
    ];
    for (wanted, jetson, nvidia, want) in table {
        assert_eq!(select(wanted, jetson, nvidia).ok(), want, "{wanted:?} jetson={jetson} nvidia={nvidia}");
    }
}
