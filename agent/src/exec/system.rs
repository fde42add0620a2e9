//! Another system on this node: fetched, checked, put into force for now, and then for good or undone. Also what undoes it when
//! nobody confirms it, and what does the same for a system that somebody put into force by hand.

pub mod by_hand;
pub mod change;
pub mod dead_man;
pub mod decide;
pub mod generations;
pub mod guard;
pub mod health;
pub mod loader;
pub mod nix;
pub mod parts;
pub mod programs;
pub mod record;
pub mod records;
pub mod room;
pub mod settings;
pub mod tidy;
pub mod timer;
pub mod toplevel;
pub mod units;

use std::path::Path;

use reelmill_api::fleet::{Command, Op, state::Phase};
use tokio_util::sync::CancellationToken;

use self::{change::Changes, parts::Part, records::Records};
pub use self::{record::Bad, settings::Settings};
use crate::deeds::{Outcome, Told, Undone};

/// The system in force.
const CURRENT: &str = "/run/current-system";
/// The system that was booted.
const BOOTED: &str = "/run/booted-system";

/// The node's systems, as Nix keeps them.
#[derive(Clone, Debug, Default)]
pub struct System {
    settings: Settings,
    /// What this program is told to do as a dead-man, where it is not `deadman`.
    dead_man: Option<Vec<String>>,
}

/// What this program does about the node's systems without a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum DeadmanOrGuard {
    /// Undo a change of the system that nobody has confirmed; a timer calls this.
    Deadman {
        /// Look what a boot has made of it instead.
        #[arg(long)]
        after_boot: bool,
    },
    /// Look whether somebody has put another system into force, and undo it where the node is not well with it.
    Guard,
    /// Take old systems away, but for those that the node may have to go back to; a timer calls this.
    Tidy {
        /// How many of the newest stay in any case.
        #[arg(long, default_value_t = 3)]
        keep: usize,
    },
}

impl System {
    /// By these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, dead_man: None }
    }

    /// Does one part of a `switch` or a `rollback`. The same part may come again after the helper or the machine died in it.
    ///
    /// # Errors
    /// What kept it from being done.
    pub async fn part(&self, command: &Command, phase: Phase, told: &Told, stop: &CancellationToken) -> Outcome {
        if !matches!(command.op, Op::Switch(_) | Op::Rollback(_)) {
            let what = format!("this node cannot do `{}` ({phase:?})", command.op.as_str());
            return Err(Undone::for_good("not_supported", what));
        }
        let changes = self.changes();
        Part { changes: &changes, command, told, stop }.act(phase).await
    }

    /// Does what needs no command.
    ///
    /// # Errors
    /// What kept it from being done; it can be done again.
    pub async fn look_after(&self, what: &DeadmanOrGuard) -> anyhow::Result<()> {
        let changes = self.changes();
        let done = match what {
            DeadmanOrGuard::Deadman { after_boot: false } => dead_man::on_fire(&changes).await,
            DeadmanOrGuard::Deadman { after_boot: true } => dead_man::after_boot(&changes).await,
            DeadmanOrGuard::Guard => guard::watch(&changes).await,
            DeadmanOrGuard::Tidy { keep } => tidy::tidy(&changes, *keep).await,
        };
        Ok(done?)
    }

    fn changes(&self) -> Changes {
        let changes = Changes::new(self.settings.clone());
        match &self.dead_man {
            Some(dead_man) => Changes { dead_man: dead_man.clone(), ..changes },
            None => changes,
        }
    }
}

/// The systems that were undone on this node, oldest first, by the record in that folder. Whoever cannot read it knows of none.
pub fn bad_systems(folder: &Path) -> Vec<Bad> {
    Records::new(folder).standing().map(|standing| standing.bad).unwrap_or_default()
}

/// Does what needs no command, by the settings of the environment.
///
/// # Errors
/// Mistakes in the settings, or what kept it from being done.
pub async fn run(what: &DeadmanOrGuard) -> anyhow::Result<()> {
    System::new(Settings::load(reelmill_daemon::Env::from_process())?).look_after(what).await
}
