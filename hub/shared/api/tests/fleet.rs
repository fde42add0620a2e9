//! What crosses the fleet's broker, byte for byte. A change here is a change of protocol and gets a decision record.

mod golden;

use golden::check;
use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    fleet::{
        Command, CommandState, Envelope, PrivateKey, Role, Rollout, State, Text, Trust, envelope,
        event::NodeEvent,
        health::{Capabilities, Health, Heartbeat},
        moves::Event,
        op::Op,
        reject::{Code, Rejection},
        state::{Fault, Phase, Teller, Wait},
        topic::EventKind,
        trust::TrustedKey,
    },
};
use serde_json::{Value, json};

const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";
const PATH: &str = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";
const NAR: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn at(seconds: i64) -> Timestamp {
    let ten: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
    ten.checked_add(SignedDuration::from_secs(seconds)).expect("a time")
}

fn teller() -> Teller {
    Teller { boot_id: "6f1c0f0e-6d5c-4c39-9f0a-4be6a1ab9a55".to_owned(), agent: "0.1.0".to_owned() }
}

fn trust() -> Trust {
    let roles = [(1, "anna", Role::Operator), (3, "the build farm", Role::Release), (5, "the safe", Role::Admin)];
    let keys = roles.map(|(seed, name, role)| TrustedKey {
        key: key(seed).public(),
        name: Text::cut(name),
        roles: [role].into_iter().collect(),
    });
    Trust::new(3, 1, keys.into()).expect("well formed")
}

fn command(op: &str, args: &Value) -> Command {
    let command = json!({
        "v": 1, "id": ID, "op": op, "node": "orin-3", "by": "anna", "args": args,
        "issued_at": "2026-11-22T10:00:00Z", "exp": "2026-11-22T11:00:00Z",
    });
    Command::parse(command.to_string().as_bytes()).unwrap_or_else(|e| panic!("{op}: {e}"))
}

fn rollout() -> Rollout {
    let rollout = json!({
        "v": 1, "id": "01M81B5H80000000000000000A", "by": "anna", "reason": "26.05.2", "seed": "november",
        "issued_at": "2026-11-22T10:00:00Z", "not_before": "2026-11-22T20:00:00Z", "exp": "2026-11-23T06:00:00Z",
        "to": {"nodes": ["orin-3", "orin-4"]}, "op": "switch", "ttl_s": 3600, "crit": ["args.mode"],
        "args": {"store_path": PATH, "nar_hash": NAR, "release_ctr": 42},
        "policy": {"window": "next", "drain": "deadline", "drain_s": 1800},
        "waves": {
            "canaries": 1, "soak_s": 600, "max_per_min": 4, "max_unavailable": 2, "success_pct": 95,
            "abort": [{"state": "rolled_back", "min_executed": 1, "pct": 1}, {"min_executed": 10, "pct": 20}],
        },
    });
    Rollout::parse(rollout.to_string().as_bytes()).expect("a rollout")
}

fn new_trust() -> Envelope {
    let mut document = Envelope::unsigned(envelope::TRUST, trust().to_payload());
    document.sign(&key(5)).expect("not yet");
    document
}

#[test]
fn one_command_of_each_operation() {
    let switch = json!({
        "store_path": PATH, "nar_hash": NAR, "release_ctr": 42, "mode": "boot",
        "verify": {"timeout_s": 300, "encode": false, "gpu": true},
        "provenance": {"flake": "github:reelmill/reelmill", "rev": "0123abc"},
    });
    let conf =
        json!({"ver": 4, "preset": ["hls-ladder"], "concurrency": 2, "limits": {"memory_mib": 4096, "stall_s": 90}});
    let batch = json!({"queue": "night", "presets": ["archive-prores"], "concurrency": 1, "limit_s": 7200});
    let commands: Vec<Command> = [
        ("ping", json!({"nonce": "7f3c"})),
        ("status", json!({"docs": ["os", "worker", "hw", "net", "conf"]})),
        ("diag", json!({"since": "2026-11-22T09:00:00Z", "units": ["reelmill-worker.service"], "upload": "https://s3/d?s=1"})),
        ("logs-tail", json!({"unit": "reelmill-worker@1.service", "lines": 500, "ttl_s": 300})),
        ("self-test", json!({"preset": "hls-ladder", "seconds": 20})),
        ("tags", json!({"add": ["lan"], "del": ["mesh"]})),
        ("drain", json!({"deadline_s": 600, "mode": "abort"})),
        ("undrain", json!({})),
        ("restart-worker", json!({"slot": 0})),
        ("batch", batch),
        ("set-conf", conf),
        ("power-mode", json!({"mode": "MAXN_SUPER"})),
        ("reboot", json!({})),
        ("poweroff", json!({"confirm": "orin-3"})),
        ("cancel", json!({"target": "01M81B5H80000000000000000A"})),
        ("rotate-cred", json!({"which": "node-cert"})),
        ("switch", switch),
        ("rollback", json!({"to": "previous"})),
        ("rollback", json!({"to": 41})),
        ("firmware", json!({"capsule": format!("{PATH}/share/TEGRA_BL.Cap"), "l4t": "36.4.3"})),
        ("trust", json!({"document": new_trust()})),
        ("factory-reset", json!({"keep_identity": true})),
    ]
    .iter()
    .map(|(op, args)| {
        let command = command(op, args);
        assert_eq!(&command.op.args(), args, "{op} keeps all that it is told");
        command
    })
    .collect();
    let missing: Vec<_> = Op::NAMES.iter().filter(|name| !commands.iter().any(|c| c.op.as_str() == **name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    check("fleet/commands.json", &commands);
}

#[test]
fn commands_envelopes_and_documents() {
    let full = json!({
        "v": 1, "id": ID, "op": "reboot", "node": "orin-3", "issued_at": "2026-11-22T10:00:00Z",
        "not_before": "2026-11-22T10:30:00Z", "exp": "2026-11-22T11:00:00Z", "ttl_s": 900, "by": "anna",
        "reason": "a new kernel", "rollout": "01M81B5H80000000000000000A",
        "policy": {"window": "now", "drain": "skip", "drain_s": 0, "force": true, "dry_run": true},
        "expect": {"toplevel": PATH, "conf_ver": 3, "boot_id": teller().boot_id}, "args": {}, "crit": ["expect.boot_id"],
    });
    let full = Command::parse(full.to_string().as_bytes()).expect("a command");
    check("fleet/command.json", &full);
    let mut envelope = full.to_envelope();
    for seed in [1, 3] {
        envelope.sign(&key(seed)).expect("not yet");
    }
    check("fleet/envelope.json", &envelope);
    check("fleet/trust.json", &trust());
    check("fleet/rollout.json", &rollout());
    let node: NodeId = "orin-3".parse().expect("a node");
    let mut signed = rollout().to_envelope();
    signed.sign(&key(1)).expect("not yet");
    check("fleet/rollout-command.json", &rollout().command(&node, &signed));
    assert_eq!([rollout().place(&node), rollout().place(&"orin-4".parse().expect("a node"))], [542, 941]);
}

/// What a node tells of a switch that went wrong, from its first word to its last.
fn states() -> Vec<State> {
    let command = command("switch", &json!({"store_path": PATH, "nar_hash": NAR, "release_ctr": 42}));
    let sha256 = command.to_envelope().payload_sha256();
    let mut states = vec![State::accepted(command.id, command.op.name(), sha256, at(1), &teller())];
    let unwell = Fault::new("worker_unwell", false, "the worker's unit is failed since 12 s");
    let life = [
        (2, Event::Wait(Wait::Clock)),
        (5, Event::Wait(Wait::Busy)),
        (60, Event::Begin(Phase::Preflight)),
        (61, Event::Enter(Phase::Fetch)),
        (70, Event::Progress(42)),
        (90, Event::Enter(Phase::Activate)),
        (91, Event::Reboot),
        (150, Event::Booted),
        (300, Event::Undo(unwell)),
        (310, Event::RollBack),
    ];
    for (second, event) in life {
        let (next, _) = states[states.len() - 1].after(event, at(second), &teller()).expect("allowed");
        states.push(next);
    }
    let log = Some(format!("journal://reelmill-switch-{ID}/cursor"));
    states
        .into_iter()
        .map(|state| State { log_ref: log.clone().filter(|_| state.started.is_some()), ..state })
        .collect()
}

#[test]
fn states_of_commands() {
    check("fleet/states.json", &states());
    let why = Rejection::new(Code::UnknownOp, "there is no operation `shell`");
    let (id, op) = (ID.parse().expect("an id"), "shell".parse().expect("a name"));
    check("fleet/state-refused.json", &State::refused(id, op, &why, false, at(1), &teller()));
}

#[test]
fn a_state_too_large_for_the_broker_leaves_its_result_out() {
    let mut state = states().pop().expect("some");
    state.result.insert("log".to_owned(), Value::from("x".repeat(16 * 1024)));
    let read = State::parse(&state.to_payload()).expect("small enough");
    assert_eq!(Value::from(read.result.clone()), json!({"too_large": true}));
    assert_eq!(State { result: state.result.clone(), ..read }, state);
    let too_large = serde_json::to_vec(&state).expect("JSON");
    assert_eq!(State::parse(&too_large).map_err(|r| r.code), Err(Code::TooLarge));
    assert_eq!(State::parse(br#"{"v":3}"#).map_err(|r| r.code), Err(Code::UnsupportedVersion));
    assert_eq!(state.state, CommandState::RolledBack);
}

#[test]
fn what_a_node_tells_of_itself() {
    let degraded = Health::there("9b1e7c3a", at(0), vec!["the worker is not running".to_owned()]);
    check("fleet/health.json", &vec![Health::there("9b1e7c3a", at(0), vec![]), degraded, Health::will("9b1e7c3a")]);
    let tags = vec!["lan".parse().expect("a tag")];
    check("fleet/capabilities.json", &Capabilities::of("0.1.0", tags, &["firmware", "power-mode"]));
    let beat = Heartbeat {
        v: 1,
        t: at(0),
        up_s: 86_400,
        cpu_pct: Some(12.5),
        mem_pct: Some(40.0),
        disk_pct: Some(61.5),
        temp_c: Some(54.25),
        power_w: Some(11.5),
        gpu_pct: Some(3.0),
        enc_pct: Some(70.0),
        dec_pct: None,
        tasks: Some(1),
    };
    check("fleet/heartbeat.json", &beat);
    let why = Rejection::new(Code::IdConflict, "another command has this id");
    let crash = NodeEvent::new(EventKind::WorkerCrash, "reelmill-worker.service failed: signal SEGV", at(0), &teller());
    check("fleet/events.json", &vec![NodeEvent::refused(ID.parse().expect("an id"), &why, at(0), &teller()), crash]);
}
