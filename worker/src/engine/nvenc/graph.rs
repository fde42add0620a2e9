//! Filter graphs in a GPU's memory, and the ways in and out of it.

use reelmill_api::media::Fields;

use super::in_memory;
use crate::{
    engine::{
        ffmpeg::{tagging, without_lead},
        software::graph::{parted, parts, pixel_format, rendition},
    },
    plan::{Cuda, Placement, Plan, Size, VideoPlan},
};

/// The graph whose pictures end in the GPU's memory, for its encoders.
pub(super) fn to_gpu(plan: &Plan, cuda: Cuda) -> String {
    let stays = stays(plan, cuda);
    let one = |video: &VideoPlan| {
        let (name, surface, tags) = (&video.name, surface(video.depth), tagging(plan, video));
        let scaled = scaled(video, surface);
        match video.placement {
            Placement::Whole if stays => format!("[s-{name}]{scaled},setsar=1,{tags}[v-{name}]"),
            Placement::Whole => {
                format!("[s-{name}]format={surface},hwupload_cuda,{scaled},setsar=1,{tags}[v-{name}]")
            }
            // NVENC takes pictures from memory too.
            Placement::Cropped(_) | Placement::OverBlur(_) => {
                rendition(video, &format!("{surface},{tags}"), &format!("[v-{name}]"))
            }
        }
    };
    whole(plan, cuda, stays, one)
}

/// The graph whose pictures end in the processor's memory, for software encoders.
pub(super) fn to_memory(plan: &Plan, cuda: Cuda) -> String {
    let stays = stays(plan, cuda);
    let format = surface(plan.picture.coded.depth);
    let one = |video: &VideoPlan| {
        let name = &video.name;
        let wanted = format!("{},{}", pixel_format(video), tagging(plan, video));
        if stays {
            let scaled = scaled(video, format);
            format!("[s-{name}]{scaled},hwdownload,format={format},setsar=1,format={wanted}[v-{name}]")
        } else {
            rendition(video, &wanted, &format!("[v-{name}]"))
        }
    };
    whole(plan, cuda, stays, one)
}

/// Whether decoded pictures stay in the GPU's memory until they are scaled.
fn stays(plan: &Plan, cuda: Cuda) -> bool {
    cuda.decodes && in_memory(plan).is_empty()
}

fn whole(plan: &Plan, cuda: Cuda, stays: bool, one: impl Fn(&VideoPlan) -> String) -> String {
    let source = format!("[0:{}]", plan.picture.stream);
    let mut graph = match (stays, cuda.decodes) {
        (true, _) => parted(&format!("{source}{}", repaired(plan, cuda)), &plan.videos()),
        (false, true) => parts(plan, &format!("{source}hwdownload,format={},", surface(plan.picture.coded.depth))),
        (false, false) => parts(plan, &source),
    };
    for video in plan.videos() {
        graph += &format!(";{}", one(video));
    }
    graph
}

/// What is done to the source before the renditions part: what software does, in the GPU's words.
fn repaired(plan: &Plan, cuda: Cuda) -> String {
    let mut chain = Vec::from_iter(without_lead("setpts", plan));
    if plan.picture.fields == Fields::Interlaced {
        chain.push(if cuda.bwdif { "bwdif_cuda=mode=send_frame" } else { "yadif_cuda=mode=send_frame" }.to_owned());
    }
    chain.push(format!("fps=fps={}:round=near:start_time=0", plan.grid.frame_rate));
    chain.join(",")
}

/// Bicubic, as in software. A picture that has the size already is only passed on.
fn scaled(video: &VideoPlan, format: &str) -> String {
    let Size { width, height } = video.size;
    format!("scale_cuda=w={width}:h={height}:interp_algo=bicubic:format={format}")
}

/// What brings the pictures of a rendition that [`to_gpu`] made back to the processor's memory.
pub(super) fn fetched(video: &VideoPlan) -> String {
    match video.placement {
        Placement::Whole => format!("hwdownload,format={},", surface(video.depth)),
        Placement::Cropped(_) | Placement::OverBlur(_) => String::new(),
    }
}

/// The format of 4:2:0 pictures in the GPU's memory.
fn surface(depth: u32) -> &'static str {
    if depth > 8 { "p010le" } else { "nv12" }
}
