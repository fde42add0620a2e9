//! The parts of a `switch` or a `rollback`, each of which may come again.

use std::{path::Path, time::Duration};

use reelmill_api::fleet::{
    Command, Op, StorePath,
    args::{Rollback, Switch, SwitchMode, Verify},
    state::Phase,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    change::Changes,
    dead_man,
    decide::{Facts, Next, next},
    generations::meant,
    loader,
    nix::{Nix, keep},
    record::{By, Pending, Standing, Step, Way},
    room,
    toplevel::{self, Fixed},
    units::{self, Action},
};
use crate::deeds::{Outcome, Told, Undone};

/// Another part, a dead-man or the guard ends within that; activation has its own limit.
const LOCK_LIMIT: Duration = Duration::from_secs(900);

/// A part of a command.
pub struct Part<'a> {
    /// What changes are done with.
    pub changes: &'a Changes,
    /// The command.
    pub command: &'a Command,
    /// Where it tells how far it is.
    pub told: &'a Told,
    /// When it shall end, where it can.
    pub stop: &'a CancellationToken,
}

impl Part<'_> {
    /// Does one part.
    ///
    /// # Errors
    /// What kept it from being done.
    pub async fn act(&self, phase: Phase) -> Outcome {
        let records = &self.changes.records;
        let lock = tokio::select! {
            lock = records.lock(LOCK_LIMIT) => lock?,
            () = self.stop.cancelled(), if phase.is_cancelable() => return Err(Undone::for_now("stopped", "it was asked to end")),
        };
        let Some(lock) = lock else {
            return Err(Undone::for_now("busy", "another change of the system does not end"));
        };
        dead_man::settle(self.changes).await?;
        let (pending, standing) = (records.pending()?, records.standing()?);
        match next(phase, self.command.id, pending.as_ref(), &standing)? {
            Next::Over => Ok(self.over(phase, pending.as_ref())?),
            Next::Begin => self.begin(&standing).await.and_then(|change| self.keep_and(&change)),
            Next::Do(change) if phase == Phase::Fetch => {
                // It takes hours and changes nothing: the guard must not wait for it.
                drop(lock);
                self.fetch(change).await
            }
            Next::Do(change) => self.go_on(phase, change).await,
        }
    }

    fn keep_and(&self, change: &Pending) -> Outcome {
        self.changes.records.set_pending(change)?;
        let kept = keep("old", Some(&change.old)).and_then(|()| keep("new", Some(&change.new)));
        kept.map_err(|e| Undone::for_now("disk", format!("cannot keep the systems from the garbage collector: {e}")))?;
        Ok(Map::new())
    }

    async fn go_on(&self, phase: Phase, change: Pending) -> Outcome {
        match phase {
            Phase::Check => self.check(change).await,
            Phase::Activate => self.activate(change).await,
            Phase::Commit => self.changes.commit(change).await.map(|()| Map::new()),
            Phase::Undo => self.changes.undo(change, "the command was undone", true).await.map(|()| Map::new()),
            other => Err(Undone::for_good("not_supported", format!("the root helper has no part in {other:?}"))),
        }
    }

    /// What a part tells that was done before.
    fn over(&self, phase: Phase, pending: Option<&Pending>) -> Outcome {
        match pending.filter(|change| phase == Phase::Activate && change.by == By::Command(self.command.id)) {
            Some(change) => Ok(boot(change, &self.changes.facts()?)),
            None if phase == Phase::Activate => Ok(Map::from_iter([("boot".to_owned(), Value::Bool(false))])),
            None => Ok(Map::new()),
        }
    }

    async fn begin(&self, standing: &Standing) -> Result<Pending, Undone> {
        let facts = self.changes.facts()?;
        let Some(old) = facts.current.clone() else {
            let what = format!("{} leads to no system in the Nix store", super::CURRENT);
            return Err(Undone::for_good("not_supported", what));
        };
        let change = match &self.command.op {
            Op::Switch(switch) => self.begin_switch(switch, old, &facts, standing).await?,
            Op::Rollback(rollback) => self.begin_rollback(*rollback, old, &facts)?,
            op => return Err(Undone::for_good("not_supported", format!("`{}` changes no system", op.as_str()))),
        };
        if let Some(why) = standing.is_bad(&change.new).filter(|_| !self.command.policy.force) {
            let what = format!("{} was undone here before ({why}); `force` tries it again", change.new);
            return Err(Undone::for_good("bad_release", what));
        }
        room::to_boot(self.changes.settings.boot_spare_mib)?;
        Ok(change)
    }

    async fn begin_switch(
        &self,
        switch: &Switch,
        old: StorePath,
        facts: &Facts,
        standing: &Standing,
    ) -> Result<Pending, Undone> {
        if switch.release_ctr <= standing.release_ctr {
            let (wanted, present) = (switch.release_ctr, standing.release_ctr);
            let what = format!("release {wanted} is not newer than {present}, which this node has; use `rollback`");
            return Err(Undone::for_good("release_not_newer", what));
        }
        let need = self.nix().need(&switch.store_path).await?;
        room::in_store(need.bytes, self.changes.settings.spare_mib)?;
        let change = self.pending(old, switch.store_path.clone(), facts, switch.verify);
        Ok(Pending { release_ctr: Some(switch.release_ctr), ..change })
    }

    fn begin_rollback(&self, rollback: Rollback, old: StorePath, facts: &Facts) -> Result<Pending, Undone> {
        let profile = self.changes.profile();
        let present = facts.generation.as_ref().map(|(number, _)| *number);
        let number = meant(rollback.to, &profile.numbers(), present);
        let found = number.and_then(|number| Some((number, profile.system(number)?)));
        let Some((number, new)) = found else {
            let what = format!("{} has no such generation", profile.0.display());
            return Err(Undone::for_good("no_generation", what));
        };
        if new == old {
            return Err(Undone::for_good("already_there", format!("generation {number} is in force already")));
        }
        let change = self.pending(old, new, facts, Verify::default());
        Ok(Pending { new_generation: Some(number), ..change })
    }

    fn pending(&self, old: StorePath, new: StorePath, facts: &Facts, verify: Verify) -> Pending {
        let old_generation = facts.generation.as_ref().filter(|(_, system)| *system == old).map(|(number, _)| *number);
        Pending {
            by: By::Command(self.command.id),
            old,
            new,
            old_generation,
            new_generation: None,
            made_generation: false,
            release_ctr: None,
            way: None,
            step: Step::Begun,
            boot_id: None,
            deadline_s: self.changes.settings.deadline(verify.timeout_s.get().into()).as_secs(),
        }
    }

    async fn fetch(&self, change: Pending) -> Outcome {
        if let Op::Switch(switch) = &self.command.op {
            let nix = self.nix();
            let need = nix.need(&change.new).await?;
            nix.fetch(&change.new, need, self.told, self.stop).await?;
            nix.verify(&change.new, &switch.nar_hash, self.stop).await?;
        }
        let records = &self.changes.records;
        let lock = records.lock(LOCK_LIMIT).await?;
        if lock.is_none() || records.pending()?.as_ref() != Some(&change) {
            return Err(Undone::for_now("busy", "somebody else has changed the system meanwhile"));
        }
        self.step(&change, Step::Fetched)
    }

    async fn check(&self, change: Pending) -> Outcome {
        let mode = match &self.command.op {
            Op::Switch(switch) => switch.mode,
            _ => SwitchMode::Auto,
        };
        let booted = self.changes.facts()?.booted.unwrap_or_else(|| change.old.clone());
        let way = toplevel::way(mode, &Fixed::of(&booted), &Fixed::of(&change.new))?;
        toplevel::check(&change.new, way, self.stop).await?;
        self.step(&Pending { way: Some(way), ..change }, Step::Checked)
    }

    async fn activate(&self, change: Pending) -> Outcome {
        let facts = self.changes.facts()?;
        let change = Pending { boot_id: Some(facts.boot_id.clone()), ..change };
        // Before anything changes. One that goes off too early finds that nothing has.
        self.changes.arm(&change).await?;
        let change = match change.way {
            Some(Way::Boot) => self.prepare_boot(change).await?,
            _ => self.try_now(change).await?,
        };
        self.step(&change, Step::Active)?;
        Ok(boot(&change, &facts))
    }

    async fn try_now(&self, change: Pending) -> Result<Pending, Undone> {
        self.step(&change, Step::Activating)?;
        units::switch(Action::Try, &change, &self.changes.settings).await?;
        if toplevel::at(Path::new(super::CURRENT)).as_ref() == Some(&change.new) {
            return Ok(change);
        }
        let what = format!("{} was put into force, and {} does not lead to it", change.new, super::CURRENT);
        Err(Undone::for_good("activation_failed", what))
    }

    /// The new system gets an entry in the boot loader, whose default stays the old one, and is booted once.
    async fn prepare_boot(&self, change: Pending) -> Result<Pending, Undone> {
        let profile = self.changes.profile();
        let known = change.new_generation.or_else(|| profile.of(&change.new));
        let change = match known {
            Some(number) => Pending { new_generation: Some(number), ..change },
            None => Pending { new_generation: Some(profile.next()), made_generation: true, ..change },
        };
        // Its number is on the disk before it is there: so it is known whose it is.
        self.step(&change, Step::Activating)?;
        if let Some(number) = change.new_generation.filter(|_| change.made_generation) {
            let added = profile.add(number, &change.new);
            added.map_err(|e| Undone::for_now("disk", format!("cannot add generation {number}: {e}")))?;
        }
        // The builder of entries makes that system the default whose script it is.
        units::switch(Action::OldDefault, &change, &self.changes.settings).await?;
        loader::try_once(&change.new).await?;
        Ok(change)
    }

    fn step(&self, change: &Pending, step: Step) -> Outcome {
        self.changes.records.set_pending(&Pending { step, ..change.clone() })?;
        Ok(Map::new())
    }

    fn nix(&self) -> Nix<'_> {
        Nix { substituters: self.changes.settings.substituters.as_deref() }
    }
}

/// Whether the machine must boot for it to come into force.
fn boot(change: &Pending, facts: &Facts) -> Map<String, Value> {
    let needed = change.way == Some(Way::Boot) && facts.booted.as_ref() != Some(&change.new);
    Map::from_iter([("boot".to_owned(), Value::Bool(needed))])
}
