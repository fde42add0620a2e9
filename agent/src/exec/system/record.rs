//! What is known of changes of the system: the one that is not over, and what became of those that are. Plain data, as it
//! lies on the disk.

use reelmill_api::fleet::{CommandId, StorePath};
use serde::{Deserialize, Serialize};

/// So many releases and bad systems are remembered; of more, the oldest are forgotten.
const REMEMBERED: usize = 64;

/// Who changes the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A command.
    Command(CommandId),
    /// Somebody on the node, e.g. by `nixos-rebuild switch`.
    Hand,
}

/// How a new system comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// At once.
    Live,
    /// By a boot.
    Boot,
}

/// How far a change is. It is on the disk before the deed that it names begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It can be done.
    Begun,
    /// All of the new system is here.
    Fetched,
    /// The new system's own checks have passed.
    Checked,
    /// It comes into force. From here on there is something to undo.
    Activating,
    /// It is in force, or will be by the next boot; nobody has confirmed it.
    Active,
    /// It was confirmed, and comes into force for good.
    Committing,
    /// The old one comes back.
    Undoing {
        /// Why, for people.
        why: String,
        /// Whether the new system is to blame.
        bad: bool,
        /// Whether the boot loader may know of the new system.
        loader: bool,
    },
}

/// A change that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Who does it.
    pub by: By,
    /// The system before.
    pub old: StorePath,
    /// The system after.
    pub new: StorePath,
    /// The old system's generation, if it has one.
    pub old_generation: Option<u32>,
    /// The new system's generation: that of a `rollback`, or the one that a boot needs.
    pub new_generation: Option<u32>,
    /// Whether that generation was made for this change.
    pub made_generation: bool,
    /// The release's number, where there is one.
    pub release_ctr: Option<u64>,
    /// How it comes into force, once that is known.
    pub way: Option<Way>,
    /// How far it is.
    pub step: Step,
    /// The kernel's id of the boot in which it came into force, once it did.
    pub boot_id: Option<String>,
    /// After how many seconds it is undone unless it is confirmed.
    pub deadline_s: u64,
}

impl Pending {
    /// Whether there may be something to undo.
    pub fn has_touched(&self) -> bool {
        !matches!(self.step, Step::Begun | Step::Fetched | Step::Checked)
    }

    /// What its units are called by.
    pub fn name(&self) -> String {
        match self.by {
            By::Command(id) => id.to_string(),
            By::Hand => "hand".to_owned(),
        }
    }
}

/// What became of the changes that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The last system that was found well, and what was well with it.
    #[serde(default)]
    pub good: Option<Good>,
    /// The number of the present release.
    #[serde(default)]
    pub release_ctr: u64,
    /// Releases that were committed here, oldest first.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// Systems that were undone, oldest first.
    #[serde(default)]
    pub bad: Vec<Bad>,
    /// The last command that is over.
    #[serde(default)]
    pub ended: Option<Ended>,
}

/// A system that was found well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// Which.
    pub system: StorePath,
    /// What was well.
    pub well: Well,
}

/// What is well on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Well {
    /// The agent's unit runs.
    pub agent: bool,
    /// The agent answers.
    pub answers: bool,
    /// The agent has its line to the broker.
    pub broker: bool,
    /// The worker's unit runs.
    pub worker: bool,
}

/// A release that was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its system.
    pub system: StorePath,
    /// Its number.
    pub ctr: u64,
}

/// A system that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// Which.
    pub system: StorePath,
    /// Why.
    pub why: String,
}

/// A command that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub id: CommandId,
    /// Why it was undone; `None`: it was committed.
    pub undone: Option<String>,
}

impl Standing {
    /// Why a system is known as bad.
    pub fn is_bad(&self, system: &StorePath) -> Option<&str> {
        self.bad.iter().find(|bad| bad.system == *system).map(|bad| bad.why.as_str())
    }

    /// After the commit of a command's change.
    pub fn committed(&mut self, change: &Pending) {
        let known = self.releases.iter().find(|release| release.system == change.new).map(|release| release.ctr);
        // A generation that no command brought has no number: any release is newer.
        self.release_ctr = change.release_ctr.or(known).unwrap_or(0);
        self.releases.retain(|release| release.system != change.new);
        self.releases.push(Release { system: change.new.clone(), ctr: self.release_ctr });
        forget_oldest(&mut self.releases);
        self.bad.retain(|bad| bad.system != change.new);
        let well = self.good.take().map(|good| good.well).unwrap_or_default();
        self.good = Some(Good { system: change.new.clone(), well });
        self.ended(change, None);
    }

    /// After a change was undone.
    pub fn undone(&mut self, change: &Pending, why: &str, bad: bool) {
        if bad {
            self.bad.retain(|bad| bad.system != change.new);
            self.bad.push(Bad { system: change.new.clone(), why: why.to_owned() });
            forget_oldest(&mut self.bad);
        }
        self.ended(change, Some(why.to_owned()));
    }

    fn ended(&mut self, change: &Pending, undone: Option<String>) {
        if let By::Command(id) = change.by {
            self.ended = Some(Ended { id, undone });
        }
    }
}

fn forget_oldest<T>(all: &mut Vec<T>) {
    let surplus = all.len().saturating_sub(REMEMBERED);
    all.drain(..surplus);
}
