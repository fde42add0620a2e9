//! A command: what one node shall do, from when to when, on whose word.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Bounded, CommandId, Envelope, Op, OpName, PROTOCOL, RolloutId, Seconds, Text, envelope,
    nix::StorePath,
    reject::{Code, Rejection},
    topic::MAX_COMMAND,
};
use crate::{NodeId, preset::Tag};

/// The longest time between a command's issue and the last moment at which it may start. A node remembers commands for
/// longer than that, so that none can be given twice.
pub const MAX_VALIDITY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What one node, or in the unsigned class each node of a group, shall do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Command {
    /// Its name; a node does a command of one name once.
    pub id: CommandId,
    /// What to do.
    pub op: Op,
    /// Who shall do it.
    pub node: Addressee,
    /// When it was given.
    pub issued_at: Timestamp,
    /// The first moment at which it may start; absent: at once.
    pub not_before: Option<Timestamp>,
    /// The last moment at which it may start.
    pub exp: Timestamp,
    /// How long it may take once begun; absent: as long as its operation usually may.
    pub ttl_s: Option<Seconds<86_400>>,
    /// The person who gave it.
    pub by: Text<128>,
    /// Why.
    pub reason: Option<Text<256>>,
    /// The rollout that it is a part of.
    pub rollout: Option<RolloutId>,
    /// The signed document of that rollout, where the command itself is not signed.
    pub rollout_doc: Option<Envelope>,
    /// How it fits with what the node does.
    pub policy: Policy,
    /// What must be so when it starts.
    pub expect: Expect,
    /// Fields that must be understood, by their names with dots, e.g. `args.mode`.
    pub crit: Vec<Text<64>>,
}

/// Who shall do a command: one node, or all nodes with a tag, written `@tag`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Addressee {
    /// One node.
    Node(NodeId),
    /// All nodes with a tag.
    Group(Tag),
}

impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Group(tag) => write!(f, "@{}", tag.as_str()),
        }
    }
}

impl FromStr for Addressee {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.strip_prefix('@') {
            Some(tag) => tag.parse().map(Self::Group),
            None => s.parse().map(Self::Node).map_err(|e: crate::node::BadNodeId| e.to_string()),
        }
    }
}

impl TryFrom<String> for Addressee {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Addressee> for String {
    fn from(a: Addressee) -> Self {
        a.to_string()
    }
}

/// How a command fits with what the node does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether it waits for the node's maintenance window.
    #[serde(default)]
    pub window: Window,
    /// Whether work is finished first.
    #[serde(default)]
    pub drain: DrainFirst,
    /// How long the work is waited for, with `deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_s: Option<Bounded<0, 86_400>>,
    /// Whether it is done though the worker is at work.
    #[serde(default)]
    pub force: bool,
    /// Whether it only tells what it would do.
    #[serde(default)]
    pub dry_run: bool,
}

/// Whether a command waits for the node's maintenance window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// It must start now: outside the window it is refused.
    Now,
    /// It waits for the next window.
    #[default]
    Next,
    /// It starts, window or not.
    Ignore,
}

/// Whether work is finished before a command disturbs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainFirst {
    /// All of it, however long it takes.
    #[default]
    Wait,
    /// What is done in time.
    Deadline,
    /// None.
    Skip,
}

/// What must be so when a command starts. What is absent may be anything; what is not known here is never so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toplevel: Option<StorePath>,
    /// The version of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conf_ver: Option<u64>,
    /// The boot, by the kernel's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<Text<64>>,
    /// What this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A command as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Wire {
    v: u32,
    id: CommandId,
    op: OpName,
    node: Addressee,
    issued_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    exp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_s: Option<Seconds<86_400>>,
    by: Text<128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<256>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout_doc: Option<Envelope>,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    expect: Expect,
    args: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crit: Vec<Text<64>>,
}

/// One form of a command from the other: these fields as they are told, and all that both have alike.
macro_rules! form {
    ($of:ident, $to:ident { $($own:ident),* }) => {
        $to {
            $($own,)*
            id: $of.id,
            node: $of.node,
            issued_at: $of.issued_at,
            not_before: $of.not_before,
            exp: $of.exp,
            ttl_s: $of.ttl_s,
            by: $of.by,
            reason: $of.reason,
            rollout: $of.rollout,
            rollout_doc: $of.rollout_doc,
            policy: $of.policy,
            expect: $of.expect,
            crit: $of.crit,
        }
    };
}

impl TryFrom<Wire> for Command {
    type Error = Rejection;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        if wire.v != PROTOCOL {
            return Err(Rejection::new(Code::UnsupportedVersion, format!("version {} is not understood", wire.v)));
        }
        let op = Op::parse(&wire.op, wire.args)?;
        let command = form!(wire, Self { op });
        command.check()?;
        Ok(command)
    }
}

impl From<Command> for Wire {
    fn from(command: Command) -> Self {
        let (v, op, args) = (PROTOCOL, command.op.name(), command.op.args());
        form!(command, Self { v, op, args })
    }
}

impl Command {
    /// Reads a command's payload. Unknown fields are passed over, unless the command says that they are critical.
    ///
    /// # Errors
    /// `too_large`, `malformed`, `unsupported_version`, `unknown_op` or `unknown_crit`.
    pub fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > MAX_COMMAND {
            return Err(Rejection::too_large(payload.len(), MAX_COMMAND));
        }
        let value: Value = serde_json::from_slice(payload).map_err(Rejection::malformed)?;
        super::check_version(&value)?;
        let wire: Wire = serde_json::from_value(value).map_err(Rejection::malformed)?;
        Self::try_from(wire)
    }

    /// The payload.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a command holds only texts, numbers and lists")
    }

    /// An envelope with it that nobody has signed.
    pub fn to_envelope(&self) -> Envelope {
        Envelope::unsigned(envelope::COMMAND, self.to_payload())
    }

    fn check(&self) -> Result<(), Rejection> {
        if self.exp <= self.issued_at {
            return Err(Rejection::malformed("exp is not after issued_at"));
        }
        if self.exp.duration_since(self.issued_at) > MAX_VALIDITY {
            return Err(Rejection::malformed("exp is more than 30 days after issued_at"));
        }
        if self.not_before.is_some_and(|start| start > self.exp) {
            return Err(Rejection::malformed("not_before is after exp"));
        }
        if let (Op::Poweroff(args), Addressee::Node(node)) = (&self.op, &self.node)
            && args.confirm != *node
        {
            return Err(Rejection::malformed("confirm is not the name of the node"));
        }
        self.check_critical()
    }

    fn check_critical(&self) -> Result<(), Rejection> {
        if let Some(unknown) = self.expect.unknown.keys().next() {
            return Err(Rejection::new(
                Code::UnknownCrit,
                format!("`expect.{unknown}` is a precondition that is not understood"),
            ));
        }
        must_understand(&self.crit, self)
    }
}

/// Refuses critical fields that are not understood. One that is understood is there when the document is written again.
pub(super) fn must_understand(crit: &[Text<64>], document: &impl Serialize) -> Result<(), Rejection> {
    if crit.is_empty() {
        return Ok(());
    }
    let written = serde_json::to_value(document).map_err(Rejection::malformed)?;
    let is_there = |name: &str| name.split('.').try_fold(&written, |at, key| at.as_object()?.get(key)).is_some();
    match crit.iter().find(|name| !is_there(name.as_str())) {
        Some(name) => Err(Rejection::new(Code::UnknownCrit, format!("`{name}` is critical and not understood"))),
        None => Ok(()),
    }
}
