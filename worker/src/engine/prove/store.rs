//! What was proven, in a file for the next worker; good only for the same programs, devices and settings.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Facts;

/// The file's name.
const FILE: &str = "capabilities.json";

/// The file.
pub(super) struct Store {
    file: PathBuf,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    facts: Facts,
}

impl Store {
    /// The file in `folder`, for a program and what else the facts depend on.
    pub(super) fn new(folder: &Path, ffmpeg: &Path, settings: &str) -> Self {
        let key = format!("reelmill {}; {}; {settings}; {}", env!("CARGO_PKG_VERSION"), program(ffmpeg), devices());
        Self { file: folder.join(FILE), key }
    }

    /// The facts, if they are of these programs and devices.
    pub(super) fn read(&self) -> Option<Facts> {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (kept.key == self.key).then_some(kept.facts)
    }

    /// Keeps the facts. Where that fails, the next worker proves them again.
    pub(super) fn write(&self, facts: &Facts) {
        let kept = Kept { key: self.key.clone(), facts: facts.clone() };
        let text = serde_json::to_vec_pretty(&kept).expect("facts hold only text and numbers");
        // Another worker may write at the same time, or read: a name of our own, then into place.
        let own = self.file.with_extension(std::process::id().to_string());
        let written = self.file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written =
            written.and_then(|()| std::fs::write(&own, text)).and_then(|()| std::fs::rename(&own, &self.file));
        if let Err(e) = written {
            log::warn!("cannot keep what was proven in {}: {e}", self.file.display());
        }
    }
}

/// A program by its path, size and time of change.
fn program(path: &Path) -> String {
    let of = std::fs::metadata(path).ok();
    let changed = of.as_ref().and_then(|m| m.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} {:?} {changed:?}", path.display(), of.map(|m| m.len()))
}

/// The NVIDIA driver's version and the GPUs, as the driver tells them.
fn devices() -> String {
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let first = driver.lines().next().unwrap_or("no NVIDIA driver").to_owned();
    [first].into_iter().chain(super::cuda::models()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::capability::Hardware;

    #[test]
    fn keeps_facts_only_for_the_same_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let ffmpeg = folder.path().join("ffmpeg");
        std::fs::write(&ffmpeg, "one").expect("written");
        let store = || Store::new(&folder.path().join("kept"), &ffmpeg, "p4");
        let facts = Facts {
            hardware: Hardware::Absent,
            program: "ffmpeg 5".to_owned(),
            encodes: Vec::new(),
            refusals: Vec::new(),
            cuda: None,
            sessions: None,
        };
        assert_eq!(store().read(), None);
        store().write(&facts);
        assert_eq!(store().read(), Some(facts));
        std::fs::write(&ffmpeg, "another").expect("written");
        assert_eq!(store().read(), None, "the program has changed");
    }
}
