//! Plans in, whole command lines out; and which engine a setting means.

use reelmill_api::{
    Preset, Rational,
    media::{Fields, Rotation},
    preset::Filter,
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
    command_line_of(&hls_ladder(), media)
}

fn command_line_of(preset: &Preset, media: &reelmill_api::MediaFacts) -> String {
    let plan = plan(preset, media).expect("a plan");
    let extras: Vec<_> = (0..2).map(|n| format!("http://127.0.0.1:1/extra-{n}")).collect();
    let needed = plan.picture.filters.iter().filter(|f| matches!(f, Filter::Logo(_) | Filter::Lut(_))).count();
    let addresses = ffmpeg::Addresses {
        source: "http://127.0.0.1:1/in",
        extras: &extras[..needed],
        output: &|rendition| format!("http://127.0.0.1:1/out/{rendition}"),
    };
    let args = ffmpeg::command(&plan, software::pictures(&plan), &addresses);
    // One option a line reads better than one line of all.
    args.join(" ").replace(" -", "\n-") + "\n"
}

fn check(media: &reelmill_api::MediaFacts, want: &str) {
    check_text(&command_line(media), want);
}

fn check_text(got: &str, want: &str) {
    if std::env::var_os("REELMILL_BLESS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(want);
        std::fs::write(path, got).expect("the snapshot can be written");
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
fn extra_filters_come_in_their_order_on_the_upright_picture() {
    let settings = r#"{"filters":[{"crop":{"left":8,"right":8}},{"pad":{"top":20}},{"denoise":"medium"},{"sharpen":"light"},
        {"lut":{"table":"s3://media/film.cube"}},
        {"logo":{"image":"s3://media/logo.png","corner":"top-right","width_percent":10}}]}"#;
    let preset = hls_ladder().with(&serde_json::from_str(settings).expect("settings")).expect("good settings");
    let mut media = source(720, 576, "25/1");
    video(&mut media).sample_aspect = Rational::new(16, 15).expect("not zero");
    media.audio.clear();
    check_text(&command_line_of(&preset, &media), "filters.txt");
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
