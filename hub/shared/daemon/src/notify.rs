//! What the service manager is told: ready, stopping, a status line, and that the program is alive. Without a
//! `NOTIFY_SOCKET` all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Tells that the program does its work now.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the program is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells in one line what the program is doing; `systemctl status` shows it.
pub fn status(line: &str) {
    // A new line would begin another assignment of the protocol.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    tell(&[NotifyState::Status(&line)]);
}

/// Tells twice per watchdog period that the program is alive, as long as `alive` says so, until `stop`. Returns at
/// once if no watchdog was asked for.
pub async fn watchdog(alive: impl Fn() -> bool + Send, stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|p| *p > Duration::ZERO) else { return };
    let mut tick = tokio::time::interval(period / 2);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => if alive() { tell(&[NotifyState::Watchdog]) },
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        log::debug!("cannot notify the service manager: {e}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::child::test_as_child;

    #[test]
    fn tells_the_service_manager_and_feeds_its_watchdog() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in our own folder");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a plain duration");
        let mut child = test_as_child("notify::tests::child_notifies");
        child.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000").env_remove("WATCHDOG_PID");
        let output = child.output().expect("the child runs");
        assert!(output.status.success(), "{output:?}");
        let mut told = Vec::new();
        while told.last().is_none_or(|l| l != "STOPPING=1\n") {
            let mut message = [0; 200];
            let n = socket.recv(&mut message).expect("another message before the last one");
            told.push(String::from_utf8_lossy(&message[..n]).into_owned());
        }
        told.dedup();
        assert_eq!(told, ["READY=1\n", "STATUS=encoding READY=0\n", "WATCHDOG=1\n", "STOPPING=1\n"]);
    }

    #[test]
    #[ignore = "started by the test above"]
    fn child_notifies() {
        if !crate::child::is_child() {
            return;
        }
        ready();
        status("encoding\nREADY=0");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let stop = CancellationToken::new();
            let asked = std::sync::atomic::AtomicU32::new(0);
            let alive = || {
                if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2 {
                    stop.cancel();
                }
                true
            };
            watchdog(alive, stop.clone()).await;
        });
        stopping();
    }

    #[tokio::test]
    async fn does_nothing_without_a_service_manager() {
        // The variables are not set in a test run; were they, these calls would still not fail.
        ready();
        status("x");
        if std::env::var_os("WATCHDOG_USEC").is_none() {
            watchdog(|| panic!("nobody asked"), CancellationToken::new()).await;
        }
    }
}
