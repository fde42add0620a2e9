//! Wakes who waits for something, in whatever process: SQLite itself cannot. Whoever has put something into the file touches it
//! afterwards; the kernel tells all who watch. That the journal was written would come too early, before what was written can
//! be seen.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{
    AtFlags, CWD, Timespec, Timestamps, UTIME_NOW,
    inotify::{self, CreateFlags, WatchFlags},
    utimensat,
};
use tokio::io::unix::AsyncFd;

/// The file, and a watch on it where the kernel has one left for this user.
pub(super) struct Bell {
    file: PathBuf,
    watch: Option<AsyncFd<OwnedFd>>,
}

impl Bell {
    pub(super) fn on(file: &Path) -> Self {
        let watch = watch(file).inspect_err(|e| log::debug!("{} is not watched but looked at: {e}", file.display()));
        Self { file: file.to_owned(), watch: watch.ok() }
    }

    /// Tells everybody that something was put into the file. Who is not told finds it a moment later.
    pub(super) fn ring(&self) {
        // Both times: of one alone the kernel tells as of a write.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        if let Err(e) = utimensat(CWD, &self.file, &times, AtFlags::empty()) {
            log::debug!("cannot touch {}: {e}", self.file.display());
        }
    }

    /// When it was rung last, before a look, which need not be told of what was put there so far.
    pub(super) fn before_a_look(&self) -> Option<SystemTime> {
        while self.watch.as_ref().is_some_and(|watch| read(watch.get_ref()).is_ok()) {}
        self.last()
    }

    /// When it was rung last.
    pub(super) fn last(&self) -> Option<SystemTime> {
        fs::metadata(&self.file).and_then(|meta| meta.modified()).ok()
    }

    /// Returns when it is rung; whether nobody else here was told of it. `None` where only a look tells.
    pub(super) async fn rung(&self) -> Option<bool> {
        let watch = self.watch.as_ref()?;
        let Ok(mut ready) = watch.readable().await else {
            // Its runtime ends, and with it whoever waits.
            return std::future::pending().await;
        };
        let mut rang = false;
        while let Ok(Ok(())) = ready.try_io(|watch| read(watch.get_ref())) {
            rang = true;
        }
        Some(rang)
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, which the workspace forbids; this descriptor is owned and never taken out"
)]
fn watch(file: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let notes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&notes, file, WatchFlags::ATTRIB)?;
    AsyncFd::new(notes)
}

/// Takes what notes there are.
fn read(notes: &OwnedFd) -> io::Result<()> {
    rustix::io::read(notes, &mut [0_u8; 512])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn it_is_heard_once_by_all_who_wait_and_not_by_who_has_looked_since() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let [bell, other] = [(); 2].map(|()| Bell::on(file.path()));
        assert!(bell.watch.is_some(), "the kernel has a watch left");
        assert!(timeout(SOON, bell.rung()).await.is_err(), "nobody rang");
        other.ring();
        other.ring();
        assert_eq!(timeout(LATE, bell.rung()).await, Ok(Some(true)));
        assert!(timeout(SOON, bell.rung()).await.is_err(), "it was told");
        let all = async { tokio::join!(bell.rung(), bell.rung(), async { other.ring() }) };
        timeout(LATE, all).await.expect("both are told");
        other.ring();
        bell.before_a_look();
        assert_ne!(timeout(SOON, bell.rung()).await, Ok(Some(true)), "a look would have found it");
    }

    #[tokio::test]
    async fn where_nothing_can_be_watched_a_look_tells() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let bell = Bell { watch: None, ..Bell::on(file.path()) };
        assert_eq!(bell.rung().await, None);
        let before = bell.before_a_look();
        tokio::time::sleep(SOON).await;
        bell.ring();
        assert!(before.is_some() && bell.last() > before);
    }
}
