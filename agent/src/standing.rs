//! How a node stands, in one word that a person understands, and why: decided from its snapshot and nothing else.

use reelmill_api::{
    snapshot::{Broker, Enrolment, Gpu, LastCommand, Snapshot, ThrottleReason, Unit},
    status::{WorkerState, WorkerStatus},
};
use serde::Serialize;

/// So near to where clocks are cut, a part is hot: an engine at full load covers it in about a minute.
const MARGIN_CELSIUS: f64 = 10.0;
/// A part that does not say where its clocks are cut is hot from here on.
const HOT_CELSIUS: f64 = 90.0;
/// A file system with less room than this part of it is told of, unless that is still plenty.
const SCARCE_PERCENT: u64 = 5;
/// Plenty: a system to switch to and a spooled film have room.
const PLENTY_BYTES: u64 = 20_000_000_000;
/// Commands that change the system.
const SWITCHING: [&str; 3] = ["switch", "rollback", "firmware"];
/// How the worker's units begin.
const WORKER_UNIT: &str = "reelmill-worker";

/// One word for a node; of several, the first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No farm has taken it in yet.
    NotEnrolled,
    /// Its system is being changed.
    Switching,
    /// A part of it has failed.
    Unwell,
    /// A part of it is so hot that it slows down, or soon will.
    Hot,
    /// No command can reach it.
    BrokerLost,
    /// It finishes what it has and takes no more.
    Draining,
    /// It takes no work.
    Drained,
    /// Nothing is to be said against it.
    Well,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// In one word.
    pub state: State,
    /// Why, the weightiest first; those of [`State::Well`] are remarks.
    pub reasons: Vec<Reason>,
    /// The parts whose temperature is hot, by the names that the snapshot has.
    pub hot: Vec<String>,
}

/// One thing to be said about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What it makes of the node.
    pub state: State,
    /// A sentence for people, without a full stop.
    pub text: String,
}

impl Standing {
    /// How the node of a snapshot stands.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut reasons = Vec::new();
        let mut say = |state, text| reasons.push(Reason { state, text });
        farm(snapshot, &mut say);
        work(snapshot, &mut say);
        storage(snapshot, &mut say);
        let hot = hot_parts(snapshot);
        heat(snapshot, &hot, &mut say);
        remarks(snapshot, &mut say);
        reasons.sort_by_key(|reason| reason.state);
        Self {
            state: reasons.first().map_or(State::Well, |reason| reason.state),
            reasons,
            hot: hot.iter().map(|part| part.name.to_owned()).collect(),
        }
    }
}

fn farm(snapshot: &Snapshot, say: &mut impl FnMut(State, String)) {
    let Some(farm) = &snapshot.farm else { return };
    if let Some(Enrolment::Waiting { why, .. }) = &farm.enrolment {
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        say(State::NotEnrolled, format!("no farm has taken this node in yet{why}"));
    }
    if let Some(Broker { connected: false, address, why, .. }) = &farm.broker {
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        say(State::BrokerLost, format!("no line to the broker at {address}{why}"));
    }
    if let Some(command) = farm.last_command.as_ref().filter(|c| !c.is_over() && SWITCHING.contains(&c.op.as_str())) {
        say(State::Switching, progress(command));
    }
}

fn progress(command: &LastCommand) -> String {
    let LastCommand { op, state, phase, percent, .. } = command;
    let phase = phase.as_ref().map(|phase| format!(" in phase {phase}")).unwrap_or_default();
    let percent = percent.map(|percent| format!(", {percent} % done")).unwrap_or_default();
    format!("the command {op} is {state}{phase}{percent}")
}

fn work(snapshot: &Snapshot, say: &mut impl FnMut(State, String)) {
    for unit in &snapshot.units {
        let Unit { name, active_state, result, .. } = unit;
        let worker = name.starts_with(WORKER_UNIT);
        match active_state.as_str() {
            "failed" => {
                let result = result.as_ref().map(|result| format!(": {result}")).unwrap_or_default();
                say(State::Unwell, format!("{name} has failed{result}"));
            }
            "inactive" if worker => say(State::Drained, format!("{name} is stopped and takes no tasks")),
            "active" if worker && snapshot.worker.is_none() => {
                say(State::Unwell, format!("{name} runs and does not answer"));
            }
            _ => {}
        }
    }
    let known = snapshot.units.iter().any(|unit| unit.name.starts_with(WORKER_UNIT));
    if snapshot.worker.is_none() && !known {
        say(State::Drained, "no worker answers on this node, so it takes no tasks".to_owned());
    }
    if let Some(WorkerStatus { state: WorkerState::Draining, running, .. }) = &snapshot.worker {
        let tasks = match running.len() {
            0 => "nothing is left to finish".to_owned(),
            1 => "one task is being finished".to_owned(),
            n => format!("{n} tasks are being finished"),
        };
        say(State::Draining, format!("the worker takes no more tasks; {tasks}"));
    }
}

fn storage(snapshot: &Snapshot, say: &mut impl FnMut(State, String)) {
    for disk in snapshot.disks.iter().filter(|disk| !disk.read_only) {
        let left = disk.available_bytes;
        if left < PLENTY_BYTES && left.saturating_mul(100) < disk.total_bytes.saturating_mul(SCARCE_PERCENT) {
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let gigabytes = left as f64 / 1e9;
            say(State::Unwell, format!("only {gigabytes:.1} GB are left on {}", disk.mount));
        }
    }
    for drive in &snapshot.drives {
        if let Some(state) = drive.state.as_ref().filter(|state| !["live", "running"].contains(&state.as_str())) {
            say(State::Unwell, format!("the drive {} is {state}", drive.name));
        }
        if drive.spare_low == Some(true) {
            say(State::Unwell, format!("the drive {} runs out of spare blocks", drive.name));
        }
        if let Some(errors) = drive.filesystem_errors.filter(|errors| *errors > 0) {
            say(State::Unwell, format!("{errors} errors of file systems on {}", drive.name));
        }
    }
}

/// A part that is hot.
struct HotPart<'a> {
    name: &'a str,
    celsius: f64,
    critical: Option<f64>,
    is_gpu: bool,
}

/// All parts that are hot, the hottest first.
fn hot_parts(snapshot: &Snapshot) -> Vec<HotPart<'_>> {
    let limit = |critical: Option<f64>| critical.map_or(HOT_CELSIUS, |critical| critical - MARGIN_CELSIUS);
    let parts = snapshot.temperatures.iter().map(|part| HotPart {
        name: &part.name,
        celsius: part.celsius,
        critical: part.critical_celsius,
        is_gpu: false,
    });
    let gpus = snapshot.gpus.iter().filter_map(|gpu| {
        Some(HotPart { name: &gpu.name, celsius: gpu.temperature_celsius?, critical: None, is_gpu: true })
    });
    let mut hot: Vec<_> = parts.chain(gpus).filter(|part| part.celsius >= limit(part.critical)).collect();
    hot.sort_by(|a, b| b.celsius.total_cmp(&a.celsius));
    hot
}

fn heat(snapshot: &Snapshot, hot: &[HotPart<'_>], say: &mut impl FnMut(State, String)) {
    let (gpus, parts): (Vec<_>, Vec<_>) = hot.iter().partition(|part| part.is_gpu);
    if let Some((hottest, others)) = parts.split_first() {
        let critical = hottest.critical.map(|c| format!(", and the limit is {c:.0} °C")).unwrap_or_default();
        let others: Vec<_> = others.iter().map(|part| part.name).collect();
        let too = if others.is_empty() { String::new() } else { format!("; hot as well: {}", others.join(", ")) };
        say(State::Hot, format!("{} is at {:.1} °C{critical}{too}", hottest.name, hottest.celsius));
    }
    for gpu in gpus {
        say(State::Hot, format!("{} is at {:.1} °C", gpu.name, gpu.celsius));
    }
    for gpu in snapshot.gpus.iter().filter(|gpu| is_throttled_by_heat(gpu)) {
        say(State::Hot, format!("{} runs slower because it is hot", gpu.name));
    }
}

fn is_throttled_by_heat(gpu: &Gpu) -> bool {
    let heat = [ThrottleReason::SoftwareThermal, ThrottleReason::HardwareThermal];
    gpu.throttled.iter().flatten().any(|reason| heat.contains(reason))
}

fn remarks(snapshot: &Snapshot, say: &mut impl FnMut(State, String)) {
    for rail in snapshot.rails.iter().filter(|rail| rail.over_current == Some(true)) {
        say(State::Well, format!("the board slows down: more current on {} than it may draw", rail.name));
    }
    if snapshot.time_synchronised == Some(false) {
        say(State::Well, "no time server keeps the clock; commands that expire wait for it".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::snapshot::{Disk, Drive, Farm, Rail, Temperature};

    use super::*;

    fn worker(state: &str) -> WorkerStatus {
        let text = r#"{"node":"a","reelmill":"1","pid":1,"state":"STATE","engines":[],"presets":[],"concurrency":1,
            "running":[],"published":0,"failed":0}"#;
        serde_json::from_str(&text.replace("STATE", state)).expect("a status")
    }

    /// Each reason as `state: text`, of a node whose worker is ready but for what is changed.
    fn check(change: impl FnOnce(&mut Snapshot), want: &[&str]) {
        let mut snapshot = Snapshot { worker: Some(worker("ready")), ..Snapshot::default() };
        change(&mut snapshot);
        let standing = Standing::of(&snapshot);
        let word = |state: State| serde_json::to_string(&state).expect("a word").trim_matches('"').to_owned();
        let got: Vec<_> = standing.reasons.iter().map(|r| format!("{}: {}", word(r.state), r.text)).collect();
        assert_eq!(got, want);
        let first = want.first().and_then(|reason| reason.split_once(':')).map_or("well", |(state, _)| state);
        assert_eq!(word(standing.state), first);
    }

    fn unit(name: &str, active_state: &str) -> Unit {
        Unit { name: name.to_owned(), active_state: active_state.to_owned(), ..Unit::default() }
    }

    fn temperature(celsius: f64, critical_celsius: Option<f64>) -> Temperature {
        Temperature { name: "tj".to_owned(), celsius, critical_celsius, ..Temperature::default() }
    }

    #[test]
    fn a_node_without_trouble_is_well() {
        check(|_| {}, &[]);
        check(|s| s.units = vec![unit("reelmill-agent.service", "inactive")], &[]);
        check(|s| s.temperatures = vec![temperature(88.9, Some(99.0)), temperature(89.9, None)], &[]);
        check(|s| s.drives = vec![Drive { state: Some("live".to_owned()), ..Drive::default() }], &[]);
        check(|s| s.disks = vec![Disk { total_bytes: 1000, available_bytes: 50, ..Disk::default() }], &[]);
        check(|s| s.disks = vec![Disk { total_bytes: 1000, read_only: true, ..Disk::default() }], &[]);
        let plenty = Disk { total_bytes: 4_000_000_000_000, available_bytes: PLENTY_BYTES, ..Disk::default() };
        check(|s| s.disks = vec![plenty], &[]);
    }

    #[test]
    fn heat_is_told_by_parts_and_by_what_slows_down() {
        check(
            |s| s.temperatures = vec![temperature(89.0, Some(99.0))],
            &["hot: tj is at 89.0 °C, and the limit is 99 °C"],
        );
        check(|s| s.temperatures = vec![temperature(90.0, None), temperature(20.0, None)], &["hot: tj is at 90.0 °C"]);
        check(
            |s| s.temperatures = vec![temperature(90.0, None), temperature(95.0, Some(99.0))],
            &["hot: tj is at 95.0 °C, and the limit is 99 °C; hot as well: tj"],
        );
        let gpu = |temperature_celsius, throttled| Gpu {
            name: "NVIDIA L4".to_owned(),
            temperature_celsius,
            throttled: Some(throttled),
            ..Gpu::default()
        };
        check(
            |s| s.gpus = vec![gpu(Some(85.0), vec![ThrottleReason::SoftwareThermal])],
            &["hot: NVIDIA L4 runs slower because it is hot"],
        );
        check(
            |s| s.gpus = vec![gpu(Some(91.0), vec![ThrottleReason::SoftwarePower])],
            &["hot: NVIDIA L4 is at 91.0 °C"],
        );
    }

    #[test]
    fn the_hot_parts_are_named_for_whoever_lists_temperatures() {
        let part =
            |name: &str, celsius, critical| Temperature { name: name.to_owned(), ..temperature(celsius, critical) };
        let gpu = |celsius| Gpu { name: "L4".to_owned(), temperature_celsius: Some(celsius), ..Gpu::default() };
        let snapshot = Snapshot {
            temperatures: vec![part("cpu", 89.9, None), part("tj", 90.0, Some(99.0)), part("soc", 88.0, Some(99.0))],
            gpus: vec![gpu(95.0), gpu(40.0)],
            ..Snapshot::default()
        };
        assert_eq!(Standing::of(&snapshot).hot, ["L4", "tj"]);
        assert_eq!(Standing::of(&Snapshot::default()).hot, Vec::<String>::new());
    }

    #[test]
    fn the_worker_and_its_units_are_judged() {
        let silent = |active_state: &'static str| {
            move |s: &mut Snapshot| {
                s.units = vec![unit("reelmill-worker.service", active_state)];
                s.worker = None;
            }
        };
        check(silent("inactive"), &["drained: reelmill-worker.service is stopped and takes no tasks"]);
        check(silent("active"), &["unwell: reelmill-worker.service runs and does not answer"]);
        check(silent("activating"), &[]);
        check(|s| s.worker = None, &["drained: no worker answers on this node, so it takes no tasks"]);
        check(
            |s| s.worker = Some(worker("draining")),
            &["draining: the worker takes no more tasks; nothing is left to finish"],
        );
        let failed = Unit { result: Some("exit-code".to_owned()), ..unit("reelmill-batch-7.service", "failed") };
        check(|s| s.units = vec![failed], &["unwell: reelmill-batch-7.service has failed: exit-code"]);
    }

    #[test]
    fn storage_that_fails_or_fills_up_is_told() {
        check(
            |s| {
                s.disks = vec![Disk {
                    mount: "/".to_owned(),
                    total_bytes: 100_000_000_000,
                    available_bytes: 1_230_000_000,
                    ..Disk::default()
                }];
                s.drives = vec![Drive {
                    name: "nvme0".to_owned(),
                    state: Some("dead".to_owned()),
                    spare_low: Some(true),
                    filesystem_errors: Some(2),
                    ..Drive::default()
                }];
            },
            &[
                "unwell: only 1.2 GB are left on /",
                "unwell: the drive nvme0 is dead",
                "unwell: the drive nvme0 runs out of spare blocks",
                "unwell: 2 errors of file systems on nvme0",
            ],
        );
    }

    #[test]
    fn the_weightiest_reason_gives_the_word() {
        let command = |op: &str, state: &str| LastCommand {
            op: op.to_owned(),
            state: state.to_owned(),
            phase: Some("fetch".to_owned()),
            percent: Some(42),
            ..LastCommand::default()
        };
        let lost = Broker { address: "hub:8883".to_owned(), why: Some("refused".to_owned()), ..Broker::default() };
        let farm = |farm: Farm| move |s: &mut Snapshot| s.farm = Some(farm);
        check(
            |s| {
                s.time_synchronised = Some(false);
                s.rails = vec![Rail { name: "VDD_IN".to_owned(), over_current: Some(true), ..Rail::default() }];
                s.temperatures = vec![temperature(95.0, None)];
                farm(Farm {
                    enrolment: Some(Enrolment::Enrolled),
                    broker: Some(lost),
                    last_command: Some(command("switch", "running")),
                })(s);
            },
            &[
                "switching: the command switch is running in phase fetch, 42 % done",
                "hot: tj is at 95.0 °C",
                "broker_lost: no line to the broker at hub:8883: refused",
                "well: the board slows down: more current on VDD_IN than it may draw",
                "well: no time server keeps the clock; commands that expire wait for it",
            ],
        );
        check(farm(Farm { last_command: Some(command("switch", "succeeded")), ..Farm::default() }), &[]);
        check(farm(Farm { last_command: Some(command("ping", "running")), ..Farm::default() }), &[]);
        let waiting = Enrolment::Waiting { pairing_code: None, why: Some("the token has expired".to_owned()) };
        check(
            farm(Farm { enrolment: Some(waiting), ..Farm::default() }),
            &["not_enrolled: no farm has taken this node in yet: the token has expired"],
        );
    }
}
