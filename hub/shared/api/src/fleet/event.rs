//! What happens on a node, as it tells it on `ev/<kind>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    CommandId, PROTOCOL, Rejection, State,
    reject::Code,
    state::{Fault, Teller},
    topic::EventKind,
};

/// Something happened on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// The version of this payload.
    pub v: u32,
    /// What it was.
    pub kind: EventKind,
    /// When.
    pub t: Timestamp,
    /// The kernel's id of the boot.
    pub boot_id: String,
    /// The command that it has to do with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// Why a message was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// In words.
    pub msg: String,
    /// What else there is to tell.
    #[serde(default)]
    pub detail: Map<String, Value>,
}

impl NodeEvent {
    /// Something that happened at `at`.
    pub fn new(kind: EventKind, msg: impl Into<String>, at: Timestamp, by: &Teller) -> Self {
        Self {
            v: PROTOCOL,
            kind,
            t: at,
            boot_id: by.boot_id.clone(),
            command: None,
            code: None,
            msg: msg.into(),
            detail: Map::new(),
        }
    }

    /// What a command changed was undone for `fault`, or could not be undone.
    pub fn undone(command: &State, fault: &Fault, at: Timestamp, by: &Teller) -> Self {
        let detail = [
            ("op", Value::from(command.op.as_str())),
            ("state", Value::from(command.state.as_str())),
            ("code", Value::from(fault.code.as_str())),
        ];
        let detail = detail.map(|(name, value)| (name.to_owned(), value));
        let event = Self::new(EventKind::Rollback, fault.msg.as_str(), at, by);
        Self { command: Some(command.id), detail: Map::from_iter(detail), ..event }
    }

    /// A message that claimed a command's id was refused.
    pub fn refused(id: CommandId, why: &Rejection, at: Timestamp, by: &Teller) -> Self {
        let event = Self::new(EventKind::Refused, why.reason.as_str(), at, by);
        Self { command: Some(id), code: Some(why.code), ..event }
    }
}
