//! The programs as a user starts them: built before, found beside the test program.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;

use crate::s3::{ACCESS_KEY, SECRET_KEY, Server};

/// The path of one of our programs.
pub fn program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a test program has a path");
    let found = exe.ancestors().skip(1).take(3).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built; run `cargo build --workspace --bins` first, as `cargo xtask test` does")
    })
}

/// Writes a script that can be run as a program.
pub fn script(at: &Path, text: &str) {
    std::fs::write(at, text).expect("a script");
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// The path of the machine's ffmpeg.
pub fn ffmpeg() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path).map(|folder| folder.join("ffmpeg")).find(|f| f.is_file()).expect("ffmpeg is installed")
}

/// A command for one of our programs with an empty environment but for `PATH` and the folder where workers keep what was
/// proven of this machine: hundreds of them start in the tests, and it takes each a while.
pub fn command(name: &str) -> Command {
    let program = program(name);
    let kept = program.with_file_name("proven");
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("REELMILL_CACHE_FOLDER", kept);
    command
}

/// A port of loopback that was free just now, and that the system gives to nobody by itself: while a server is down that
/// is to come back on its port, not even the connections of those who ask for it can take it.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let by_chance = || RandomState::new().build_hasher().finish();
    let port = |chance: u64| 10_000 + u16::try_from(chance % 22_000).expect("less than a port");
    (0..1000).map(|_| port(by_chance())).find(is_free).expect("a free port")
}

/// A port of loopback at which nobody listens, and nobody can while this lives.
pub struct Nobody(TcpSocket);

impl Nobody {
    /// Takes a port.
    pub fn there() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("loopback has a free port");
        Self(socket)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }
}

/// The settings that reach a store.
pub fn store_settings(server: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("S3_ENDPOINT_URL", server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]
}

/// A running program; killed with SIGKILL when dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a command; its output goes where the test's own goes.
    pub fn start(mut command: Command) -> Self {
        Self { child: command.stdin(Stdio::null()).spawn().expect("the program starts") }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.wait();
    }

    /// Waits for its end; its exit code, `None` if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("the process can be waited for").code()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the process can be asked").is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end with `input` on its standard input.
pub fn output(mut command: Command, input: impl AsRef<[u8]>) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // A program that refuses its settings ends before it reads.
    let _ = stdin.write_all(input.as_ref());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

/// Asks until the answer is there; a test that waits longer than this has failed.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
