//! Live sources: the command that brings one in as it comes, and what a ladder's command becomes when it has no end.

use reelmill_api::{
    Progress,
    stream::{Protocol, SrtMode, StreamLocation},
};

use super::{
    ALLOWED_DEMUXERS,
    ffmpeg::{self, strings},
    pictures, progress,
};
use crate::plan::Plan;

/// How long a source may be silent before the connection counts as lost, microseconds.
const SILENCE: &str = "5000000";

/// ffmpeg's arguments that bring a live source, found at `host` (an address, with its port), to `to`. Nothing is decoded;
/// MPEG-TS comes over SRT byte by byte, and what RTMP and RTSP carry goes into a container that can be streamed.
pub fn intake(source: &StreamLocation, host: &str, to: &str) -> Vec<String> {
    let mut args: Vec<String> = strings("-nostdin -hide_banner -loglevel warning");
    let url = format!("{}://{host}{}", source.protocol().scheme(), source.path());
    let container = match source.protocol() {
        Protocol::Srt => {
            args.extend(strings("-protocol_whitelist srt -f data -i"));
            args.push(format!("{url}?{}", srt_query(source)));
            "data"
        }
        Protocol::Rtmp => {
            args.extend(strings("-protocol_whitelist rtmp,tcp -format_whitelist flv,live_flv -fflags +nobuffer"));
            args.extend(strings("-rw_timeout"));
            args.extend([SILENCE, "-rtmp_live", "live", "-i", url.as_str()].map(str::to_owned));
            "nut"
        }
        Protocol::Rtsp => {
            args.extend(strings("-protocol_whitelist rtsp,rtp,tcp -format_whitelist rtsp -rtsp_transport tcp"));
            args.extend(["-fflags", "+nobuffer+genpts", "-timeout", SILENCE, "-i", url.as_str()].map(str::to_owned));
            "nut"
        }
    };
    let kept = if container == "data" { "-map 0" } else { "-map 0:v? -map 0:a?" };
    args.extend(strings(&format!("{kept} -c copy -f {container} -flush_packets 1 -method PUT -chunked_post 1")));
    args.push(to.to_owned());
    args
}

fn srt_query(source: &StreamLocation) -> String {
    let srt = source.srt();
    let mode = match srt.mode {
        SrtMode::Caller => "caller",
        SrtMode::Listener => "listener",
    };
    let mut query = format!("mode={mode}&timeout={SILENCE}&listen_timeout={SILENCE}");
    if let Some(ms) = srt.latency_ms {
        // ffmpeg counts it in microseconds.
        query += &format!("&latency={}", u64::from(ms) * 1000);
    }
    if let Some(id) = &srt.stream_id {
        query += &format!("&streamid={id}");
    }
    query
}

/// ffprobe's arguments for the beginning of a source that was brought in: as little as tells what it is.
pub fn probing(source: &str) -> Vec<String> {
    let mut args = strings("-hide_banner -loglevel error -print_format json -show_format -show_streams");
    args.extend(strings("-analyzeduration 1500000 -probesize 8000000 -protocol_whitelist http,tcp"));
    args.extend(["-format_whitelist", ALLOWED_DEMUXERS, source].map(str::to_owned));
    args
}

/// ffmpeg's arguments for a ladder without an end: it keeps no list of what it made, since segments are listed elsewhere.
pub fn encoding(plan: &Plan, source: &str, output: &dyn Fn(&str) -> String) -> Vec<String> {
    let addresses = ffmpeg::Addresses { source, extras: &[], output };
    let mut args = ffmpeg::command(plan, pictures(plan), &addresses);
    while let Some(at) = args.windows(2).position(|pair| pair == ["-hls_playlist_type", "vod"]) {
        args.splice(at..at + 2, strings("-hls_list_size 2"));
    }
    args
}

/// Reads the encoder's lines; the figures when a block of them is complete.
pub fn meter(plan: &Plan) -> impl FnMut(&str) -> Option<Progress> + use<> {
    let mut meter = progress::Meter::new(plan);
    move |line| meter.line(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, want: &str) {
        let source = source.parse().expect("a live source");
        assert_eq!(intake(&source, "10.0.0.7:9000", "http://127.0.0.1:1/x").join(" "), want);
    }

    #[test]
    fn each_protocol_is_brought_in_with_no_right_to_any_other() {
        check(
            "srt://cam:9000?latency=200&streamid=a",
            "-nostdin -hide_banner -loglevel warning -protocol_whitelist srt -f data -i \
             srt://10.0.0.7:9000?mode=caller&timeout=5000000&listen_timeout=5000000&latency=200000&streamid=a \
             -map 0 -c copy -f data -flush_packets 1 -method PUT -chunked_post 1 http://127.0.0.1:1/x",
        );
        check(
            "rtmp://cam:9000/live/x",
            "-nostdin -hide_banner -loglevel warning -protocol_whitelist rtmp,tcp -format_whitelist flv,live_flv \
             -fflags +nobuffer -rw_timeout 5000000 -rtmp_live live -i rtmp://10.0.0.7:9000/live/x \
             -map 0:v? -map 0:a? -c copy -f nut -flush_packets 1 -method PUT -chunked_post 1 http://127.0.0.1:1/x",
        );
        check(
            "rtsp://cam:9000/h264",
            "-nostdin -hide_banner -loglevel warning -protocol_whitelist rtsp,rtp,tcp -format_whitelist rtsp \
             -rtsp_transport tcp -fflags +nobuffer+genpts -timeout 5000000 -i rtsp://10.0.0.7:9000/h264 \
             -map 0:v? -map 0:a? -c copy -f nut -flush_packets 1 -method PUT -chunked_post 1 http://127.0.0.1:1/x",
        );
    }

    #[test]
    fn a_live_ladder_keeps_no_list() {
        let plan = crate::plan::plan(&crate::plan::tests::hls_ladder(), &crate::plan::tests::source(640, 360, "25/1"));
        let args =
            encoding(&plan.expect("a plan"), "http://127.0.0.1:1/x", &|name| format!("http://127.0.0.1:1/{name}"));
        let line = args.join(" ");
        assert!(!line.contains("vod") && line.matches("-hls_list_size 2").count() >= 2, "{line}");
    }
}
