//! NVIDIA GPUs: ffmpeg with NVDEC, CUDA filters and NVENC, frames staying in the GPU's memory; or, where a GPU has no
//! encoder, the same decoder and scaler in front of software encoders. A plan into options, nothing else.

mod encoders;
mod graph;
pub(super) mod words;

pub(super) use encoders::encoder;

use std::path::PathBuf;

use super::{
    confine::Besides,
    ffmpeg::{Pictures, strings},
    software::{self, storyboard},
};
use crate::{
    config::NvencPreset,
    plan::{Cuda, Placement, Plan},
};
use reelmill_api::media::{Fields, Rotation};

/// The driver's nodes. Those that a machine lacks are passed over.
const DEVICES: &[&str] = &[
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-modeset",
    "/dev/nvidia0",
    "/dev/nvidia1",
    "/dev/nvidia2",
    "/dev/nvidia3",
    "/dev/nvidia4",
    "/dev/nvidia5",
    "/dev/nvidia6",
    "/dev/nvidia7",
];
/// What its libraries read to learn what GPUs there are, and where NixOS keeps them.
const ABOUT: &[&str] = &[
    "/proc/driver/nvidia",
    "/proc/devices",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/bus/pci",
    "/sys/devices",
    "/sys/module",
    "/run/opengl-driver",
    "/etc/nvidia",
];
/// Where its libraries lie where the linker does not know: on NixOS, and in containers.
const LIBRARIES: &str = "/run/opengl-driver/lib:/usr/local/nvidia/lib64:/usr/local/nvidia/lib";

/// What a process may use besides that drives a GPU.
pub(super) fn besides() -> Besides {
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
    Besides {
        environment: vec![("LD_LIBRARY_PATH".to_owned(), LIBRARIES.to_owned())],
        devices: paths(DEVICES),
        readable: paths(ABOUT),
    }
}

/// Surfaces that a decoder keeps beside those it needs itself: for frames that filters and encoders still hold. NVDEC has
/// 32 at most.
const EXTRA_SURFACES: u32 = 8;

/// How pictures are made by a GPU alone, or nearly.
pub(super) fn pictures(plan: &Plan, cuda: Cuda, preset: NvencPreset) -> Pictures {
    let (graph, storyboard) = storyboard::added(plan, graph::to_gpu(plan, cuda), graph::fetched);
    let encoders = plan.videos().into_iter().map(|video| encoders::video(plan, video, preset)).collect();
    Pictures { decoder: decoder(cuda), graph, encoders, storyboard, ..Pictures::default() }
}

/// How pictures are made where a GPU decodes and scales, and software encodes.
pub(super) fn assisting_software(plan: &Plan, cuda: Cuda) -> Pictures {
    let (graph, storyboard) = storyboard::added(plan, graph::to_memory(plan, cuda), |_| String::new());
    Pictures { decoder: decoder(cuda), graph, encoders: software::encoders(plan), storyboard, ..Pictures::default() }
}

/// One device for all. A decoder with threads would take surfaces for each of them, and gain nothing.
fn decoder(cuda: Cuda) -> Vec<String> {
    let mut args = strings("-init_hw_device cuda=gpu -filter_hw_device gpu");
    if cuda.decodes {
        args.extend(strings("-hwaccel cuda -hwaccel_device gpu -hwaccel_output_format cuda -threads 1"));
        args.extend(strings(&format!("-extra_hw_frames {EXTRA_SURFACES}")));
    }
    args
}

/// What keeps a plan's pictures from staying in the GPU's memory, in words; nothing, as a rule. ffmpeg as released has no
/// filter there that tone-maps, crops, blurs, undoes telecine or changes the range, and a turning one only since 9.0.
pub(super) fn in_memory(plan: &Plan) -> Vec<&'static str> {
    let picture = &plan.picture;
    let mapped = picture.hdr.is_some() && plan.videos().iter().any(|video| !video.hdr);
    let placed = plan.videos().iter().any(|video| video.placement != Placement::Whole);
    let reasons = [
        (picture.rotation != Rotation::None, "turning"),
        (picture.fields == Fields::Telecined, "inverse telecine"),
        (picture.coded.full_range, "full range"),
        (mapped, "tone mapping"),
        (!picture.filters.is_empty(), "extra filters"),
        (placed, "cropping or blurring"),
    ];
    reasons.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
}
