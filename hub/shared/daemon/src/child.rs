//! For tests: the test program itself as a child, because environment, signals and standard input belong to a process.

use std::process::{Command, Stdio};

/// The command that runs only the ignored test of that full name, with its output passed on.
pub(crate) fn test_as_child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test program has a path"));
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
