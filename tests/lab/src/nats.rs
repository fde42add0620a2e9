//! A real nats-server with JetStream on a free port with a folder of its own, which can be killed, stopped and started
//! again.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::programs::{Running, eventually, free_port};

/// The server; stopped when dropped.
pub struct Nats {
    /// Its port.
    pub port: u16,
    running: Running,
    data: TempDir,
}

impl Nats {
    /// Starts a server that everybody may use.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with more settings, as in its own file.
    pub fn start_with(settings: &str) -> Self {
        Self::start_plain(&format!("jetstream {{ store_dir: STORE }}\n{settings}"))
    }

    /// Starts a server with these settings and no others; `STORE` in them is a folder of its own.
    pub fn start_plain(settings: &str) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        // Somebody else may take the port before the server does; then it ends at once.
        let (port, running) = (0..5)
            .find_map(|_| {
                let port = free_port();
                write(port, settings, &data);
                Some((port, come_up(port, &data)?))
            })
            .expect("nats-server starts on one of five ports");
        Self { port, running, data }
    }

    /// Kills the server as a power cut would, but for what the kernel still holds.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again on the same port and files.
    pub fn start_again(&mut self) {
        self.running = come_up(self.port, &self.data).expect("nats-server starts again on its port");
    }

    /// Starts it again on the same port with nothing that it kept.
    pub fn start_anew(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.data.path().join("store")).expect("its folder can be removed");
        self.start_again();
    }

    /// Kills it and starts it again with other settings.
    pub fn configure(&mut self, settings: &str) {
        self.kill();
        write(self.port, settings, &self.data);
        self.start_again();
    }

    /// Lets it hang: it keeps its connections, takes new ones, and answers nobody.
    pub fn pause(&self) {
        self.running.signal(Signal::STOP);
        // On a busy machine one of its threads may answer before it notices.
        eventually("nats-server standing still", || stands_still(self.running.pid()).then_some(()));
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running.signal(Signal::CONT);
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Publishes as any program does, in the protocol's own words; when this returns, the server has it.
    pub fn publish(&self, subject: &str, body: &[u8]) {
        let mut talk = Talk::with(self.port).expect("the server lets everybody in");
        talk.say(format!("PUB {subject} {}\r\n", body.len()).as_bytes());
        talk.say(body);
        talk.say(b"\r\nPING\r\n");
        assert_eq!(talk.hear().as_deref(), Some("PONG"), "the server takes what is published");
    }
}

/// A connection in the protocol's own words.
pub struct Talk {
    write: TcpStream,
    read: BufReader<TcpStream>,
}

impl Talk {
    /// Connects and says so; `None` where the server is not there yet.
    pub fn with(port: u16) -> Option<Self> {
        let write = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let read = BufReader::new(write.try_clone().ok()?);
        let mut talk = Self { write, read };
        talk.hear().filter(|line| line.starts_with("INFO "))?;
        talk.say(b"CONNECT {\"verbose\":false,\"headers\":true,\"lang\":\"plain\",\"version\":\"0\"}\r\n");
        Some(talk)
    }

    /// Sends bytes.
    pub fn say(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).expect("the server reads");
    }

    /// The next line; `None` at the end.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.read.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next bytes, and the end of the line after them.
    pub fn hear_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length + 2];
        self.read.read_exact(&mut bytes).expect("the server sends what it announced");
        bytes.truncate(length);
        bytes
    }
}

fn write(port: u16, settings: &str, data: &TempDir) {
    let store = format!("{:?}", data.path().join("store"));
    let settings = settings.replace("STORE", &store);
    let text = format!("listen: \"127.0.0.1:{port}\"\nserver_name: \"lab-{port}\"\n{settings}\n");
    std::fs::write(data.path().join("server.conf"), text).expect("written");
}

/// A server that answers; `None` if it ended instead. It listens only once it has read its files.
fn come_up(port: u16, data: &TempDir) -> Option<Running> {
    let log = std::fs::File::create(data.path().join("log")).expect("a file for its log");
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(data.path().join("server.conf")).stdout(Stdio::null()).stderr(log);
    let mut running = Running::start(command);
    eventually("nats-server", || {
        let ended = running.has_ended();
        (ended || greets(port)).then_some(!ended)
    })
    .then_some(running)
}

fn greets(port: u16) -> bool {
    let greet = || -> std::io::Result<bool> {
        let mut greeting = [0; 4];
        TcpStream::connect(("127.0.0.1", port))?.read_exact(&mut greeting)?;
        Ok(&greeting == b"INFO")
    };
    greet().unwrap_or(false)
}

fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    threads.flatten().all(|thread| {
        // The state stands behind the name, which is in brackets.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}
