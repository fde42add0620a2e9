//! Messages on command topics: what they become.

use reelmill_api::fleet::{
    Code, CommandId, Op, OpName, Rejection, Sha256, State, Topic,
    admission::{Admitted, Decision, Judge, Known, Tell, decide},
    envelope::Sealed,
    event::NodeEvent,
    moves::Event as Move,
    op::Class,
    state::Phase,
};
use serde_json::{Map, Value};

use super::{Core, Effect, Entry, Now, Record, Reply};
use crate::exec::wire;

/// A closed command keeps a result up to this many bytes of JSON: somebody has it, and the ledger lies in memory.
const RESULT_KEPT: usize = 1024;

impl Core {
    /// A message on a command's topic has come.
    pub(super) fn hear(
        &mut self,
        now: &Now,
        topic: &Topic,
        payload: &[u8],
        reply: Option<Reply>,
        effects: &mut Vec<Effect>,
    ) {
        let (Topic::Command(_, op, id) | Topic::Group(_, op, id)) = topic else { return };
        if payload.is_empty() {
            return self.cleared(*id, effects);
        }
        match self.decide(now, topic, payload) {
            Decision::Accept(admitted) | Decision::Queue(admitted, _) => {
                self.admit(now, *admitted, payload, reply, effects);
            }
            Decision::Republish(state) => {
                self.told.insert(*id);
                effects.push(Effect::Publish(state));
            }
            Decision::Reject(why, tell) => self.refuse(now, (op, *id), payload, &why, tell, effects),
        }
    }

    fn decide(&self, now: &Now, topic: &Topic, payload: &[u8]) -> Decision {
        let known = |id: CommandId| {
            let entry = self.memory.entries.get(&id)?;
            Some(Known { sha256: entry.sha256, state: entry.state.clone(), signers: entry.signers.clone() })
        };
        let judge = Judge {
            node: &self.own.node,
            tags: &self.around.tags,
            trust: &self.own.trust,
            clock: self.clock(now),
            ledger_since: self.memory.knows_since(self.own.enrolled_at),
            open: self.open(),
            facts: &self.around.facts,
            known: &known,
        };
        decide(payload, topic, &judge)
    }

    fn admit(
        &mut self,
        now: &Now,
        admitted: Admitted,
        message: &[u8],
        reply: Option<Reply>,
        effects: &mut Vec<Effect>,
    ) {
        let Admitted { command, sha256, signers } = admitted;
        if command.op.class() == Class::Unsigned {
            return self.answer(now, &command.op, command.id, sha256, reply, effects);
        }
        if !self.own.able.contains(command.op.as_str()) {
            let why = Rejection::new(Code::NotSupported, format!("this node cannot do `{}`", command.op.as_str()));
            return self.remember_refused(now, (&command.op.name(), command.id), sha256, &why, effects);
        }
        let state = State::accepted(command.id, command.op.name(), sha256, now.wall, &self.own.teller);
        self.told.insert(command.id);
        let message = (!wire::parts(&command.op).is_empty()).then(|| message.to_vec());
        let entry = Entry { command: Some(Box::new(command)), message, signers, ..Entry::new(state.clone(), sha256) };
        self.write(Record::Command(Box::new(entry)), effects);
        effects.push(Effect::Publish(Box::new(state)));
    }

    /// Answers what changes nothing. It is not written down: it may be asked as often as anybody likes.
    fn answer(
        &self,
        now: &Now,
        op: &Op,
        id: CommandId,
        sha256: Sha256,
        reply: Option<Reply>,
        effects: &mut Vec<Effect>,
    ) {
        let mut result = Map::new();
        match op {
            Op::Ping(ping) => {
                if let Some(nonce) = &ping.nonce {
                    result.insert("nonce".to_owned(), Value::from(nonce.as_str()));
                }
            }
            Op::Status(status) => effects.push(Effect::Report(status.docs.clone())),
            _ => {}
        }
        let accepted = State::accepted(id, op.name(), sha256, now.wall, &self.own.teller);
        let begun = accepted.after(Move::Begin(Phase::Act), now.wall, &self.own.teller);
        let ended = begun.and_then(|(begun, _)| begun.after(Move::Succeed(result), now.wall, &self.own.teller));
        let state = ended.map_or(accepted, |(ended, _)| ended);
        effects.push(match reply {
            Some(reply) => Effect::Answer(reply, Box::new(state)),
            None => Effect::Publish(Box::new(state)),
        });
    }

    fn refuse(
        &mut self,
        now: &Now,
        (op, id): (&OpName, CommandId),
        payload: &[u8],
        why: &Rejection,
        tell: Tell,
        effects: &mut Vec<Effect>,
    ) {
        log::warn!("{op} {id} refused: {why}");
        match tell {
            Tell::Record => {
                let sha256 = Sha256::of(Sealed::parse(payload).as_ref().map_or(payload, Sealed::payload));
                self.remember_refused(now, (op, id), sha256, why, effects);
            }
            Tell::State => {
                let state = State::refused(id, op.clone(), why, false, now.wall, &self.own.teller);
                effects.push(Effect::Publish(Box::new(state)));
            }
            Tell::Event => {
                effects.push(Effect::Tell(Box::new(NodeEvent::refused(id, why, now.wall, &self.own.teller))));
            }
        }
    }

    /// A command that somebody gave who may has had its chance: it does not begin, now or later.
    fn remember_refused(
        &mut self,
        now: &Now,
        (op, id): (&OpName, CommandId),
        sha256: Sha256,
        why: &Rejection,
        effects: &mut Vec<Effect>,
    ) {
        let state = State::refused(id, op.clone(), why, true, now.wall, &self.own.teller);
        let entry = Entry::new(state.clone(), sha256);
        self.told.insert(id);
        self.write(Record::Command(Box::new(entry)), effects);
        effects.push(Effect::Publish(Box::new(state)));
    }

    /// Whoever gave the command has stored its end, and clears its topic.
    fn cleared(&mut self, id: CommandId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.memory.entries.get(&id) else {
            // Of what was only answered nothing is kept but what the broker keeps.
            return effects.push(Effect::Clear(id));
        };
        if entry.closed {
            return;
        }
        let mut entry = entry.clone();
        let ended = entry.state.state.is_final();
        entry.closed = true;
        if ended && serde_json::to_vec(&entry.state.result).is_ok_and(|json| json.len() > RESULT_KEPT) {
            entry.state.result = Map::from_iter([("too_old".to_owned(), Value::Bool(true))]);
        }
        self.write(Record::Command(Box::new(entry)), effects);
        if ended {
            effects.push(Effect::Clear(id));
        }
    }
}
