//! What commands make of a node, behind one interface: systemd and its kin on a node, a notebook in tests.

use std::{future::Future, sync::Arc, time::Duration};

use reelmill_api::fleet::{
    Command, CommandId, Op, Topic,
    args::{AtDeadline, Verify},
    state::Phase,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub mod batch;
pub mod diag;
pub mod examine;
mod node;
pub mod tags;
pub mod tail;

pub use node::{OnNode, Parts, Reach, Say, See, Sight};
use node::{in_words, undone};

/// One thing to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Take no more work and finish what there is, before the command disturbs it.
    FinishWork {
        /// How long the work is waited for; `None`: however long it takes.
        within: Option<Duration>,
        /// What becomes of what is unfinished then.
        then: AtDeadline,
    },
    /// The operation itself.
    Perform {
        /// Which.
        op: Op,
        /// Whether it is done though the worker is at work.
        force: bool,
    },
    /// One part of a command that the root helper does: one of [`crate::exec::wire::parts`], or the undoing of them.
    Part {
        /// The command, with its message.
        order: Arc<Order>,
        /// Which part.
        phase: Phase,
    },
    /// Look whether the node is well after a change, within [`Verify::timeout_s`].
    Verify {
        /// What changed it.
        op: Op,
        /// What must be well.
        verify: Verify,
        /// How it was before.
        before: Before,
        /// Whether it takes work again; nobody looks at the worker of a node that somebody has drained.
        takes_work: bool,
    },
    /// Leave nothing of a command behind that was stopped or has failed: what it started ends. Harmless where there is
    /// nothing.
    CleanUp {
        /// What was begun.
        op: Op,
        /// Where the root helper may still have something in hand: the command with its message.
        order: Option<Arc<Order>>,
        /// Whether work is taken again that the command had finished.
        resume_work: bool,
    },
}

/// How a node was before a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Whether a GPU was seen.
    pub gpu: bool,
    /// Whether the clock agreed with the world's.
    pub clock: bool,
}

/// A command and the message in which it came: the root helper believes the message only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The command.
    pub command: Command,
    /// The topic of the message.
    pub topic: Topic,
    /// The message as it came.
    pub message: Vec<u8>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Undone {
    /// For programs; lower case with underscores.
    pub code: String,
    /// For people; lower case, no full stop.
    pub message: String,
    /// Whether the same command may go well another time.
    pub retry: bool,
}

impl Undone {
    /// Something that did not go well, and may another time.
    pub fn for_now(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry: true }
    }

    /// Something that never will go well.
    pub fn for_good(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry: false }
    }
}

/// How a deed ended: with what the command tells as its result, or not done.
pub type Outcome = Result<Map<String, Value>, Undone>;

/// Where a deed tells how far it is, in percent.
pub type Told = Arc<dyn Fn(u8) + Send + Sync>;

/// All that can be done on a node.
pub trait Deeds: Send + Sync + 'static {
    /// The names of the operations that this node can do. All others are refused, and the node says so beforehand.
    fn able(&self) -> Vec<&'static str>;

    /// Does a deed to its end. The agent may die meanwhile: then the same deed of the same command comes again after the
    /// start, and must go on with what is there instead of doing it twice. When `stop` is cancelled it ends soon; what is
    /// left is for [`Deed::CleanUp`]. A reboot and a poweroff end as soon as they are on their way.
    fn perform(
        &self,
        command: CommandId,
        deed: Deed,
        told: Told,
        stop: CancellationToken,
    ) -> impl Future<Output = Outcome> + Send;
}
