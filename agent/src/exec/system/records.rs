//! The record on the disk: two files, each replaced as a whole, so that a power cut leaves the old or the new one; and the lock
//! that keeps helper, dead-man and guard apart.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::record::{Pending, Standing};
use crate::{
    deeds::Undone,
    exec::files::{self, PRIVATE, PUBLIC},
};

/// The change that is not over.
const PENDING: &str = "pending.json";
/// What became of the others. The agent reads it, to tell which systems were undone.
const STANDING: &str = "systems.json";
const LOCK: &str = "systems.lock";
/// How often the lock is tried.
const LOOK: Duration = Duration::from_millis(100);

/// The folder that holds it.
#[derive(Clone, Debug)]
pub struct Records(PathBuf);

impl Records {
    /// That in this folder.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The change that is not over.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn pending(&self) -> Result<Option<Pending>, Undone> {
        self.read(PENDING)
    }

    /// What became of the changes that are over.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn standing(&self) -> Result<Standing, Undone> {
        Ok(self.read(STANDING)?.unwrap_or_default())
    }

    /// Writes how far a change is; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn set_pending(&self, change: &Pending) -> Result<(), Undone> {
        self.write(PENDING, change, PRIVATE)
    }

    /// Writes what became of changes; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn set_standing(&self, standing: &Standing) -> Result<(), Undone> {
        self.write(STANDING, standing, PUBLIC)
    }

    /// No change is pending any more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear_pending(&self) -> Result<(), Undone> {
        let gone = fs::remove_file(self.0.join(PENDING)).or_else(|e| match e.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(e),
        });
        gone.and_then(|()| self.sync()).map_err(|e| self.failed("clear", PENDING, &e))
    }

    /// Waits for the lock, which is held until the file is dropped; `None` after that time.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn lock(&self, within: Duration) -> Result<Option<File>, Undone> {
        self.make_folder().map_err(|e| self.failed("make", ".", &e))?;
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join(LOCK));
        let file = open.map_err(|e| self.failed("open", LOCK, &e))?;
        let locked = async {
            while file.try_lock().is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        Ok(tokio::time::timeout(within, locked).await.is_ok().then_some(file))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Undone> {
        let bytes = match fs::read(self.0.join(name)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("read", name, &e)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(e) => {
                // No power cut does this. What it said is lost either way; a node that never changes again would be worse.
                let aside = format!("{name}.damaged");
                log::error!("{} is damaged and put aside as {aside}: {e}", self.0.join(name).display());
                fs::rename(self.0.join(name), self.0.join(&aside)).map_err(|e| self.failed("put aside", name, &e))?;
                Ok(None)
            }
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T, mode: u32) -> Result<(), Undone> {
        let text = serde_json::to_vec_pretty(value).expect("texts, numbers and lists");
        let write = || {
            self.make_folder()?;
            files::replace(&self.0.join(name), &text, mode)
        };
        write().map_err(|e| self.failed("write", name, &e))
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    fn sync(&self) -> io::Result<()> {
        match File::open(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            folder => folder?.sync_all(),
        }
    }

    fn failed(&self, doing: &str, name: &str, error: &io::Error) -> Undone {
        Undone::for_now("no_record", format!("cannot {doing} {}: {error}", self.0.join(name).display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::system::record::{By, Step};

    fn change() -> Pending {
        Pending {
            by: By::Command("01M81B5H80NENTQAXBNENTQAXB".parse().expect("an id")),
            old: "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-old".parse().expect("a path"),
            new: "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-new".parse().expect("a path"),
            old_generation: Some(1),
            new_generation: None,
            made_generation: false,
            release_ctr: Some(7),
            way: None,
            step: Step::Undoing { why: "it hangs".to_owned(), bad: true, loader: false },
            boot_id: Some("a".to_owned()),
            deadline_s: 900,
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_damage_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::new(&folder.path().join("made"));
        assert_eq!(records.pending(), Ok(None));
        assert_eq!(records.clear_pending(), Ok(()), "harmless where there is none");
        records.set_pending(&change()).expect("written");
        assert_eq!(records.pending(), Ok(Some(change())));
        records.clear_pending().expect("removed");
        assert_eq!(records.pending(), Ok(None));

        let mut standing = Standing::default();
        standing.committed(&change());
        standing.undone(&change(), "it hangs", true);
        records.set_standing(&standing).expect("written");
        assert_eq!(records.standing(), Ok(standing));
        fs::write(folder.path().join("made/systems.json"), "{").expect("written");
        assert_eq!(records.standing(), Ok(Standing::default()));
        assert!(folder.path().join("made/systems.json.damaged").exists());
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::new(folder.path());
        let first = records.lock(Duration::ZERO).await.expect("a lock").expect("it is free");
        assert!(records.lock(Duration::from_millis(1)).await.expect("a try").is_none());
        drop(first);
        assert!(records.lock(Duration::ZERO).await.expect("a try").is_some());
    }
}
