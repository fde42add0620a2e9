//! One message after another before the same judge: each rejection, each wait, each acceptance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::fleet::{
    Envelope, PrivateKey, Role, Text, envelope,
    state::{CommandState, Teller},
    trust::TrustedKey,
};

const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";
const OTHER: &str = "01M81B5H80000000000000000A";
const PATH: &str = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Keys 1 and 2 are operators, 3 is a release key, 5 an admin, 9 a stranger.
fn trust() -> Trust {
    let roles = [(1, Role::Operator), (2, Role::Operator), (3, Role::Release), (5, Role::Admin)];
    let trusted = roles.map(|(seed, role)| TrustedKey {
        key: key(seed).public(),
        name: Text::default(),
        roles: [role].into_iter().collect(),
    });
    Trust::new(1, 1, trusted.into()).expect("well formed")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A command of `op` with `args`, given at ten o'clock and good for an hour.
fn command(op: &str, args: &Value) -> Value {
    json!({
        "v": 1, "id": ID, "op": op, "node": "orin-3", "by": "anna", "args": args,
        "issued_at": "2026-11-22T10:00:00Z", "exp": "2026-11-22T11:00:00Z",
    })
}

fn with(mut command: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().expect("an object") {
        command[key] = value.clone();
    }
    command
}

fn sign(payload: &Value, seeds: &[u8]) -> Vec<u8> {
    let mut envelope = Envelope::unsigned(envelope::COMMAND, payload.to_string().into_bytes());
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
    envelope.to_message()
}

/// A node on a November morning.
struct Node {
    trust: Trust,
    clock: Clock,
    since: Option<Timestamp>,
    open: usize,
    ledger: BTreeMap<CommandId, Known>,
}

impl Node {
    fn new() -> Self {
        let clock = Clock::Right(time("2026-11-22T10:00:10Z"));
        Self { trust: trust(), clock, since: Some(time("2026-11-01T00:00:00Z")), open: 0, ledger: BTreeMap::new() }
    }

    fn at(clock: Clock) -> Self {
        Self { clock, ..Self::new() }
    }

    /// The node, knowing a command of `signers` with these bytes.
    fn knowing(id: &str, payload: &[u8], signers: &[u8]) -> Self {
        let id: CommandId = id.parse().expect("an id");
        let by = Teller { boot_id: "b1".to_owned(), agent: "0.1.0".to_owned() };
        let op = "reboot".parse().expect("a name");
        let sha256 = Sha256::of(payload);
        let state = State::accepted(id, op, sha256, time("2026-11-22T10:00:05Z"), &by);
        let signers = signers.iter().map(|seed| key(*seed).public().id()).collect();
        Self { ledger: BTreeMap::from([(id, Known { sha256, state, signers })]), ..Self::new() }
    }

    fn decides(&self, message: &[u8], topic: &str) -> Decision {
        let facts = Facts { toplevel: PATH.parse().ok(), conf_ver: 3, boot_id: "b1".to_owned() };
        let judge = Judge {
            node: &"orin-3".parse().expect("a node"),
            tags: &["lan".parse().expect("a tag")],
            trust: &self.trust,
            clock: self.clock,
            ledger_since: self.since,
            open: self.open,
            facts: &facts,
            known: &|id| self.ledger.get(&id).cloned(),
        };
        decide(message, &topic.parse().expect("a topic"), &judge)
    }
}

fn topic(op: &str) -> String {
    format!("reelmill/1/n/orin-3/cmd/{op}/{ID}")
}

/// A decision in a few words.
fn told(decision: &Decision) -> String {
    match decision {
        Decision::Accept(admitted) => format!("accept, signed by {}", admitted.signers.len()),
        Decision::Queue(_, wait) => format!("queue for {wait:?}"),
        Decision::Republish(state) => format!("republish {}", state.state.as_str()),
        Decision::Reject(why, tell) => format!("{} {tell:?}: {}", why.code.as_str(), why.reason),
    }
}

fn check(node: &Node, message: &[u8], topic: &str, want: &str) {
    let got = told(&node.decides(message, topic));
    assert!(got.starts_with(want), "{topic}\n  got {got}\n want {want}\n from {}", String::from_utf8_lossy(message));
}

fn reboot() -> Value {
    command("reboot", &json!({}))
}

fn switch() -> Value {
    let nar = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    command("switch", &json!({"store_path": PATH, "nar_hash": nar, "release_ctr": 7}))
}

#[test]
fn what_is_signed_by_enough_is_accepted() {
    let node = Node::new();
    check(&node, command("ping", &json!({"nonce": "x"})).to_string().as_bytes(), &topic("ping"), "accept, signed by 0");
    check(&node, &sign(&reboot(), &[1]), &topic("reboot"), "accept, signed by 1");
    check(&node, &sign(&reboot(), &[9, 5]), &topic("reboot"), "accept, signed by 1");
    check(&node, &sign(&switch(), &[1, 2]), &topic("switch"), "accept, signed by 2");
    check(&node, &sign(&switch(), &[3, 1]), &topic("switch"), "accept, signed by 2");
    let newer = with(reboot(), &json!({"note": "of a newer hub", "policy": {"force": true, "colour": "red"}}));
    check(&node, &sign(&newer, &[1]), &topic("reboot"), "accept");
}

#[test]
fn what_nobody_vouches_for_takes_no_id() {
    let node = Node::new();
    let on = |payload: Value, want: &str| check(&node, &sign(&payload, &[1]), &topic("reboot"), want);
    check(&node, reboot().to_string().as_bytes(), &topic("reboot"), "bad_signature State: `reboot` must be signed");
    check(&node, &sign(&reboot(), &[]), &topic("reboot"), "bad_signature State: no signature is true");
    check(&node, &sign(&reboot(), &[9]), &topic("reboot"), "bad_signature State: no signature is true");
    check(&node, &sign(&reboot(), &[3]), &topic("reboot"), "unauthorized State: no operator signed it");
    check(&node, &sign(&switch(), &[1]), &topic("switch"), "unauthorized State: it needs the signatures of two");
    check(&node, &sign(&switch(), &[3]), &topic("switch"), "unauthorized State");
    check(&node, b"", &topic("reboot"), "malformed State");
    check(&node, b"{\"v\":1", &topic("reboot"), "malformed State");
    check(&node, &vec![b' '; 32 * 1024 + 1], &topic("reboot"), "too_large State");
    on(with(reboot(), &json!({"v": 2})), "unsupported_version State: version 2");
    on(with(reboot(), &json!({"op": "shell"})), "unknown_op State");
    on(with(reboot(), &json!({"crit": ["policy.colour"]})), "unknown_crit State: `policy.colour` is critical");
    on(with(reboot(), &json!({"crit": ["op", "args.kexec"]})), "unknown_crit State: `args.kexec`");
    on(with(reboot(), &json!({"expect": {"moon": "full"}})), "unknown_crit State: `expect.moon`");
    on(with(reboot(), &json!({"node": "orin-4"})), "wrong_node State: it is for `orin-4`, and this is `orin-3`");
    on(with(reboot(), &json!({"id": OTHER})), "malformed State: the topic is of another command");
    on(with(reboot(), &json!({"exp": "2026-12-22T10:00:01Z"})), "malformed State: exp is more than 30 days");
    on(with(reboot(), &json!({"exp": "2026-11-22T10:00:00Z"})), "malformed State: exp is not after issued_at");
    on(with(reboot(), &json!({"not_before": "2026-11-22T12:00:00Z"})), "malformed State: not_before is after exp");
    on(with(reboot(), &json!({"exp": null})), "malformed State");
    on(with(reboot(), &json!({"ttl_s": 0})), "malformed State");
    check(&node, &sign(&reboot(), &[1]), &topic("undrain"), "malformed State: the topic is of another command");
    let poweroff = command("poweroff", &json!({"confirm": "orin-4"}));
    check(&node, &sign(&poweroff, &[1, 2]), &topic("poweroff"), "malformed State: confirm is not the name");
}

#[test]
fn known_critical_fields_are_no_hindrance() {
    let crit = json!({"crit": ["op", "policy.window", "args.mode", "exp", "args.verify.encode"]});
    check(&Node::new(), &sign(&with(switch(), &crit), &[1, 2]), &topic("switch"), "accept");
}

#[test]
fn a_command_is_done_once() {
    let node = Node::knowing(ID, reboot().to_string().as_bytes(), &[1]);
    check(&node, &sign(&reboot(), &[1]), &topic("reboot"), "republish accepted");
    check(&node, &sign(&reboot(), &[1, 2]), &topic("reboot"), "republish accepted");
    check(&node, &sign(&reboot(), &[]), &topic("reboot"), "republish accepted");
    let other = with(reboot(), &json!({"by": "ben"}));
    check(&node, &sign(&other, &[1]), &topic("reboot"), "id_conflict Event: another command has this id");
    // A forgery must not speak for the true command.
    check(&node, &sign(&other, &[9]), &topic("reboot"), "bad_signature Event");
    check(&node, b"{", &topic("reboot"), "malformed Event");
    let late = Node { clock: Clock::Right(time("2026-11-23T10:00:00Z")), ..node };
    check(&late, &sign(&reboot(), &[1]), &topic("reboot"), "republish accepted");
}

#[test]
fn time_is_judged_by_a_clock_that_is_right() {
    let right = |text: &str| Node::at(Clock::Right(time(text)));
    let on = |node: &Node, want: &str| check(node, &sign(&reboot(), &[1]), &topic("reboot"), want);
    on(&right("2026-11-22T11:00:00Z"), "accept");
    on(&right("2026-11-22T11:00:00.001Z"), "expired Record: it could start until 2026-11-22T11:00:00Z");
    on(&right("2026-11-22T09:55:00Z"), "accept");
    on(&right("2026-11-22T09:54:59Z"), "issued_in_future Record");
    on(&Node::at(Clock::Unsure(None)), "queue for Clock");
    on(&Node::at(Clock::Unsure(Some(time("2026-11-22T11:00:00Z")))), "queue for Clock");
    on(&Node::at(Clock::Unsure(Some(time("2026-11-22T11:00:01Z")))), "expired Record");
    let later = sign(&with(reboot(), &json!({"not_before": "2026-11-22T10:30:00Z"})), &[1]);
    check(&Node::new(), &later, &topic("reboot"), "queue for Window");
    check(&right("2026-11-22T10:30:00Z"), &later, &topic("reboot"), "accept");
    let ping = command("ping", &json!({})).to_string();
    check(&Node::at(Clock::Unsure(None)), ping.as_bytes(), &topic("ping"), "accept");
    check(&right("2026-11-22T12:00:00Z"), ping.as_bytes(), &topic("ping"), "expired Record");
}

#[test]
fn what_only_the_node_knows_is_judged_last() {
    let node = Node::new();
    let expecting = |expect: &Value| sign(&with(reboot(), &json!({"expect": expect})), &[1]);
    check(&node, &expecting(&json!({"toplevel": PATH, "conf_ver": 3, "boot_id": "b1"})), &topic("reboot"), "accept");
    let other = PATH.replace("26.05", "25.11");
    check(&node, &expecting(&json!({"toplevel": other})), &topic("reboot"), "precondition Record: the running system");
    check(
        &node,
        &expecting(&json!({"conf_ver": 2})),
        &topic("reboot"),
        "precondition Record: the version of the settings",
    );
    check(&node, &expecting(&json!({"boot_id": "b0"})), &topic("reboot"), "precondition Record: the boot");
    // A forgery learns nothing of the node.
    check(&node, &sign(&with(reboot(), &json!({"expect": {"conf_ver": 2}})), &[9]), &topic("reboot"), "bad_signature");

    let new = Node { since: Some(time("2026-11-22T10:00:01Z")), ..Node::new() };
    check(&new, &sign(&reboot(), &[1]), &topic("reboot"), "before_enrolment Record");
    check(&new, command("status", &json!({})).to_string().as_bytes(), &topic("status"), "accept");

    let full = Node { open: 64, ..Node::new() };
    check(&full, &sign(&reboot(), &[1]), &topic("reboot"), "too_many_open Record: 64 commands are open");
    check(&full, command("ping", &json!({})).to_string().as_bytes(), &topic("ping"), "accept");
    check(&full, &sign(&command("cancel", &json!({"target": OTHER})), &[1]), &topic("cancel"), "accept");
    check(&Node { open: 63, ..Node::new() }, &sign(&reboot(), &[1]), &topic("reboot"), "accept");
}

#[test]
fn only_who_gave_a_command_or_an_admin_calls_it_off() {
    let cancel = command("cancel", &json!({"target": OTHER}));
    let node = Node::knowing(OTHER, b"the target", &[1, 3]);
    check(&node, &sign(&cancel, &[1]), &topic("cancel"), "accept");
    check(&node, &sign(&cancel, &[2]), &topic("cancel"), "unauthorized Record: only who gave the command");
    check(&node, &sign(&cancel, &[2, 1]), &topic("cancel"), "accept");
    check(&node, &sign(&cancel, &[5]), &topic("cancel"), "accept");
    check(&Node::knowing(OTHER, b"unsigned", &[]), &sign(&cancel, &[2]), &topic("cancel"), "accept");
    check(&Node::new(), &sign(&cancel, &[2]), &topic("cancel"), "accept");
}

#[test]
fn a_new_trust_document_is_looked_at_before_it_is_taken() {
    let next = Trust::new(2, 1, trust().keys().to_vec()).expect("well formed").to_payload();
    let on = |payload: Vec<u8>, admins: &[u8], want: &str| {
        let mut document = Envelope::unsigned(envelope::TRUST, payload);
        admins.iter().for_each(|seed| document.sign(&key(*seed)).expect("each once"));
        let trust = command("trust", &json!({ "document": document }));
        check(&Node::new(), &sign(&trust, &[1, 2]), &topic("trust"), want);
    };
    on(next.clone(), &[5], "accept");
    on(next, &[1, 2], "bad_trust Record: 0 of the 1 admin keys");
    on(trust().to_payload(), &[5], "bad_trust Record: number 1 is not above the present 1");
}

#[test]
fn a_group_hears_only_what_needs_no_signature() {
    let group = |op: &str, tag: &str| format!("reelmill/1/g/{tag}/cmd/{op}/{ID}");
    let to = |payload: Value, to: &str| with(payload, &json!({ "node": to }));
    let ping = to(command("ping", &json!({})), "@lan").to_string();
    check(&Node::new(), ping.as_bytes(), &group("ping", "lan"), "accept");
    check(&Node::new(), ping.as_bytes(), &group("ping", "mesh"), "wrong_node Event");
    check(&Node::new(), ping.as_bytes(), &topic("ping"), "wrong_node State");
    check(&Node::new(), command("ping", &json!({})).to_string().as_bytes(), &group("ping", "lan"), "wrong_node Event");
    check(&Node::new(), &sign(&to(reboot(), "@lan"), &[1, 2]), &group("reboot", "lan"), "unauthorized Event");
    let elsewhere = topic("reboot").replace("orin-3", "orin-4");
    check(&Node::new(), &sign(&reboot(), &[1]), &elsewhere, "wrong_node Event");
    check(&Node::new(), b"{}", "reelmill/1/n/orin-3/health", "malformed Event");
}

#[test]
fn a_hub_without_keys_gives_what_a_rollout_says_and_nothing_else() {
    let Value::Object(switch) = switch() else { panic!("an object") };
    let rollout = json!({
        "v": 1, "id": OTHER, "by": "anna", "to": {"tag": "lan"},
        "issued_at": "2026-11-22T10:00:00Z", "exp": "2026-11-22T11:00:00Z",
        "op": "switch", "args": switch["args"], "waves": {"max_per_min": 4, "max_unavailable": 2, "success_pct": 90},
    });
    let document = |seeds: &[u8], rollout: &Value| {
        let mut envelope = Rollout::parse(rollout.to_string().as_bytes()).expect("a rollout").to_envelope();
        seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
        envelope
    };
    let on = |document: &Envelope, change: fn(&mut Command), want: &str| {
        let rollout = Rollout::in_envelope(document).expect("a rollout");
        let mut command = rollout.command(&"orin-3".parse().expect("a node"), document);
        change(&mut command);
        let topic = format!("reelmill/1/n/orin-3/cmd/{}/{}", command.op.as_str(), command.id);
        check(&Node::new(), &command.to_payload(), &topic, want);
    };
    let signed = document(&[1, 2], &rollout);
    on(&signed, |_| {}, "accept, signed by 2");
    on(&document(&[1], &rollout), |_| {}, "unauthorized State: it needs the signatures of two");
    on(&document(&[9], &rollout), |_| {}, "bad_signature State");
    on(&signed, |c| c.rollout_doc = None, "bad_signature State: `switch` must be signed");
    on(&signed, |c| c.id = ID.parse().expect("an id"), "wrong_rollout State: the command's id");
    on(&signed, |c| c.policy.force = true, "wrong_rollout State: the rollout has another policy");
    on(&signed, |c| c.op = Op::Undrain(crate::fleet::args::Nothing {}), "wrong_rollout State: the rollout tells");
    on(&signed, |c| c.exp = c.exp.checked_add(CLOCK_SKEW).expect("a time"), "wrong_rollout State");
    on(&document(&[1, 2], &with(rollout.clone(), &json!({"to": {"tag": "mesh"}}))), |_| {}, "wrong_rollout State");
    let command_as_rollout = Envelope::parse(&sign(&reboot(), &[1, 2])).expect("an envelope");
    let mut command = Rollout::parse(rollout.to_string().as_bytes())
        .expect("a rollout")
        .command(&"orin-3".parse().expect("a node"), &command_as_rollout);
    command.rollout_doc = Some(command_as_rollout);
    let topic = format!("reelmill/1/n/orin-3/cmd/switch/{}", command.id);
    check(&Node::new(), &command.to_payload(), &topic, "malformed State: the envelope holds");
}

#[test]
fn an_accepted_command_leads_to_a_state() {
    let Decision::Reject(why, Tell::State) = Node::new().decides(b"{}", &topic("reboot")) else { panic!("malformed") };
    let by = Teller { boot_id: "b1".to_owned(), agent: "0.1.0".to_owned() };
    let (id, op) = (ID.parse().expect("an id"), "reboot".parse().expect("a name"));
    let refused = State::refused(id, op, &why, false, time("2026-11-22T10:00:10Z"), &by);
    assert_eq!((refused.seq, refused.state), (0, CommandState::Rejected));
    assert_eq!(refused.error.map(|fault| (fault.code, fault.retry)), Some(("malformed".to_owned(), false)));
}
