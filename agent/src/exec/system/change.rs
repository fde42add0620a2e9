//! A change of the system, done and undone: by the helper for a command, by a dead-man, after a boot and by the guard alike.

use std::{fs, path::Path, time::Duration};

use super::{
    BOOTED, CURRENT,
    decide::{Back, Facts, way_back},
    generations::Profile,
    loader, nix,
    programs::Program,
    record::{By, Good, Pending, Step, Way, Well},
    records::Records,
    settings::Settings,
    toplevel,
    units::{self, Action},
};
use crate::deeds::Undone;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// systemd takes the order, and carries it out after.
const SOON: Duration = Duration::from_secs(60);
/// A machine that is still here so long after it was to boot does not boot.
const REBOOT_LIMIT: Duration = Duration::from_secs(600);

/// What changes are done with.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The settings.
    pub settings: Settings,
    /// The record.
    pub records: Records,
    /// What this program is told to do as a dead-man.
    pub dead_man: Vec<String>,
}

impl Changes {
    /// By these settings.
    pub fn new(settings: Settings) -> Self {
        let records = Records::new(&settings.state_folder);
        Self { settings, records, dead_man: vec!["deadman".to_owned()] }
    }

    /// The profile of systems.
    pub fn profile(&self) -> Profile<'_> {
        Profile(&self.settings.profile)
    }

    /// What is in force.
    ///
    /// # Errors
    /// If the kernel does not say which boot this is.
    pub fn facts(&self) -> Result<Facts, Undone> {
        let boot_id = fs::read_to_string(BOOT_ID)
            .map_err(|e| Undone::for_now("no_boot_id", format!("cannot read {BOOT_ID}: {e}")))?;
        Ok(Facts {
            current: toplevel::at(Path::new(CURRENT)),
            booted: toplevel::at(Path::new(BOOTED)),
            generation: self.profile().present(),
            boot_id: boot_id.trim().to_owned(),
        })
    }

    /// Arms the dead-man of a change.
    ///
    /// # Errors
    /// If systemd refuses.
    pub async fn arm(&self, change: &Pending) -> Result<(), Undone> {
        units::arm(change, &self.settings, &self.dead_man).await
    }

    /// Puts the new system into force for good.
    ///
    /// # Errors
    /// If it is not in force, or the profile or the boot loader cannot be changed. It can be done again, and undone.
    pub async fn commit(&self, change: Pending) -> Result<(), Undone> {
        let facts = self.facts()?;
        let (in_force, link) =
            if change.way == Some(Way::Boot) { (&facts.booted, BOOTED) } else { (&facts.current, CURRENT) };
        if in_force.as_ref() != Some(&change.new) {
            return Err(Undone::for_good("not_in_force", format!("{link} is not {}", change.new)));
        }
        let change = Pending { step: Step::Committing, ..change };
        self.records.set_pending(&change)?;
        if change.by != By::Hand {
            let chosen = self.profile().choose(&change.new, change.new_generation).await;
            chosen.map_err(|e| Undone::for_now("commit_failed", format!("cannot set the profile: {e}")))?;
            units::switch(Action::Default, &change, &self.settings).await?;
        }
        let mut standing = self.records.standing()?;
        standing.committed(&change);
        self.records.set_standing(&standing)?;
        self.end(&change).await?;
        log::info!("{} is in force for good", change.new);
        Ok(())
    }

    /// Puts the old system into force again and remembers why. Where that takes a boot, this process ends with it; the rest is
    /// done after.
    ///
    /// # Errors
    /// If the old system does not come into force. It can be done again.
    pub async fn undo(&self, change: Pending, why: &str, bad: bool) -> Result<(), Undone> {
        if !change.has_touched() {
            return self.forget(&change, why, false).await;
        }
        let change = change.undoing(why, bad);
        self.records.set_pending(&change)?;
        let Step::Undoing { why, bad, .. } = &change.step else { unreachable!("it was made so") };
        log::error!("{} is undone, and {} comes back: {why}", change.new, change.old);
        let facts = self.facts()?;
        let back = way_back(&change, &facts);
        for step in &back {
            self.go_back(&change, *step).await;
        }
        if back.contains(&Back::Reboot) {
            return reboot().await;
        }
        let in_force = self.facts()?.current;
        if back.contains(&Back::Activate) && in_force.as_ref() != Some(&change.old) {
            return Err(Undone::for_now("undo_failed", format!("{CURRENT} is not {} again", change.old)));
        }
        self.forget(&change, why, *bad).await
    }

    /// One step of the way back. What does not work must not keep the rest from it.
    async fn go_back(&self, change: &Pending, step: Back) {
        let done = match step {
            Back::StopActivation => units::stop_trying(change).await.map_err(|e| e.to_string()),
            Back::ClearOneShot => loader::try_none().await.map_err(|e| e.to_string()),
            Back::Profile => self.profile().choose(&change.old, change.old_generation).await.map_err(|e| e.to_string()),
            Back::DropGeneration(number) => self.profile().drop(number).map_err(|e| e.to_string()),
            Back::Loader => units::switch(Action::OldDefault, change, &self.settings).await.map_err(|e| e.to_string()),
            Back::Activate => units::switch(Action::GoBack, change, &self.settings).await.map_err(|e| e.to_string()),
            Back::Reboot => Ok(()),
        };
        if let Err(e) = done {
            log::error!("on the way back from {}: {step:?}: {e}", change.new);
        }
    }

    async fn forget(&self, change: &Pending, why: &str, bad: bool) -> Result<(), Undone> {
        let mut standing = self.records.standing()?;
        standing.undone(change, why, bad);
        self.records.set_standing(&standing)?;
        self.end(change).await
    }

    async fn end(&self, change: &Pending) -> Result<(), Undone> {
        units::disarm(change).await;
        for name in ["old", "new"] {
            nix::keep(name, None).unwrap_or_else(|e| log::warn!("a link that keeps a system is left: {e}"));
        }
        self.records.clear_pending()
    }

    /// Remembers what is well with the system in force.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn found_well(&self, good: Good) -> Result<(), Undone> {
        let mut standing = self.records.standing()?;
        if standing.good.as_ref() != Some(&good) {
            standing.good = Some(good);
            self.records.set_standing(&standing)?;
        }
        Ok(())
    }

    /// Ends a change that somebody made by hand and took back.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn let_go(&self, change: &Pending) -> Result<(), Undone> {
        self.end(change).await
    }

    /// Ends a change that somebody made by hand, and that is well.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn accept(&self, change: &Pending, well: Well) -> Result<(), Undone> {
        let mut standing = self.records.standing()?;
        standing.bad.retain(|bad| bad.system != change.new);
        standing.good = Some(Good { system: change.new.clone(), well });
        self.records.set_standing(&standing)?;
        self.end(change).await
    }
}

/// Boots the machine, whoever holds it off: an unconfirmed system is worse. systemd itself is asked, because logind and the
/// message bus may be what never came up.
///
/// # Errors
/// If it is still here after a long while.
pub async fn reboot() -> Result<(), Undone> {
    log::error!("the machine boots now");
    const PLAIN: [&str; 4] = ["--no-block", "--job-mode=replace-irreversibly", "start", "reboot.target"];
    if let Err(e) = Program::new("systemctl", PLAIN, SOON).answer().await {
        log::error!("{e}; by force then");
        if let Err(e) = Program::new("systemctl", ["reboot", "--force"], SOON).answer().await {
            return Err(Undone::for_now("undo_failed", format!("the machine does not boot: {e}")));
        }
    }
    tokio::time::sleep(REBOOT_LIMIT).await;
    Err(Undone::for_now("undo_failed", "the machine was told to boot, and does not"))
}
