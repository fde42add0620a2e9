//! What scaling and encoding cost, rung by rung, and whether scaling small rungs from larger ones is worth it: the worker's
//! own filter graph against one that scales every rung from the source.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reelmill_e2e::{Farm, quality::luma_psnr};
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{bare, client::upload, job::Site, ratio::cpu_of_children};

/// The rungs of hls-ladder for a source of 1080 lines, and the quality aimed at.
const RUNGS: [(&str, u32, u32, u32); 4] =
    [("1080p", 1920, 1080, 21), ("720p", 1280, 720, 22), ("480p", 854, 480, 23), ("360p", 640, 360, 24)];
/// The clip in 1080 lines, this often.
const TIMES: u32 = 4;
/// Each is measured so often; the least is taken, since other work can only add.
const ROUNDS: usize = 3;

pub(crate) async fn run() {
    let folder = TempDir::new().expect("a folder");
    let words = format!(
        "-stream_loop {} -i CLIP -an -vf scale=1920:1080:flags=lanczos -c:v libx264 -preset ultrafast -crf 12 large.mp4",
        TIMES - 1
    );
    let source = media::make(folder.path(), &words);
    let cascade = workers_graph(&source).await;
    let separate = separate_graph();
    let decode = least(|| ffmpeg(&source, &["-f", "null", "-"]));
    println!("decoding: {:.2} s of processor time", decode.as_secs_f64());
    let scaled = |graph: &str| least(|| ffmpeg(&source, &nowhere(graph))).saturating_sub(decode);
    let (ours, plain) = (scaled(&cascade), scaled(&separate));
    println!(
        "scaling all rungs: the worker's graph {:.2} s, every rung from the source {:.2} s: ratio {:.2}; target below 1",
        ours.as_secs_f64(),
        plain.as_secs_f64(),
        ours.as_secs_f64() / plain.as_secs_f64()
    );
    for rung in RUNGS {
        tell_rung(&source, folder.path(), decode, rung, &cascade, &separate);
    }
}

/// The graph of a job by the worker itself, from its log, without what is not a rung.
async fn workers_graph(source: &Path) -> String {
    let site = Site::start(Farm::start().await);
    let input = upload(&site.farm.store, source, "large.mp4").await;
    site.job(&input, "hls-ladder").await;
    let line = bare::command_line(&site.log());
    let at = line.iter().position(|word| word == "-filter_complex").expect("it has a graph");
    let (rungs, _) = line[at + 1].split_once(",split=2[v-360p]").unwrap_or((&line[at + 1], ""));
    if rungs.ends_with("[v-360p]") { rungs.to_owned() } else { format!("{rungs}[v-360p]") }
}

fn separate_graph() -> String {
    let pads: String = RUNGS.iter().map(|(name, ..)| format!("[s-{name}]")).collect();
    let scales = RUNGS.iter().map(|(name, width, height, _)| {
        format!(";[s-{name}]scale={width}:{height}:flags=bicubic:out_range=tv,setsar=1,format=yuv420p[v-{name}]")
    });
    format!("[0:0]fps=fps=25/1:round=near:start_time=0,split={}{pads}{}", RUNGS.len(), scales.collect::<String>())
}

/// All rungs of a graph, made and thrown away.
fn nowhere(graph: &str) -> Vec<String> {
    let mut words = vec!["-filter_complex".to_owned(), graph.to_owned()];
    for (name, ..) in RUNGS {
        words.extend(["-map", &format!("[v-{name}]"), "-f", "null", "-"].map(str::to_owned));
    }
    words
}

/// One rung of a graph encoded, the others thrown away; where it lies.
fn encoded(source: &Path, folder: &Path, graph: &str, wanted: &str, crf: u32) -> PathBuf {
    let file = folder.join(format!("{wanted}.mp4"));
    let mut words = vec!["-y".to_owned(), "-filter_complex".to_owned(), graph.to_owned()];
    for (name, ..) in RUNGS {
        words.extend(["-map".to_owned(), format!("[v-{name}]")]);
        if name == wanted {
            let encoder = format!("-c:v libx264 -preset fast -crf {crf} -g 100 -sc_threshold 0");
            words.extend(encoder.split(' ').map(str::to_owned).chain([file.display().to_string()]));
        } else {
            words.extend(["-f", "null", "-"].map(str::to_owned));
        }
    }
    ffmpeg(source, &words);
    file
}

fn tell_rung(
    source: &Path,
    folder: &Path,
    decode: Duration,
    (name, width, height, crf): (&str, u32, u32, u32),
    cascade: &str,
    separate: &str,
) {
    let scale = format!("scale={width}:{height}:flags=bicubic");
    let scaling = least(|| ffmpeg(source, &["-vf", &scale, "-f", "null", "-"])).saturating_sub(decode);
    let encode = format!("-c:v libx264 -preset fast -crf {crf} -g 100 -sc_threshold 0 -f null -");
    let both = least(|| ffmpeg(source, &["-vf", &scale].into_iter().chain(encode.split(' ')).collect::<Vec<_>>()));
    let figure = |graph: &str| {
        let file = encoded(source, folder, graph, name, crf);
        let bytes = std::fs::metadata(&file).expect("it was made").len();
        let shape = format!("{scale},format=yuv420p");
        (luma_psnr(&file, "format=yuv420p", source, &shape), vmaf(&file, source), bytes)
    };
    let ((ours, our_vmaf, our_bytes), (plain, plain_vmaf, plain_bytes)) = (figure(cascade), figure(separate));
    println!(
        "{name}: scaling {:.2} s, encoding {:.2} s; worker's graph {ours:.2} dB{} {our_bytes} bytes, from the source \
         {plain:.2} dB{} {plain_bytes} bytes",
        scaling.as_secs_f64(),
        both.saturating_sub(decode + scaling).as_secs_f64(),
        shown(our_vmaf),
        shown(plain_vmaf),
    );
}

fn shown(vmaf: Option<f64>) -> String {
    vmaf.map_or_else(
        || " (no VMAF: set BENCH_VMAF_FFMPEG to an ffmpeg with libvmaf)".to_owned(),
        |v| format!(" VMAF {v:.2}"),
    )
}

/// VMAF in the source's size, by the ffmpeg that `BENCH_VMAF_FFMPEG` names. Both are said to be of one colour space: the
/// worker's graph tags its pictures, and between pictures of two tags that ffmpeg would convert one, and judge the conversion.
fn vmaf(file: &Path, source: &Path) -> Option<f64> {
    const SAME: &str = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,format=yuv420p";
    let program = std::env::var_os("BENCH_VMAF_FFMPEG")?;
    let graph = format!("[0:v]{SAME},scale=1920:1080:flags=bicubic[made];[1:v]{SAME}[source];[made][source]libvmaf");
    let mut command = Command::new(program);
    command.args(["-nostdin", "-hide_banner", "-i"]).arg(file).arg("-i").arg(source);
    let ran = command.args(["-lavfi", &graph, "-f", "null", "-"]).output().expect("the ffmpeg that was named");
    let said = String::from_utf8_lossy(&ran.stderr);
    let (_, score) = said.rsplit_once("VMAF score:")?;
    score.split_whitespace().next()?.parse().ok()
}

fn least(work: impl Fn()) -> Duration {
    let once = || {
        let before = cpu_of_children();
        work();
        cpu_of_children().saturating_sub(before)
    };
    (0..ROUNDS).map(|_| once()).min().expect("more than none")
}

fn ffmpeg<W: AsRef<std::ffi::OsStr>>(source: &Path, words: &[W]) {
    let mut command = Command::new("ffmpeg");
    let ran = command.args(["-nostdin", "-v", "error", "-i"]).arg(source).args(words).output();
    let ran = ran.expect("ffmpeg is installed");
    assert!(ran.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&ran.stderr));
}
