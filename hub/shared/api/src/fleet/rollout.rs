//! A rollout: one signed document that tells the same to many nodes. The hub, which holds no operator's key, makes each
//! node's command from it, and the node checks that the command is what the document says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Addressee, Command, CommandId, Envelope, Op, OpName, PROTOCOL, RolloutId, Seconds, Sha256, Text, check_version,
    command::{MAX_VALIDITY, Policy, must_understand},
    envelope,
    reject::{Code, Rejection},
    state::CommandState,
};
use crate::{NodeId, preset::Tag};

/// How many places there are in the order of a rollout's nodes.
pub const PLACES: u16 = 2048;

/// What many nodes shall do, from when to when, on whose word, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Rollout {
    /// Its name.
    pub id: RolloutId,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// The first moment at which a command of it may start; absent: at once.
    pub not_before: Option<Timestamp>,
    /// The last moment at which a command of it may start.
    pub exp: Timestamp,
    /// The person who gave it.
    pub by: Text<128>,
    /// Why.
    pub reason: Option<Text<256>>,
    /// Whose nodes.
    pub to: Nodes,
    /// What mixes their order; without it, the rollout's id does.
    pub seed: Option<Text<64>>,
    /// What each does.
    pub op: Op,
    /// How long it may take on each; absent: as long as its operation usually may.
    pub ttl_s: Option<Seconds<86_400>>,
    /// How each command fits with what its node does.
    pub policy: Policy,
    /// Fields that must be understood, by their names with dots.
    pub crit: Vec<Text<64>>,
    /// How fast it goes, and when it stops.
    pub waves: Waves,
}

/// The nodes of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nodes {
    /// These.
    Nodes(Vec<NodeId>),
    /// Those with a tag.
    Tag(Tag),
}

/// How fast a rollout goes, and when it stops. The hub obeys it; a node cannot know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waves {
    /// How many nodes go first and alone; 0: none.
    #[serde(default)]
    pub canaries: u32,
    /// How long these are watched before the others follow.
    #[serde(default)]
    pub soak_s: u32,
    /// The most nodes that begin in a minute.
    pub max_per_min: u32,
    /// The most nodes that are not at work at once.
    pub max_unavailable: u32,
    /// The share of a wave that must succeed before the next, percent; else it pauses.
    pub success_pct: u32,
    /// What ends it. What is queued is canceled then, what runs goes on.
    #[serde(default)]
    pub abort: Vec<Abort>,
}

/// A share of commands in one bad state that ends a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// The state; absent: all bad ones together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Bad>,
    /// How many commands must have ended before it is judged.
    pub min_executed: u32,
    /// From which share on, percent of those that have ended.
    pub pct: u32,
}

/// States that count against a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bad {
    /// It failed.
    Failed,
    /// The node went back to its old system.
    RolledBack,
    /// It took too long, or nothing was heard.
    TimedOut,
    /// It was not begun.
    Rejected,
}

impl Bad {
    /// The command's state that it is.
    pub fn state(self) -> CommandState {
        match self {
            Self::Failed => CommandState::Failed,
            Self::RolledBack => CommandState::RolledBack,
            Self::TimedOut => CommandState::TimedOut,
            Self::Rejected => CommandState::Rejected,
        }
    }
}

impl Waves {
    /// Whether commands that have ended so end the rollout.
    pub fn must_abort(&self, ended: &[CommandState]) -> bool {
        const ALL: [Bad; 4] = [Bad::Failed, Bad::RolledBack, Bad::TimedOut, Bad::Rejected];
        self.abort.iter().any(|rule| {
            let counts = |state: &&CommandState| match rule.state {
                Some(bad) => bad.state() == **state,
                None => ALL.iter().any(|bad| bad.state() == **state),
            };
            let (bad, all) = (ended.iter().filter(counts).count() as u64, ended.len() as u64);
            all > 0 && all >= u64::from(rule.min_executed) && bad > 0 && bad * 100 >= all * u64::from(rule.pct)
        })
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    v: u32,
    id: RolloutId,
    issued_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    exp: Timestamp,
    by: Text<128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<256>>,
    to: Nodes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Text<64>>,
    op: OpName,
    args: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_s: Option<Seconds<86_400>>,
    #[serde(default)]
    policy: Policy,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crit: Vec<Text<64>>,
    waves: Waves,
}

impl TryFrom<Wire> for Rollout {
    type Error = Rejection;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { v, id, issued_at, not_before, exp, by, reason, to, seed, op, args, ttl_s, .. } = wire;
        let Wire { policy, crit, waves, .. } = wire;
        if v != PROTOCOL {
            return Err(Rejection::new(Code::UnsupportedVersion, format!("version {v} is not understood")));
        }
        let op = Op::parse(&op, args)?;
        if exp <= issued_at || exp.duration_since(issued_at) > MAX_VALIDITY {
            return Err(Rejection::malformed("a rollout's exp is 0 to 30 days after its issued_at"));
        }
        if !op.may_roll_out() {
            return Err(Rejection::malformed(format!("`{}` cannot be rolled out", op.as_str())));
        }
        let rollout = Self { id, issued_at, not_before, exp, by, reason, to, seed, op, ttl_s, policy, crit, waves };
        must_understand(&rollout.crit, &rollout)?;
        Ok(rollout)
    }
}

impl From<Rollout> for Wire {
    fn from(rollout: Rollout) -> Self {
        let (op, args) = (rollout.op.name(), rollout.op.args());
        let Rollout { id, issued_at, not_before, exp, by, reason, to, seed, ttl_s, policy, crit, waves, .. } = rollout;
        Self { v: PROTOCOL, id, issued_at, not_before, exp, by, reason, to, seed, op, args, ttl_s, policy, crit, waves }
    }
}

impl Rollout {
    /// Reads a rollout's payload.
    ///
    /// # Errors
    /// `malformed`, `unsupported_version` or `unknown_op`.
    pub fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        let value: Value = serde_json::from_slice(payload).map_err(Rejection::malformed)?;
        check_version(&value)?;
        let wire: Wire =
            serde_json::from_value(value).map_err(|e| Rejection::malformed(format!("the rollout: {e}")))?;
        Self::try_from(wire)
    }

    /// The rollout in an envelope. Anybody may have written it until the signatures were looked at.
    pub(super) fn in_envelope(envelope: &Envelope) -> Result<Self, Rejection> {
        envelope.must_be(envelope::ROLLOUT)?;
        Self::parse(envelope.payload())
    }

    /// An envelope with it that nobody has signed.
    pub fn to_envelope(&self) -> Envelope {
        let payload = serde_json::to_vec(self).expect("a rollout holds only texts, numbers and lists");
        Envelope::unsigned(envelope::ROLLOUT, payload)
    }

    /// The id of the command by which a node does its part. It is the only one, so that a hub that was taken over cannot
    /// have a node do its part twice.
    pub fn command_id(&self, node: &NodeId) -> CommandId {
        let digest = Sha256::of(format!("{}{node}", self.id).as_bytes());
        let mut random = [0; 10];
        random.copy_from_slice(&digest.bytes()[..10]);
        CommandId::new(self.issued_at, random)
    }

    /// A node's place in the order, below [`PLACES`].
    pub fn place(&self, node: &NodeId) -> u16 {
        let seed = self.seed.as_ref().map_or_else(|| self.id.to_string(), |seed| seed.as_str().to_owned());
        let digest = Sha256::of(format!("{seed}{node}").as_bytes());
        let [.., high, low] = digest.bytes();
        u16::from_be_bytes([*high, *low]) % PLACES
    }

    /// A node's command. It is the same however often it is made.
    pub fn command(&self, node: &NodeId, signed: &Envelope) -> Command {
        Command {
            id: self.command_id(node),
            op: self.op.clone(),
            node: Addressee::Node(node.clone()),
            issued_at: self.issued_at,
            not_before: self.not_before,
            exp: self.exp,
            ttl_s: self.ttl_s,
            by: self.by.clone(),
            reason: self.reason.clone(),
            rollout: Some(self.id),
            rollout_doc: Some(signed.clone()),
            policy: self.policy.clone(),
            expect: super::command::Expect::default(),
            crit: Vec::new(),
        }
    }

    /// Refuses a command that is not what this document says to this node, whose tags are `tags`.
    ///
    /// # Errors
    /// `wrong_rollout` with what differs.
    pub fn must_allow(&self, command: &Command, node: &NodeId, tags: &[Tag]) -> Result<(), Rejection> {
        let is_for_it = match &self.to {
            Nodes::Nodes(nodes) => nodes.contains(node),
            Nodes::Tag(tag) => tags.contains(tag),
        };
        let starts_in_time =
            command.not_before.unwrap_or(command.issued_at) >= self.not_before.unwrap_or(self.issued_at);
        let checks = [
            (is_for_it, "the rollout is not for this node"),
            (command.rollout == Some(self.id), "the command names another rollout"),
            (command.id == self.command_id(node), "the command's id is not that of the node's part"),
            (command.op == self.op, "the rollout tells something else"),
            (command.policy == self.policy && command.ttl_s == self.ttl_s, "the rollout has another policy"),
            (starts_in_time && command.issued_at >= self.issued_at, "the command may start before the rollout may"),
            (command.exp <= self.exp, "the command may start after the rollout has ended"),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, why)) => Err(Rejection::new(Code::WrongRollout, why)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str) -> NodeId {
        name.parse().expect("a node")
    }

    fn document(to: &Value) -> Value {
        json!({
            "v": 1, "id": "01M81B5H80NENTQAXBNENTQAXB", "by": "anna", "to": to,
            "issued_at": "2026-11-22T10:00:00Z", "not_before": "2026-11-22T12:00:00Z", "exp": "2026-11-23T10:00:00Z",
            "op": "reboot", "args": {}, "crit": ["waves.max_per_min"], "waves": {"max_per_min": 4, "max_unavailable": 2, "success_pct": 90},
        })
    }

    fn rollout(to: &Value) -> Rollout {
        Rollout::parse(document(to).to_string().as_bytes()).expect("a rollout")
    }

    #[test]
    fn a_command_made_from_it_is_what_it_says() {
        let tags = ["lan".parse().expect("a tag")];
        for (to, name, allowed) in [
            (json!({"nodes": ["orin-3", "orin-4"]}), "orin-3", true),
            (json!({"nodes": ["orin-4"]}), "orin-3", false),
            (json!({"tag": "lan"}), "orin-3", true),
            (json!({"tag": "mesh"}), "orin-3", false),
        ] {
            let rollout = rollout(&to);
            let command = rollout.command(&node(name), &rollout.to_envelope());
            assert_eq!(command, Command::parse(&command.to_payload()).expect("a command"));
            let got = rollout.must_allow(&command, &node(name), &tags);
            assert_eq!(got.is_ok(), allowed, "{name} of {to}: {got:?}");
        }
    }

    #[test]
    fn a_command_that_differs_from_it_is_refused() {
        type Change = fn(&mut Command);
        let table: [(Change, &str); 8] = [
            (|c| c.rollout = None, "another rollout"),
            (|c| c.id = CommandId::from_bytes([1; 16]), "id is not that"),
            (|c| c.op = Op::Undrain(super::super::args::Nothing {}), "something else"),
            (|c| c.policy.force = true, "another policy"),
            (|c| c.not_before = None, "before the rollout may"),
            (|c| c.not_before = Some(c.issued_at), "before the rollout may"),
            (|c| c.issued_at = Timestamp::UNIX_EPOCH, "before the rollout may"),
            (|c| c.exp = c.exp.checked_add(jiff::SignedDuration::from_secs(1)).expect("a time"), "after the rollout"),
        ];
        let rollout = rollout(&json!({"nodes": ["orin-3"]}));
        for (change, part) in table {
            let mut command = rollout.command(&node("orin-3"), &rollout.to_envelope());
            change(&mut command);
            let rejection = rollout.must_allow(&command, &node("orin-3"), &[]).expect_err(part);
            assert!(rejection.code == Code::WrongRollout && rejection.to_string().contains(part), "{rejection}");
        }
    }

    #[test]
    fn one_part_and_one_place_for_each_node() {
        let rollout = rollout(&json!({"tag": "lan"}));
        let nodes: Vec<_> = (0..200).map(|i| node(&format!("orin-{i}"))).collect();
        let mut ids: Vec<_> = nodes.iter().map(|n| rollout.command_id(n)).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 200);
        assert!(nodes.iter().all(|n| rollout.place(n) < PLACES));
        let low = nodes.iter().filter(|n| rollout.place(n) < PLACES / 2).count();
        assert!((60..=140).contains(&low), "{low} of 200 in the first half");
        let seeded = Rollout { seed: Some("x".parse().expect("a text")), ..rollout.clone() };
        assert!(nodes.iter().any(|n| seeded.place(n) != rollout.place(n)));
    }

    #[test]
    fn says_what_is_wrong_with_a_rollout() {
        for (pointer, value, code, part) in [
            ("/v", json!(2), Code::UnsupportedVersion, "version 2"),
            ("/op", json!("shell"), Code::UnknownOp, "shell"),
            ("/op", json!("ping"), Code::Malformed, "cannot be rolled out"),
            ("/exp", json!("2026-12-23T10:00:01Z"), Code::Malformed, "30 days"),
            ("/exp", json!("2026-11-22T10:00:00Z"), Code::Malformed, "30 days"),
            ("/to", json!({"all": true}), Code::Malformed, "the rollout"),
            ("/waves", json!({}), Code::Malformed, "max_per_min"),
            ("/crit", json!(["waves.max_per_hour"]), Code::UnknownCrit, "waves.max_per_hour"),
        ] {
            let mut document = document(&json!({"tag": "lan"}));
            *document.pointer_mut(pointer).expect("a field") = value;
            let rejection = Rollout::parse(document.to_string().as_bytes()).expect_err(pointer);
            assert!(rejection.code == code && rejection.to_string().contains(part), "{pointer}: {rejection}");
        }
    }

    #[test]
    fn stops_at_the_share_that_it_names() {
        use CommandState::{Failed, RolledBack, Succeeded};
        let rule = |state, min_executed, pct| Abort { state, min_executed, pct };
        let rules = vec![rule(Some(Bad::RolledBack), 2, 50), rule(None, 4, 50)];
        let waves = Waves { abort: rules, ..rollout(&json!({"tag": "lan"})).waves };
        for (ended, want) in [
            (vec![], false),
            (vec![RolledBack], false),
            (vec![RolledBack, Succeeded], true),
            (vec![Failed, Failed, Succeeded], false),
            (vec![Failed, Failed, Succeeded, Succeeded], true),
            (vec![Failed, RolledBack, Succeeded, Succeeded], true),
            (vec![Failed, Succeeded, Succeeded, Succeeded], false),
        ] {
            assert_eq!(waves.must_abort(&ended), want, "{ended:?}");
        }
    }
}
