//! Where a command stands, and how a node tells of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    CommandId, OpName, PROTOCOL, Sha256, Text, check_version,
    reject::{Code, Rejection},
    topic::MAX_STATE,
};

/// Where a command stands. Nothing follows on the last eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CommandState {
    /// The node has it in its ledger.
    Accepted,
    /// It waits.
    Queued {
        /// For what.
        reason: Wait,
    },
    /// It is being done.
    Running {
        /// Which part of it.
        phase: Phase,
    },
    /// The node goes down for it.
    Rebooting,
    /// The node is back, and looks whether it is well.
    Verifying,
    /// Done.
    Succeeded,
    /// Begun, and not done.
    Failed,
    /// Never begun, and never tried again by itself.
    Rejected,
    /// Called off.
    Canceled,
    /// It took too long.
    TimedOut,
    /// It could not start in time.
    Expired,
    /// The new system was unwell, and the old one is back.
    RolledBack,
    /// A newer command took its place before it began.
    Superseded,
}

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The maintenance window, or its own first moment.
    Window,
    /// Somebody who holds the node.
    Lock,
    /// Work that is finished first.
    Drain,
    /// Another command.
    Busy,
    /// A clock that is right.
    Clock,
}

/// A part of a command. The first eight are those of a switch, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Whether it can be done at all.
    Preflight,
    /// The new system comes from a cache.
    Fetch,
    /// The new system's own checks.
    Check,
    /// The maintenance window is waited for.
    Window,
    /// Work is finished.
    Drain,
    /// The new system comes into force, for now.
    Activate,
    /// Whether the node is well.
    Verify,
    /// The new system comes into force for good.
    Commit,
    /// The old system comes back.
    Undo,
    /// The whole of a command that has no parts, and cannot be called off.
    Act,
    /// An encode that can be called off: of a self-test, of a batch.
    Encode,
    /// Something is gathered or sent, and can be called off.
    Collect,
}

impl Phase {
    /// Whether a command can be called off in this part: nothing has changed yet.
    pub fn is_cancelable(self) -> bool {
        matches!(self, Self::Fetch | Self::Window | Self::Drain | Self::Encode | Self::Collect)
    }
}

impl CommandState {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Queued { .. } | Self::Running { .. } | Self::Rebooting | Self::Verifying)
    }

    /// How a command ends that is rejected for `code`.
    pub fn rejected_for(code: Code) -> Self {
        if code == Code::Expired { Self::Expired } else { Self::Rejected }
    }

    /// Whether it has not begun.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Accepted | Self::Queued { .. })
    }

    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued { .. } => "queued",
            Self::Running { .. } => "running",
            Self::Rebooting => "rebooting",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
            Self::TimedOut => "timed_out",
            Self::Expired => "expired",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }
}

/// What a node tells of a command on `st/<id>`. Of two, the one with the higher `seq` is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of this payload.
    pub v: u32,
    /// The command.
    pub id: CommandId,
    /// What it is.
    pub op: OpName,
    /// The number of this message among those of the command. 0 is only the rejection of a message that nobody vouches
    /// for, over which the state of the true command with this id wins.
    pub seq: u64,
    /// Where it stands.
    #[serde(flatten)]
    pub state: CommandState,
    /// How far it is, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pct: Option<u8>,
    /// When this was so.
    pub t: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// The kernel's id of the boot in which this was so.
    pub boot_id: String,
    /// The digest of the command's payload; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub req_sha256: Option<Sha256>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// What came of it.
    #[serde(default)]
    pub result: Map<String, Value>,
    /// Where its log is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_ref: Option<String>,
    /// The agent's version.
    pub agent: String,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// For programs, e.g. `disk_full`; that of a rejected command is its [`Code`].
    pub code: String,
    /// Whether the same command may succeed later.
    pub retry: bool,
    /// For people.
    pub msg: Text<1024>,
}

impl Fault {
    /// A fault; a message that is too long is cut.
    pub fn new(code: &str, retry: bool, msg: &str) -> Self {
        Self { code: code.to_owned(), retry, msg: Text::cut(msg) }
    }
}

impl From<&Rejection> for Fault {
    fn from(rejection: &Rejection) -> Self {
        Self::new(rejection.code.as_str(), false, rejection.reason.as_str())
    }
}

/// Who tells of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Teller {
    /// The kernel's id of the present boot.
    pub boot_id: String,
    /// The agent's version.
    pub agent: String,
}

impl State {
    /// The first state of a command that the node will do.
    pub fn accepted(id: CommandId, op: OpName, sha256: Sha256, at: Timestamp, by: &Teller) -> Self {
        Self::first(id, op, Some(sha256), CommandState::Accepted, at, by)
    }

    /// The only state of a command that the node will not do. `vouched` says whether its signatures were good: only then does
    /// it take the id.
    pub fn refused(id: CommandId, op: OpName, why: &Rejection, vouched: bool, at: Timestamp, by: &Teller) -> Self {
        let first = Self::first(id, op, None, CommandState::rejected_for(why.code), at, by);
        Self { seq: u64::from(vouched), error: Some(why.into()), ..first }
    }

    fn first(
        id: CommandId,
        op: OpName,
        sha256: Option<Sha256>,
        state: CommandState,
        at: Timestamp,
        by: &Teller,
    ) -> Self {
        Self {
            v: PROTOCOL,
            id,
            op,
            seq: 1,
            state,
            pct: None,
            t: at,
            started: None,
            boot_id: by.boot_id.clone(),
            req_sha256: sha256,
            error: None,
            result: Map::new(),
            log_ref: None,
            agent: by.agent.clone(),
        }
    }

    /// Reads a state's payload.
    ///
    /// # Errors
    /// `too_large`, `malformed` or `unsupported_version`.
    pub fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > MAX_STATE {
            return Err(Rejection::too_large(payload.len(), MAX_STATE));
        }
        let value: Value = serde_json::from_slice(payload).map_err(Rejection::malformed)?;
        check_version(&value)?;
        serde_json::from_value(value).map_err(Rejection::malformed)
    }

    /// The payload. A result with which it would be too large gives way to a word of that.
    pub fn to_payload(&self) -> Vec<u8> {
        let write = |state: &Self| serde_json::to_vec(state).expect("a state holds only texts, numbers and lists");
        let whole = write(self);
        if whole.len() <= MAX_STATE {
            return whole;
        }
        let mut short = self.clone();
        short.result = Map::from_iter([("too_large".to_owned(), Value::Bool(true))]);
        write(&short)
    }
}
