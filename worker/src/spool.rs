//! The spool: folders on this machine's disk for outputs that need seeking, which no stream to a store can do. Each run
//! has one of its own, with a random name; it goes with the run, and what a dead worker left is swept.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use reelmill_api::{ErrorKind, Failure};
use rustix::fs::{FlockOperation, Mode, OFlags};
use uuid::Uuid;

use crate::engine::confine::{NOBODY, Writable};

/// The names of our folders begin so; nothing else in the spool is ever touched.
const RUN: &str = "run-";
/// Everyone may pass through the spool, for media processes are nobody; only its owner sees what is in it.
const SPOOL_MODE: u32 = 0o711;
/// A run's folder is its media process's own.
const RUN_MODE: u32 = 0o700;

/// Where runs may write files.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    largest: u64,
}

/// The folder of one run. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct SpoolFolder {
    writable: Writable,
    /// Held for as long as the folder is in use: whoever can lock it may remove it.
    _lock: OwnedFd,
}

impl Spool {
    /// A spool in `folder`, whose files may have `largest` bytes each.
    pub fn new(folder: PathBuf, largest: u64) -> Self {
        Self { folder, largest }
    }

    /// Removes the folders of runs whose worker is dead.
    pub fn sweep(&self) {
        if !self.folder.exists() {
            return;
        }
        match self.guard() {
            Ok(_guard) => self.sweep_guarded(),
            Err(e) => log::debug!("cannot sweep the spool {}: {e}", self.folder.display()),
        }
    }

    /// A new folder for one run that will write about so many bytes, where that is known.
    ///
    /// # Errors
    /// `infrastructure` if the spool cannot be used, or has too little room now; `no_capability` if it never has so much.
    pub fn open(&self, needed: Option<u64>) -> Result<SpoolFolder, Failure> {
        let path = self.folder.join(format!("{RUN}{}", Uuid::new_v4().simple()));
        let lock = self.make(&path).map_err(|e| {
            // It may be there already; if it is not, there is nothing to remove.
            let _ = fs::remove_dir(&path);
            self.unusable(&e.to_string())
        })?;
        let folder = SpoolFolder { writable: Writable { folder: path, largest_file: self.largest }, _lock: lock };
        self.check_room(needed)?;
        Ok(folder)
    }

    fn make(&self, path: &Path) -> io::Result<OwnedFd> {
        if !self.folder.exists() {
            fs::create_dir_all(&self.folder)?;
            fs::set_permissions(&self.folder, Permissions::from_mode(SPOOL_MODE))?;
        }
        self.check_owner()?;
        let _guard = self.guard()?;
        self.sweep_guarded();
        rustix::fs::mkdir(path, Mode::from_raw_mode(RUN_MODE))?;
        let lock = open_folder(path)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(&lock, Some(NOBODY), Some(NOBODY))?;
            passable(path.parent().unwrap_or(path))?;
        }
        Ok(lock)
    }

    /// A stranger's folder may be exchanged under our hands.
    fn check_owner(&self) -> io::Result<()> {
        let (owner, us) = (fs::metadata(&self.folder)?.uid(), rustix::process::geteuid().as_raw());
        if owner == us || owner == 0 {
            return Ok(());
        }
        Err(io::Error::other(format!("it belongs to another user ({owner})")))
    }

    /// Keeps other workers from sweeping while a folder is being made.
    fn guard(&self) -> io::Result<OwnedFd> {
        let guard = open_folder(&self.folder)?;
        rustix::fs::flock(&guard, FlockOperation::LockExclusive)?;
        Ok(guard)
    }

    fn sweep_guarded(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(RUN) {
                continue;
            }
            let Ok(lock) = open_folder(&entry.path()) else { continue };
            if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                log::info!("removing what a dead run left in {}", entry.path().display());
                remove(&entry.path());
            }
        }
    }

    fn check_room(&self, needed: Option<u64>) -> Result<(), Failure> {
        let Some(needed) = needed else { return Ok(()) };
        let room = rustix::fs::statvfs(&self.folder).map_err(|e| self.unusable(&io::Error::from(e).to_string()))?;
        let (free, all) = (room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize);
        if needed <= free {
            return Ok(());
        }
        let kind = if needed > all { ErrorKind::NoCapability } else { ErrorKind::Infrastructure };
        let message = format!(
            "the files need about {} in the spool folder {}, where {} are free",
            gigabytes(needed),
            self.folder.display(),
            gigabytes(free)
        );
        Err(Failure::new(kind, message).hint(ANOTHER))
    }

    fn unusable(&self, why: &str) -> Failure {
        let message = format!("cannot use the spool folder {}: {why}", self.folder.display());
        Failure::new(ErrorKind::Infrastructure, message).hint(ANOTHER)
    }
}

const ANOTHER: &str =
    "set SPOOL_FOLDER (`spool` under [media]) to a folder on a disk with room, open to this worker's user";

impl SpoolFolder {
    /// What the media process is allowed to write.
    pub fn writable(&self) -> &Writable {
        &self.writable
    }

    /// Opens a file that the media process wrote: a plain one, for a link would lead elsewhere.
    ///
    /// # Errors
    /// If it is not there, or is not one.
    pub fn read(&self, name: &str) -> io::Result<File> {
        let path = self.writable.folder.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let found = file.metadata()?;
        if found.is_file() && found.nlink() == 1 {
            return Ok(file);
        }
        Err(io::Error::other("it is no plain file"))
    }

    /// The failure of a run that may have run out of room, in words that say so.
    pub fn explain(&self, failure: Failure) -> Failure {
        let full = ["No space left on device", "Disk quota exceeded"].iter().any(|said| failure.message.contains(said));
        let too_large = failure.message.contains("File too large") || failure.message.contains("SIGXFSZ");
        let folder = self.writable.folder.parent().unwrap_or(&self.writable.folder);
        if full {
            let message = format!("the disk of the spool folder {} is full: {}", folder.display(), failure.message);
            return Failure::new(ErrorKind::Infrastructure, message).hint(ANOTHER);
        }
        if too_large {
            let message = format!(
                "a file grew beyond the {} that one may have in the spool: {}",
                gigabytes(self.writable.largest_file),
                failure.message
            );
            return Failure::new(ErrorKind::NoCapability, message)
                .hint("raise `spool_gib` under [media], or the worker's own limit on file sizes");
        }
        failure
    }
}

impl Drop for SpoolFolder {
    fn drop(&mut self) {
        remove(&self.writable.folder);
    }
}

fn remove(path: &Path) {
    if let Err(e) = fs::remove_dir_all(path) {
        log::warn!("cannot remove {}: {e}", path.display());
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Media processes of a root worker are nobody, and must get there.
fn passable(folder: &Path) -> io::Result<()> {
    let folder = fs::canonicalize(folder)?;
    for above in folder.ancestors() {
        if fs::metadata(above)?.mode() & 0o001 == 0 {
            let why = format!("media programs run as nobody, who may not enter {}", above.display());
            return Err(io::Error::other(why));
        }
    }
    Ok(())
}

fn gigabytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "two digits for people")]
    let gigabytes = bytes as f64 / 1e9;
    format!("{gigabytes:.2} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our folder");
        let spool = Spool::new(folder.path().join("spool"), 1 << 30);
        (folder, spool)
    }

    fn names(spool: &Spool) -> usize {
        fs::read_dir(&spool.folder).expect("the spool").count()
    }

    #[test]
    fn a_folder_is_closed_to_others_and_goes_with_its_run() {
        let (_folder, spool) = spool();
        let run = spool.open(Some(1)).expect("there is room");
        let found = fs::metadata(&run.writable().folder).expect("it is there");
        assert_eq!(found.mode() & 0o777, RUN_MODE);
        if rustix::process::geteuid().is_root() {
            assert_eq!((found.uid(), found.gid()), (NOBODY, NOBODY));
        }
        fs::write(run.writable().folder.join("a.mov"), "x").expect("a file");
        drop(run);
        assert_eq!(names(&spool), 0);
    }

    #[test]
    fn what_a_dead_run_left_is_swept_and_nothing_else() {
        let (_folder, spool) = spool();
        let alive = spool.open(None).expect("a folder");
        for name in ["run-dead", "mine"] {
            fs::create_dir(spool.folder.join(name)).expect("a folder");
            fs::write(spool.folder.join(name).join("x"), "x").expect("a file");
        }
        fs::write(spool.folder.join("run-file"), "x").expect("a file");
        spool.sweep();
        assert!(alive.writable().folder.is_dir(), "a run that lives keeps its folder");
        assert!(!spool.folder.join("run-dead").exists());
        assert!(spool.folder.join("mine/x").exists() && spool.folder.join("run-file").exists());
    }

    #[test]
    fn only_plain_files_are_read() {
        let (folder, spool) = spool();
        let run = spool.open(None).expect("a folder");
        let at = |name: &str| run.writable().folder.join(name);
        fs::write(folder.path().join("secret"), "x").expect("a file");
        std::os::unix::fs::symlink(folder.path().join("secret"), at("link.mov")).expect("a link");
        fs::hard_link(folder.path().join("secret"), at("second.mov")).expect("a link");
        fs::create_dir(at("folder.mov")).expect("a folder");
        fs::write(at("plain.mov"), "x").expect("a file");
        for wrong in ["link.mov", "second.mov", "folder.mov", "missing.mov"] {
            assert!(run.read(wrong).is_err(), "{wrong}");
        }
        assert!(run.read("plain.mov").is_ok());
    }

    #[test]
    fn too_little_room_is_told_before_anything_is_encoded() {
        let (_folder, spool) = spool();
        let failure = spool.open(Some(u64::MAX)).expect_err("nobody has so much");
        assert_eq!(failure.kind, ErrorKind::NoCapability);
        assert!(failure.message.contains("18446744073.71 GB in the spool folder"), "{}", failure.message);
        assert!(failure.hint.expect("what to do").contains("SPOOL_FOLDER"));
        assert_eq!(names(&spool), 0, "and leaves nothing");
    }

    #[test]
    fn a_spool_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "x").expect("a file");
        let spool = Spool::new(folder.path().join("file"), 1);
        let failure = spool.open(None).expect_err("it is no folder");
        assert!(failure.message.starts_with("cannot use the spool folder "), "{}", failure.message);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn a_full_disk_is_called_so() {
        let (_folder, spool) = spool();
        let run = spool.open(None).expect("a folder");
        let said = Failure::new(ErrorKind::Infrastructure, "ffmpeg ended with 1: a.mov: No space left on device");
        let failure = run.explain(said);
        assert!(failure.message.starts_with("the disk of the spool folder "), "{}", failure.message);
        let other = Failure::new(ErrorKind::BadSource, "something else");
        assert_eq!(run.explain(other.clone()), other);
    }
}
