//! The program itself at a real broker: what it tells of this machine, and what its page says of the commands.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use reelmill_api::fleet::CommandId;
use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hub::{Ear, command, send, trust};

pub(crate) const NODE: &str = "shelf-1";

/// An agent whose state lies in a folder; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    page: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(broker: &Mosquitto, folder: &TempDir) -> Command {
    let identity = broker.identity(NODE);
    let mut program = Command::new(env!("CARGO_BIN_EXE_reelmill-agent"));
    program.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    program.envs([("REELMILL_NODE", NODE), ("PAGE_LISTEN", "127.0.0.1:0"), ("BROKER_HOST", "127.0.0.1")]);
    program.env("STATE_DIRECTORY", folder.path()).env("BROKER_PORT", broker.fleet.to_string());
    program.env("BROKER_CA", broker.ca()).env("BROKER_CERT", identity.cert).env("BROKER_KEY", identity.key);
    program.env("HELPER_SOCKET", folder.path().join("helper")).env("HELPER_FOLDER", folder.path());
    // Nobody listens there: what a node without a worker looks like.
    // And here no time service runs.
    program.env("CLOCK_IS_RIGHT", "true").env("WORKER_STATUS", "http://127.0.0.1:1/status");
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    program
}

impl Agent {
    pub(crate) fn start(broker: &Mosquitto, folder: &TempDir) -> Self {
        let mut child = program(broker, folder).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let page = lines.find_map(|line| Some(line.split_once("page at http://")?.1.trim_end_matches('/').to_owned()));
        // What else it says must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, page: page.expect("it tells where its page is") }
    }

    fn status(&self) -> Value {
        let mut stream = TcpStream::connect(&self.page).expect("it listens");
        let request = format!("GET /api/status HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.page);
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head and a body").1).expect("JSON")
    }

    /// Waits until the page tells of a command.
    fn shows(&self, id: CommandId) -> Value {
        eventually("the command on the page", || {
            let status = self.status();
            (status["farm"]["last_command"]["id"] == id.to_string()).then(|| status["farm"].clone())
        })
    }
}

#[test]
fn introduces_its_machine_and_does_what_is_commanded() {
    let broker = Mosquitto::start();
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("trust.json"), trust().to_payload()).expect("a folder of ours");
    let ear = Ear::open(&broker);
    let agent = Agent::start(&broker, &folder);
    // Without a worker it is there and not as it should be, or well enough.
    let told = |topic: &str| {
        let topic = format!("reelmill/1/n/{NODE}/{topic}");
        let last = eventually(&topic, || ear.on(&topic).pop().filter(|payload| !payload.is_empty()));
        serde_json::from_str::<Value>(&last).expect("JSON")
    };
    assert!(["up", "degraded"].contains(&told("health")["state"].as_str().expect("a word")));
    let ops = told("cap")["ops"].clone();
    assert!(ops["reboot"] == 1 && ops["ping"] == 1 && ops["switch"].is_null() && ops["tags"] == 1, "{ops}");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a kernel");
    let os = told("rep/os");
    assert!(os["boot_id"] == boot.trim() && os["ver"].as_i64() > Some(0), "{os}");
    assert!(told("m")["up_s"].as_u64() > Some(0), "a heartbeat");

    let foreign = command(NODE, "logs-tail", json!({"unit": "ssh.service"}));
    send(&broker, NODE, &foreign, &[1]);
    let end = ear.end(NODE, foreign.id);
    assert_eq!((end.state.as_str(), end.error.expect("a reason").code.as_str()), ("failed", "not_ours"));
    let farm = agent.shows(foreign.id);
    let last = &farm["last_command"];
    assert_eq!(
        (&last["op"], &last["state"], &farm["broker"]["connected"]),
        (&json!("logs-tail"), &json!("failed"), &json!(true))
    );

    drop(agent);
    let again = Agent::start(&broker, &folder);
    again.shows(foreign.id);
    assert_eq!(ear.states(NODE, foreign.id).last().map(|s| s.state.as_str()), Some("failed"), "it was done once");
}

#[test]
fn a_node_that_knows_no_keys_does_not_start() {
    let broker = Mosquitto::start();
    let folder = TempDir::new().expect("a temporary folder");
    let ended = program(&broker, &folder).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    let told = format!("error: cannot read {}/trust.json: No such file", folder.path().display());
    assert!(!ended.status.success() && said.contains(&told), "{said}");
    assert!(said.contains("hint: write it with `reelmill keys trust`"), "{said}");
}
