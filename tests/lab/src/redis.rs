//! A real redis-server on a free port with a folder of its own, which can be killed, stopped and started again.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::programs::{Running, eventually, free_port, output};

/// The server; stopped when dropped.
pub struct Redis {
    /// Its port.
    pub port: u16,
    running: Running,
    settings: Vec<String>,
    data: TempDir,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, each as on redis-server's command line.
    pub fn start_with(settings: &[&str]) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        // Somebody else may take the port before the server does; then it ends at once.
        let (port, running) = (0..5)
            .find_map(|_| {
                let port = free_port();
                Some((port, come_up(port, &settings, &data)?))
            })
            .expect("redis-server starts on one of five ports");
        Self { port, running, settings, data }
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again on the same port and files.
    pub fn start_again(&mut self) {
        self.running = come_up(self.port, &self.settings, &self.data).expect("redis-server starts again on its port");
    }

    /// Lets it hang: it keeps its connections, takes new ones, and answers nobody.
    pub fn pause(&self) {
        self.running.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running.signal(Signal::CONT);
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs the real client with these words; what it prints.
    pub fn cli(&self, words: &[&str]) -> String {
        self.cli_with(words, b"")
    }

    /// The same with `input` on its standard input.
    pub fn cli_with(&self, words: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words);
        let ran = output(command, input);
        assert!(ran.status.success(), "redis-cli {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("redis-cli prints text").trim().to_owned()
    }
}

/// A server that answers; `None` if it ended instead.
fn come_up(port: u16, settings: &[String], data: &TempDir) -> Option<Running> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(data.path());
    command.args(settings).stdout(Stdio::null());
    let mut running = Running::start(command);
    eventually("redis-server", || {
        let ended = running.has_ended();
        (ended || answers(port)).then_some(!ended)
    })
    .then_some(running)
}

/// Whether the server has read its files: until then it says that it is loading.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer)?;
        // The second is the answer of one that wants a password.
        Ok(matches!(&answer, b"+PONG" | b"-NOAU"))
    };
    ask().unwrap_or(false)
}
