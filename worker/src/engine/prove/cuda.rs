//! What a GPU decodes: tiny clips, decoded, scaled and fetched for real.

use super::{Programs, run, strings};
use crate::engine::{capability::CudaFacts, nvenc};

/// One grey picture each, made with ffmpeg (`color=gray:size=256x256`, MPEG-2 at 64x64) by x264, x265, libvpx, libaom and
/// ffmpeg's own encoder: ffmpeg's name of the codec, bits of a sample, its demuxer, and the clip.
const CLIPS: [(&str, u32, &str, &str); 8] = [
    (
        "h264",
        8,
        "h264",
        "AAAAAWdkAA2s2UEAhsBEAAADAAQAAAMAyDxQplgAAAABaOvjyyLAAAABZYiEACv//vZzfCVyWON5kvcsvy6Ely/YgwfXE7B6P+x9\
         uyrMw3QAAAowFBxAwFc5Im/X5KE=",
    ),
    (
        "hevc",
        8,
        "hevc",
        "AAAAAUABDAH//wFgAAADAJAAAAMAAAMAPJWYCQAAAAFCAQEBYAAAAwCQAAADAAADADygCAgEBZZWaSTK8BaAgAAAAwCAAAAMhAAA\
         AAFEAcFytGJAAAABKAGvHSEx1vcBW9a+xwAf0TKUJWCpccoFGIFTQJMNlCAFPIcAAAMBdw==",
    ),
    (
        "hevc",
        10,
        "hevc",
        "AAAAAUABDAH//wIgAAADAJAAAAMAAAMAPJWYCQAAAAFCAQECIAAAAwCQAAADAAADADygCAgEBNllZpJMrwFoCAAAAwAIAAADAMhA\
         AAAAAUQBwXK0YkAAAAEoAa8dITHW9wFb1r7HAB/RMpQlYKlxygUYgVNAkw2UIAU8hwAAAwF3",
    ),
    (
        "vp9",
        8,
        "ivf",
        "REtJRgAAIABWUDkwAAEAARkAAAABAAAAAQAAAAAAAAAhAAAAAAAAAAAAAACCSYNCAA/wD/YAOCQcGEoAADBgAAATuBgAAmJjKjgo\
         LIA=",
    ),
    (
        "vp9",
        10,
        "ivf",
        "REtJRgAAIABWUDkwAAEAARkAAAABAAAAAQAAAAAAAAAhAAAAAAAAAAAAAACSSYNCAAf4B/sAHBIODCwAABhgAABnPnOTu4tFjCdR\
         v0A=",
    ),
    (
        "av1",
        8,
        "ivf",
        "REtJRgAAIABBVjAxAAEAARkAAAABAAAAAQAAAAAAAAAlAAAAAAAAAAAAAAASAAoLAAAAA7//+f/zAIAyFBAAkAAAAKAAAIABtUiG\
         1J5CDEOA",
    ),
    (
        "av1",
        10,
        "ivf",
        "REtJRgAAIABBVjAxAAEAARkAAAABAAAAAQAAAAAAAAAlAAAAAAAAAAAAAAASAAoLAAAAA7//+f/zgIAyFBAAkAAAAKAAAIABtUiG\
         1J5CDEOA",
    ),
    (
        "mpeg2video",
        8,
        "mpegvideo",
        "AAABswQAQBP//+AYAAABtRSKAAEAAAAAAbgACABAAAABAAAP//gAAAG1j//zQYAAAAEBE1pSkRcpSkRcpSkRcpSkRAAAAQITWlKR\
         FylKRFylKRFylKREAAABAxNaUpEXKUpEXKUpEXKUpEQAAAEEE1pSkRcpSkRcpSkRcpSkRA==",
    ),
];

/// What the GPU does besides encoding; nothing if it decodes none of the clips.
pub(super) async fn prove(programs: &Programs) -> Option<CudaFacts> {
    let proofs = CLIPS.map(|(codec, depth, demuxer, clip)| async move {
        let proven = run(programs, &decode(demuxer, clip, ""), nvenc::besides()).await;
        if let Err(said) = &proven {
            log::debug!("not proven: {codec} {depth} bit decoded by cuda: {}", said.why);
        }
        proven.is_ok().then(|| (codec.to_owned(), depth))
    });
    let decodes: Vec<_> = futures::future::join_all(proofs).await.into_iter().flatten().collect();
    if decodes.is_empty() {
        return None;
    }
    let (_, _, demuxer, clip) = CLIPS[0];
    let bwdif = run(programs, &decode(demuxer, clip, "bwdif_cuda=mode=send_frame,"), nvenc::besides()).await.is_ok();
    Some(CudaFacts { device: models().next().unwrap_or_else(|| "an NVIDIA GPU".to_owned()), decodes, bwdif })
}

fn decode(demuxer: &str, clip: &str, filter: &str) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel error -protocol_whitelist data -init_hw_device cuda=gpu");
    args.extend(strings(
        "-filter_hw_device gpu -hwaccel cuda -hwaccel_device gpu -hwaccel_output_format cuda -threads 1",
    ));
    args.extend(strings(&format!("-f {demuxer} -i data:application/octet-stream;base64,{clip} -vf")));
    args.push(format!("{filter}scale_cuda=w=128:h=128:interp_algo=bicubic:format=nv12,hwdownload,format=nv12"));
    args.extend(strings("-frames:v 1 -f null -"));
    args
}

/// The names of the GPUs, as the driver tells them.
pub(super) fn models() -> impl Iterator<Item = String> {
    let gpus = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    gpus.filter_map(|gpu| model_in(&std::fs::read_to_string(gpu.path().join("information")).ok()?))
}

/// `NVIDIA H200` of `Model: \t\t NVIDIA H200`.
fn model_in(information: &str) -> Option<String> {
    let model = information.lines().find_map(|line| line.strip_prefix("Model:"))?.trim();
    (!model.is_empty()).then(|| model.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_gpus_name() {
        let text = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 123\nGPU UUID: \t GPU-1\n";
        assert_eq!(model_in(text).as_deref(), Some("NVIDIA H200"));
        assert_eq!(model_in("IRQ: 1\n"), None);
    }

    /// So that a refusal is the GPU's, and not the clip's.
    #[test]
    fn every_clip_is_one_picture_to_a_software_decoder() {
        for (codec, depth, demuxer, clip) in CLIPS {
            let source = format!("data:application/octet-stream;base64,{clip}");
            let args =
                ["-v", "error", "-protocol_whitelist", "data", "-f", demuxer, "-i", &source, "-f", "framecrc", "-"];
            let out = std::process::Command::new("ffmpeg").args(args).output().expect("ffmpeg is installed");
            let frames = String::from_utf8_lossy(&out.stdout).lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(
                (frames, out.status.success()),
                (1, true),
                "{codec} {depth}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}
