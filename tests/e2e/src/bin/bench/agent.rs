//! The agent beside prometheus-node-exporter, on one machine in one run: memory, processor time of a scrape and of a second in
//! which nobody asks, and how soon a started agent is heard at the broker.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use reelmill_api::fleet::{PrivateKey, Role, Trust, trust::TrustedKey};
use reelmill_lab::{
    mosquitto::Mosquitto,
    programs::{Running, eventually, free_port},
};
use tempfile::TempDir;

use crate::usage::{Usage, median};

const NODE: &str = "bench-1";
/// How often an agent is started.
const STARTS: usize = 9;
/// Both are asked in turn, so often.
const ROUNDS: usize = 9;
/// Scrapes in a round.
const SCRAPES: u32 = 100;
/// How long nobody asks.
const IDLE: Duration = Duration::from_secs(60);
/// How often Prometheus asks unless told otherwise.
const USUAL: u32 = 15;

/// The agent that was built for speed, whatever this program was built for.
pub(crate) fn program() -> PathBuf {
    let exe = std::env::current_exe().expect("a program has a path");
    exe.ancestors().nth(2).expect("cargo builds into TARGET/PROFILE").join("release/reelmill-agent")
}

pub(crate) fn run() {
    let broker = Mosquitto::start();
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("trust.json"), trust().to_payload()).expect("a folder of ours");
    let starts: Vec<f64> = (0..STARTS).map(|_| start(&broker, &folder).1.as_secs_f64() * 1e3).collect();
    println!("start to first heartbeat: {}; target below 300 ms (wall time)", told(&starts, "ms"));

    let (agent, _) = start(&broker, &folder);
    let exporter = Program::start({
        let at = free_port();
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{at}")).stderr(Stdio::null());
        (command, at)
    });
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(agent.scrapes());
        theirs.push(exporter.scrapes());
    }
    println!("processor time of a scrape, agent: {}", told(&ours, "ms"));
    println!("processor time of a scrape, node_exporter: {}", told(&theirs, "ms"));
    let (scrape, other) = (median(&ours), median(&theirs));
    println!("processor time of a scrape: ratio {:.3}; target at most 0.5", scrape / other);

    let (before, other_before) = (agent.usage(), exporter.usage());
    std::thread::sleep(IDLE);
    let idle = agent.usage().since(&before) / IDLE.as_secs_f64();
    let other_idle = exporter.usage().since(&other_before) / IDLE.as_secs_f64();
    println!("idle, agent at one look a second: {:.3} % of a core; target below 0.1 %", idle / 10.0);
    println!("idle, node_exporter: {:.3} % of a core", other_idle / 10.0);
    println!("a look and a scrape of it, agent / a scrape of node_exporter: ratio {:.2}", (idle + scrape) / other);
    let (all, other_all) = (idle + scrape / f64::from(USUAL), other_idle + other / f64::from(USUAL));
    println!("both scraped every {USUAL} s, with what they do between: ratio {:.2}", all / other_all);
    let (ours, theirs) = (agent.usage(), exporter.usage());
    println!(
        "resident memory: agent {:.1} MB ({:.1} MB of it its own), node_exporter {:.1} MB: ratio {:.2}; target at most 12 MB",
        ours.resident_mb,
        ours.anonymous_mb,
        theirs.resident_mb,
        ours.resident_mb / theirs.resident_mb
    );
}

/// The median, and the range.
fn told(figures: &[f64], unit: &str) -> String {
    let (least, most) = (figures.iter().copied().fold(f64::MAX, f64::min), figures.iter().copied().fold(0.0, f64::max));
    format!("{:.2} {unit} ({least:.2} to {most:.2}, {} times)", median(figures), figures.len())
}

/// A document that one key trusts.
pub(crate) fn trust() -> Trust {
    let key = TrustedKey {
        key: PrivateKey::from_seed(&[1; 32]).public(),
        name: "bench".parse().expect("a name"),
        roles: [Role::Admin].into(),
    };
    Trust::new(1, 1, vec![key]).expect("well formed")
}

/// A program that answers scrapes.
struct Program {
    running: Running,
    at: u16,
}

impl Program {
    fn start((command, at): (Command, u16)) -> Self {
        let running = Running::start(command);
        eventually("an answer", || TcpStream::connect(("127.0.0.1", at)).ok());
        Self { running, at }
    }

    fn usage(&self) -> Usage {
        Usage::of(self.running.pid())
    }

    /// Processor time of one scrape, milliseconds.
    fn scrapes(&self) -> f64 {
        let before = self.usage();
        (0..SCRAPES).for_each(|_| self.scrape());
        self.usage().since(&before) / f64::from(SCRAPES)
    }

    fn scrape(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.at)).expect("it listens");
        let request = format!("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n", self.at);
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Starts an agent; how long it takes until its first heartbeat is heard.
fn start(broker: &Mosquitto, folder: &TempDir) -> (Program, Duration) {
    let mut ear = Ear::open(broker);
    let identity = broker.identity(NODE);
    let at = free_port();
    let mut command = Command::new(program());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stderr(Stdio::null());
    command.envs([("REELMILL_NODE", NODE), ("BROKER_HOST", "127.0.0.1"), ("CLOCK_IS_RIGHT", "true")]);
    command.env("PAGE_LISTEN", format!("127.0.0.1:{at}")).env("STATE_DIRECTORY", folder.path());
    command.env("BROKER_PORT", broker.fleet.to_string()).env("BROKER_CA", broker.ca());
    command.env("BROKER_CERT", identity.cert).env("BROKER_KEY", identity.key);
    // Nobody listens there: no worker.
    command.env("WORKER_STATUS", "http://127.0.0.1:1/status");
    let began = Instant::now();
    let running = Running::start(command);
    ear.hears();
    (Program { running, at }, began.elapsed())
}

/// Hears heartbeats.
struct Ear {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Ear {
    fn open(broker: &Mosquitto) -> Self {
        let client = broker.client("mosquitto_sub");
        // Into a pipe, the client would tell only after many messages.
        let mut command = Command::new("stdbuf");
        command.arg("-oL").arg(client.get_program()).args(client.get_args());
        command.args(["-d", "-F", "@@%t", "-t", &format!("reelmill/1/n/{NODE}/m")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("mosquitto_sub starts");
        let mut ear = Self { lines: BufReader::new(child.stdout.take().expect("piped")), child };
        ear.until("Subscribed");
        ear
    }

    fn hears(&mut self) {
        self.until("@");
    }

    fn until(&mut self, beginning: &str) {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).expect("a pipe"), 0, "mosquitto_sub goes on");
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
