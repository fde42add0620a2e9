//! What the agent asks of the root helper, and what it hears: one request a connection, a line of JSON; then answers, a
//! line of JSON each, until one that ends it. Whoever closes the connection before that has nothing more to say: what can be
//! stopped without harm is stopped (a fetch, a check), what cannot goes on to its end.

use reelmill_api::{
    NodeId,
    fleet::{Op, Trust, state::Phase},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deeds::Undone;

/// Where the helper listens. systemd opens it for the agent's user alone.
pub const SOCKET: &str = "/run/reelmill-exec/socket";
/// The longest request, in bytes: a command in base 64, and what is around it.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What is asked. The agent is not believed: what it hands on is judged anew, by the helper's own keys and ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Do one part of a command. The parts of a command come in their order, each may come again after the agent or the
    /// machine died in it, and none after its end.
    Part {
        /// The topic on which the command came.
        topic: String,
        /// The message as it came, base 64.
        message: String,
        /// Which part.
        phase: Phase,
    },
    /// Take these keys as those that may command this node. Only once: later ones come by a signed command.
    Adopt {
        /// The node's name, from then on.
        node: NodeId,
        /// Whose commands it obeys.
        trust: Trust,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How far it is, percent. More follows.
    Told(u8),
    /// It was done, with this result.
    Done(Map<String, Value>),
    /// It was not done.
    Undone(Undone),
}

/// The parts that the helper does of an operation, in their order; the agent does what lies between them (drain, verify, the
/// boot). `Undo` may come after any of them but the last, and ends it. No part: the helper has nothing to do with it.
pub fn parts(op: &Op) -> &'static [Phase] {
    match op {
        Op::Switch(_) | Op::Rollback(_) => {
            &[Phase::Preflight, Phase::Fetch, Phase::Check, Phase::Activate, Phase::Commit]
        }
        Op::SetConf(_) => &[Phase::Check, Phase::Activate, Phase::Commit],
        Op::Firmware(_) => &[Phase::Preflight, Phase::Fetch, Phase::Activate],
        Op::PowerMode(_) | Op::Trust(_) | Op::FactoryReset(_) => &[Phase::Act],
        _ => &[],
    }
}
