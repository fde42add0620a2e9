//! Old systems are taken away, but for those that the node may have to go back to. Nix's own collector knows of generations and
//! nothing of which system was booted, or was the last good one.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use reelmill_api::fleet::StorePath;

use super::{
    change::Changes,
    dead_man,
    generations::Profile,
    programs::{Failed, Program},
    toplevel,
};
use crate::{
    deeds::Undone,
    exec::files::{self, PRIVATE},
};

/// Whoever changes the system goes first; the next time is tomorrow.
const LOCK_LIMIT: Duration = Duration::from_secs(60);
/// The boot loader's menu is a few small files.
const MENU_LIMIT: Duration = Duration::from_secs(300);
/// A store of a slow disk is looked through.
const COLLECT_LIMIT: Duration = Duration::from_secs(5400);
/// It is there while the boot loader may know of systems that have no generation any more.
const MENU_IS_OLD: &str = "menu-is-old";

/// A generation and its system.
type Generation = (u32, Option<StorePath>);

/// Which generations go: all but the newest `keep`, the present one, and those of the systems that must stay.
pub fn surplus(all: &[Generation], present: Option<u32>, stay: &[StorePath], keep: usize) -> Vec<u32> {
    let newest: BTreeSet<u32> = all.iter().rev().take(keep).map(|(number, _)| *number).collect();
    let stays = |(number, system): &&Generation| {
        newest.contains(number)
            || present == Some(*number)
            || system.as_ref().is_some_and(|system| stay.contains(system))
    };
    all.iter().filter(|generation| !stays(generation)).map(|(number, _)| *number).collect()
}

/// Takes old systems away, unless one is being changed.
///
/// # Errors
/// If the disk refuses, or the boot loader cannot be told; then nothing is collected that it may start.
pub async fn tidy(changes: &Changes, keep: usize) -> Result<(), Undone> {
    let Some(_lock) = changes.records.lock(LOCK_LIMIT).await? else {
        log::info!("nothing is taken away now: the system is being changed");
        return Ok(());
    };
    dead_man::settle(changes).await?;
    if let Some(change) = changes.records.pending()? {
        log::info!("nothing is taken away now: whether {} stays is not decided", change.new);
        return Ok(());
    }
    let facts = changes.facts()?;
    let good = changes.records.standing()?.good.map(|good| good.system);
    let stay: Vec<StorePath> = [facts.current, facts.booted, good].into_iter().flatten().collect();
    let profile = changes.profile();
    let all: Vec<Generation> = profile.numbers().into_iter().map(|number| (number, profile.system(number))).collect();
    let present = facts.generation.map(|(number, _)| number);
    let old = surplus(&all, present, &stay, keep.max(1));
    let marker = changes.settings.state_folder.join(MENU_IS_OLD);
    take_away(&profile, &old, &marker)
        .map_err(|e| Undone::for_now("disk", format!("cannot take generations away: {e}")))?;
    if marker.exists() {
        renew_menu(changes).await?;
        files::forget(&marker)
            .map_err(|e| Undone::for_now("disk", format!("cannot remove {}: {e}", marker.display())))?;
    }
    let collected = Program::new("nix-store", ["--gc"], COLLECT_LIMIT).answer().await;
    let said = collected.map_err(|e| cannot("collect garbage", &e))?;
    let told = said.lines().last().unwrap_or("nothing was to be collected");
    log::info!("{} generations taken away, {} stay; {told}", old.len(), all.len() - old.len());
    Ok(())
}

/// The marker is there before the first goes: the boot loader must never be left with systems that are no more.
fn take_away(profile: &Profile<'_>, old: &[u32], marker: &Path) -> std::io::Result<()> {
    if old.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(marker.parent().unwrap_or(Path::new("/")))?;
    files::replace(marker, b"", PRIVATE)?;
    old.iter().try_for_each(|number| profile.drop(*number))
}

/// Has the present system write the boot loader's menu anew.
async fn renew_menu(changes: &Changes) -> Result<(), Undone> {
    let Some((_, system)) = changes.profile().present() else {
        let why = format!("{} names no system", changes.settings.profile.display());
        return Err(Undone::for_now("no_system", why));
    };
    let program = Path::new(system.as_str()).join(toplevel::SWITCH).display().to_string();
    Program::new(&program, ["boot"], MENU_LIMIT)
        .answer()
        .await
        .map(drop)
        .map_err(|e| cannot("tell the boot loader", &e))
}

fn cannot(what: &str, why: &Failed) -> Undone {
    Undone::for_now("not_tidied", format!("cannot {what}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(letter: char) -> StorePath {
        format!("/nix/store/{}-nixos", letter.to_string().repeat(32)).parse().expect("a path")
    }

    /// `all` is a letter for each generation's system, `.` for one that cannot be read.
    fn check(all: &[(u32, char)], present: Option<u32>, stay: &str, keep: usize, want: &[u32]) {
        let all: Vec<_> =
            all.iter().map(|(number, letter)| (*number, (*letter != '.').then(|| system(*letter)))).collect();
        let stay: Vec<_> = stay.chars().map(system).collect();
        assert_eq!(surplus(&all, present, &stay, keep), want, "{all:?} {present:?} {keep}");
    }

    #[test]
    fn the_newest_the_present_and_what_must_stay_are_kept() {
        let all = [(1, 'a'), (2, 'b'), (5, 'c'), (6, 'd'), (9, 'f')];
        check(&all, Some(9), "", 1, &[1, 2, 5, 6]);
        check(&all, Some(9), "", 3, &[1, 2]);
        check(&all, Some(2), "", 2, &[1, 5]);
        check(&all, Some(9), "ad", 1, &[2, 5]);
        check(&all, None, "", 9, &[]);
        check(&[], None, "a", 3, &[]);
    }

    #[test]
    fn a_system_that_stays_keeps_all_its_generations_and_a_broken_link_goes() {
        check(&[(1, 'a'), (2, '.'), (3, 'a'), (4, 'b')], Some(4), "a", 1, &[2]);
    }
}
