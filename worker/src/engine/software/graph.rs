//! The filter graph: one decode, repaired once, parted into the renditions.

use std::ops::Range;

use reelmill_api::media::{Fields, Rotation};

use super::{cascade, filters};
use crate::{
    engine::ffmpeg::{tagging, without_lead},
    plan::{HdrSource, Picture, Placement, Plan, Size, VideoPlan},
};

/// The graph; each rendition's pictures come out of a pad `[v-NAME]`.
pub(in crate::engine) fn pictures(plan: &Plan) -> String {
    let videos = plan.videos();
    let from_source: Vec<_> = videos.iter().filter(|v| cascade::parent(v, &videos).is_none()).copied().collect();
    let mut graph = parts_of(plan, &source(plan), &from_source, None);
    for video in &videos {
        let format = format!("{},{}", pixel_format(video), tagging(plan, video));
        graph += &format!(";{}", rendition(video, &format, &outlet(video, &videos)));
    }
    graph
}

/// The same for some `frames` of the grid and one rendition, at the pad `[reference]`: what its encoder was given. Those that
/// come before the first decoded picture are missing; the first of `frames` is at 0.
pub(in crate::engine) fn reference(plan: &Plan, video: &VideoPlan, frames: &Range<u64>) -> String {
    let parts = parts_of(plan, &source(plan), &[video], Some(frames));
    format!("{parts};{}", rendition(video, pixel_format(video), "[reference]"))
}

fn source(plan: &Plan) -> String {
    format!("[0:{}]", plan.picture.stream)
}

/// The pad that a rendition's encoder reads; renditions that are scaled from it have theirs beside it.
fn outlet(video: &VideoPlan, videos: &[&VideoPlan]) -> String {
    let smaller = videos.iter().filter(|v| cascade::parent(v, videos).is_some_and(|p| p.name == video.name));
    let pads: Vec<_> = smaller.map(|v| format!("[s-{}]", v.name)).collect();
    match pads.len() {
        0 => format!("[v-{}]", video.name),
        n => format!(",split={}[v-{}]{}", n + 1, video.name, pads.concat()),
    }
}

/// From the decoded source, which `input` leads to, to a pad `[s-NAME]` for each rendition: repaired, filtered, and in
/// the rendition's dynamic range.
pub(in crate::engine) fn parts(plan: &Plan, input: &str) -> String {
    parts_of(plan, input, &plan.videos(), None)
}

/// The same for some renditions, while the others are scaled from those; of the whole grid, or of some of its frames.
fn parts_of(plan: &Plan, input: &str, videos: &[&VideoPlan], some: Option<&Range<u64>>) -> String {
    let mut chain = Vec::from_iter(without_lead("setpts", plan));
    chain.extend(repairs(&plan.picture));
    let even = format!("fps=fps={}:round=near", plan.grid.frame_rate);
    chain.push(match some {
        None => format!("{even}:start_time=0"),
        // Behind `fps`, times count the grid's frames.
        Some(Range { start, end }) => format!("{even},trim=start_pts={start}:end_pts={end},setpts=PTS-{start}"),
    });
    let trunk = format!("{input}{}", chain.join(","));
    let (kept, standard): (Vec<_>, Vec<_>) = videos.iter().partition(|v| v.hdr);
    let filtered = |trunk: String| filters::after(trunk, &plan.picture);
    match &plan.picture.hdr {
        None => parted(&filtered(trunk), &standard),
        // What is laid over the pictures has a standard range, so it comes after.
        Some(hdr) if kept.is_empty() => parted(&filtered(format!("{trunk},{}", tone_map(hdr))), &standard),
        Some(_) if standard.is_empty() => parted(&filtered(trunk), &kept),
        Some(hdr) => {
            let mapped = parted(&format!("[sdr]{}", tone_map(hdr)), &standard);
            format!("{},split=2[hdr][sdr];{};{mapped}", filtered(trunk), parted("[hdr]null", &kept))
        }
    }
}

pub(in crate::engine) fn parted(trunk: &str, videos: &[&VideoPlan]) -> String {
    let pads: String = videos.iter().map(|v| format!("[s-{}]", v.name)).collect();
    format!("{trunk},split={}{pads}", videos.len())
}

/// From the common picture to one rendition's size and the encoder's format, at a pad.
pub(in crate::engine) fn rendition(video: &VideoPlan, format: &str, outlet: &str) -> String {
    let name = &video.name;
    let last = format!("setsar=1,format={format}{outlet}");
    let scaled = |size: Size| format!("scale={}:{}:flags=bicubic:out_range=tv", size.width, size.height);
    let Size { width, height } = video.size;
    match video.placement {
        Placement::Whole => format!("[s-{name}]{},{last}", scaled(video.size)),
        Placement::Cropped(whole) => format!("[s-{name}]{},crop={width}:{height},{last}", scaled(whole)),
        Placement::OverBlur(inside) => format!(
            "[s-{name}]split=2[b-{name}][f-{name}];\
             [b-{name}]scale={0}:{1}:force_original_aspect_ratio=increase:flags=bilinear:out_range=tv,crop={0}:{1},\
             gblur=sigma={2},scale={width}:{height}:flags=bilinear[blur-{name}];\
             [f-{name}]{3}[front-{name}];[blur-{name}][front-{name}]overlay=(W-w)/2:(H-h)/2,{last}",
            // A blurred copy has nothing to lose in size: an eighth of the pixels' work each way.
            even_eighth(width),
            even_eighth(height),
            BLUR,
            scaled(inside),
        ),
    }
}

/// How far the copy behind a picture is blurred, in its own small pixels.
const BLUR: u32 = 4;

fn even_eighth(side: u32) -> u32 {
    (side / 16).max(1) * 2
}

/// The format that a software encoder is given.
pub(in crate::engine) fn pixel_format(video: &VideoPlan) -> &'static str {
    match (video.codec.is_mezzanine(), video.depth) {
        (true, 10) => "yuv422p10le",
        (true, _) => "yuv422p",
        (false, 10) => "yuv420p10le",
        (false, _) => "yuv420p",
    }
}

const INVERSE_TELECINE: &str =
    "fieldmatch=combmatch=full,bwdif=mode=send_frame:deint=interlaced,decimate,tpad=stop=1:stop_mode=clone";

fn repairs(picture: &Picture) -> Vec<String> {
    let mut chain = Vec::new();
    match picture.fields {
        Fields::Progressive => {}
        Fields::Interlaced => chain.push("bwdif=mode=send_frame".to_owned()),
        // What the match leaves combed is deinterlaced; of five frames, the doubled one goes. The last frame has no length
        // then, and would be lost in the grid were there not another one behind it.
        Fields::Telecined => chain.push(INVERSE_TELECINE.to_owned()),
    }
    if picture.rotation != Rotation::None {
        // From version 7 on, what a frame says of its turn reaches the output, which would be turned once more.
        chain.push("sidedata=mode=delete:type=DISPLAYMATRIX".to_owned());
    }
    match picture.rotation {
        Rotation::None => {}
        Rotation::Cw90 => chain.push("transpose=clock".to_owned()),
        Rotation::Half => chain.push("hflip,vflip".to_owned()),
        Rotation::Ccw90 => chain.push("transpose=cclock".to_owned()),
    }
    if let Some(matrix) = picture.colour.matrix.as_ref().filter(|_| picture.rgb) {
        chain.push(format!("scale=out_color_matrix={matrix}:out_range=tv,format=yuv444p|yuv444p10le"));
    }
    chain
}

/// From PQ or HLG to BT.709, by way of linear light.
pub(super) fn tone_map(hdr: &HdrSource) -> String {
    let tag = |tag: &Option<String>| tag.clone().unwrap_or_default();
    format!(
        "zscale=tin={}:pin={}:min={}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
         tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv",
        tag(&hdr.colour.transfer),
        tag(&hdr.colour.primaries),
        tag(&hdr.colour.matrix),
    )
}
