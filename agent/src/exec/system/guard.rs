//! The guard of what is done by hand: after `nixos-rebuild switch` on the node itself it is asked, as after a command, whether
//! agent and worker are well and the broker can be reached anew; and what makes the node less well than it was is undone.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use reelmill_api::fleet::StorePath;

use super::{
    change::Changes,
    decide::Facts,
    health::{self, Wanted},
    nix,
    record::{By, Good, Pending, Standing, Step, Way, Well},
};
use crate::deeds::Undone;

/// `switch-to-configuration` holds it while it works.
const SWITCH_LOCK: &str = "/run/nixos/switch-to-configuration.lock";
/// A command's part ends within that.
const LOCK_LIMIT: Duration = Duration::from_secs(900);
/// A rebuild puts a system into force so soon after it has named it; else it was for the next boot.
const SOON_IN_FORCE: Duration = Duration::from_secs(60);
/// How often the node is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the guard found out about a system.
#[derive(Debug)]
enum Verdict {
    Well(Well),
    Unwell(String),
    /// It is not in force any more, or somebody else has judged it.
    Gone,
}

/// Looks whether another system was put into force by hand, and judges it. Changes that come meanwhile are judged too.
///
/// # Errors
/// If the record cannot be read or written, or the old system does not come back.
pub async fn watch(changes: &Changes) -> Result<(), Undone> {
    if !changes.settings.guard {
        return Ok(());
    }
    wait_for_change(changes).await?;
    while let Some((change, before)) = begin(changes).await? {
        let verdict = judge(changes, &change, before).await?;
        end(changes, change, verdict).await?;
    }
    Ok(())
}

/// A rebuild names the new system first and puts it into force after. Until then there is nothing to judge.
async fn wait_for_change(changes: &Changes) -> Result<(), Undone> {
    let Some(good) = changes.records.standing()?.good else { return Ok(()) };
    // So that there is something to compare with afterwards.
    let _ = begin(changes).await?;
    let begun = Instant::now();
    while begun.elapsed() < SOON_IN_FORCE {
        let facts = changes.facts()?;
        let named = facts.generation.is_some_and(|(_, system)| system != good.system);
        if facts.current.as_ref() != Some(&good.system) || !(named || works()) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The change that is to be judged, and what was well before it.
async fn begin(changes: &Changes) -> Result<Option<(Pending, Option<Well>)>, Undone> {
    let Some(_lock) = changes.records.lock(LOCK_LIMIT).await? else { return Ok(None) };
    let (pending, standing, facts) = (changes.records.pending()?, changes.records.standing()?, changes.facts()?);
    let Some(current) = facts.current.clone() else { return Ok(None) };
    let before = standing.good.as_ref().map(|good| good.well);
    if let Some(change) = &pending {
        match (&change.by, &change.step) {
            (By::Command(_), _) if change.has_touched() => return Ok(None),
            (By::Hand, Step::Undoing { why, .. }) => {
                changes.undo(change.clone(), why, true).await?;
                return Ok(None);
            }
            (By::Hand, _) if change.new == current => return Ok(Some((change.clone(), before))),
            (By::Hand, _) => changes.records.clear_pending()?,
            // It has changed nothing yet. Where something else has, it gives way.
            (By::Command(_), _) => {}
        }
    }
    match way_back_of(&standing, &current) {
        Known::Same(well) => remember(changes, current, well).await,
        Known::Nothing => remember(changes, current, Well::default()).await,
        Known::Older(old) => {
            let change = by_hand(changes, old, current, &facts);
            changes.arm(&change).await?;
            changes.records.set_pending(&change)?;
            nix::keep("old", Some(&change.old)).unwrap_or_else(|e| log::warn!("cannot keep {}: {e}", change.old));
            log::warn!("{} was put into force by hand; whether the node is well with it is looked at", change.new);
            Ok(Some((change, before)))
        }
    }
}

/// What there is to go back to.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// The system in force is the one that was found well.
    Same(Well),
    /// No other one was found well.
    Nothing,
    /// This one was.
    Older(StorePath),
}

fn way_back_of(standing: &Standing, current: &StorePath) -> Known {
    match &standing.good {
        None => Known::Nothing,
        Some(good) if good.system == *current => Known::Same(good.well),
        Some(good) => Known::Older(good.system.clone()),
    }
}

/// Nothing has changed: this is how the node is when it is well. An agent that is just starting tells nothing.
async fn remember<T>(changes: &Changes, system: StorePath, known: Well) -> Result<Option<T>, Undone> {
    let now = health::look(&changes.settings, Wanted::Any).await;
    let well = if now.answers { now } else { known };
    changes.found_well(Good { system, well })?;
    Ok(None)
}

fn by_hand(changes: &Changes, old: StorePath, new: StorePath, facts: &Facts) -> Pending {
    let way = if facts.booted.as_ref() == Some(&new) { Way::Boot } else { Way::Live };
    Pending {
        by: By::Hand,
        old_generation: changes.profile().of(&old),
        old,
        new,
        new_generation: None,
        made_generation: false,
        release_ctr: None,
        way: Some(way),
        step: Step::Active,
        boot_id: Some(facts.boot_id.clone()),
        deadline_s: changes.settings.deadline(changes.settings.guard_s).as_secs(),
    }
}

/// Waits until the node has been well for a while, or has not been for too long.
async fn judge(changes: &Changes, change: &Pending, before: Option<Well>) -> Result<Verdict, Undone> {
    let settings = &changes.settings;
    wait_for_activation(settings.activate_within()).await;
    let (limit, steady) = (Duration::from_secs(settings.guard_s), Duration::from_secs(settings.steady_s));
    let (begun, mut well_since) = (Instant::now(), None);
    // A connection from before the change says nothing about the network after it.
    let mut wanted = if before.is_some_and(|well| well.broker) { Wanted::New(None) } else { Wanted::Any };
    loop {
        if changes.facts()?.current.as_ref() != Some(&change.new) || changes.records.pending()?.as_ref() != Some(change)
        {
            return Ok(Verdict::Gone);
        }
        if let Wanted::New(asked @ None) = &mut wanted {
            *asked = health::connect_anew(&settings.agent_door).await;
        }
        let now = health::look(settings, wanted).await;
        let missing = health::missing(before, now);
        if missing.is_empty() {
            if well_since.get_or_insert_with(Instant::now).elapsed() >= steady {
                return Ok(Verdict::Well(now));
            }
        } else {
            well_since = None;
            if begun.elapsed() >= limit {
                return Ok(Verdict::Unwell(missing.join(", ")));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Until it is done, units are on their way down or up.
async fn wait_for_activation(limit: Duration) {
    let done = async {
        while works() {
            tokio::time::sleep(LOOK).await;
        }
    };
    // One that hangs leaves a node that is judged as it is.
    let _ = tokio::time::timeout(limit, done).await;
}

/// Whether somebody's `switch-to-configuration` works. It is not asked by trying the lock: one that came just then would fail.
fn works() -> bool {
    let Ok(file) = fs::metadata(SWITCH_LOCK) else { return false };
    fs::read_to_string("/proc/locks").is_ok_and(|locks| is_locked(&locks, file.ino()))
}

/// Whether somebody has a whole file of that number locked, by what the kernel tells.
fn is_locked(locks: &str, inode: u64) -> bool {
    let of_file = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.get(5).and_then(|place| place.rsplit(':').next()?.parse().ok());
        words.get(1) == Some(&"FLOCK") && place == Some(inode)
    };
    locks.lines().any(of_file)
}

async fn end(changes: &Changes, change: Pending, verdict: Verdict) -> Result<(), Undone> {
    let Some(_lock) = changes.records.lock(LOCK_LIMIT).await? else { return Ok(()) };
    if changes.records.pending()?.as_ref() != Some(&change) {
        return Ok(());
    }
    match verdict {
        Verdict::Gone => changes.let_go(&change).await,
        Verdict::Well(well) => {
            changes.accept(&change, well).await?;
            log::info!("{} was put into force by hand, and the node is well with it", change.new);
            Ok(())
        }
        Verdict::Unwell(why) => {
            let (old, new) = (change.old.clone(), change.new.clone());
            changes.undo(change, &why, true).await?;
            log::error!(
                "to whoever put {new} into force on this node: it was undone, and {old} is back, because {why}; mend that, or \
                 keep such a system by GUARD=false in /etc/reelmill/exec.env"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_by_the_kernel() {
        let locks = "1: FLOCK  ADVISORY  WRITE 812 00:19:77 0 EOF\n2: POSIX  ADVISORY  READ 9 fd:00:78 128 128\n\
                     2: -> FLOCK  ADVISORY  WRITE 813 00:19:79 0 EOF\n";
        assert_eq!([77, 78, 7, 79].map(|inode| is_locked(locks, inode)), [true, false, false, false]);
        assert!(!is_locked("nonsense\n", 77));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_kernel_tells_is_read(locks in ".{0,200}", inode: u64) {
            let _ = is_locked(&locks, inode);
        }
    }

    #[test]
    fn the_way_back_is_to_what_was_found_well() {
        let path = |name: &str| -> StorePath {
            format!("/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-{name}").parse().expect("a path")
        };
        let well = Well { agent: true, answers: true, broker: true, worker: false };
        let good = |name: &str| Standing { good: Some(Good { system: path(name), well }), ..Standing::default() };
        assert_eq!(way_back_of(&Standing::default(), &path("a")), Known::Nothing);
        assert_eq!(way_back_of(&good("a"), &path("a")), Known::Same(well));
        assert_eq!(way_back_of(&good("a"), &path("b")), Known::Older(path("a")));
    }
}
