//! For tests: the test program itself as a child, because environment, signals and standard input belong to a process.

use std::process::{Command, Stdio};

/// Set for such a child, so that its test does nothing when someone runs all ignored tests.
const MARK: &str = "REELMILL_TEST_CHILD";

/// The command that runs only the ignored test of that full name, with its output passed on.
pub(crate) fn test_as_child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test program has a path"));
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(MARK, "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether this process was started by [`test_as_child`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}
