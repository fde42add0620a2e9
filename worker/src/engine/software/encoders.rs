//! Software encoders and their options, each from its own documentation and ffmpeg's.

mod hdr;

use reelmill_api::preset::{Effort, VideoCodec};

use crate::{
    engine::ffmpeg::{colours, mapped, strings},
    plan::{HdrSource, Plan, RatePlan, VideoPlan},
};

/// The encoder of one rendition, from its pad on: what codec, how good, where keyframes lie, what colours.
pub(super) fn video(plan: &Plan, video: &VideoPlan) -> Vec<String> {
    let hdr = plan.picture.hdr.as_ref().filter(|_| video.hdr);
    let mut args = mapped(plan, &video.name, encoder(video, hdr));
    args.extend(colours(plan, video));
    args
}

/// Codec, quality and groups, without what belongs to a plan.
pub(in crate::engine) fn encoder(video: &VideoPlan, hdr: Option<&HdrSource>) -> Vec<String> {
    match video.codec {
        VideoCodec::H264 => x264(video),
        VideoCodec::Hevc => x265(video, hdr),
        VideoCodec::Av1 => svt_av1(video, hdr),
        // ProRes 422 HQ; `apl0` is Apple's own vendor code, which some programs ask for.
        VideoCodec::Prores => strings("-c:v prores_ks -profile:v 3 -vendor apl0 -mbs_per_slice 8"),
        VideoCodec::Dnxhr if video.depth > 8 => strings("-c:v dnxhd -profile:v dnxhr_hqx"),
        VideoCodec::Dnxhr => strings("-c:v dnxhd -profile:v dnxhr_hq"),
    }
}

/// One keyframe grid: closed groups of exactly `gop` frames, no others; forced ones for builds that move them.
fn x264(video: &VideoPlan) -> Vec<String> {
    let gop = video.gop;
    let mut args = strings(&format!("-c:v libx264 -preset {} -profile:v high", video.effort.as_str()));
    args.extend(rate(video.rate));
    args.extend(strings(&format!("-g {gop} -keyint_min {gop} -sc_threshold 0 -flags +cgop")));
    args.extend(strings(&format!("-force_key_frames expr:eq(mod(n,{gop}),0) -x264-params stitchable=1")));
    args
}

/// The same grid in x265's words (x265.readthedocs.io, cli). `hvc1` keeps parameter sets out of the samples, as Apple's
/// players want it.
fn x265(video: &VideoPlan, hdr: Option<&HdrSource>) -> Vec<String> {
    let gop = video.gop;
    let profile = if video.depth == 10 { "main10" } else { "main" };
    let mut args = strings(&format!("-c:v libx265 -preset {} -profile:v {profile} -tag:v hvc1", video.effort.as_str()));
    args.extend(rate(video.rate));
    let mut params = format!("log-level=error:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:repeat-headers=0");
    if let Some(hdr) = hdr {
        params += &hdr::x265(hdr);
    }
    args.extend(strings(&format!("-force_key_frames expr:eq(mod(n,{gop}),0) -x265-params {params}")));
    args
}

/// SVT-AV1 counts efforts from 0 (most) to 13 (Docs/Parameters.md there). A closed group needs `irefresh-type=2`. Its cap
/// may be exceeded by half as it comes, which a player on that rung could not fetch.
fn svt_av1(video: &VideoPlan, hdr: Option<&HdrSource>) -> Vec<String> {
    let gop = video.gop;
    let preset = match video.effort {
        Effort::Ultrafast => 12,
        Effort::Superfast => 11,
        Effort::Veryfast => 10,
        Effort::Faster => 9,
        Effort::Fast => 8,
        Effort::Medium => 6,
        Effort::Slow => 4,
    };
    let mut args = strings(&format!("-c:v libsvtav1 -preset {preset}"));
    args.extend(rate(video.rate));
    let mut params = "irefresh-type=2:scd=0:mbr-overshoot-pct=0".to_owned();
    if let Some(hdr) = hdr {
        params += &hdr::svt_av1(&hdr.metadata);
    }
    args.extend(strings(&format!("-g {gop} -svtav1-params {params}")));
    args
}

fn rate(plan: Option<RatePlan>) -> Vec<String> {
    let Some(RatePlan { crf, max_bps }) = plan else { return Vec::new() };
    let mut args = strings(&format!("-crf {crf}"));
    if let Some(max) = max_bps {
        args.extend(strings(&format!("-maxrate {max} -bufsize {}", u64::from(max) * 2)));
    }
    args
}
