//! Every built-in preset on every kind of node, whole: what makes it, what is told of that, and the command, for a Jetson
//! with the pipeline before it; or why the node's hardware does not make it.

use std::collections::BTreeSet;

use reelmill_api::{
    Capability, Failure, MediaFacts, Preset,
    media::AudioFacts,
    preset::{Fallback, Presets, Product, VideoCodec},
};
use reelmill_gst::graph::Family;

use super::{check_text, lines};
use crate::{
    config::NvencPreset,
    engine::{
        EngineKind,
        capability::{CLASSES, CudaFacts, Facts, Hardware},
        ffmpeg, jetson, live, pictures,
    },
    live::first_plan,
    plan::{
        Maker, Plan, Size, plan,
        tests::{source, video},
    },
    snapshot,
};

/// A kind of node, and what is proven of it.
struct Node {
    name: &'static str,
    facts: Facts,
}

/// Each with an ffmpeg that encodes everything. A GPU without encoders is what data centres have.
fn nodes() -> [Node; 4] {
    let (h264, hevc, av1) = (VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1);
    let gpu: &[_] = &[(h264, 8), (hevc, 8), (hevc, 10), (av1, 8), (av1, 10)];
    let board: &[_] = &[(h264, 8), (hevc, 8), (hevc, 10), (av1, 8)];
    [
        Node { name: "software", facts: facts(Hardware::Absent, &[]) },
        Node { name: "cuda", facts: Facts { cuda: Some(cuda()), ..facts(Hardware::Present(EngineKind::Nvenc), &[]) } },
        Node { name: "nvenc", facts: Facts { cuda: Some(cuda()), ..facts(Hardware::Present(EngineKind::Nvenc), gpu) } },
        Node { name: "jetson", facts: facts(Hardware::Present(EngineKind::Jetson), board) },
    ]
}

fn facts(hardware: Hardware, encodes: &[(VideoCodec, u32)]) -> Facts {
    let Size { width, height } = CLASSES[1];
    let fact = |engine: EngineKind, &(codec, depth): &(VideoCodec, u32)| {
        let engine = engine.name().to_owned();
        Capability { engine, codec, depth, width, height, speed: 1.0 }
    };
    let codecs = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1, VideoCodec::Prores, VideoCodec::Dnxhr];
    let by_software: Vec<_> = codecs.iter().flat_map(|codec| [(*codec, 8), (*codec, 10)]).collect();
    let mut proven: Vec<_> = by_software.iter().map(|what| fact(EngineKind::Software, what)).collect();
    if let Hardware::Present(engine) = hardware {
        proven.extend(encodes.iter().map(|what| fact(engine, what)));
    }
    Facts {
        hardware,
        program: "ffmpeg 8.0".to_owned(),
        encodes: proven,
        refusals: Vec::new(),
        cuda: None,
        sessions: None,
    }
}

fn cuda() -> CudaFacts {
    let decodes = [("h264", 8), ("hevc", 8), ("hevc", 10)].map(|(codec, depth)| (codec.to_owned(), depth));
    CudaFacts { device: "NVIDIA L4".to_owned(), decodes: decodes.into(), bwdif: true }
}

/// A source with all that a preset can make something of.
fn source_for(preset: &Preset) -> MediaFacts {
    let large = preset.name.as_str() == "hls-ladder-4k";
    let mut media = if large { source(3840, 2160, "50/1") } else { source(1920, 1080, "30000/1001") };
    let surround = AudioFacts { index: 2, channels: 6, language: Some("de".to_owned()), ..media.audio[0].clone() };
    match &preset.product {
        Product::Ladder(_) => media.audio = vec![AudioFacts { index: 1, language: None, ..surround }],
        Product::Files(_) => {
            media.audio.push(surround);
            media.timecode = Some("01:00:00;02".to_owned());
        }
        Product::Live(_) => {}
    }
    if preset.codecs().iter().any(|codec| codec.is_mezzanine()) {
        let picture = video(&mut media);
        "hevc".clone_into(&mut picture.codec);
        "yuv420p10le".clone_into(&mut picture.pixel_format);
    }
    media
}

fn planned(preset: &Preset) -> Plan {
    let media = source_for(preset);
    if preset.is_live() { first_plan(preset, &media) } else { plan(preset, &media).expect("a plan") }
}

/// What makes a preset's plan on a node, and what is told of that.
fn choose(preset: &Preset, plan: &Plan, node: &Node, fallback: Fallback) -> Result<(Maker, Vec<String>), Failure> {
    let effort = NvencPreset::default();
    match preset.is_live() {
        true => node.facts.choose_live(plan, fallback, effort),
        false => node.facts.choose(plan, fallback, effort),
    }
}

/// What becomes of a preset on a node.
fn text(preset: &Preset, node: &Node) -> String {
    let mut plan = planned(preset);
    let (maker, changes) = choose(preset, &plan, node, preset.fallback).expect("software is everywhere");
    let without_software = choose(preset, &plan, node, Fallback::Forbid);
    plan.maker = maker;
    plan.changes.extend(changes);
    let mut text = format!("by {}\n", plan.maker.name);
    text.extend(plan.changes.iter().map(|change| format!("told: {change}\n")));
    let hardware = matches!(node.facts.hardware, Hardware::Present(_));
    if let (true, Err(failure)) = (hardware, without_software) {
        text += &format!("where the preset forbids software: {}: {}\n", failure.kind, failure.lines());
    }
    text + "\n" + &run(preset, &plan, hardware)
}

/// What is run.
fn run(preset: &Preset, plan: &Plan, hardware: bool) -> String {
    if plan.maker.engine == EngineKind::Jetson {
        return jetson::tests::written(plan, Family::L4t).expect("it was chosen for it");
    }
    if hardware && plan.maker.engine == EngineKind::Software && plan.maker.cuda.is_none() {
        return format!("as in {}.software.txt\n", preset.name);
    }
    let output = |rendition: &str| format!("http://127.0.0.1:1/out/{rendition}");
    let addresses = ffmpeg::Addresses { source: "http://127.0.0.1:1/in", extras: &[], output: &output };
    lines(&match preset.is_live() {
        true => live::encoding(plan, addresses.source, &output),
        false => ffmpeg::command(plan, pictures(plan), &addresses),
    })
}

#[test]
fn has_a_text_of_its_own_and_no_text_is_left_over() {
    let mut names = BTreeSet::new();
    for preset in Presets::built_in().iter() {
        for node in nodes() {
            let name = format!("{}.{}.txt", preset.name, node.name);
            check_text(&text(preset, &node), &format!("presets/{name}"));
            names.insert(name);
        }
    }
    assert_eq!(snapshot::names("commands/presets"), names, "a text for each, and none of a preset that is gone");
}

/// The choice of engine and the engine itself know by different ways what it does not do.
#[test]
fn is_given_to_a_jetson_only_if_its_graph_can_be_made() {
    let [.., jetson] = nodes();
    for preset in Presets::built_in().iter().filter(|preset| !preset.is_live()) {
        let plan = planned(preset);
        let chosen = choose(preset, &plan, &jetson, Fallback::Forbid).map(|_| ()).map_err(|failure| failure.kind);
        let made = jetson::tests::written(&plan, Family::L4t).map(|_| ()).map_err(|failure| failure.kind);
        assert_eq!(chosen, made, "{}", preset.name);
    }
}
