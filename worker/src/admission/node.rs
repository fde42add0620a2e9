//! What may run at once on a node, over all its workers: a file for each task that has a share or waits for one, locked by
//! whoever it belongs to. The kernel lets go of a dead worker's.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::{ErrorKind, Failure};
use rustix::fs::{FlockOperation, flock};

use super::claims::Claim;

/// How often it is looked again whether something is free.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// Of what a node has only so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Encoder sessions.
    Sessions,
    /// Pixels per second.
    Pixels,
}

impl Resource {
    /// How the files of its claims begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Sessions => "sessions-",
            Self::Pixels => "pixels-",
        }
    }
}

/// What may run at once on this node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The folder that all workers of the node share; without one, nothing is shared.
    folder: Option<PathBuf>,
    /// Encoder sessions at once.
    sessions: Option<u64>,
    /// Pixels per second at once.
    pixels: Option<u64>,
}

/// What one task has of the node, or waits for; free again when dropped.
#[derive(Debug)]
pub struct Share {
    folder: PathBuf,
    resource: Resource,
    total: u64,
    file: File,
    path: PathBuf,
    claim: Claim,
}

impl Node {
    /// At most so many encoder sessions and pixels per second, counted in `folder`.
    ///
    /// # Errors
    /// If the folder cannot be made, or is open to others.
    pub fn new(folder: &Path, sessions: Option<u32>, pixels: Option<u64>) -> Result<Self, Failure> {
        if sessions.is_none() && pixels.is_none() {
            return Ok(Self::default());
        }
        own(folder).map_err(|e| cannot(folder, "use", &e))?;
        Ok(Self { folder: Some(folder.to_owned()), sessions: sessions.map(u64::from), pixels })
    }

    /// The folder, where anything is counted.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Whether any worker of the node has a share of anything.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub async fn is_in_use(&self) -> Result<bool, Failure> {
        let Some(folder) = &self.folder else { return Ok(false) };
        let _door = door(folder).await?;
        let of = |resource| claims(folder, resource, None).map_err(|e| cannot(folder, "read", &e));
        Ok(of(Resource::Sessions)?.into_iter().chain(of(Resource::Pixels)?).any(|claim| claim.held))
    }

    /// A share of so much, given or still waited for; `None` where it is not counted.
    pub(super) async fn claim(&self, resource: Resource, weight: u64) -> Result<Option<Share>, Failure> {
        let total = match resource {
            Resource::Sessions => self.sessions,
            Resource::Pixels => self.pixels,
        };
        let (Some(folder), Some(total)) = (&self.folder, total) else { return Ok(None) };
        let _door = door(folder).await?;
        let path = folder.join(format!("{}{}", resource.prefix(), uuid::Uuid::new_v4().simple()));
        let made = || -> io::Result<Share> {
            let file = try_lock(&path)?.ok_or(io::ErrorKind::WouldBlock)?;
            let (folder, path) = (folder.clone(), path.clone());
            let mut share = Share { folder, resource, total, file, path, claim: Claim::new(weight) };
            share.claim.held = share.claim.is_met(&share.others()?, total, share.claim.since_ms);
            share.write()?;
            Ok(share)
        };
        made().map(Some).map_err(|e| cannot(&path, "claim", &e))
    }
}

impl Share {
    /// Whether it was given.
    pub(super) fn is_given(&self) -> bool {
        self.claim.held
    }

    pub(super) fn weight(&self) -> u64 {
        self.claim.weight
    }

    /// Returns when it is given.
    pub(super) async fn given(&mut self) -> Result<(), Failure> {
        while !self.is_given() {
            tokio::time::sleep(LOOK).await;
            self.resize(self.claim.weight).await?;
        }
        Ok(())
    }

    /// Whether it could be one of so much.
    pub(super) async fn fits(&self, weight: u64) -> Result<bool, Failure> {
        let _door = door(&self.folder).await?;
        Ok(self.resized(weight)?.is_some())
    }

    /// Makes it one of so much, if there is so much; else it stays as it is.
    pub(super) async fn resize(&mut self, weight: u64) -> Result<bool, Failure> {
        let _door = door(&self.folder).await?;
        let Some(resized) = self.resized(weight)? else { return Ok(false) };
        self.claim = resized;
        self.write().map_err(|e| cannot(&self.path, "write", &e))?;
        Ok(true)
    }

    fn resized(&self, weight: u64) -> Result<Option<Claim>, Failure> {
        let others = self.others().map_err(|e| cannot(&self.folder, "read", &e))?;
        Ok(self.claim.resized(weight, &others, self.total))
    }

    /// The claims of others.
    fn others(&self) -> io::Result<Vec<Claim>> {
        claims(&self.folder, self.resource, Some(&self.path))
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&serde_json::to_vec(&self.claim)?)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Whoever comes next removes what is left of it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The claims of living workers but for the one in that file; those of dead ones are removed.
fn claims(folder: &Path, of: Resource, but: Option<&Path>) -> io::Result<Vec<Claim>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_claim = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(of.prefix()));
        if is_claim && Some(path.as_path()) != but {
            found.extend(read(&path)?);
        }
    }
    Ok(found)
}

/// Whoever has the door reads and writes claims, and nobody else; a look takes microseconds.
async fn door(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("door");
    loop {
        match try_lock(&path).map_err(|e| cannot(&path, "lock", &e))? {
            Some(door) => return Ok(door),
            None => tokio::time::sleep(LOOK / 50).await,
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Claim>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if lock(&file)? {
        // Nobody has it any more.
        fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
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
    async fn shares_are_counted_over_all_workers_and_a_dead_ones_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node");
        let [one, other] = [(); 2].map(|()| Node::new(&path, Some(1), Some(100)).expect("our folder"));
        let claim =
            async |node: &Node, weight| node.claim(Resource::Pixels, weight).await.expect("a folder").expect("counted");
        let first = claim(&one, 70).await;
        let mut second = claim(&other, 40).await;
        let mut light = claim(&one, 30).await;
        assert_eq!([first.is_given(), second.is_given(), light.is_given()], [true, false, true]);
        assert!(!light.resize(31).await.expect("a folder"), "there is no more");
        assert!(light.resize(10).await.expect("a folder") && light.resize(30).await.expect("a folder"));
        let session = other.claim(Resource::Sessions, 1).await.expect("a folder").expect("counted");
        assert!(session.is_given(), "that is another thing");
        // As the kernel closes the files of a dead worker, and nobody removes them.
        let left = first.path.clone();
        rustix::fs::flock(&first.file, rustix::fs::FlockOperation::Unlock).expect("it is ours");
        assert!(left.exists());
        second.given().await.expect("a folder");
        assert!(!left.exists(), "it was removed");
        drop((first, second, light, session));
        let names = fs::read_dir(&path).expect("ours").map(|entry| entry.expect("an entry").file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["door"]);
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        let refused = Node::new(folder.path(), Some(1), None).expect_err("open to all").message;
        assert!(refused.ends_with("it is no folder that this user alone may write to"), "{refused}");
        assert!(Node::new(folder.path(), None, None).is_ok(), "where nothing is counted, nothing is needed");
    }
}
