//! A command on its way: what was heard of it, and how it ended. Pure: it is told what comes and what time it is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    fleet::{
        Command, CommandId, CommandState, State, Topic,
        envelope::Sealed,
        health::{Health, Presence},
    },
};

use super::post::Known;
use crate::exit;

/// So long after its last moment a command that no node told of is over: the broker forgets it, and clocks differ.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// What we give to the broker.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The node.
    node: NodeId,
    /// The command.
    pub(super) command: Command,
    /// The message with it.
    pub(super) message: Vec<u8>,
}

impl Given {
    /// Where it lies.
    pub(super) fn topic(&self) -> Topic {
        Topic::Command(self.node.clone(), self.command.op.name(), self.command.id)
    }

    /// How long the broker keeps it.
    pub(super) fn expires_within(&self, now: Timestamp) -> Duration {
        self.command.exp.duration_since(now).try_into().unwrap_or(Duration::ZERO).max(Duration::from_secs(1))
    }
}

/// A command on its way.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    /// Who shall do it.
    pub(super) node: NodeId,
    /// Its name.
    pub(super) id: CommandId,
    /// What we give; `None` where it was given before.
    pub(super) given: Option<Given>,
    /// Where it lies at the broker, as far as that is known.
    pub(super) lies_on: Option<Topic>,
    /// When it may start at the latest, as far as that is known.
    pub(super) exp: Option<Timestamp>,
    /// What the node told last.
    pub(super) state: Option<State>,
    /// Whether the node is there, as far as that is known.
    pub(super) health: Option<Health>,
    /// Whether it is over though no end was told of.
    pub(super) over: Option<Over>,
}

/// How a command is over of which no end was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The node did not come for it in time.
    Unseen,
    /// Somebody else has cleared it.
    Cleared,
}

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Where it stands.
    State,
    /// Whether its node is there.
    Presence,
}

impl Errand {
    /// A new one.
    pub(super) fn new(node: NodeId, command: Command, message: Vec<u8>) -> Self {
        let (id, exp) = (command.id, Some(command.exp));
        let given = Given { node: node.clone(), command, message };
        let lies_on = Some(given.topic());
        Self { node, id, given: Some(given), lies_on, exp, state: None, health: None, over: None }
    }

    /// One that was given before.
    pub(super) fn given_before(node: NodeId, id: CommandId) -> Self {
        Self { node, id, given: None, lies_on: None, exp: None, state: None, health: None, over: None }
    }

    /// The same with what is known of its node.
    pub(super) fn with(mut self, known: &Known) -> Self {
        self.health = known.health(&self.node).cloned();
        self
    }

    /// Takes a message in.
    pub(super) fn hear(&mut self, topic: &Topic, payload: &[u8]) -> Change {
        match topic {
            Topic::State(node, id) if *node == self.node && *id == self.id => self.hear_state(payload),
            Topic::Health(node) if *node == self.node => self.hear_health(payload),
            Topic::Command(node, _, id) if *node == self.node && *id == self.id => {
                self.hear_command(topic, payload);
                Change::None
            }
            _ => Change::None,
        }
    }

    fn hear_state(&mut self, payload: &[u8]) -> Change {
        if payload.is_empty() {
            // After our own clearing the node clears its state; before an end, somebody else did.
            if self.is_over() || self.state.is_none() {
                return Change::None;
            }
            self.over = Some(Over::Cleared);
            return Change::State;
        }
        let newer = |state: &State| self.state.as_ref().is_none_or(|known| state.seq > known.seq);
        match State::parse(payload) {
            Ok(state) if state.id == self.id && newer(&state) => {
                self.state = Some(state);
                Change::State
            }
            _ => Change::None,
        }
    }

    /// What was given before tells until when it may start.
    fn hear_command(&mut self, topic: &Topic, payload: &[u8]) {
        if let Ok(command) = Sealed::parse(payload).and_then(|sealed| Command::parse(sealed.payload())) {
            (self.lies_on, self.exp) = (Some(topic.clone()), Some(command.exp));
        }
    }

    fn hear_health(&mut self, payload: &[u8]) -> Change {
        let Ok(health) = serde_json::from_slice::<Health>(payload) else { return Change::None };
        if self.health.as_ref().is_some_and(|known| !health.supersedes(known)) {
            return Change::None;
        }
        let was = self.is_there();
        self.health = Some(health);
        if self.is_there() == was { Change::None } else { Change::Presence }
    }

    /// Whether its node is there.
    pub(super) fn is_there(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.state != Presence::Down)
    }

    /// Time has passed. Whether it is over by that.
    pub(super) fn wait_until(&mut self, now: Timestamp) -> bool {
        let late = self.state.is_none() && self.given_up_at().is_some_and(|at| now >= at);
        if late && self.over.is_none() {
            self.over = Some(Over::Unseen);
        }
        late
    }

    /// When nobody waits any more for a node that never told of it.
    pub(super) fn given_up_at(&self) -> Option<Timestamp> {
        self.exp.filter(|_| self.state.is_none() && self.over.is_none())?.checked_add(GRACE).ok()
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some() || self.state.as_ref().is_some_and(|state| state.state.is_final())
    }

    /// Where the command lies, as far as that is known.
    pub(super) fn topic(&self) -> Option<Topic> {
        let told = || self.state.as_ref().map(|state| Topic::Command(self.node.clone(), state.op.clone(), self.id));
        self.lies_on.clone().or_else(told)
    }

    /// What the program ends with for it.
    pub(super) fn exit_code(&self) -> u8 {
        match (self.over, self.state.as_ref().map(|state| state.state)) {
            (Some(Over::Unseen), _) => exit::TOO_LATE,
            (Some(Over::Cleared), _) => exit::LEFT,
            (None, Some(CommandState::Succeeded)) => exit::DONE,
            (None, Some(CommandState::Failed)) => exit::FAILED,
            (None, Some(CommandState::Rejected)) => exit::REFUSED,
            (None, Some(CommandState::Expired | CommandState::Superseded)) => exit::TOO_LATE,
            (None, Some(CommandState::Canceled)) => exit::CANCELED,
            (None, Some(CommandState::TimedOut)) => exit::TIMED_OUT,
            (None, Some(CommandState::RolledBack)) => exit::ROLLED_BACK,
            (None, _) => exit::LEFT,
        }
    }
}

/// What the program ends with for all of them: the same where all that did not succeed have the same, else `FAILED`.
pub(super) fn exit_code(errands: &[Errand]) -> u8 {
    let mut bad: Vec<u8> = errands.iter().map(Errand::exit_code).filter(|code| *code != exit::DONE).collect();
    bad.sort_unstable();
    bad.dedup();
    match bad[..] {
        [] => exit::DONE,
        [code] => code,
        _ => exit::FAILED,
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::fleet::{
        Code, Rejection,
        moves::Event,
        state::{Fault, Phase, Teller},
    };

    use super::*;

    const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn errand() -> Errand {
        let command = format!(
            r#"{{"v":1,"id":"{ID}","op":"drain","node":"orin-3","by":"anna","args":{{}},
                "issued_at":"1970-01-01T00:00:00Z","exp":"1970-01-01T00:01:40Z"}}"#
        );
        let command = Command::parse(command.as_bytes()).expect("a command");
        Errand::new("orin-3".parse().expect("a node"), command, Vec::new())
    }

    fn states() -> [State; 3] {
        let teller = Teller { boot_id: "b".to_owned(), agent: "1".to_owned() };
        let sha = reelmill_api::fleet::Sha256::of(b"");
        let first = State::accepted(ID.parse().expect("an id"), "drain".parse().expect("a name"), sha, at(1), &teller);
        let (begun, _) = first.after(Event::Begin(Phase::Drain), at(2), &teller).expect("it fits");
        let (ended, _) = begun.after(Event::Fail(Fault::new("a", true, "b")), at(3), &teller).expect("it fits");
        [first, begun, ended]
    }

    fn topic(errand: &Errand) -> Topic {
        Topic::State(errand.node.clone(), errand.id)
    }

    #[test]
    fn states_that_come_late_or_of_others_change_nothing() {
        let mut errand = errand();
        let topic = topic(&errand);
        let [first, begun, ended] = states().map(|state| state.to_payload());
        assert_eq!(errand.hear(&topic, &begun), Change::State);
        assert_eq!(errand.hear(&topic, &first), Change::None, "it is older");
        let other = String::from_utf8(ended.clone()).expect("text").replace(ID, "01M81B5H80NENTQAXBNENTQAXC");
        assert_eq!(errand.hear(&topic, other.as_bytes()), Change::None, "it is another's");
        assert_eq!(errand.hear(&topic, b"{}"), Change::None);
        assert_eq!((errand.is_over(), errand.exit_code()), (false, exit::LEFT));
        assert_eq!(errand.hear(&topic, &ended), Change::State);
        assert_eq!(errand.hear(&topic, b""), Change::None, "it was cleared because it has ended");
        assert_eq!((errand.is_over(), errand.exit_code()), (true, exit::FAILED));
    }

    #[test]
    fn a_refusal_that_nobody_vouches_for_gives_way_to_the_true_state() {
        let mut errand = errand();
        let topic = topic(&errand);
        let teller = Teller { boot_id: "b".to_owned(), agent: "1".to_owned() };
        let why = Rejection::new(Code::BadSignature, "not signed");
        let refused = State::refused(errand.id, "drain".parse().expect("a name"), &why, false, at(1), &teller);
        errand.hear(&topic, &refused.to_payload());
        assert_eq!((errand.is_over(), errand.exit_code()), (true, exit::REFUSED));
        errand.hear(&topic, &states()[0].to_payload());
        assert_eq!((errand.is_over(), errand.exit_code()), (false, exit::LEFT));
    }

    #[test]
    fn a_command_that_nobody_comes_for_is_over_after_its_last_moment() {
        let mut errand = errand();
        assert_eq!(errand.given_up_at(), Some(at(130)));
        assert!(!errand.wait_until(at(129)) && errand.wait_until(at(130)));
        assert_eq!((errand.is_over(), errand.exit_code()), (true, exit::TOO_LATE));
    }

    #[test]
    fn one_that_somebody_else_cleared_is_over_too() {
        let mut errand = errand();
        let topic = topic(&errand);
        assert_eq!(errand.hear(&topic, b""), Change::None, "nothing was there");
        errand.hear(&topic, &states()[0].to_payload());
        assert_eq!(errand.hear(&topic, b""), Change::State);
        assert_eq!((errand.is_over(), errand.exit_code()), (true, exit::LEFT));
    }

    #[test]
    fn of_several_the_exit_code_is_that_of_all_that_did_not_succeed() {
        let with = |code: u8| {
            let mut errand = errand();
            match code {
                exit::DONE => {
                    let teller = Teller { boot_id: "b".to_owned(), agent: "1".to_owned() };
                    let ended = states()[1].after(Event::Succeed(serde_json::Map::new()), at(3), &teller);
                    errand.state = Some(ended.expect("it fits").0);
                }
                exit::FAILED => errand.state = Some(states()[2].clone()),
                _ => errand.over = Some(Over::Unseen),
            }
            errand
        };
        for (codes, want) in [(vec![0, 0], exit::DONE), (vec![0, 4, 4], exit::TOO_LATE), (vec![0, 4, 1], exit::FAILED)]
        {
            assert_eq!(exit_code(&codes.iter().map(|code| with(*code)).collect::<Vec<_>>()), want, "{codes:?}");
        }
    }
}
