//! A node in memory: a disk, a machine that can be cut from power, a broker, and deeds that end when they are told to.

mod commands;
mod conformance;
mod deaths;
mod stages;

use std::collections::BTreeMap;

use reelmill_api::fleet::{
    Class, Command, Envelope, Op, PrivateKey, Role,
    command::{Addressee, Policy},
    envelope,
    state::{Fault, Phase},
    trust::TrustedKey,
};
use serde_json::{Map, Value, json};

use super::*;
use crate::{deeds::Undone, exec::wire};

/// The operations whose deeds exist; those that the core does by itself come on top.
pub(super) const ABLE: [&str; 21] = [
    "ping",
    "status",
    "cancel",
    "tags",
    "drain",
    "undrain",
    "restart-worker",
    "logs-tail",
    "self-test",
    "reboot",
    "poweroff",
    "power-mode",
    "batch",
    "switch",
    "rollback",
    "firmware",
    "set-conf",
    "trust",
    "factory-reset",
    "rotate-cred",
    "diag",
];
/// The middle of the day on which all this happens.
pub(super) const NOON: i64 = 1_795_348_800;

/// A node, with what survives a death and what does not.
pub(super) struct Sim {
    pub(super) core: Core,
    pub(super) disk: Vec<Record>,
    /// All that was published, in its order.
    pub(super) told: Vec<State>,
    pub(super) answers: Vec<State>,
    pub(super) refused: Vec<String>,
    pub(super) cleared: Vec<CommandId>,
    /// All deeds that were begun.
    pub(super) deeds: Vec<Deed>,
    /// Those that still run, and whether they were asked to end.
    pub(super) running: BTreeMap<CommandId, (Deed, bool)>,
    pub(super) now: Now,
    pub(super) boot: u32,
    pub(super) around: Around,
    /// Parts that were done, in their order.
    pub(super) parts: Vec<(CommandId, Phase)>,
    /// What happened, as the node told it.
    pub(super) events: Vec<NodeEvent>,
    /// Whether new systems come by a boot.
    pub(super) by_boot: bool,
    /// Whether the node is unwell after a change.
    pub(super) unwell: bool,
    /// How often the machine went down because a command said so.
    pub(super) descents: usize,
    /// How many effects are still carried out before the agent dies.
    pub(super) lives: Option<usize>,
    /// What lies on command topics.
    pub(super) retained: BTreeMap<CommandId, (Topic, Vec<u8>)>,
}

pub(super) fn node() -> NodeId {
    "orin-3".parse().expect("a node")
}

pub(super) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Keys 1 and 2 are operators, key 3 is an admin, and nobody knows key 9.
pub(super) fn trust() -> Trust {
    let roles = [(1, Role::Operator), (2, Role::Operator), (3, Role::Admin)];
    let key = |(seed, role): (u8, Role)| TrustedKey {
        key: key(seed).public(),
        name: format!("key {seed}").parse().expect("a name"),
        roles: [role].into(),
    };
    Trust::new(1, 1, roles.map(key).into()).expect("well formed")
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOON + seconds).expect("a time")
}

/// The command with this number: given at noon, valid for an hour.
pub(super) fn command(n: u8, op: &str, args: &Value) -> Command {
    Command {
        id: CommandId::new(at(i64::from(n)), [n; 10]),
        op: Op::parse(&op.parse().expect("a name"), args.clone()).expect("an operation"),
        node: Addressee::Node(node()),
        issued_at: at(0),
        not_before: None,
        exp: at(3600),
        ttl_s: None,
        by: "anna".parse().expect("a name"),
        reason: None,
        rollout: None,
        rollout_doc: None,
        policy: Policy::default(),
        expect: reelmill_api::fleet::command::Expect::default(),
        crit: Vec::new(),
    }
}

pub(super) fn topic(command: &Command) -> Topic {
    Topic::Command(node(), command.op.name(), command.id)
}

pub(super) fn signed(command: &Command, seeds: &[u8]) -> Vec<u8> {
    if seeds.is_empty() {
        return command.to_payload();
    }
    let mut envelope = command.to_envelope();
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
    envelope.to_message()
}

fn own(boot: u32) -> Own {
    Own {
        node: node(),
        teller: Teller { boot_id: format!("boot-{boot}"), agent: "0.1.0".to_owned() },
        trust: trust(),
        enrolled_at: Some(at(-86_400)),
        able: ABLE.into(),
    }
}

impl Sim {
    /// A node that has just started and has heard all that its broker kept: nothing.
    pub(super) fn new() -> Self {
        let mut sim = Self::asleep();
        sim.happen(Event::Settled);
        sim
    }

    /// A node that has not reached its broker yet.
    pub(super) fn asleep() -> Self {
        let facts = Facts { boot_id: "boot-1".into(), ..Facts::default() };
        let around = Around { window_open: true, facts, gpu: true, ..Around::default() };
        Self {
            core: Core::new(own(1), Memory::default(), around.clone()),
            disk: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
            refused: Vec::new(),
            cleared: Vec::new(),
            deeds: Vec::new(),
            running: BTreeMap::new(),
            now: Now { wall: at(60), synchronised: true, up: Duration::from_secs(60) },
            boot: 1,
            around,
            parts: Vec::new(),
            events: Vec::new(),
            by_boot: false,
            unwell: false,
            descents: 0,
            lives: None,
            retained: BTreeMap::new(),
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        for effect in self.core.step(&self.now, event) {
            if self.lives == Some(0) {
                return;
            }
            self.lives = self.lives.map(|lives| lives - 1);
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Write(record) => self.disk.push(record),
            Effect::Publish(state) => self.publish(*state),
            Effect::Clear(id) => self.cleared.push(id),
            Effect::Tell(event) => {
                self.refused.extend(event.code.map(|code| code.as_str().to_owned()));
                self.events.push(*event);
            }
            Effect::Answer(_, state) => self.answers.push(*state),
            Effect::Report(_) => {}
            Effect::Begin(id, deed) => {
                if let Deed::Part { phase, .. } = &deed {
                    self.must_be_next(id, *phase);
                }
                self.deeds.push(deed.clone());
                let before = self.running.insert(id, (deed, false));
                assert_eq!(before, None, "two things at once for one command");
            }
            Effect::Stop(id) => self.running.get_mut(&id).expect("only what runs is stopped").1 = true,
        }
    }

    /// The root helper takes parts in their order, none after the end, and undoing at any time before that.
    fn must_be_next(&self, id: CommandId, phase: Phase) {
        let command = self.core.memory.entries[&id].command.as_ref().expect("there is something to do for it");
        let all = wire::parts(&command.op);
        let done: Vec<Phase> = self.parts_of(id);
        if phase == Phase::Undo {
            return;
        }
        assert!(!done.contains(&Phase::Undo), "{phase:?} after it was undone: {done:?}");
        let at = all.iter().position(|part| *part == phase).expect("a part of the helper's");
        let last = done.last().and_then(|last| all.iter().position(|part| part == last));
        assert!(at == last.map_or(0, |last| last + 1) || last == Some(at), "{phase:?} after {done:?}");
    }

    /// The parts of a command that were done, in their order.
    pub(super) fn parts_of(&self, id: CommandId) -> Vec<Phase> {
        self.parts.iter().filter(|(of, _)| *of == id).map(|(_, phase)| *phase).collect()
    }

    /// Whatever is told of a command that is remembered is on the disk, and never takes back what was told before.
    fn publish(&mut self, state: State) {
        let memory = Memory::of(self.disk.clone());
        if let Some(entry) = memory.entries.get(&state.id) {
            assert_eq!(entry.state, state, "told before it was written");
        }
        if let Some(last) = self.told.iter().rfind(|told| told.id == state.id && told.seq > 0) {
            assert!(last.seq < state.seq || *last == state, "{last:?} then {state:?}");
            assert!(!last.state.is_final() || *last == state || state.seq == 0, "{last:?} was the end");
        }
        self.told.push(state);
    }

    /// Whether the agent has died.
    pub(super) fn is_dead(&self) -> bool {
        self.lives == Some(0)
    }

    /// A message on a command's topic, which the broker keeps.
    pub(super) fn send(&mut self, command: &Command, seeds: &[u8]) {
        self.send_bytes(topic(command), signed(command, seeds));
    }

    pub(super) fn send_bytes(&mut self, topic: Topic, payload: Vec<u8>) {
        let Topic::Command(_, _, id) = &topic else { panic!("a command's topic") };
        self.retained.insert(*id, (topic.clone(), payload.clone()));
        self.happen(Event::Message { topic, payload, reply: None });
    }

    /// Time goes by.
    pub(super) fn pass(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time");
        self.now.up += Duration::from_secs(seconds.unsigned_abs());
        self.happen(Event::Tick);
    }

    /// The deed of a command ends. A machine that is told to go down does.
    pub(super) fn finish(&mut self, id: CommandId, outcome: Outcome) {
        let (deed, stopped) = self.running.remove(&id).expect("it runs");
        let down = matches!(&deed, Deed::Perform { op: Op::Reboot(_) | Op::Poweroff(_), .. }) && outcome.is_ok();
        if down && !stopped {
            self.descents += 1;
            return self.restart(true);
        }
        if outcome.is_ok() || stopped {
            self.helper_did(id, &deed);
        }
        let outcome = if stopped { Err(Undone::for_now("stopped", "it was asked to end")) } else { outcome };
        self.happen(Event::Done(id, outcome));
    }

    /// What the root helper has done of a command: a change goes on to its end whoever has gone away.
    fn helper_did(&mut self, id: CommandId, deed: &Deed) {
        match deed {
            Deed::Part { phase, .. } => self.parts.push((id, *phase)),
            // Asked to put back what it holds, it has nothing more of it then.
            Deed::CleanUp { order: Some(_), .. } => self.parts.push((id, Phase::Undo)),
            _ => {}
        }
    }

    /// What a deed comes to on a node that is well, or is not.
    fn usual(&self, id: CommandId) -> Outcome {
        let boot = || Map::from_iter([("boot".to_owned(), true.into())]);
        match &self.running[&id].0 {
            Deed::Part { phase: Phase::Activate, order } => {
                Ok(if self.by_boot || matches!(order.command.op, Op::Firmware(_)) { boot() } else { done() })
            }
            Deed::Part { phase: Phase::Undo, .. } if self.parts_of(id).contains(&Phase::Commit) => {
                Err(Undone::for_good("ended", "it was confirmed"))
            }
            Deed::Verify { .. } if self.unwell => Err(Undone::for_good("unwell", "the worker is not well")),
            _ => Ok(done()),
        }
    }

    /// The deed of a command ends as it usually does.
    pub(super) fn go_on(&mut self, id: CommandId) {
        let outcome = self.usual(id);
        self.finish(id, outcome);
    }

    /// The agent dies and starts again, with the machine or alone; and the root helper has finished what it was at.
    pub(super) fn restart_late(&mut self, machine: bool) {
        let running: Vec<_> = self.running.iter().map(|(id, (deed, _))| (*id, deed.clone())).collect();
        running.iter().for_each(|(id, deed)| self.helper_did(*id, deed));
        self.restart(machine);
    }

    /// The agent dies and starts again; with the machine, or alone.
    pub(super) fn restart(&mut self, machine: bool) {
        self.boot += u32::from(machine);
        self.lives = None;
        self.running.clear();
        self.around.facts.boot_id = format!("boot-{}", self.boot);
        self.core = Core::new(own(self.boot), Memory::of(self.disk.clone()), self.around.clone());
        for (topic, payload) in self.retained.clone().into_values() {
            self.happen(Event::Message { topic, payload, reply: None });
        }
        self.happen(Event::Settled);
    }

    /// Everything that runs ends well, until nothing runs any more.
    pub(super) fn run_out(&mut self) {
        for _ in 0..50 {
            let Some(id) = self.running.keys().next().copied() else { return };
            self.go_on(id);
        }
        panic!("it never ends: {:?}", self.deeds);
    }

    pub(super) fn state(&self, id: CommandId) -> String {
        self.core.state(id).map_or_else(|| "unknown".to_owned(), show)
    }

    /// Where each message about a command said that it stands.
    pub(super) fn story(&self, id: CommandId) -> Vec<String> {
        self.told.iter().filter(|state| state.id == id).map(show).collect()
    }
}

/// What an operation may be told.
pub(super) fn args(op: &str) -> Value {
    let path = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";
    match op {
        "diag" => json!({"upload": "https://s3/put"}),
        "logs-tail" => json!({"unit": "reelmill-worker.service"}),
        "tags" => json!({"add": ["rack"]}),
        "set-conf" => json!({"ver": 2}),
        "power-mode" => json!({"mode": 1}),
        "poweroff" => json!({"confirm": "orin-3"}),
        "cancel" => json!({"target": command(9, "reboot", &json!({})).id.to_string()}),
        "rotate-cred" => json!({"which": "node-cert"}),
        "switch" => json!({
            "store_path": path,
            "nar_hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "release_ctr": 7
        }),
        "rollback" => json!({"to": "previous"}),
        "firmware" => json!({"capsule": format!("{path}/a.Cap"), "l4t": "36.4.3"}),
        "trust" => json!({"document": Envelope::unsigned(
            envelope::TRUST,
            Trust::new(2, 1, trust().keys().to_vec()).expect("well formed").to_payload(),
        )}),
        "factory-reset" => json!({"keep_identity": true}),
        _ => json!({}),
    }
}

/// The command, and as many signatures as it needs.
pub(super) fn given(op: &str) -> (Command, &'static [u8]) {
    let mut command = command(1, op, &args(op));
    if let Op::Trust(args) = &mut command.op {
        args.document.sign(&key(3)).expect("once");
    }
    let seeds: &[u8] = match command.op.class() {
        Class::Unsigned => &[],
        Class::One => &[1],
        Class::Two => &[1, 2],
    };
    (command, seeds)
}

pub(super) fn done() -> Map<String, Value> {
    json!({"done": true}).as_object().expect("an object").clone()
}

/// A state in one line.
pub(super) fn show(state: &State) -> String {
    let detail = match &state.state {
        CommandState::Queued { reason } => format!("({})", json!(reason).as_str().unwrap_or_default()),
        CommandState::Running { phase } => format!("({})", json!(phase).as_str().unwrap_or_default()),
        _ => String::new(),
    };
    let code = state.error.as_ref().map(|Fault { code, .. }| format!(" {code}")).unwrap_or_default();
    format!("{}{detail}{code}", state.state.as_str())
}
