//! NVENC's options. The table in docs/operate/engines.md says where each comes from.

use reelmill_api::preset::VideoCodec;

use crate::{
    config::NvencPreset,
    engine::ffmpeg::{colours, mapped, strings},
    plan::{Plan, RatePlan, VideoPlan},
};

/// Two between references, everywhere: the frame grid is constant, which is what B-frames need here, and an open group
/// cannot come of it under `strict_gop` with IDR pictures.
const B_FRAMES: u32 = 2;
/// What NVENC's constant quality lies above x264's for a similar look.
const ABOVE_X264: u8 = 7;
/// The worst constant quality of H.264 and HEVC here.
const WORST: u8 = 51;

/// The encoder of one rendition, from its pad on.
pub(super) fn video(plan: &Plan, video: &VideoPlan, preset: NvencPreset) -> Vec<String> {
    let mut args = mapped(plan, &video.name, encoder(video, preset));
    args.extend(colours(plan, video));
    args
}

/// Codec, quality and groups, without what belongs to a plan.
pub(in crate::engine) fn encoder(video: &VideoPlan, preset: NvencPreset) -> Vec<String> {
    let mut args = strings(match (video.codec, video.depth > 8) {
        (VideoCodec::H264, _) => "-c:v h264_nvenc -profile:v high",
        (VideoCodec::Hevc, false) => "-c:v hevc_nvenc -profile:v main -tag:v hvc1",
        (VideoCodec::Hevc, true) => "-c:v hevc_nvenc -profile:v main10 -tag:v hvc1",
        (VideoCodec::Av1, _) => "-c:v av1_nvenc",
        (VideoCodec::Prores | VideoCodec::Dnxhr, _) => unreachable!("no GPU makes it, and the choice of engine knows"),
    });
    args.extend(strings(&format!("-preset {preset} -tune hq")));
    args.extend(rate(video));
    args.extend(groups(video.gop));
    args
}

/// One keyframe grid: IDR pictures every `gop` frames and nowhere else. `-keyint_min` means nothing to hardware.
fn groups(gop: u32) -> Vec<String> {
    strings(&format!(
        "-g {gop} -bf {B_FRAMES} -no-scenecut 1 -strict_gop 1 -forced-idr 1 -force_key_frames expr:eq(mod(n,{gop}),0)"
    ))
}

/// Constant quality under a cap. `-b:v 0` takes away ffmpeg's own default of 2 Mbit/s.
fn rate(video: &VideoPlan) -> Vec<String> {
    let Some(RatePlan { crf, max_bps }) = video.rate else { return Vec::new() };
    let quality = if video.codec == VideoCodec::Av1 { crf } else { crf.saturating_add(ABOVE_X264).min(WORST) };
    let mut args = strings(&format!("-rc vbr -cq {quality} -b:v 0 -spatial-aq 1"));
    if let Some(max) = max_bps {
        args.extend(strings(&format!("-maxrate {max} -bufsize {}", u64::from(max) * 2)));
    }
    args
}
