//! Plans in, whole command lines out; and which engine a setting means.

mod every_preset;

use reelmill_api::{
    Preset, Rational,
    media::{Fields, HdrMetadata, Mastering, Rotation},
    preset::{Filter, Presets},
};

use super::{
    EngineKind,
    capability::Hardware,
    ffmpeg::{self, Pictures},
    nvenc, select, software,
};
use crate::{
    config::{HwAccel, NvencPreset},
    plan::{
        Cuda, Plan, plan,
        tests::{hls_ladder, source, video},
    },
    snapshot,
};

fn command_line(media: &reelmill_api::MediaFacts) -> String {
    command_line_of(&hls_ladder(), media)
}

fn command_line_of(preset: &Preset, media: &reelmill_api::MediaFacts) -> String {
    command_line_by(preset, media, &software::pictures)
}

fn command_line_by(preset: &Preset, media: &reelmill_api::MediaFacts, pictures: &dyn Fn(&Plan) -> Pictures) -> String {
    let plan = plan(preset, media).expect("a plan");
    let extras: Vec<_> = (0..2).map(|n| format!("http://127.0.0.1:1/extra-{n}")).collect();
    let needed = plan.picture.filters.iter().filter(|f| matches!(f, Filter::Logo(_) | Filter::Lut(_))).count();
    let addresses = ffmpeg::Addresses {
        source: "http://127.0.0.1:1/in",
        extras: &extras[..needed],
        output: &|rendition| format!("http://127.0.0.1:1/out/{rendition}"),
    };
    lines(&ffmpeg::command(&plan, pictures(&plan), &addresses))
}

/// One option a line reads better than one line of all.
fn lines(args: &[String]) -> String {
    args.join(" ").replace(" -", "\n-") + "\n"
}

fn check(media: &reelmill_api::MediaFacts, want: &str) {
    check_text(&command_line(media), want);
}

pub(super) fn check_text(got: &str, want: &str) {
    snapshot::check(got, &format!("commands/{want}"));
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
fn a_clip_may_fill_its_frame_with_the_middle_of_the_picture() {
    let presets = Presets::built_in();
    let preset = presets.get(&"social-vertical".parse().expect("a name")).expect("built in");
    let crop =
        r#"{"files":[{"name":"clip","container":"mp4","frame":{"width":1080,"height":1920,"fit":"crop"},"crf":21}]}"#;
    let preset = preset.with(&serde_json::from_str(crop).expect("settings")).expect("they fit");
    check_text(&command_line_of(&preset, &source(1920, 1080, "25/1")), "social-crop.txt");
}

#[test]
fn cuda_on_a_jetson_means_its_own_engine() {
    let present = |engine| Some(Hardware::Present(engine));
    let table = [
        (HwAccel::Cuda, true, true, present(EngineKind::Jetson)),
        (HwAccel::Cuda, true, false, present(EngineKind::Jetson)),
        (HwAccel::Jetson, true, true, present(EngineKind::Jetson)),
        (HwAccel::Auto, true, false, present(EngineKind::Jetson)),
        (HwAccel::Cuda, false, true, present(EngineKind::Nvenc)),
        (HwAccel::Auto, false, true, present(EngineKind::Nvenc)),
        (HwAccel::Cuda, false, false, None),
        (HwAccel::Jetson, false, true, None),
        (HwAccel::None, true, true, Some(Hardware::Never)),
        (HwAccel::Auto, false, false, Some(Hardware::Absent)),
    ];
    for (wanted, jetson, nvidia, want) in table {
        assert_eq!(select(wanted, jetson, nvidia).ok(), want, "{wanted:?} jetson={jetson} nvidia={nvidia}");
    }
}

/// NVDEC reads the source, and this ffmpeg has all filters.
const ALL: Cuda = Cuda { decodes: true, bwdif: true };

fn by_nvenc(plan: &Plan, cuda: Cuda) -> Pictures {
    let preset: NvencPreset = "p4".parse().expect("a preset");
    nvenc::pictures(plan, cuda, preset)
}

fn check_nvenc(preset: &str, media: &reelmill_api::MediaFacts, cuda: Cuda, want: &str) {
    let presets = Presets::built_in();
    let preset = presets.get(&preset.parse().expect("a name")).expect("built in");
    check_text(&command_line_by(preset, media, &|plan| by_nvenc(plan, cuda)), want);
}

/// A phone's source in full HD with stereo sound.
fn full_hd() -> reelmill_api::MediaFacts {
    source(1920, 1080, "30000/1001")
}

#[test]
fn a_high_dynamic_range_is_kept_with_its_metadata_by_software() {
    let mut media = source(1280, 720, "25/1");
    media.audio.clear();
    let picture = video(&mut media);
    picture.colour.transfer = Some("smpte2084".to_owned());
    picture.pixel_format = "yuv420p10le".to_owned();
    let mastering = Mastering {
        primaries: [(34_000, 16_000), (13_250, 34_500), (7_500, 3_000)],
        white: (15_635, 16_450),
        max_luminance: 10_000_000,
        min_luminance: 50,
    };
    picture.hdr = Some(HdrMetadata { mastering: Some(mastering), max_cll: Some(1000), max_fall: Some(400) });
    for name in ["hls-ladder-hevc", "hls-ladder-av1"] {
        let presets = Presets::built_in();
        let preset = presets.get(&name.parse().expect("a name")).expect("built in");
        check_text(&command_line_of(preset, &media), &format!("hdr-kept.{name}.txt"));
    }
}

#[test]
fn a_turned_source_leaves_the_gpu_and_comes_back() {
    let mut media = full_hd();
    video(&mut media).rotation = Rotation::Cw90;
    check_nvenc("hls-ladder", &media, ALL, "turned.nvenc.txt");
}

#[test]
fn an_interlaced_source_is_deinterlaced_on_the_gpu_by_the_filter_that_is_there() {
    let mut media = full_hd();
    video(&mut media).fields = Fields::Interlaced;
    check_nvenc("hls-ladder", &media, Cuda { bwdif: false, ..ALL }, "interlaced.nvenc.txt");
    let line = command_line_by(&hls_ladder(), &media, &|plan| by_nvenc(plan, ALL));
    assert!(line.contains("]bwdif_cuda=mode=send_frame,fps="), "{line}");
}

#[test]
fn what_nvdec_cannot_read_is_decoded_in_software_and_uploaded_once_a_rendition() {
    let mut media = full_hd();
    video(&mut media).pixel_format = "yuv422p10le".to_owned();
    check_nvenc("hls-ladder", &media, Cuda { decodes: false, ..ALL }, "422.nvenc.txt");
}

#[test]
fn a_high_dynamic_range_stays_on_the_gpu_where_it_is_kept_and_is_mapped_in_memory_where_not() {
    let mut media = full_hd();
    let picture = video(&mut media);
    picture.colour.transfer = Some("smpte2084".to_owned());
    picture.pixel_format = "yuv420p10le".to_owned();
    check_nvenc("hls-ladder-hevc", &media, ALL, "hdr-kept.nvenc.txt");
    check_nvenc("hls-ladder", &media, ALL, "hdr-mapped.nvenc.txt");
}

/// Whether this ffmpeg takes the options at all: a wrong one is refused before a GPU is looked for.
#[test]
fn ffmpeg_understands_every_option_of_the_encoders_that_it_has() {
    let run = |words: &[String]| {
        let out = std::process::Command::new("ffmpeg").args(words).output().expect("ffmpeg is installed");
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let has = run(&["-hide_banner".to_owned(), "-encoders".to_owned()]);
    assert!(has.0, "{}", has.1);
    for (preset, encoder) in
        [("hls-ladder", "h264_nvenc"), ("hls-ladder-hevc", "hevc_nvenc"), ("hls-ladder-av1", "av1_nvenc")]
    {
        let presets = Presets::built_in();
        let preset = presets.get(&preset.parse().expect("a name")).expect("built in");
        let plan = plan(preset, &full_hd()).expect("a plan");
        let options = by_nvenc(&plan, ALL).encoders.remove(0);
        let mut words = ffmpeg::strings(
            "-nostdin -hide_banner -loglevel error -f lavfi -i testsrc2=size=256x256:rate=30 -frames:v 1 -map 0:v",
        );
        words.extend(options.into_iter().skip(2));
        words.extend(ffmpeg::strings("-pix_fmt nv12 -f null -"));
        let (well, said) = run(&words);
        let unknown = said.contains("Unknown encoder");
        let lines: Vec<_> = said.lines().map(str::to_owned).collect();
        assert!(
            well || unknown && encoder == "av1_nvenc" || nvenc::words::refusal(&lines).is_some(),
            "{encoder}: {said}"
        );
    }
}
