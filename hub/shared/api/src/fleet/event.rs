//! What happens on a node, as it tells it on `ev/<kind>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CommandId, PROTOCOL, Rejection, reject::Code, state::Teller, topic::EventKind};

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

    /// A message that claimed a command's id was refused.
    pub fn refused(id: CommandId, why: &Rejection, at: Timestamp, by: &Teller) -> Self {
        let event = Self::new(EventKind::Refused, why.reason.as_str(), at, by);
        Self { command: Some(id), code: Some(why.code), ..event }
    }
}
