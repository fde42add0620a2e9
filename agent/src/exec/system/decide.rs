//! What is done next about a change of the system: from the record and from what is in force, by plain functions.

use reelmill_api::fleet::{CommandId, StorePath, state::Phase};

use super::record::{By, Ended, Pending, Standing, Step, Way};
use crate::deeds::Undone;

/// What is in force on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The system that was put into force last.
    pub current: Option<StorePath>,
    /// The system that was booted.
    pub booted: Option<StorePath>,
    /// The profile's present generation.
    pub generation: Option<(u32, StorePath)>,
    /// The kernel's id of this boot.
    pub boot_id: String,
}

impl Facts {
    /// Whether this boot is that in which a change came into force.
    fn is_boot_of(&self, change: &Pending) -> bool {
        change.boot_id.as_ref() == Some(&self.boot_id)
    }

    /// Whether the new system is there only by a boot.
    fn has_booted(&self, change: &Pending) -> bool {
        change.way == Some(Way::Boot) && self.booted.as_ref() == Some(&change.new)
    }
}

/// What a part of a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Begin: nothing of it is known, or nothing that counts.
    Begin,
    /// Go on with this.
    Do(Pending),
    /// There is nothing left to do.
    Over,
}

/// What a part of the command of that id comes to.
///
/// # Errors
/// If another change is not over, an earlier part is missing, or the change was undone.
pub fn next(phase: Phase, id: CommandId, pending: Option<&Pending>, standing: &Standing) -> Result<Next, Undone> {
    let own = pending.filter(|change| change.by == By::Command(id));
    if let Some(change) = own {
        return of_own(phase, change);
    }
    if let Some(ended) = standing.ended.as_ref().filter(|ended| ended.id == id) {
        return of_ended(phase, ended);
    }
    match (phase, pending) {
        (Phase::Undo, _) => Ok(Next::Over),
        (Phase::Preflight, Some(other)) if other.has_touched() => Err(busy(other)),
        (Phase::Preflight, _) => Ok(Next::Begin),
        _ => Err(Undone::for_now("not_begun", "an earlier part of this command is missing here; send it anew")),
    }
}

fn of_own(phase: Phase, change: &Pending) -> Result<Next, Undone> {
    let go_on = || Ok(Next::Do(change.clone()));
    if let Step::Undoing { why, .. } = &change.step {
        return if phase == Phase::Undo { go_on() } else { Err(rolled_back(why)) };
    }
    match (phase, &change.step) {
        (Phase::Preflight, step) if change.has_touched() || *step == Step::Checked => Ok(Next::Over),
        (Phase::Preflight, _) => Ok(Next::Begin),
        (Phase::Fetch | Phase::Check, _) if change.has_touched() => Ok(Next::Over),
        (Phase::Fetch, _) | (Phase::Check, Step::Fetched | Step::Checked) => go_on(),
        (Phase::Activate, Step::Checked | Step::Activating) => go_on(),
        (Phase::Activate, Step::Active | Step::Committing) => Ok(Next::Over),
        (Phase::Commit, Step::Active | Step::Committing) | (Phase::Undo, _) => go_on(),
        _ => Err(Undone::for_now("out_of_order", format!("{phase:?} cannot follow on {:?}", change.step))),
    }
}

fn of_ended(phase: Phase, ended: &Ended) -> Result<Next, Undone> {
    match (&ended.undone, phase) {
        (None, Phase::Undo) => {
            Err(Undone::for_good("committed", "the new system is in force for good; use `rollback` to go back"))
        }
        (None, _) | (Some(_), Phase::Undo) => Ok(Next::Over),
        (Some(why), _) => Err(rolled_back(why)),
    }
}

fn rolled_back(why: &str) -> Undone {
    Undone::for_good("rolled_back", format!("the old system is back: {why}"))
}

fn busy(other: &Pending) -> Undone {
    let who = match other.by {
        By::Command(id) => format!("command {id}"),
        By::Hand => "somebody on the node".to_owned(),
    };
    Undone::for_now("busy", format!("the change to {} by {who} is not over", other.new))
}

/// What is done about a change after a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterBoot {
    /// Nothing, or not yet.
    Nothing,
    /// The new system runs on trial: it is undone unless somebody confirms it.
    Arm,
    /// The old system runs: the change is over.
    Undo {
        /// Why, for people.
        why: String,
        /// Whether the new system is to blame.
        bad: bool,
    },
    /// It was confirmed before, and the new system runs.
    Finish,
}

/// What is done about a change after a boot.
pub fn after_boot(change: &Pending, facts: &Facts) -> AfterBoot {
    if !change.has_touched() || facts.is_boot_of(change) {
        return AfterBoot::Nothing;
    }
    let new_runs = facts.booted.as_ref() == Some(&change.new);
    match &change.step {
        Step::Committing if new_runs => AfterBoot::Finish,
        Step::Committing => {
            AfterBoot::Undo { why: "the machine went down while it was confirmed".to_owned(), bad: false }
        }
        Step::Undoing { why, bad, .. } if !new_runs => AfterBoot::Undo { why: why.clone(), bad: *bad },
        _ if new_runs => AfterBoot::Arm,
        // It went down before it was told to boot the new system.
        Step::Activating if change.way == Some(Way::Boot) => AfterBoot::Undo {
            why: "the machine went down before the new system could be booted".to_owned(),
            bad: false,
        },
        _ => {
            AfterBoot::Undo { why: "the machine came back with another system than the new one".to_owned(), bad: true }
        }
    }
}

/// What a dead-man does when it goes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnFire {
    /// Nothing has changed.
    Nothing,
    /// The old system comes back, for this reason.
    Undo(String),
    /// It was confirmed, and whoever did it died before the end.
    Finish,
}

/// What a dead-man does when it goes off.
pub fn on_fire(change: &Pending) -> OnFire {
    match &change.step {
        Step::Begun | Step::Fetched | Step::Checked => OnFire::Nothing,
        Step::Committing => OnFire::Finish,
        Step::Undoing { why, .. } => OnFire::Undo(why.clone()),
        Step::Activating | Step::Active => {
            OnFire::Undo(format!("nobody confirmed the new system within {} s", change.deadline_s))
        }
    }
}

/// One thing that is done so that the old system is in force again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// What still activates the new system ends.
    StopActivation,
    /// The next boot is no trial.
    ClearOneShot,
    /// The profile's present generation is the old one.
    Profile,
    /// The generation that was made for the change goes.
    DropGeneration(u32),
    /// The boot loader starts the old system, and knows no more of the new one.
    Loader,
    /// The old system is put into force.
    Activate,
    /// The machine boots: the old system is what it boots.
    Reboot,
}

/// The way back from a change that is being undone, in its order. Each can be done again.
pub fn way_back(change: &Pending, facts: &Facts) -> Vec<Back> {
    let Step::Undoing { loader, .. } = change.step else { return Vec::new() };
    let same_boot = facts.is_boot_of(change);
    let by_boot = change.way == Some(Way::Boot);
    let mut back = Vec::new();
    if same_boot {
        back.push(Back::StopActivation);
    }
    if by_boot && same_boot {
        back.push(Back::ClearOneShot);
    }
    if facts.generation.as_ref().is_some_and(|(_, system)| *system != change.old) {
        back.push(Back::Profile);
    }
    if let Some(number) = change.new_generation.filter(|_| change.made_generation) {
        back.push(Back::DropGeneration(number));
    }
    if loader {
        back.push(Back::Loader);
    }
    if facts.has_booted(change) {
        back.push(Back::Reboot);
    } else if same_boot && !by_boot {
        back.push(Back::Activate);
    }
    back
}

impl Pending {
    /// The same change on its way back.
    pub fn undoing(self, why: &str, bad: bool) -> Self {
        let loader = match self.step {
            Step::Undoing { .. } => return self,
            Step::Committing => true,
            _ => self.by == By::Hand || self.way == Some(Way::Boot),
        };
        Self { step: Step::Undoing { why: why.to_owned(), bad, loader }, ..self }
    }
}

#[cfg(test)]
mod tests;
