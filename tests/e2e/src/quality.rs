//! How near pictures are to those they were made from.

use std::{path::Path, process::Command};

/// Peak signal-to-noise ratio of luma in dB, between a file's pictures and a source's: `shape` is what filters make of the
/// source's pictures so that they are the same size, `part` what they make of the file's.
pub fn luma_psnr(file: &Path, part: &str, source: &Path, shape: &str) -> f64 {
    let graph = format!("[0:v]{part},setpts=N[made];[1:v]{shape},setpts=N[meant];[made][meant]psnr");
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .arg("-i")
        .arg(source)
        .args(["-lavfi", &graph, "-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    let (_, figures) = said.rsplit_once("PSNR y:").unwrap_or_else(|| panic!("no figures: {said}"));
    let luma = figures.split_whitespace().next().expect("a figure");
    if luma == "inf" { f64::INFINITY } else { luma.parse().expect("a number") }
}
