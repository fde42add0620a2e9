//! Facts in, engines out.

use reelmill_api::{Preset, preset::Presets};

use super::*;
use crate::plan::{plan, tests as plans};

/// A GPU that encodes H.264 and HEVC and decodes H.264, in front of a full ffmpeg.
fn turing() -> Facts {
    let hardware = [fact("nvenc", VideoCodec::H264, 8, 1), fact("nvenc", VideoCodec::Hevc, 8, 2)];
    let mut facts = software(&[VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Prores]);
    facts.encodes.extend(hardware);
    facts.hardware = Hardware::Present(EngineKind::Nvenc);
    facts.cuda =
        Some(CudaFacts { device: "NVIDIA T4".to_owned(), decodes: vec![("h264".to_owned(), 8)], bwdif: false });
    facts
}

/// A GPU that only decodes.
fn hopper() -> Facts {
    let mut facts = turing();
    facts.encodes.retain(|c| c.engine == "software");
    facts.cuda.as_mut().expect("there is one").device = "NVIDIA H200".to_owned();
    facts
}

pub(crate) fn software(codecs: &[VideoCodec]) -> Facts {
    let encodes = codecs.iter().flat_map(|codec| [8, 10].map(|depth| fact("software", *codec, depth, 1))).collect();
    Facts {
        hardware: Hardware::Absent,
        program: "ffmpeg 8.0".to_owned(),
        encodes,
        refusals: Vec::new(),
        cuda: None,
        sessions: None,
    }
}

fn fact(engine: &str, codec: VideoCodec, depth: u32, class: usize) -> Capability {
    let Size { width, height } = CLASSES[class];
    Capability { engine: engine.to_owned(), codec, depth, width, height, speed: 1.94 }
}

fn preset(name: &str) -> Preset {
    Presets::built_in().get(&name.parse().expect("a name")).expect("built in").clone()
}

/// The engine's name and what the report says, or the failure.
fn choice(facts: &Facts, name: &str, change: impl Fn(&mut Preset, &mut reelmill_api::MediaFacts)) -> String {
    let (mut preset, mut media) = (preset(name), plans::source(1920, 1080, "25/1"));
    change(&mut preset, &mut media);
    let plan = plan(&preset, &media).expect("a plan");
    match facts.choose(&plan, preset.fallback, "p4".parse().expect("a preset")) {
        Ok((maker, changes)) => [vec![maker.name], changes].concat().join(" | "),
        Err(failure) => format!("{}: {}", failure.kind, failure.lines()),
    }
}

fn check(facts: &Facts, preset: &str, want: &str) {
    assert_eq!(choice(facts, preset, |_, _| {}), want, "{preset}");
}

#[test]
fn hardware_encodes_what_it_can_and_software_the_rest_where_the_preset_allows_it() {
    check(&turing(), "hls-ladder", "nvenc (ffmpeg 8.0, NVIDIA T4)");
    check(
        &turing(),
        "hls-ladder-av1",
        "software with cuda decode (ffmpeg 8.0, NVIDIA T4) | \
         encoded in software: nvenc does not encode av1 8 bit up to 1920x1088",
    );
    let forbidden = choice(&turing(), "hls-ladder-av1", |preset, _| preset.fallback = Fallback::Forbid);
    assert_eq!(
        forbidden,
        "no_capability: the nvenc engine here does not encode av1 8 bit up to 1920x1088, and the preset forbids software\n\
         hint: serve the preset on a node whose hardware can, or set fallback = \"allow\" in it"
    );
}

#[test]
fn a_gpu_that_gives_too_few_sessions_leaves_a_ladder_to_software_or_to_other_nodes() {
    let mut few = turing();
    few.sessions = NonZeroU32::new(3);
    check(&few, "proxy", "nvenc (ffmpeg 8.0, NVIDIA T4)");
    let software = "software with cuda decode (ffmpeg 8.0, NVIDIA T4) | encoded in software: nvenc does not encode 4 \
                    renditions at once, in 3 encoder sessions";
    check(&few, "hls-ladder", software);
    let mut forbids = preset("hls-ladder");
    assert_eq!(few.serve(&forbids, &Need::of_preset(&forbids)), Ok(EngineKind::Nvenc), "smaller sources need fewer");
    forbids.fallback = Fallback::Forbid;
    let lacks = few.serve(&forbids, &Need::of_preset(&forbids)).expect_err("it has three");
    let missing = lacks.missing.as_ref().map(ToString::to_string);
    assert_eq!((lacks.kind, missing.as_deref()), (ErrorKind::NoCapability, Some("hardware-h264_8bit_hd")), "{lacks:?}");
    few.sessions = NonZeroU32::new(8);
    check(&few, "hls-ladder", "nvenc (ffmpeg 8.0, NVIDIA T4)");
}

#[test]
fn a_gpu_without_encoders_decodes_and_scales_for_software() {
    check(
        &hopper(),
        "hls-ladder",
        "software with cuda decode (ffmpeg 8.0, NVIDIA H200) | \
         encoded in software: nvenc does not encode h264 8 bit up to 1920x1088",
    );
    assert_eq!(
        hopper().engines(),
        ["nvenc (ffmpeg 8.0, NVIDIA H200) without encoders: decodes and scales only", "software (ffmpeg 8.0)"]
    );
}

#[test]
fn what_leaves_the_gpu_is_said() {
    let turned = choice(&turing(), "hls-ladder", |_, media| {
        plans::video(media).rotation = reelmill_api::media::Rotation::Cw90;
    });
    assert_eq!(turned, "nvenc (ffmpeg 8.0, NVIDIA T4) | filtered outside the GPU: turning");
    let chroma = choice(&turing(), "hls-ladder", |_, media| plans::video(media).pixel_format = "yuv422p".to_owned());
    assert_eq!(chroma, "nvenc (ffmpeg 8.0, NVIDIA T4) | decoded in software: the GPU does not decode h264 yuv422p");
    let chroma = choice(&hopper(), "hls-ladder", |_, media| plans::video(media).pixel_format = "yuv422p".to_owned());
    assert!(chroma.starts_with("software (ffmpeg 8.0) | encoded in software"), "{chroma}");
}

#[test]
fn software_by_order_does_what_presets_forbid_and_says_nothing_of_it() {
    let mut facts = software(&[VideoCodec::H264]);
    facts.hardware = Hardware::Never;
    assert_eq!(choice(&facts, "hls-ladder", |p, _| p.fallback = Fallback::Forbid), "software (ffmpeg 8.0)");
    facts.hardware = Hardware::Absent;
    let refused = choice(&facts, "hls-ladder", |preset, _| preset.fallback = Fallback::Forbid);
    assert!(refused.starts_with("no_capability: this node has no hardware that encodes, and the preset"), "{refused}");
}

#[test]
fn an_ffmpeg_without_an_encoder_is_told_with_what_it_lacks() {
    let mut facts = software(&[VideoCodec::H264]);
    let need = Need { codec: VideoCodec::Hevc, depth: 8, class: 0 };
    facts.refusals.push(Refusal {
        engine: EngineKind::Software,
        need,
        why: "Unknown encoder 'libx265'".to_owned(),
        passing: false,
    });
    check(
        &facts,
        "hls-ladder-hevc",
        "no_capability: this node's ffmpeg 8.0 does not encode hevc 8 bit up to 1920x1088: Unknown encoder 'libx265'\n\
         hint: install an ffmpeg with libx265, or serve the preset on a node that has one",
    );
}

#[test]
fn a_preset_needs_its_codecs_at_the_depths_and_sizes_it_may_make() {
    let needs = |name: &str| Need::of_preset(&preset(name)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(needs("hls-ladder"), ["h264 8 bit up to 1920x1088"]);
    assert_eq!(
        needs("hls-ladder-4k"),
        ["h264 8 bit up to 1920x1088", "hevc 8 bit up to 4096x2304", "hevc 10 bit up to 4096x2304"]
    );
    assert_eq!(needs("social-vertical"), ["av1 8 bit up to 1920x1088", "h264 8 bit up to 1920x1088"]);
    assert_eq!(needs("archive-dnxhr"), ["dnxhr 8 bit up to 1920x1088", "dnxhr 10 bit up to 1920x1088"]);
}

#[test]
fn what_cannot_do_a_size_cannot_do_a_larger_one() {
    let mut facts = software(&[]);
    let need = |class| Need { codec: VideoCodec::H264, depth: 8, class };
    facts.refusals.push(Refusal { engine: EngineKind::Nvenc, need: need(1), why: String::new(), passing: false });
    let refused = [0, 1, 2].map(|class| facts.refuses(EngineKind::Nvenc, need(class)));
    assert_eq!(refused, [false, true, true]);
    assert!(!facts.refuses(EngineKind::Software, need(2)));
}

#[test]
fn a_fact_reads_as_a_sentence() {
    assert_eq!(fact("jetson", VideoCodec::H264, 8, 1).to_string(), "h264 8 bit up to 4096x2304 by jetson at 1.9x");
}
