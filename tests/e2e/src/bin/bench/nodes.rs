//! Many simulated nodes at one real broker: what each costs its process and the broker, and how fast commands to all of them
//! come to their ends.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use reelmill_lab::{
    mosquitto::Mosquitto,
    programs::{Running, command, eventually, output},
};
use tempfile::TempDir;

use crate::{agent, usage::Usage};

/// So many, and beside them so few: the difference is what nodes cost, and not their process.
const COUNTS: [usize; 2] = [20, 200];
/// How long they are watched while nothing is commanded.
const QUIET: Duration = Duration::from_secs(60);

pub(crate) fn run() {
    let mut costs = Vec::new();
    for count in COUNTS {
        costs.push(measure(count));
    }
    let more = (COUNTS[1] - COUNTS[0]) as f64;
    let [few, many] = [&costs[0], &costs[1]];
    println!(
        "each node more: {:.0} kB and {:.3} % of a core of the nodes' process, {:.1} kB and {:.3} % of a core of the broker",
        (many.nodes.resident_mb - few.nodes.resident_mb) * 1e3 / more,
        (many.nodes_cpu - few.nodes_cpu) * 100.0 / more,
        (many.broker.resident_mb - few.broker.resident_mb) * 1e3 / more,
        (many.broker_cpu - few.broker_cpu) * 100.0 / more,
    );
}

struct Cost {
    nodes: Usage,
    nodes_cpu: f64,
    broker: Usage,
    broker_cpu: f64,
}

fn measure(count: usize) -> Cost {
    let broker = Mosquitto::start();
    let folder = TempDir::new().expect("a folder");
    let names: Vec<String> = (0..count).map(|n| format!("sim-{n:04}")).collect();
    for name in &names {
        let identity = broker.identity(name);
        fs::copy(identity.cert, folder.path().join(format!("{name}.pem"))).expect("ours");
        fs::copy(identity.key, folder.path().join(format!("{name}.key"))).expect("ours");
    }
    fs::write(folder.path().join("trust.json"), agent::trust().to_payload()).expect("ours");
    let mut simulate = Command::new(agent::program());
    simulate.args(["simulate", &count.to_string(), "--tag", "sim", "--deed-ms", "0", "--broker"]);
    simulate.arg(format!("127.0.0.1:{}", broker.fleet)).arg("--ca").arg(broker.ca()).arg("--certs").arg(folder.path());
    simulate.arg("--trust").arg(folder.path().join("trust.json")).stderr(Stdio::null());
    let began = Instant::now();
    let nodes = Running::start(simulate);
    eventually("all nodes", || (up(&broker) == count).then_some(()));
    let came = began.elapsed();
    let (before, broker_before, sent) = (Usage::of(nodes.pid()), Usage::of(broker.pid()), messages(&broker));
    thread::sleep(QUIET);
    let (after, broker_after) = (Usage::of(nodes.pid()), Usage::of(broker.pid()));
    let share = |ms: f64| ms / 1e3 / QUIET.as_secs_f64();
    let (nodes_cpu, broker_cpu) = (share(after.since(&before)), share(broker_after.since(&broker_before)));
    println!(
        "{count} nodes: there after {:.1} s; {:.1} MB, {:.2} % of a core, {:.1} messages a second; broker {:.1} MB, {:.2} % of a \
         core",
        came.as_secs_f64(),
        after.resident_mb,
        nodes_cpu * 100.0,
        (messages(&broker) - sent) as f64 / QUIET.as_secs_f64(),
        broker_after.resident_mb,
        broker_cpu * 100.0,
    );
    let began = Instant::now();
    let mut ping = command("reelmill");
    ping.args(["send", "@sim", "ping"]).env("REELMILL_BROKER", format!("127.0.0.1:{}", broker.hub));
    ping.env("REELMILL_BROKER_CA", broker.ca()).env("REELMILL_BROKER_CERT", broker.folder().join("hub.pem"));
    ping.env("REELMILL_BROKER_KEY", broker.folder().join("hub.key"));
    let pinged = output(ping, "");
    assert!(pinged.status.success(), "{}", String::from_utf8_lossy(&pinged.stderr));
    println!("{count} nodes: a ping to each and all answers in {:.1} s", began.elapsed().as_secs_f64());
    Cost { nodes: after, nodes_cpu, broker: broker_after, broker_cpu }
}

/// How many nodes say that they are there.
fn up(broker: &Mosquitto) -> usize {
    let mut client = broker.client("mosquitto_sub");
    client.args(["--retained-only", "-W", "2", "-t", "reelmill/1/n/+/health"]);
    String::from_utf8_lossy(&output(client, "").stdout).matches("\"up\"").count()
}

/// How many messages nodes have given to the broker, by its log.
fn messages(broker: &Mosquitto) -> usize {
    broker.log().matches("Received PUBLISH from sim-").count()
}
