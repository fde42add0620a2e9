//! A real redis-server on a free port with a folder of its own.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::programs::eventually;

/// The server; stopped when dropped.
pub struct Redis {
    /// Its port.
    pub port: u16,
    child: Child,
    _data: TempDir,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(data.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (apt-get install redis-server, or cargo xtask test)");
        let redis = Self { port, child, _data: data };
        eventually("redis-server", || redis.answers().then_some(()));
        redis
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs the real client with these words; what it prints.
    pub fn cli(&self, words: &[&str]) -> String {
        let ran = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        let ran = ran.expect("redis-cli comes with redis-server (package redis-tools)");
        assert!(ran.status.success(), "redis-cli {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
            socket.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            socket.read_exact(&mut answer)?;
            Ok(&answer == b"+PONG")
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
