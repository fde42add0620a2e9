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

    /// Returns when the journal was written since somebody was told so last.
    pub(super) async fn rung(&self) {
        let Ok(mut ready) = self.0.readable().await else {
            // Its runtime ends, and with it whoever waits.
            return std::future::pending().await;
        };
        let mut notes = [0_u8; 512];
        while let Ok(Ok(1..)) = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut notes)?)) {}
    }
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
        bell.rung().await;
        assert!(timeout(soon, bell.rung()).await.is_err(), "it was told");
        let all = async { tokio::join!(bell.rung(), bell.rung()) };
        let (_, written) = tokio::join!(all, async { file.write_all(b"three") });
        written.expect("our file");
    }

    #[tokio::test]
    async fn a_journal_that_is_not_there_has_no_bell() {
        assert!(Bell::on(Path::new("/no/such/journal")).is_none());
    }
}
