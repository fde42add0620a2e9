//! Units that outlive who started them: `switch-to-configuration` in one of its own, and the dead-man's timer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reelmill_api::fleet::StorePath;

use super::{
    record::Pending,
    settings::Settings,
    timer::{self, Deed},
    toplevel::{self, SWITCH},
};
use crate::{
    deeds::Undone,
    systemd::{
        Error, Outcome, Systemd, transient,
        unit::{BatchId, UnitName},
    },
};

/// What the units are called by.
const SWITCHING: &str = "switch";
const DEAD_MAN: &str = "dead-man";
/// How often a unit is looked at that an earlier run of this program began.
const LOOK: Duration = Duration::from_millis(500);
/// A message bus that is silent for so long is none.
const SILENCE: Duration = Duration::from_secs(30);

/// What is done with a system. Each has a unit of its own, so that none is taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The new one is put into force, for now.
    Try,
    /// The old one is put into force again.
    GoBack,
    /// The boot loader boots the new one from now on.
    Default,
    /// The boot loader boots the old one, and knows all generations.
    OldDefault,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Try | Self::GoBack => "test",
            Self::Default | Self::OldDefault => "boot",
        }
    }

    fn id(self, change: &Pending) -> BatchId {
        let suffix = match self {
            Self::Try => "try",
            Self::GoBack => "back",
            Self::Default => "default",
            Self::OldDefault => "old",
        };
        format!("{}{suffix}", change.name()).parse().expect("a ULID or a word, and a word")
    }

    fn system(self, change: &Pending) -> &StorePath {
        match self {
            Self::Try | Self::Default => &change.new,
            Self::GoBack | Self::OldDefault => &change.old,
        }
    }
}

/// Runs a system's `switch-to-configuration` to its end.
///
/// # Errors
/// If it fails, hangs, or cannot be run.
pub async fn switch(action: Action, change: &Pending, settings: &Settings) -> Result<(), Undone> {
    let (id, system) = (action.id(change), action.system(change));
    let limit = settings.activate_within();
    wait_for(&id, limit).await.map_err(|e| cannot(&e))?;
    let program = Path::new(system.as_str()).join(SWITCH).display().to_string();
    match transient::run_within(SWITCHING, &id, limit, &[&program, action.word()]).await {
        Ok(outcome) if outcome.is_success() => Ok(()),
        Ok(outcome) => Err(failed(&program, action, &outcome, &id)),
        // It may have restarted the message bus: then what it did tells how it went.
        Err(e @ Error::Bus { .. }) => {
            wait_for(&id, limit).await.map_err(|e| cannot(&e))?;
            let in_force = action.word() == "test" && toplevel::at(Path::new(super::CURRENT)).as_ref() == Some(system);
            if in_force { Ok(()) } else { Err(cannot(&e)) }
        }
        Err(e) => Err(cannot(&e)),
    }
}

/// Ends what still puts the new system into force.
///
/// # Errors
/// If it does not end.
pub async fn stop_trying(change: &Pending) -> Result<(), Undone> {
    transient::end(SWITCHING, &Action::Try.id(change)).await.map_err(|e| cannot(&e))
}

/// Waits for the end of a unit that an earlier run of this program began.
///
/// # Errors
/// If the message bus is silent for a while: who undoes a system without one must not wait for it.
async fn wait_for(id: &BatchId, limit: Duration) -> Result<(), Error> {
    let (unit, systemd) = (transient::unit_of(SWITCHING, id), Systemd::new(UnitName::worker()));
    let mut heard = Instant::now();
    let over = async {
        loop {
            match systemd.state(unit.as_str()).await {
                Ok(state) if state.activity.is_over() => return Ok(()),
                Ok(_) => heard = Instant::now(),
                Err(e) if heard.elapsed() >= SILENCE => return Err(e),
                // A bus that is started anew answers soon.
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(limit, over).await.unwrap_or_else(|_| {
        log::warn!("{unit} has not ended within {} s", limit.as_secs());
        Ok(())
    })
}

fn failed(program: &str, action: Action, outcome: &Outcome, id: &BatchId) -> Undone {
    let how = outcome.exit.map(|exit| format!(", {exit:?}")).unwrap_or_default();
    let unit = transient::unit_of(SWITCHING, id);
    let what = format!("{program} {}: {}{how}; see journalctl --unit {unit}", action.word(), outcome.result);
    Undone::for_good("activation_failed", what)
}

/// Arms the dead-man of a change, anew if it is armed: it calls this program's `deadman`.
///
/// # Errors
/// If systemd refuses.
pub async fn arm(change: &Pending, settings: &Settings, dead_man: &[String]) -> Result<(), Undone> {
    disarm(change).await;
    let program = std::env::current_exe().map_err(|e| Undone::for_now("no_dead_man", format!("who am I? {e}")))?;
    let mut variables = settings.for_dead_man();
    // Programs of the old system, which stays: the new one may lack them.
    variables.extend(std::env::var("PATH").map(|path| format!("PATH={path}")));
    let deed = Deed { program: &program, words: dead_man, variables: &variables };
    let armed = timer::arm(DEAD_MAN, &name(change), Duration::from_secs(change.deadline_s), deed).await;
    armed.map_err(|e| Undone::for_now("no_service_manager", format!("cannot arm the dead-man: {e}")))
}

/// Disarms the dead-man of a change. One that is not armed, or has gone off, finds nothing to do.
pub async fn disarm(change: &Pending) {
    if let Err(e) = timer::call_off(DEAD_MAN, &name(change)).await {
        log::warn!("the dead-man is still armed, and will find nothing to do: {e}");
    }
}

fn name(change: &Pending) -> BatchId {
    change.name().parse().expect("a ULID or a word")
}

fn cannot(error: &Error) -> Undone {
    let told = reelmill_daemon::report::render(error);
    Undone::for_now("no_service_manager", told.trim_start_matches("error: ").replace('\n', "; "))
}
