//! What this machine's kernel can do for us, and a loud word where it cannot.

use std::{io::Write as _, path::Path, process::Command, sync::OnceLock};

use reelmill_lab::programs::{command, output};

/// Whether the kernel confines media processes fully, as the worker itself finds out at its start.
pub(crate) fn confines_fully() -> bool {
    static FULLY: OnceLock<bool> = OnceLock::new();
    *FULLY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut worker = command("reelmill-worker");
        worker.arg("one").env("REELMILL_FILE_ROOTS", folder.path()).env("REELMILL_OUTPUT_ROOTS", folder.path());
        let at = folder.path().display();
        let job = format!(r#"{{"input":"file://{at}/none","output":"file://{at}/out","preset":"hls-ladder"}}"#);
        let said = output(worker, &job);
        let log = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(String::from_utf8_lossy(&said.stdout).contains("no such file"), "{said:?}");
        !log.contains("confines media processes only")
    })
}

/// Says on the terminal itself, past the test program's capture, that something was not tested.
pub(crate) fn skipped(what: &str, why: &str) {
    let line = format!("\n==== SKIPPED: {what}: {why} ====\n");
    // Without a standard error nobody could read it anyway.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether this test may become another user.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The command as it is, or, where this test is root, as an ordinary user without any rights.
pub(crate) fn as_somebody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=60123", "--regid=60123", "--clear-groups", "--inh-caps=-all", "--"]).arg(program);
    command
}
