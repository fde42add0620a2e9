//! From a plan to the graph that GStreamer is given, or why it is not for this engine.

use std::num::NonZeroU32;

use reelmill_api::{
    ErrorKind, Failure, Rational,
    media::{Fields, Rotation},
    preset::VideoCodec,
};
use reelmill_gst::{
    Codec, FrameRate,
    graph::{Graph, Input, RungWish, Source, Turn},
};

use super::Jetson;
use crate::plan::{Placement, Plan, RatePlan, VideoPlan};

/// The first rung's descriptor; those of the others follow.
pub(super) const FIRST_DESCRIPTOR: i32 = 3;

/// The graph of a plan, for a source at `url`.
///
/// # Errors
/// `no_capability` with what this engine cannot do.
pub(super) fn graph(plan: &Plan, jetson: &Jetson, url: &str) -> Result<Graph, Failure> {
    let unfit = unfit(plan);
    if !unfit.is_empty() {
        return Err(refused(&unfit.join(", ")));
    }
    let coded = &plan.picture.coded;
    let source = Source { codec: coded.codec.clone(), pixel_format: coded.pixel_format.clone() };
    let rungs = plan.videos().into_iter().zip(FIRST_DESCRIPTOR..);
    let rungs = rungs.map(|(video, fd)| rung(video, plan.grid.frame_rate, jetson.preset, fd));
    Ok(Graph {
        family: jetson.family,
        plugin_folders: jetson.plugin_folders.clone(),
        input: Input::Http { url: url.to_owned(), source },
        first_picture_micros: plan.begins_micros,
        deinterlace: plan.picture.fields == Fields::Interlaced,
        turn: turn(plan.picture.rotation),
        frame_rate: frame_rate(plan.grid.frame_rate),
        rungs: rungs.collect::<Option<_>>().ok_or_else(|| refused("encode such a rendition"))?,
    })
}

/// What a plan wants that no element of ours does, in words.
pub(in crate::engine) fn unfit(plan: &Plan) -> Vec<&'static str> {
    let picture = &plan.picture;
    let videos = plan.videos();
    let mapped = picture.hdr.is_some() && videos.iter().any(|video| !video.hdr);
    let described = picture.hdr.as_ref().is_some_and(|hdr| hdr.metadata != Default::default());
    let reasons = [
        (picture.fields == Fields::Telecined, "undo telecine"),
        (mapped, "tone-map"),
        (described && videos.iter().any(|video| video.hdr), "keep HDR10's metadata"),
        (!picture.filters.is_empty(), "have extra filters"),
        (videos.iter().any(|video| video.placement != Placement::Whole), "crop or blur"),
    ];
    reasons.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
}

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(ErrorKind::NoCapability, format!("the jetson engine does not {what}"))
        .hint("let the preset fall back to software, or set HWACCEL=auto on this node")
}

fn rung(video: &VideoPlan, rate: Rational, preset: u8, fd: i32) -> Option<RungWish> {
    let codec = match video.codec {
        VideoCodec::H264 => Codec::H264,
        VideoCodec::Hevc => Codec::H265,
        VideoCodec::Av1 => Codec::Av1,
        VideoCodec::Prores | VideoCodec::Dnxhr => return None,
    };
    let RatePlan { crf, max_bps } = video.rate?;
    let peak_bps = max_bps.unwrap_or_else(|| roomy_bps(video, rate));
    Some(RungWish {
        codec,
        depth: u8::try_from(video.depth).ok()?,
        width: u16::try_from(video.size.width).ok()?,
        height: u16::try_from(video.size.height).ok()?,
        gop: video.gop,
        // The hardware has no constant quality: it aims at two thirds of the highest rate, and takes more where it must.
        bitrate_bps: peak_bps / 3 * 2,
        peak_bps,
        crf,
        preset,
        fd,
    })
}

/// A highest rate for those that have none: a fifth of a bit for each pixel.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn roomy_bps(video: &VideoPlan, rate: Rational) -> u32 {
    (f64::from(video.size.width) * f64::from(video.size.height) * rate.as_f64() / 5.0) as u32
}

fn turn(rotation: Rotation) -> Turn {
    match rotation {
        Rotation::None => Turn::None,
        Rotation::Cw90 => Turn::Cw90,
        Rotation::Half => Turn::Half,
        Rotation::Ccw90 => Turn::Ccw90,
    }
}

pub(super) fn frame_rate(rate: Rational) -> FrameRate {
    let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    FrameRate { numerator: number(rate.num()), denominator: number(rate.den()) }
}
