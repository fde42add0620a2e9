//! Wakes who waits when the journal is written, by whatever process: SQLite itself cannot wake another.

use std::{os::fd::OwnedFd, path::Path};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// A watch on the journal. The kernel keeps one note of all writes until it is asked.
pub(super) struct Bell(AsyncFd<OwnedFd>);

impl Bell {
    /// A watch; `None` where the kernel has none left for this user.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, which the workspace forbids; this descriptor is owned and never taken out"
    )]
    pub(super) fn on(journal: &Path) -> Option<Self> {
        let watched = || -> std::io::Result<Self> {
            let notes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            inotify::add_watch(&notes, journal, WatchFlags::MODIFY)?;
            Ok(Self(AsyncFd::new(notes)?))
        };
        watched().inspect_err(|e| log::debug!("{} is not watched but looked at: {e}", journal.display())).ok()
    }

    /// Forgets what was written so far: a look that follows finds it.
    pub(super) fn hush(&self) {
        while read(self.0.get_ref()).is_ok() {}
    }

    /// Returns when the journal was written; whether nobody else was told of it.
    pub(super) async fn rung(&self) -> bool {
        let Ok(mut ready) = self.0.readable().await else {
            // Its runtime ends, and with it whoever waits.
            return std::future::pending().await;
        };
        let mut rang = false;
        while let Ok(Ok(())) = ready.try_io(|fd| read(fd.get_ref())) {
            rang = true;
        }
        rang
    }
}

/// Takes what notes there are.
fn read(notes: &OwnedFd) -> std::io::Result<()> {
    rustix::io::read(notes, &mut [0_u8; 512])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_rings_once_for_what_was_written_meanwhile_and_for_all_who_wait() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let bell = Bell::on(file.path()).expect("a watch is left");
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, bell.rung()).await.is_err(), "nobody wrote");
        file.write_all(b"one").expect("our file");
        file.write_all(b"two").expect("our file");
        assert!(bell.rung().await);
        assert!(timeout(soon, bell.rung()).await.is_err(), "it was told");
        let all = async { tokio::join!(bell.rung(), bell.rung()) };
        let (_, written) = tokio::join!(all, async { file.write_all(b"three") });
        written.expect("our file");
        file.write_all(b"four").expect("our file");
        bell.hush();
        assert!(!timeout(soon, bell.rung()).await.unwrap_or(false), "a look would have found it");
    }

    #[tokio::test]
    async fn a_journal_that_is_not_there_has_no_bell() {
        assert!(Bell::on(Path::new("/no/such/journal")).is_none());
    }
}
