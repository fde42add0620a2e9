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
