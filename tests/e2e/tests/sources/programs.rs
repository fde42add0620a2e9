//! Which media programs the worker uses; the judge always uses those of the system.

use std::{env, path::Path, process::Command};

/// Names an ffmpeg for the worker, with its ffprobe beside it.
const FFMPEG: &str = "REELMILL_SOURCES_FFMPEG";

/// The worker with the media programs that the environment asks for.
pub(crate) fn chosen(mut worker: Command, folder: &Path) -> Command {
    let Some(ffmpeg) = env::var_os(FFMPEG).map(std::path::PathBuf::from) else { return worker };
    let beside = ffmpeg.parent().unwrap_or_else(|| panic!("{FFMPEG} lies in a folder"));
    let ffprobe = beside.join("ffprobe");
    assert!(ffmpeg.is_file() && ffprobe.is_file(), "{FFMPEG} names an ffmpeg with an ffprobe beside it");
    let config = folder.join("worker.toml");
    let text = format!(
        "[media]\nffmpeg = \"{}\"\nffprobe = \"{}\"\nreadable = [\"{}\"]\n",
        ffmpeg.display(),
        ffprobe.display(),
        beside.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    worker.arg("--config").arg(config);
    worker
}

/// Whether the worker's ffmpeg was built with a filter.
pub(crate) fn has_filter(name: &str) -> bool {
    let ffmpeg = env::var_os(FFMPEG).unwrap_or_else(|| "ffmpeg".into());
    let told = Command::new(ffmpeg).args(["-hide_banner", "-filters"]).output().expect("ffmpeg is installed");
    String::from_utf8_lossy(&told.stdout).lines().any(|line| line.split_whitespace().nth(1) == Some(name))
}
