//! Sources: the bundled clip, and others made from it or from nothing by ffmpeg.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Frames in the bundled clip.
pub const CLIP_FRAMES: u64 = 132;

/// The bundled clip: 1280x720, 25 frames a second, 132 frames, AAC 5.1.
pub fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/bbb-5s.mp4")
}

/// Runs ffmpeg with these words, the last one an output file under `folder`; its path.
pub fn make(folder: &Path, words: &str) -> PathBuf {
    let mut words: Vec<String> =
        words.split_whitespace().map(|w| w.replace("CLIP", &clip().display().to_string())).collect();
    let output = folder.join(words.pop().expect("an output file"));
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(&words)
        .arg(&output)
        .output()
        .expect("ffmpeg is installed");
    assert!(made.status.success(), "ffmpeg {}: {}", words.join(" "), String::from_utf8_lossy(&made.stderr));
    output
}

/// The same MP4 file as another one beside it that is to be turned clockwise by so many quarters, as a telephone says it:
/// by the matrix in its first track's header (ISO/IEC 14496-12, 8.3.2). The pictures stay as they lie.
pub fn turned(file: &Path, quarters: usize) -> PathBuf {
    const HEADER: &[u8] = b"tkhd";
    let mut bytes = std::fs::read(file).expect("it was made");
    let header = bytes.windows(HEADER.len()).position(|four| four == HEADER).expect("a track");
    let matrix = header + HEADER.len() + 40;
    let one = 1_i32 << 16;
    let [a, b, c, d] = [[one, 0, 0, one], [0, one, -one, 0], [-one, 0, 0, -one], [0, -one, one, 0]][quarters];
    for (n, value) in [a, b, 0, c, d, 0, 0, 0, 1 << 30].into_iter().enumerate() {
        bytes[matrix + n * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    let turned = file.with_extension(format!("turned{quarters}.mp4"));
    std::fs::write(&turned, bytes).expect("it can be written");
    turned
}
