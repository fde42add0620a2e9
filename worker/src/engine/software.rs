//! The software engine: ffmpeg with x264 and its own AAC encoder. A plan into a command line, nothing else.

use reelmill_api::{layout, media::Rotation};

use super::source_options;
use crate::plan::{AudioPlan, Grid, Picture, Plan, VideoPlan};

/// Where a rendition's files are put, by its name.
pub(super) type OutputUrl<'a> = &'a dyn Fn(&str) -> String;

/// How often ffmpeg tells its progress, seconds.
const STATS_PERIOD: &str = "0.5";

/// ffmpeg's arguments for a plan.
pub(super) fn arguments(plan: &Plan, source: &str, output: OutputUrl<'_>) -> Vec<String> {
    let mut args = strings(&[
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "warning",
        "-progress",
        "pipe:1",
        "-stats_period",
        STATS_PERIOD,
    ]);
    args.extend(source_options());
    args.extend(strings(&["-noautorotate", "-i", source, "-filter_complex"]));
    args.push(filter_graph(plan));
    for video in &plan.videos {
        args.extend(video_output(plan, video));
        args.extend(strings(&["-hls_segment_options", VIDEO_MUXING]));
        args.extend(packaging(&video.name, segment_seconds(plan.grid, 0.5), output));
    }
    for audio in &plan.audios {
        args.extend(audio_output(plan, audio));
        args.extend(packaging(&audio.name, segment_seconds(plan.grid, 0.0), output));
    }
    args
}

/// One decode, repaired once, parted into the rungs.
fn filter_graph(plan: &Plan) -> String {
    let mut chain = Vec::from_iter(without_lead("setpts", plan));
    chain.extend(repairs(&plan.picture));
    chain.push(format!("fps=fps={}:round=near:start_time=0", plan.grid.frame_rate));
    let pads: String = plan.videos.iter().map(|v| format!("[s-{}]", v.name)).collect();
    let mut graph = format!("[0:{}]{},split={}{pads}", plan.picture.stream, chain.join(","), plan.videos.len());
    for v in &plan.videos {
        graph += &format!(
            ";[s-{0}]scale={1}:{2}:flags=bicubic:out_range=tv,setsar=1,format=yuv420p[v-{0}]",
            v.name, v.size.width, v.size.height
        );
    }
    graph
}

/// Moves pictures and sound alike, so that the first picture is at 0.
fn without_lead(filter: &str, plan: &Plan) -> Option<String> {
    let lead = f64::from(plan.lead_micros) / 1e6;
    (plan.lead_micros > 0).then(|| format!("{filter}=PTS-{lead:.6}/TB"))
}

fn repairs(picture: &Picture) -> Vec<String> {
    let mut chain = Vec::new();
    if picture.deinterlace {
        chain.push("bwdif=mode=send_frame".to_owned());
    }
    match picture.rotation {
        Rotation::None => {}
        Rotation::Cw90 => chain.push("transpose=clock".to_owned()),
        Rotation::Half => chain.push("hflip,vflip".to_owned()),
        Rotation::Ccw90 => chain.push("transpose=cclock".to_owned()),
    }
    if let Some(hdr) = &picture.tone_map {
        let tag = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
        chain.push(format!(
            "zscale=tin={}:pin={}:min={}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
             tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv",
            tag(&hdr.transfer, "smpte2084"),
            tag(&hdr.primaries, "bt2020"),
            tag(&hdr.matrix, "bt2020nc"),
        ));
    }
    chain
}

fn video_output(plan: &Plan, video: &VideoPlan) -> Vec<String> {
    let gop = plan.grid.gop.to_string();
    let max = video.max_bps.to_string();
    let buffer = (u64::from(video.max_bps) * 2).to_string();
    let mut args =
        strings(&["-map", &format!("[v-{}]", video.name), "-c:v", "libx264", "-preset", plan.x264_preset.as_str()]);
    args.extend(strings(&[
        "-profile:v",
        "high",
        "-crf",
        &video.crf.to_string(),
        "-maxrate",
        &max,
        "-bufsize",
        &buffer,
    ]));
    // One keyframe grid: closed groups of exactly `gop` frames, no others; forced ones for builds that move them.
    args.extend(strings(&["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0", "-flags", "+cgop"]));
    args.extend(strings(&["-force_key_frames", &format!("expr:eq(mod(n,{gop}),0)"), "-x264-params", "stitchable=1"]));
    args.extend(strings(&["-fps_mode", "cfr", "-r", &plan.grid.frame_rate.to_string()]));
    let colour = &plan.picture.colour;
    for (option, tag) in [
        ("-color_primaries", &colour.primaries),
        ("-color_trc", &colour.transfer),
        ("-colorspace", &colour.matrix),
        ("-color_range", &colour.range),
    ] {
        if let Some(tag) = tag {
            args.extend(strings(&[option, tag]));
        }
    }
    args
}

fn audio_output(plan: &Plan, audio: &AudioPlan) -> Vec<String> {
    let rate = audio.sample_rate.to_string();
    let bits = audio.bitrate_bps.to_string();
    // Silence where the track starts late or has holes, so that sound stays with the picture; what is before 0 is cut.
    let mut filters = Vec::from_iter(without_lead("asetpts", plan));
    filters.push(format!("aresample={rate}:async=1:first_pts=0"));
    strings(&[
        "-map",
        &format!("0:{}", audio.stream),
        "-af",
        &filters.join(","),
        "-c:a",
        "aac",
        "-b:a",
        &bits,
        "-ar",
        &rate,
        "-ac",
        &audio.channels.to_string(),
    ])
}

/// With this flag a video's first decode time is 0 and decode times run on over segments to the tick; an edit list says how
/// long before its showing a picture is decoded, and the first is shown at 0. The other form, `negative_cts_offsets`,
/// needs no edit list, but ffmpeg's own demuxer (mpv, Kodi) then shows all pictures later than the sound by
/// the deepest reordering that it has seen so far. Audio must go without the flag: its encoder's priming starts before 0,
/// which `frag_discont` writes as an unsigned decode time, and an edit list tells correctly.
const VIDEO_MUXING: &str = "movflags=+frag_discont";

/// CMAF segments and init segment, put to the gateway one by one. Timestamps are not moved to hide negative ones: the
/// boxes say where presentation starts.
fn packaging(rendition: &str, seconds: String, output: OutputUrl<'_>) -> Vec<String> {
    let base = output(rendition);
    let segments = format!("{base}/{}", layout::SEGMENT_PATTERN);
    let playlist = format!("{base}/{}", layout::MEDIA_PLAYLIST);
    strings(&[
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
        "-sn",
        "-dn",
        "-max_muxing_queue_size",
        "4096",
        "-avoid_negative_ts",
        "disabled",
        "-f",
        "hls",
        "-hls_time",
        &seconds,
        "-hls_playlist_type",
        "vod",
        "-hls_segment_type",
        "fmp4",
        "-method",
        "PUT",
        "-http_persistent",
        "1",
        "-hls_fmp4_init_filename",
        layout::INIT_SEGMENT,
        "-hls_segment_filename",
        &segments,
        &playlist,
    ])
}

/// The length of a segment less `early` frames: video is cut at the first keyframe after it, and half a frame keeps
/// rounding from missing that one.
fn segment_seconds(grid: Grid, early: f64) -> String {
    format!("{:.6}", (f64::from(grid.gop) - early) / grid.frame_rate.as_f64())
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|&a| a.to_owned()).collect()
}
