//! The launcher: whatever program runs under it can read nothing but programs, reach only one port, and last no longer than
//! it may. Each check is made without the launcher as well, to show that it is the launcher that forbids.

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use reelmill_lab::programs::{Running, eventually, program};
use tempfile::TempDir;

use crate::{
    canary::{Canary, SECRET},
    kernel::{as_somebody, confines_fully, is_root, skipped},
};

/// A copy of the worker that every user may run, in a folder that every user may enter.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("our folder");
        std::fs::copy(program("reelmill-worker"), folder.path().join("reelmill-worker")).expect("a copy");
        Self(folder)
    }

    fn worker(&self) -> PathBuf {
        self.0.path().join("reelmill-worker")
    }

    /// Runs a shell script under the launcher, as an ordinary user if `as_root` is false.
    fn confined(&self, script: &str, as_root: bool, port: u16, limits: [&str; 3]) -> Output {
        let mut command = if as_root { Command::new(self.worker()) } else { as_somebody(&self.worker()) };
        command.args(["confine", &format!("--port={port}")]).args(limits).args(["--", "/bin/bash", "-c", script]);
        run(command)
    }
}

const ROOMY: [&str; 3] = ["--memory=1000000000", "--cpu=20", "--files=64"];

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).env("CANARY_SECRET", SECRET).output().expect("the program starts")
}

fn bare(script: &str, as_root: bool) -> Output {
    let mut command = if as_root { Command::new("/bin/bash") } else { as_somebody("/bin/bash".as_ref()) };
    command.args(["-c", script]);
    run(command)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The script tells something when run bare, and under the launcher it is denied it: as every user that this test can be.
fn check(script: &str, telling: &str, denial: &str) {
    let shelf = Shelf::new();
    for as_root in if is_root() { vec![true, false] } else { vec![false] } {
        let free = said(&bare(script, as_root));
        assert!(free.contains(telling), "without the launcher, root: {as_root}: {script}: {free}");
        let held = said(&shelf.confined(script, as_root, 1, ROOMY));
        assert!(!held.contains(telling) && held.contains(denial), "root: {as_root}: {script}: {held}");
    }
}

/// Whether what Landlock does can be tested here.
fn can_test(what: &str) -> bool {
    if !confines_fully() {
        skipped(what, "this kernel has no Landlock, or one that knows no ports (run 6.12 or later)");
    }
    confines_fully()
}

#[test]
fn reads_no_file_but_programs() {
    if !can_test("files of others are closed") {
        return;
    }
    check("cat /etc/passwd", "root:", "Permission denied");
    check("ls /", "etc", "Permission denied");
    check("ls /proc", "self", "Permission denied");
    check("cat /proc/self/status", "VmSize", "Permission denied");
    let canary = Canary::new();
    std::fs::set_permissions(canary.folder(), PermissionsExt::from_mode(0o755)).expect("our folder");
    check(&format!("cat {}", canary.file("canary.txt").display()), SECRET, "Permission denied");
}

#[test]
fn writes_no_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("our folder");
    let file = folder.path().join("new").display().to_string();
    let shelf = Shelf::new();
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        let script = format!("echo {SECRET} >{file} && cat {file}; mkdir {file}-d; ln -s x {file}-l; :");
        shelf.confined(&script, as_root, 1, ROOMY);
        let found: Vec<_> = std::fs::read_dir(folder.path()).expect("our folder").flatten().collect();
        // Without Landlock a file can be made, and is never longer than nothing.
        let bytes: u64 = found.iter().map(|e| e.metadata().map_or(0, |m| m.len())).sum();
        assert!(if confines_fully() { found.is_empty() } else { bytes == 0 }, "root: {as_root}: {found:?}");
    }
}

/// A folder that nobody owns where the tests are root, for that is who a media process is then.
fn spool(as_root: bool) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let owner = match (is_root(), as_root) {
        (false, _) => None,
        (true, true) => Some(65_534),
        (true, false) => Some(60_123),
    };
    std::os::unix::fs::chown(folder.path(), owner, owner).expect("our folder");
    folder
}

#[test]
fn writes_plain_files_in_the_one_folder_that_it_is_given_and_nowhere_else() {
    if !can_test("the folder of a run is the only one") {
        return;
    }
    let shelf = Shelf::new();
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        let (own, other) = (spool(as_root), spool(as_root));
        let run = |script: &str| {
            let mut command = if as_root { Command::new(shelf.worker()) } else { as_somebody(&shelf.worker()) };
            command
                .args(["confine", "--port=1"])
                .args(ROOMY)
                .arg("--writable")
                .arg(own.path())
                .arg("--file-bytes=100000");
            command.args(["--", "/bin/bash", "-c", script]);
            said(&run(command))
        };
        let at = |folder: &TempDir, name: &str| folder.path().join(name).display().to_string();
        let (file, elsewhere) = (at(&own, "a.mov"), at(&other, "b.mov"));
        let told = run(&format!("echo written >{file} && cat {file}"));
        assert_eq!(told, "written\n", "root: {as_root}");
        let denied = run(&format!(
            "echo x >{elsewhere}; ln -s /etc/passwd {file}-link; mkdir {file}-folder; mkfifo {file}-pipe; ln {file} {elsewhere}; \
             cat {elsewhere}; ls {}",
            own.path().display()
        ));
        let found = |folder: &TempDir| std::fs::read_dir(folder.path()).expect("our folder").flatten().count();
        assert_eq!((found(&own), found(&other)), (1, 0), "root: {as_root}: {denied}");
        let long = run(&format!("head -c 200000 /dev/zero >{file}"));
        assert_eq!(std::fs::metadata(&file).expect("it is there").len(), 100_000, "root: {as_root}: {long}");
    }
}

#[test]
fn has_an_empty_environment_and_no_rights() {
    let shelf = Shelf::new();
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        // Bash makes these three by itself.
        let env = said(&shelf.confined("env | grep -vE '^(PWD|SHLVL|_)='", as_root, 1, ROOMY));
        assert_eq!(env, "", "root: {as_root}");
        let id = said(&shelf.confined("id -u; id -G; ulimit -c; ulimit -f", as_root, 1, ROOMY));
        let nobody = if as_root { "65534\n65534\n" } else { "" };
        assert!(id.starts_with(nobody) && !id.starts_with("0\n") && id.ends_with("0\n0\n"), "root: {as_root}: {id}");
    }
}

#[test]
fn connects_to_one_port_only() {
    if !can_test("other ports are closed") {
        return;
    }
    let canary = Canary::new();
    let allowed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = allowed.local_addr().expect("it is bound").port();
    let knock = |port| format!("(echo hi >/dev/tcp/127.0.0.1/{port}) && echo connected");
    let shelf = Shelf::new();
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        let held = said(&shelf.confined(&knock(canary.port), as_root, port, ROOMY));
        assert!(held.contains("Permission denied") && !held.contains("connected"), "root: {as_root}: {held}");
        assert_eq!(canary.touched(), Vec::<String>::new());
        let open = said(&shelf.confined(&knock(port), as_root, port, ROOMY));
        assert!(open.contains("connected"), "root: {as_root}: {open}");
        assert!(said(&bare(&knock(canary.port), as_root)).contains("connected"));
        assert_eq!(canary.touched(), [r#"the host was told "hi\n""#]);
        let listen =
            "perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen=>1,LocalAddr=>\"127.0.0.1\")?\"bound\":$!'";
        let held = said(&shelf.confined(listen, as_root, port, ROOMY));
        assert!(held.contains("Permission denied") && !held.contains("bound"), "root: {as_root}: {held}");
    }
}

/// A process with a secret in its environment, of the given user.
fn secretive(as_root: bool) -> Running {
    let mut command = if as_root { Command::new("/bin/sleep") } else { as_somebody("/bin/sleep".as_ref()) };
    command.arg("300").env("CANARY_SECRET", SECRET);
    Running::start(command)
}

#[test]
fn neither_sees_nor_signals_other_processes() {
    if !can_test("other processes cannot be seen or signalled") {
        return;
    }
    let shelf = Shelf::new();
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        let mut other = secretive(as_root);
        let pid = other.pid();
        let environ = format!("tr '\\0' '\\n' </proc/{pid}/environ; cat /proc/{pid}/cmdline");
        eventually("the other process", || said(&bare(&environ, as_root)).contains("sleep").then_some(()));
        assert!(said(&bare(&environ, as_root)).contains(SECRET));
        // As the very same user: as root the launcher becomes nobody, who may not do it anyway.
        let held = said(&shelf.confined(&environ, as_root, 1, ROOMY));
        assert!(held.contains("Permission denied") && !held.contains(SECRET) && !held.contains("sleep"), "{held}");
        let held = said(&shelf.confined(&format!("kill -9 {pid} && echo killed"), as_root, 1, ROOMY));
        assert!(held.contains("not permitted") && !held.contains("killed"), "root: {as_root}: {held}");
        assert!(!other.has_ended());
    }
}

#[test]
fn is_held_to_its_memory_time_and_files() {
    let shelf = Shelf::new();
    let take = "perl -e '$x = q(a) x 300_000_000; print length $x'";
    let open = "perl -e 'for (1..100) { open($f[$_], q(<), q(/dev/null)) or die qq(at $_: $!) } print q(all)'";
    let spin = "while :; do :; done";
    for as_root in [true, false].into_iter().skip(usize::from(!is_root())) {
        let run = |script: &str, limits| shelf.confined(script, as_root, 1, limits);
        assert!(said(&run(take, ROOMY)).contains("300000000"));
        let held = said(&run(take, ["--memory=100000000", "--cpu=20", "--files=64"]));
        assert!(held.contains("Out of memory") && !held.contains("300000000"), "{held}");
        assert!(said(&run(open, ["--memory=100000000", "--cpu=20", "--files=128"])).contains("all"));
        let held = said(&run(open, ["--memory=100000000", "--cpu=20", "--files=32"]));
        assert!(held.contains("Too many open files") && !held.contains("all"), "{held}");
        let killed = run(spin, ["--memory=100000000", "--cpu=1", "--files=64"]);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed.status), Some(9), "{killed:?}");
        // None of them can be raised again.
        let held = said(&run("ulimit -n 65; ulimit -t 21; ulimit -d 2000000; ulimit -f 1; ulimit -c 1", ROOMY));
        assert_eq!(held.matches("cannot modify limit: Operation not permitted").count(), 5, "{held}");
    }
}

#[test]
fn ends_with_the_worker_that_started_it() {
    let shelf = Shelf::new();
    let mut launcher = Command::new("/bin/bash");
    // The shell between stands for a worker that is killed.
    let line = format!(
        "{} confine --port=1 --memory=1000000000 --cpu=60 --files=64 -- /bin/sleep 300 & echo $!; wait",
        shelf.worker().display()
    );
    launcher.args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut launcher = launcher.spawn().expect("a shell");
    let mut pid = String::new();
    let mut stdout = std::io::BufReader::new(launcher.stdout.take().expect("it was asked for"));
    std::io::BufRead::read_line(&mut stdout, &mut pid).expect("the shell tells");
    let pid: u32 = pid.trim().parse().expect("a process id");
    let name = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    eventually("the program under the launcher", || (name() == "sleep\n").then_some(()));
    launcher.kill().and_then(|()| launcher.wait()).expect("the shell is killed");
    eventually("the end of what it started", || (name() != "sleep\n").then_some(()));
}

#[test]
fn says_what_it_could_not_start() {
    let shelf = Shelf::new();
    let mut command = Command::new(shelf.worker());
    command.args(["confine", "--port=1"]).args(ROOMY).args(["--", "/usr/bin/no-such-program"]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(said(&output), "error: cannot start /usr/bin/no-such-program: No such file or directory (os error 2)\n");
}
