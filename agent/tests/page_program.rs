//! The program itself: its start, its settings, its pulse for the service manager, and its end.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

fn agent(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelmill-agent"));
    command.env_clear().envs([("REELMILL_NODE", "edge-1"), ("PAGE_LISTEN", "127.0.0.1:0")]);
    // Nobody listens there: what a node without a worker looks like.
    command.env("WORKER_STATUS", "http://127.0.0.1:1/status").envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running agent; killed when the test ends, however it ends.
struct Running {
    child: Child,
    at: SocketAddr,
    _log: BufReader<ChildStderr>,
}

impl Running {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = agent(settings).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        let at = loop {
            line.clear();
            assert!(log.read_line(&mut line).expect("text") > 0, "it tells where its page is before it ends");
            if let Some((_, at)) = line.trim_end().split_once("page at http://") {
                break at.trim_end_matches('/').parse().expect("an address");
            }
        };
        Self { child, at, _log: log }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.at).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: edge-1.local\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is alive");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tells_of_its_node_until_sigterm() {
    let mut agent = Running::start(&[]);
    let answer = agent.get("/api/status");
    assert!(answer.contains("\"id\":\"edge-1\""), "{answer}");
    assert!(answer.contains("{\"source\":\"worker\",\"why\":\"nobody answers at 127.0.0.1:1\"}"), "{answer}");
    let mut open = TcpStream::connect(agent.at).expect("it listens");
    open.write_all(b"GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it reads");
    agent.signal(Signal::TERM);
    assert!(agent.child.wait().expect("it ends").success());
}

#[test]
fn the_service_manager_hears_that_it_is_ready_alive_and_ending() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket in our own folder");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a plain duration");
    let agent = Running::start(&[("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "20000")]);
    let next = || {
        let mut message = [0; 200];
        let read = socket.recv(&mut message).expect("another message");
        String::from_utf8_lossy(&message[..read]).into_owned()
    };
    let mut told = vec![next()];
    while told.last().is_none_or(|last| !last.starts_with("WATCHDOG=1")) {
        told.push(next());
    }
    agent.signal(Signal::TERM);
    while told.last().is_none_or(|last| !last.starts_with("STOPPING=1")) {
        told.push(next());
    }
    told.dedup();
    told.sort_by_key(|message| message.starts_with("STOPPING=1"));
    told.dedup();
    assert!(told.contains(&"READY=1\n".to_owned()), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
}

fn check_config(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    check_config_with(&[], settings)
}

fn check_config_with(words: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = agent(settings).arg("check-config").args(words).output().expect("it runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn settings_can_be_checked_where_no_secret_is() {
    let credential = ("PAGE_PASSWORD", "file:/run/credentials/reelmill-agent.service/page");
    let settings = [("PAGE_LISTEN", "0.0.0.0:9310"), credential];
    assert_eq!(check_config(&settings).0, Some(1));
    let (code, text) = check_config_with(&["--settings-only"], &settings);
    assert_eq!((code, text.as_str()), (Some(0), "node: edge-1\npage: 0.0.0.0:9310\nthe configuration can be used\n"));
    let (code, text) = check_config_with(&["--settings-only"], &settings[..1]);
    assert!(code == Some(1) && text.contains("it asks nobody who they are"), "{text}");
}

#[test]
fn settings_can_be_checked_without_a_start() {
    let good = check_config(&[]);
    assert_eq!(good, (Some(0), "node: edge-1\npage: 127.0.0.1:0\nthe configuration can be used\n".to_owned()));
    let (code, text) = check_config(&[("PAGE_LISTEN", "0.0.0.0:9310"), ("SAMPLE_SECONDS", "0")]);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "error: SAMPLE_SECONDS is \"0\": it must be a whole number from 1 to 60\n\
         hint: the settings are listed in docs/operate/agent.md\n"
    );
    let (code, text) = check_config(&[("PAGE_LISTEN", "0.0.0.0:9310")]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("error: other machines can reach the page at 0.0.0.0:9310"), "{text}");
    assert_eq!(check_config(&[("PAGE_LISTEN", "0.0.0.0:9310"), ("PAGE_PASSWORD", "hunter2")]).0, Some(0));
}
