//! What may run at once on this node, over all its workers: a number of tasks, and a rate of pixels. Kept in files of one
//! folder that are locked for as long as somebody has a share; the kernel lets go of a dead worker's.

mod claims;
mod seat;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::{ErrorKind, Failure};
use rustix::fs::{FlockOperation, flock};

pub use claims::Share;
pub use seat::{Seat, Seats};

/// How often it is looked again whether something is free.
const LOOK: Duration = Duration::from_millis(250);

/// What may run at once on this node.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The folder that all workers of the node share; without one, nothing is shared.
    folder: Option<PathBuf>,
    /// Tasks at once.
    places: Option<u32>,
    /// Pixels per second at once.
    pixels: Option<u64>,
}

/// One of the node's places; free again when dropped.
#[derive(Debug)]
pub struct Place {
    _locked: Option<File>,
}

impl Admission {
    /// At most so many tasks and pixels per second, counted in `folder`.
    ///
    /// # Errors
    /// If the folder cannot be made, or is open to others.
    pub fn new(folder: &Path, places: Option<u32>, pixels: Option<u64>) -> Result<Self, Failure> {
        if places.is_none() && pixels.is_none() {
            return Ok(Self::default());
        }
        own(folder).map_err(|e| cannot(folder, "use", &e))?;
        Ok(Self { folder: Some(folder.to_owned()), places, pixels })
    }

    /// A place for one more task, as soon as there is one.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub async fn place(&self) -> Result<Place, Failure> {
        let (Some(folder), Some(places)) = (&self.folder, self.places) else { return Ok(Place { _locked: None }) };
        loop {
            for number in 0..places {
                let path = folder.join(format!("place-{number}"));
                let file = try_lock(&path).map_err(|e| cannot(&path, "lock", &e))?;
                if file.is_some() {
                    return Ok(Place { _locked: file });
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Makes a folder for this user alone, or finds that it is one.
fn own(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if ours && found.permissions().mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::other("it is no folder that this user alone may write to"))
}

/// The file, locked by us; `None` while somebody else has it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(lock(&file)?.then_some(file))
}

fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn cannot(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::new(ErrorKind::Infrastructure, format!("cannot {what} {}: {error}", path.display()))
        .hint("[admission] folder (NODE_FOLDER) must be a folder that the node's workers alone may write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_counted_over_all_workers_of_the_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node");
        let [one, other] = [(); 2].map(|()| Admission::new(&path, Some(2), None).expect("our folder"));
        let first = one.place().await.expect("a place");
        let _second = other.place().await.expect("a place");
        let mut third = Box::pin(one.place());
        assert!(tokio::time::timeout(LOOK * 2, &mut third).await.is_err(), "two are taken");
        drop(first);
        third.await.expect("a place");
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        let refused = Admission::new(folder.path(), Some(1), None).expect_err("open to all").message;
        assert!(refused.ends_with("it is no folder that this user alone may write to"), "{refused}");
        assert!(Admission::new(folder.path(), None, None).is_ok(), "where nothing is counted, nothing is needed");
    }
}
