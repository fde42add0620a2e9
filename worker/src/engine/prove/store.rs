//! What was proven, in a file for the next worker; good only for the same programs, devices and settings, and a file for each
//! of these: a node may have several workers. What a machine refused that was short of memory or time is asked again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Facts;

/// How the files' names begin.
const PREFIX: &str = "capabilities-";
/// Files that nobody has written to for so long are of programs that are not there any more, or of workers that died.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The file.
pub(super) struct Store {
    folder: PathBuf,
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
        let name: String = Sha256::digest(&key)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { folder: folder.to_owned(), file: folder.join(format!("{PREFIX}{name}.json")), key }
    }

    /// The facts, if they are of these programs and devices.
    pub(super) fn read(&self) -> Option<Facts> {
        let kept: Kept = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        (kept.key == self.key).then_some(kept.facts)
    }

    /// Keeps the facts. Where that fails, the next worker proves them again.
    pub(super) fn write(&self, facts: &Facts) {
        if let Err(e) = self.try_to_write(facts) {
            log::warn!("cannot keep what was proven in {}: {e}", self.file.display());
        }
    }

    fn try_to_write(&self, facts: &Facts) -> io::Result<()> {
        let mut facts = facts.clone();
        facts.refusals.retain(|refusal| !refusal.passing);
        let kept = Kept { key: self.key.clone(), facts };
        let text = serde_json::to_vec_pretty(&kept).expect("facts hold only text and numbers");
        fs::create_dir_all(&self.folder)?;
        // Another worker may write at the same time, or read: a name of our own, then into place.
        let own = self.file.with_extension(std::process::id().to_string());
        fs::write(&own, text)?;
        fs::rename(&own, &self.file)?;
        forget_old(&self.folder)
    }
}

fn forget_old(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_old = || Some(entry.metadata().ok()?.modified().ok()?.elapsed().ok()? > KEPT);
        if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_old() == Some(true) {
            // Another worker may have been first.
            fs::remove_file(entry.path())
                .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        }
    }
    Ok(())
}

/// A program by its path, size and time of change.
fn program(path: &Path) -> String {
    let of = fs::metadata(path).ok();
    let changed = of.as_ref().and_then(|m| m.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} {:?} {changed:?}", path.display(), of.map(|m| m.len()))
}

/// The NVIDIA driver's version and the GPUs, as the driver tells them.
fn devices() -> String {
    let driver = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let first = driver.lines().next().unwrap_or("no NVIDIA driver").to_owned();
    [first].into_iter().chain(super::cuda::models()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use reelmill_api::{Need, preset::VideoCodec};

    use super::*;
    use crate::engine::{
        EngineKind,
        capability::{Hardware, Refusal},
    };

    fn facts(program: &str) -> Facts {
        Facts {
            hardware: Hardware::Absent,
            program: program.to_owned(),
            encodes: Vec::new(),
            refusals: Vec::new(),
            cuda: None,
            sessions: None,
        }
    }

    #[test]
    fn keeps_the_facts_of_each_program_and_settings_for_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let ffmpeg = folder.path().join("ffmpeg");
        fs::write(&ffmpeg, "one").expect("written");
        let store = |settings| Store::new(&folder.path().join("kept"), &ffmpeg, settings);
        assert_eq!(store("p4").read(), None);
        for settings in ["p4", "p7"] {
            store(settings).write(&facts(settings));
        }
        for settings in ["p4", "p7"] {
            assert_eq!(store(settings).read(), Some(facts(settings)), "the other's are beside them");
        }
        fs::write(&ffmpeg, "another").expect("written");
        assert_eq!(store("p4").read(), None, "the program has changed");
    }

    #[test]
    fn forgets_what_was_refused_for_the_moment_and_what_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path(), Path::new("/usr/bin/ffmpeg"), "p4");
        let need = Need { codec: VideoCodec::H264, depth: 8, class: 0 };
        let refusal = |passing| Refusal { engine: EngineKind::Software, need, why: String::new(), passing };
        let ago = |days: u64| std::time::SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
        for (name, days) in
            [("capabilities-1.json", 29), ("capabilities-2.json", 31), ("capabilities-3.77", 31), ("x", 31)]
        {
            let file = fs::File::create(folder.path().join(name)).expect("ours");
            file.set_modified(ago(days)).expect("ours");
        }
        store.write(&Facts { refusals: vec![refusal(true), refusal(false)], ..facts("ffmpeg 5") });
        assert_eq!(store.read(), Some(Facts { refusals: vec![refusal(false)], ..facts("ffmpeg 5") }));
        let left = ["capabilities-1.json", "capabilities-2.json", "capabilities-3.77", "x"];
        let left = left.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [true, false, false, true]);
    }
}
