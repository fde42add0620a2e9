//! What the deeds need of the agent's other parts, and where things lie.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Notify;

use crate::config::LoopbackUrl;

/// What others see of the node, now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Whether there is a connection to the broker.
    pub connected: bool,
    /// How many connections have stood since the agent started.
    pub connections: u64,
    /// Why there is none, if that is known.
    pub why: Option<String>,
    /// Whether a GPU is seen.
    pub gpu: bool,
    /// Whether the clock agrees with the world's.
    pub clock: bool,
}

/// Looks at the node.
pub type See = Arc<dyn Fn() -> Sight + Send + Sync>;

/// What lies beyond the deeds themselves.
#[derive(Clone)]
pub struct Reach {
    /// The root helper's socket.
    pub helper: PathBuf,
    /// How the node looks to others.
    pub see: See,
    /// Whoever is told connects to the broker anew.
    pub connect_anew: Arc<Notify>,
    /// The broker's host and port.
    pub broker: (String, u16),
    /// Where the worker tells what it does.
    pub worker: LoopbackUrl,
    /// The trusted keys, which a command may replace.
    pub trust: PathBuf,
    /// Where the root helper leaves the version of the settings that are in force.
    pub conf_ver: PathBuf,
    /// Where the node's identity lies.
    pub state_folder: PathBuf,
    /// Where its key is laid out to be used, if not there.
    pub runtime_folder: Option<PathBuf>,
}
