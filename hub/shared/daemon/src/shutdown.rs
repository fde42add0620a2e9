//! The end of a program: the first SIGTERM or SIGINT asks it to finish, the second to drop everything.

use std::{io::Read, thread};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Set to `1`, it makes [`Shutdown::also_on_stdin_eof`] watch standard input: whoever starts the program keeps a pipe
/// on it and so takes the program along, however it ends itself.
pub const EXIT_ON_STDIN_EOF: &str = "REELMILL_EXIT_ON_STDIN_EOF";

/// When to end. Clones are the same end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    graceful: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// An end that only [`Shutdown::begin`] and [`Shutdown::force`] bring about.
    pub fn new() -> Self {
        Self::default()
    }

    /// An end on SIGTERM or SIGINT; a second one forces it. To be called within a runtime.
    ///
    /// # Errors
    /// If the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(shutdown.clone().follow(term, int));
        Ok(shutdown)
    }

    async fn follow(self, mut term: Signal, mut int: Signal) {
        loop {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            if self.graceful.is_cancelled() {
                log::warn!("{name} again: stopping at once");
                self.force();
            } else {
                log::info!("{name}: finishing; once more to stop at once");
                self.begin();
            }
        }
    }

    /// The wish to finish: cancelled at the first signal.
    pub fn graceful(&self) -> &CancellationToken {
        &self.graceful
    }

    /// The order to drop everything: cancelled at the second signal.
    pub fn forced(&self) -> &CancellationToken {
        &self.forced
    }

    /// Asks to finish.
    pub fn begin(&self) {
        self.graceful.cancel();
    }

    /// Orders to drop everything, which is also a wish to finish.
    pub fn force(&self) {
        self.graceful.cancel();
        self.forced.cancel();
    }

    /// Also ends when standard input does, if the environment says `REELMILL_EXIT_ON_STDIN_EOF=1`.
    pub fn also_on_stdin_eof(&self) {
        if std::env::var_os(EXIT_ON_STDIN_EOF).is_some_and(|v| v == "1") {
            self.on_end_of(std::io::stdin());
        }
    }

    /// A thread of its own, because a runtime waits for its blocking reads when it ends.
    fn on_end_of(&self, mut input: impl Read + Send + 'static) {
        let graceful = self.graceful.clone();
        thread::spawn(move || {
            let mut scrap = [0; 256];
            while !matches!(input.read(&mut scrap), Ok(0) | Err(_)) {}
            log::info!("standard input ended: finishing");
            graceful.cancel();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Child, Stdio},
    };

    use rustix::process::{Pid, Signal as Unix, kill_process};

    use super::*;
    use crate::child::test_as_child;

    /// A child that says what it hears; killed when the test ends, however it ends.
    struct Heard {
        child: Child,
        lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    }

    impl Heard {
        fn start(watch_stdin: &str) -> Self {
            let mut command = test_as_child("shutdown::tests::child_waits_for_its_end");
            command.env(EXIT_ON_STDIN_EOF, watch_stdin).stdin(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().expect("the test program starts");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let mut heard = Self { child, lines };
            heard.wait_for("waiting");
            heard
        }

        fn wait_for(&mut self, word: &str) {
            let found = self.lines.by_ref().map_while(Result::ok).any(|line| line.ends_with(word));
            assert!(found, "the child said {word}");
        }

        fn signal(&self, signal: Unix) {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).expect("the child is alive");
        }
    }

    impl Drop for Heard {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn the_first_signal_asks_and_the_second_forces() {
        let mut heard = Heard::start("0");
        heard.signal(Unix::TERM);
        heard.wait_for("graceful");
        heard.signal(Unix::INT);
        heard.wait_for("forced");
    }

    #[test]
    fn the_end_of_standard_input_asks_where_the_environment_says_so() {
        let mut heard = Heard::start("1");
        drop(heard.child.stdin.take());
        heard.wait_for("graceful");

        let mut deaf = Heard::start("0");
        drop(deaf.child.stdin.take());
        deaf.signal(Unix::INT);
        deaf.wait_for("graceful");
    }

    #[test]
    #[ignore = "started by the tests above"]
    fn child_waits_for_its_end() {
        if !crate::child::is_child() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let shutdown = Shutdown::on_signals().expect("signals can be caught");
            shutdown.also_on_stdin_eof();
            println!("\nwaiting");
            shutdown.graceful().cancelled().await;
            println!("\ngraceful");
            shutdown.forced().cancelled().await;
            println!("\nforced");
        });
    }

    #[test]
    fn force_is_also_a_wish_to_finish() {
        let shutdown = Shutdown::new();
        shutdown.begin();
        assert!(shutdown.graceful().is_cancelled() && !shutdown.forced().is_cancelled());
        let other = Shutdown::new();
        other.clone().force();
        assert!(other.graceful().is_cancelled() && other.forced().is_cancelled());
    }
}
