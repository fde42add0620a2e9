//! The words of the fleet protocol `reelmill/1`, spoken over MQTT v5: topics, commands and who signed them, what becomes of
//! a command, and what a node tells of itself. Data, parsing and decisions; the agent, its root helper, the hub and the
//! command line all decide by these.

pub mod admission;
pub mod args;
mod bounds;
pub mod command;
mod digest;
pub mod envelope;
pub mod event;
pub mod health;
mod id;
pub mod key;
pub mod moves;
mod nix;
pub mod op;
mod op_name;
pub mod reject;
pub mod rollout;
pub mod state;
pub mod topic;
pub mod trust;

pub use admission::{Admitted, Decision};
pub use bounds::{Bounded, Seconds, Text};
pub use command::{Addressee, Command};
pub use digest::Sha256;
pub use envelope::Envelope;
pub use id::{CommandId, NotAUlid, RolloutId};
pub use key::{KeyId, PrivateKey, PublicKey};
pub use nix::{NarHash, NotOfNix, StoreFile, StorePath};
pub use op::{Class, Op, OpLane};
pub use op_name::OpName;
pub use reject::{Code, Rejection};
pub use rollout::Rollout;
pub use state::{CommandState, State};
pub use topic::Topic;
pub use trust::{Role, Trust};

/// The version of all payloads, and the major version of the topics.
pub const PROTOCOL: u32 = 1;
/// How many commands may be open on a node.
pub const MAX_OPEN: usize = 64;

/// Refuses a document of another version before its fields are looked at.
fn check_version(document: &serde_json::Value) -> Result<(), Rejection> {
    match document.get("v") {
        Some(v) if v.as_u64() == Some(PROTOCOL.into()) => Ok(()),
        Some(v) => {
            let why = format!("version {v} is not understood, only {PROTOCOL}");
            Err(Rejection::new(Code::UnsupportedVersion, why))
        }
        None => Err(Rejection::malformed("it has no version `v`")),
    }
}
