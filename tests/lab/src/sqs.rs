//! A real moto on a free port, which speaks SQS and keeps all in memory. It can be killed, stopped and started again, and
//! its users' own client is there.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::programs::{Running, eventually, free_port, output};

/// moto with two of its mistakes mended.
const SERVER: &str = include_str!("sqs/moto.py");
/// How long SQS hides a message at most, in seconds.
const LONGEST_S: u32 = 43_200;

/// The server; stopped when dropped.
pub struct Sqs {
    /// Its port.
    pub port: u16,
    running: Running,
    settings: Settings,
}

/// How it starts.
#[derive(Clone, Debug)]
struct Settings {
    longest_s: u32,
    words: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Sqs {
    /// Starts a server.
    pub fn start() -> Self {
        Self::start_with(LONGEST_S, &[], &[])
    }

    /// Starts a server that hides no message for longer than so many seconds, with more words as on the command line of
    /// `moto_server`, and with variables.
    pub fn start_with(longest_s: u32, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let settings = Settings {
            longest_s,
            words: words.iter().map(|&word| word.to_owned()).collect(),
            variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        // Somebody else may take the port before the server does; then it ends at once.
        let (port, running) = (0..5)
            .find_map(|_| {
                let port = free_port();
                Some((port, come_up(port, &settings)?))
            })
            .expect("moto starts on one of five ports");
        Self { port, running, settings }
    }

    /// Kills the server as a power cut would; with it goes all that it held.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again on the same port, empty.
    pub fn start_again(&mut self) {
        self.running = come_up(self.port, &self.settings).expect("moto starts again on its port");
    }

    /// Lets it hang: it keeps its connections, takes new ones, and answers nobody.
    pub fn pause(&self) {
        self.running.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running.signal(Signal::CONT);
    }

    /// Its address, with keys, which it does not look at.
    pub fn url(&self) -> String {
        format!("http://AKLAB:lab%2Fsecret@127.0.0.1:{}?region=eu-central-1", self.port)
    }

    /// The names of the queues that are there.
    pub fn queues(&self) -> Vec<String> {
        let ask = || -> std::io::Result<String> {
            let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
            // It takes the region from the signature, which it does not check.
            socket.write_all(
                b"POST / HTTP/1.0\r\nHost: moto\r\nX-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\
                  Authorization: AWS4-HMAC-SHA256 Credential=AKLAB/20260101/eu-central-1/sqs/aws4_request, \
                  SignedHeaders=host, Signature=none\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n{}",
            )?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().expect("moto answers");
        let body = answer.split("\r\n\r\n").nth(1).expect("an answer has a body");
        let listed: serde_json::Value = serde_json::from_str(body).expect("it answers in JSON");
        let urls = listed["QueueUrls"].as_array().into_iter().flatten().filter_map(|url| url.as_str());
        urls.filter_map(|url| url.rsplit('/').next()).map(str::to_owned).collect()
    }

    /// Runs a program in Python with a real client as `sqs`; what it prints.
    pub fn client(&self, program: &str) -> String {
        let mut command = python();
        command.args(["-c", &format!("import boto3\nsqs = boto3.client('sqs')\n{program}")]);
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_DEFAULT_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "AKLAB").env("AWS_SECRET_ACCESS_KEY", "lab/secret");
        let ran = output(command, b"");
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("it prints text").trim().to_owned()
    }
}

/// A command for Python with moto's packages: `REELMILL_MOTO` names their folder, else it is where `cargo xtask test` puts
/// them.
fn python() -> Command {
    let named = env::var_os("REELMILL_MOTO").map(PathBuf::from);
    let found = named.or_else(|| Some(cache()?.join("reelmill/moto"))).filter(|folder| folder.join("moto").is_dir());
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", found.expect("moto is not installed; `cargo xtask test` does it"));
    command
}

fn cache() -> Option<PathBuf> {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        return Some(PathBuf::from("/var/cache"));
    }
    let own = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    own.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
}

/// A server that listens; `None` if it ended instead.
fn come_up(port: u16, settings: &Settings) -> Option<Running> {
    let mut command = python();
    command.args(["-c", SERVER, &settings.longest_s.to_string(), "-H", "127.0.0.1", "-p", &port.to_string()]);
    command.args(&settings.words).envs(settings.variables.clone());
    // It says each request.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(command);
    eventually("moto", || {
        let ended = running.has_ended();
        (ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(!ended)
    })
    .then_some(running)
}
