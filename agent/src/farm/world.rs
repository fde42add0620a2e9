//! A snapshot in the words of the fleet protocol: what commands may expect, what is reported, what the heartbeat says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reelmill_api::{
    fleet::{PROTOCOL, admission::Facts, health::Heartbeat, topic::Document},
    nodes::MetricsAt,
    snapshot::{Disk, Snapshot},
};
use serde_json::{Value, json};

use crate::{
    broker::World,
    config::Window,
    core::Around,
    exec::system::Bad,
    standing::{Standing, State},
    systemd::UnitName,
};

/// So many systems that were undone are reported, of more the newest.
const MOST_BAD: usize = 16;
/// And so many characters of why.
const LONGEST_WHY: usize = 200;

/// What was reported last, and in which version.
#[derive(Debug, Default)]
pub(super) struct Reported(BTreeMap<Document, (Value, i64)>);

impl Reported {
    /// The document with its version: one that is new if anything in it is, and higher than all before, also those from
    /// before the agent started.
    fn versioned(&mut self, which: Document, body: Value, now: Timestamp) -> (Document, Value) {
        let ver = match self.0.get(&which) {
            Some((known, ver)) if *known == body => *ver,
            Some((_, ver)) => now.as_second().max(ver + 1),
            None => now.as_second(),
        };
        let mut told = body.clone();
        told["ver"] = ver.into();
        self.0.insert(which, (body, ver));
        (which, told)
    }
}

/// What is known of a node beside what its sensors tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// Whether the clock agrees with the world's.
    pub(super) synchronised: bool,
    /// When it may be disturbed; absent: always.
    pub(super) window: Option<Window>,
    /// The version of the settings that are in force.
    pub(super) conf_ver: u64,
    /// The systems that were undone here, oldest first.
    pub(super) bad: Vec<Bad>,
    /// Where other machines can have the node's metrics.
    pub(super) metrics: Option<MetricsAt>,
}

/// The world of a node that looks so.
pub(super) fn of(snapshot: &Snapshot, standing: &Standing, beside: &Beside, reported: &mut Reported) -> World {
    let taken_at = snapshot.taken_at.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let worker = snapshot.units.iter().find(|unit| unit.name == UnitName::worker().as_str());
    let unwell = standing.reasons.iter().filter(|reason| matches!(reason.state, State::Unwell | State::Hot));
    World {
        around: Around {
            facts: Facts {
                toplevel: snapshot.os.system.as_ref().and_then(|path| path.parse().ok()),
                conf_ver: beside.conf_ver,
                boot_id: snapshot.os.boot_id.clone().unwrap_or_default(),
            },
            window_open: beside.window.is_none_or(|window| window.is_open(taken_at)),
            tags: snapshot.tags.iter().filter_map(|tag| tag.parse().ok()).collect(),
            gpu: !snapshot.gpus.is_empty(),
            hot: standing.reasons.iter().find(|reason| reason.state == State::Hot).map(|reason| reason.text.clone()),
            worker_restarts: worker.and_then(|unit| unit.restarts),
        },
        synchronised: beside.synchronised,
        unwell: unwell.map(|reason| reason.text.clone()).collect(),
        documents: documents(snapshot, beside)
            .into_iter()
            .map(|(d, body)| reported.versioned(d, body, taken_at))
            .collect(),
        heartbeat: Some(heartbeat(snapshot, taken_at)),
    }
}

/// What is reported when it changes; what changes all the time is in the heartbeat.
fn documents(snapshot: &Snapshot, beside: &Beside) -> [(Document, Value); 5] {
    let Beside { bad, metrics, conf_ver, .. } = beside;
    let newest = &bad[bad.len().saturating_sub(MOST_BAD)..];
    let bad = newest.iter().map(|bad| {
        let why: String = bad.why.chars().take(LONGEST_WHY).collect();
        json!({"system": bad.system, "why": why})
    });
    let Snapshot { node, os, networks, worker, cpu, memory, disks, .. } = snapshot;
    let disks = disks.iter().map(|disk| json!({"mount": disk.mount, "total_bytes": disk.total_bytes}));
    let addresses =
        networks.iter().map(|n| json!({"name": n.name, "up": n.up, "mac": n.mac, "addresses": n.addresses}));
    let worker = worker.as_ref().map(|w| {
        json!({"reelmill": w.reelmill, "state": w.state, "engines": w.engines, "capabilities": w.capabilities,
               "presets": w.presets, "concurrency": w.concurrency})
    });
    [
        (
            Document::Os,
            json!({"name": os.name, "kernel": os.kernel, "boot_id": os.boot_id, "generation": os.generation,
                   "system": os.system, "booted_system": os.booted_system, "agent": node.reelmill,
                   "bad": bad.collect::<Vec<_>>()}),
        ),
        (
            Document::Hw,
            json!({"board": node.board, "hostname": node.hostname, "processor": cpu.model, "cores": cpu.cores.len(),
                   "memory_bytes": memory.as_ref().map(|memory| memory.total_bytes),
                   "disks": disks.collect::<Vec<_>>()}),
        ),
        (Document::Net, json!({"interfaces": addresses.collect::<Vec<_>>(), "metrics": metrics})),
        (Document::Worker, json!({"worker": worker})),
        // What the next set-conf must be above.
        (Document::Conf, json!({"conf_ver": conf_ver})),
    ]
}

fn heartbeat(snapshot: &Snapshot, t: Timestamp) -> Heartbeat {
    let Snapshot { os, cpu, memory, disks, temperatures, gpus, engines, rails, worker, .. } = snapshot;
    let engine = |name: &str| {
        let busy = engines
            .iter()
            .filter(|e| e.name.starts_with(name))
            .filter_map(|e| if e.on { e.percent } else { Some(0.0) });
        most(busy)
    };
    let gpus_draw = gpus.iter().filter_map(|gpu| gpu.power_milliwatts).reduce(|a, b| a + b);
    let board_draws = rails.iter().find(|rail| rail.name == "VDD_IN" || rail.name == "VIN").and_then(|r| r.milliwatts);
    Heartbeat {
        v: PROTOCOL,
        t,
        up_s: os.uptime_seconds.unwrap_or_default(),
        cpu_pct: cpu.utilisation_percent.map(rounded),
        mem_pct: memory.as_ref().and_then(|m| percent(m.used_bytes, m.total_bytes)),
        disk_pct: most(disks.iter().filter(|disk| !disk.read_only).filter_map(used)),
        temp_c: most(
            temperatures.iter().map(|part| part.celsius).chain(gpus.iter().filter_map(|g| g.temperature_celsius)),
        ),
        power_w: board_draws.or(gpus_draw).map(watts),
        gpu_pct: most(gpus.iter().filter_map(|gpu| gpu.utilisation_percent)),
        enc_pct: most(gpus.iter().filter_map(|gpu| gpu.encoder_percent)).or_else(|| engine("nvenc")),
        dec_pct: most(gpus.iter().filter_map(|gpu| gpu.decoder_percent)).or_else(|| engine("nvdec")),
        tasks: worker.as_ref().and_then(|worker| u32::try_from(worker.running.len()).ok()),
    }
}

fn used(disk: &Disk) -> Option<f64> {
    percent(disk.total_bytes.saturating_sub(disk.available_bytes), disk.total_bytes)
}

#[expect(clippy::cast_precision_loss, reason = "percent for people")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 * 100.0 / whole as f64))
}

#[expect(clippy::cast_precision_loss, reason = "watts for people")]
fn watts(milliwatts: u64) -> f64 {
    rounded(milliwatts as f64 / 1e3)
}

/// A heartbeat is small: one digit is enough.
fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

fn most(figures: impl Iterator<Item = f64>) -> Option<f64> {
    figures.reduce(f64::max).map(rounded)
}

#[cfg(test)]
mod tests {
    use reelmill_api::snapshot::{Cpu, Engine, Memory, Os, Rail, Temperature};

    use super::*;

    fn board() -> Snapshot {
        Snapshot {
            taken_at: "2026-11-22T10:00:00Z".to_owned(),
            os: Os { boot_id: Some("b1".to_owned()), uptime_seconds: Some(61), ..Os::default() },
            cpu: Cpu { utilisation_percent: Some(58.04), ..Cpu::default() },
            memory: Some(Memory { total_bytes: 16, used_bytes: 7, ..Memory::default() }),
            temperatures: [("cpu", 93.94), ("tj", 60.0)]
                .map(|(name, celsius)| Temperature { name: name.to_owned(), celsius, ..Temperature::default() })
                .into(),
            engines: vec![
                Engine { name: "nvenc0".to_owned(), on: true, percent: Some(97.0), mhz: None },
                Engine { name: "nvdec0".to_owned(), on: false, ..Engine::default() },
            ],
            rails: vec![Rail { name: "VDD_IN".to_owned(), milliwatts: Some(24_680), ..Rail::default() }],
            tags: ["lan".to_owned()].into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_heartbeat_says_what_is_measured_and_nothing_else() {
        let snapshot = board();
        let beside = Beside { synchronised: true, conf_ver: 7, ..Beside::default() };
        let world = of(&snapshot, &Standing::of(&snapshot), &beside, &mut Reported::default());
        let told = serde_json::to_value(world.heartbeat.expect("one")).expect("JSON");
        let want = json!({"v": 1, "t": "2026-11-22T10:00:00Z", "up_s": 61, "cpu_pct": 58.0, "mem_pct": 43.8, "temp_c": 93.9,
                          "power_w": 24.7, "enc_pct": 97.0, "dec_pct": 0.0});
        assert_eq!(told, want);
        assert_eq!(world.documents[&Document::Conf]["conf_ver"], 7);
        assert_eq!(world.documents[&Document::Hw]["memory_bytes"], 16);
        assert_eq!(world.around.hot.as_deref(), Some("cpu is at 93.9 °C"));
        let facts = &world.around.facts;
        assert_eq!((facts.boot_id.as_str(), facts.conf_ver, world.synchronised), ("b1", 7, true));
        assert!(world.around.window_open && !world.around.gpu);
        assert_eq!(world.around.tags, ["lan".parse().expect("a tag")]);
        assert_eq!(world.unwell, ["cpu is at 93.9 °C"]);
    }

    #[test]
    fn a_node_may_be_disturbed_in_its_window() {
        let snapshot = board();
        let open = |window: &str| {
            let beside = Beside { window: window.parse().ok(), ..Beside::default() };
            of(&snapshot, &Standing::of(&snapshot), &beside, &mut Reported::default()).around.window_open
        };
        // The snapshot is of a Sunday, at ten.
        assert_eq!([open("Sun 09:00-11:00 UTC"), open("Sun 11:00-12:00 UTC")], [true, false]);
    }

    #[test]
    fn a_document_has_a_new_version_when_anything_in_it_is_new() {
        let (mut snapshot, mut reported) = (board(), Reported::default());
        let mut ver = |snapshot: &Snapshot| {
            let world = of(snapshot, &Standing::of(snapshot), &Beside::default(), &mut reported);
            world.documents[&Document::Os]["ver"].as_i64().expect("a number")
        };
        let first = ver(&snapshot);
        snapshot.os.uptime_seconds = Some(62);
        assert_eq!(ver(&snapshot), first, "what changes all the time is not in it");
        snapshot.os.generation = Some(18);
        assert_eq!(ver(&snapshot), first + 1, "within the same second too");
        snapshot.taken_at = "2026-11-22T10:00:09Z".to_owned();
        snapshot.os.generation = Some(19);
        assert_eq!(ver(&snapshot), first + 9);
    }
}
