//! A broker, keys, nodes, and an operator's command line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use reelmill_lab::{
    mosquitto::Mosquitto,
    programs::{Running, command, eventually, output},
};
use tempfile::TempDir;

/// A fleet without nodes.
pub(crate) struct Fleet {
    pub(crate) broker: Mosquitto,
    pub(crate) folder: TempDir,
}

/// What a program said and how it ended; ids, times and ports have no place in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Fleet {
    /// A broker; anna and ben are operators, eve is nobody.
    pub(crate) fn start() -> Self {
        let fleet = Self { broker: Mosquitto::start(), folder: TempDir::new().expect("a temporary folder") };
        for name in ["anna", "ben", "eve", "safe"] {
            fleet.reelmill(&["keys", "new", &format!("{name}.key")]);
        }
        let trust = ["keys", "trust", "operator=anna.key.pub", "operator=ben.key.pub", "admin=safe.key.pub"];
        fs::write(fleet.path("trust.json"), fleet.reelmill(&trust).stdout).expect("ours");
        fleet
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reelmill(&self, words: &[&str]) -> Output {
        let mut command = command("reelmill");
        let ran = output(
            {
                command.args(words).current_dir(self.folder.path());
                command
            },
            "",
        );
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran
    }

    /// A certificate and its key for each, in a folder of their own.
    pub(crate) fn identities(&self, names: &[&str]) -> PathBuf {
        let folder = self.path("nodes");
        fs::create_dir_all(&folder).expect("ours");
        for name in names {
            let identity = self.broker.identity(name);
            fs::copy(identity.cert, folder.join(format!("{name}.pem"))).expect("ours");
            fs::copy(identity.key, folder.join(format!("{name}.key"))).expect("ours");
        }
        folder
    }

    /// Simulated nodes whose deeds take so long; there when this returns.
    pub(crate) fn simulate(&self, names: &[&str], deed_ms: u32) -> Running {
        let folder = self.identities(names);
        let mut command = command("reelmill-agent");
        command.args(["simulate", &names.len().to_string(), "--tag", "shelf", "--deed-ms", &deed_ms.to_string()]);
        command.arg("--broker").arg(format!("127.0.0.1:{}", self.broker.fleet)).arg("--ca").arg(self.broker.ca());
        command.arg("--certs").arg(folder).arg("--trust").arg(self.path("trust.json"));
        command.arg("--state").arg(self.path("ledgers")).stderr(Stdio::null());
        let running = Running::start(command);
        names.iter().for_each(|name| self.wait_for(name));
        running
    }

    /// The agent of this machine under that name; there when this returns.
    pub(crate) fn agent(&self, name: &str) -> Running {
        let folder = self.path(name);
        fs::create_dir_all(&folder).expect("ours");
        fs::copy(self.path("trust.json"), folder.join("trust.json")).expect("ours");
        let identity = self.broker.identity(name);
        let mut command = command("reelmill-agent");
        command.envs([("REELMILL_NODE", name), ("PAGE_LISTEN", "127.0.0.1:0"), ("BROKER_HOST", "127.0.0.1")]);
        command.env("STATE_DIRECTORY", folder).env("BROKER_PORT", self.broker.fleet.to_string());
        command.env("BROKER_CA", self.broker.ca()).env("BROKER_CERT", identity.cert).env("BROKER_KEY", identity.key);
        // Here no time service runs, and no worker.
        command.env("CLOCK_IS_RIGHT", "true").env("WORKER_STATUS", "http://127.0.0.1:1/status").stderr(Stdio::null());
        let running = Running::start(command);
        self.wait_for(name);
        running
    }

    fn wait_for(&self, name: &str) {
        let health = || self.retained(&format!("reelmill/1/n/{name}/health"));
        // Without a worker or a root helper it is there, and not as it should be.
        eventually(name, || ["\"up\"", "\"degraded\""].iter().any(|word| health().contains(word)).then_some(()));
    }

    /// What the broker keeps on these topics.
    pub(crate) fn retained(&self, filter: &str) -> String {
        let mut client = self.broker.client("mosquitto_sub");
        client.args(["--retained-only", "-W", "1", "-F", "%t %p", "-t", filter]);
        String::from_utf8_lossy(&output(client, "").stdout).into_owned()
    }

    /// A line of `reelmill send`, with the operator's settings from the environment.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = command("reelmill");
        command.arg("send").args(words.split(' ')).current_dir(self.folder.path());
        command.env("REELMILL_BROKER", format!("127.0.0.1:{}", self.broker.hub));
        command.env("REELMILL_BROKER_CA", self.broker.ca()).env("USER", "anna");
        let own = self.broker.folder();
        command.env("REELMILL_BROKER_CERT", own.join("hub.pem")).env("REELMILL_BROKER_KEY", own.join("hub.key"));
        command
    }

    /// Runs it to its end.
    pub(crate) fn send(&self, words: &str) -> Said {
        self.said(&output(self.command(words), ""))
    }

    /// Starts it.
    pub(crate) fn begin(&self, words: &str) -> Begun<'_> {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Begun { fleet: self, child: command.spawn().expect("it starts"), out: String::new(), err: String::new() }
    }

    pub(crate) fn said(&self, ran: &Output) -> Said {
        let plain = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes), self.folder.path(), self.broker.hub);
        Said { code: ran.status.code(), out: plain(&ran.stdout), err: plain(&ran.stderr) }
    }
}

/// A line of `reelmill send` that runs.
pub(crate) struct Begun<'a> {
    fleet: &'a Fleet,
    pub(crate) child: Child,
    out: String,
    err: String,
}

impl Begun<'_> {
    /// Waits until it has said this on standard output.
    pub(crate) fn says(&mut self, part: &str) {
        read_until(self.child.stdout.as_mut().expect("piped"), &mut self.out, part);
    }

    /// Waits until it has said this on standard error.
    pub(crate) fn notes(&mut self, part: &str) {
        read_until(self.child.stderr.as_mut().expect("piped"), &mut self.err, part);
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Said {
        let ran = self.child.wait_with_output().expect("it ends");
        let Said { code, out, err } = self.fleet.said(&ran);
        let plain = |text: &str| plain(text, self.fleet.folder.path(), self.fleet.broker.hub);
        Said { code, out: plain(&self.out) + &out, err: plain(&self.err) + &err }
    }
}

fn read_until(from: &mut impl std::io::Read, into: &mut String, part: &str) {
    let mut byte = [0];
    let mut bytes = Vec::new();
    while !(into.contains(part) && into.ends_with('\n')) {
        assert_eq!(from.read(&mut byte).expect("a pipe"), 1, "it ended before it said {part:?}: {into}");
        bytes.push(byte[0]);
        if byte[0] == b'\n' {
            into.push_str(&String::from_utf8_lossy(&bytes));
            bytes.clear();
        }
    }
}

/// The text without what differs from run to run.
fn plain(text: &str, folder: &Path, port: u16) -> String {
    let text = text.replace(&folder.display().to_string(), "FOLDER").replace(&format!(":{port}"), ":PORT");
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':' || c == '.')) {
        let (bare, end) = match word.char_indices().next_back() {
            Some((at, c)) if !(c.is_ascii_alphanumeric() || c == '-' || c == ':' || c == '.') => word.split_at(at),
            _ => (word, ""),
        };
        plain += match bare {
            id if id.len() == 26 && id.starts_with("01") => "ID",
            time if time.len() >= 20 && time.starts_with("20") && time.ends_with('Z') => "TIME",
            other => other,
        };
        plain += end;
    }
    plain
}
