//! The boot loader, by systemd's bootctl: the entry of a system, and the one boot that tries it.

use std::time::Duration;

use reelmill_api::fleet::StorePath;
use serde::Deserialize;

use super::programs::{Failed, Program};
use crate::deeds::Undone;

/// It reads and writes a few variables and files.
const SOON: Duration = Duration::from_secs(60);

/// An entry of the boot loader, as bootctl lists it.
#[derive(Deserialize)]
struct Entry {
    id: Option<String>,
    options: Option<String>,
}

/// Boots a system next time, and only then.
///
/// # Errors
/// If the boot loader has no entry for it, or cannot be told.
pub async fn try_once(system: &StorePath) -> Result<(), Undone> {
    let cannot = |e: Failed| Undone::for_now("no_trial_boot", format!("cannot arrange a boot on trial: {e}"));
    let listed = Program::new("bootctl", ["list", "--json=short"], SOON).answer().await.map_err(cannot)?;
    let Some(id) = entry_of(system, &listed) else {
        let what = format!("the boot loader has no entry for {system}: bootctl list does not show it");
        return Err(Undone::for_now("no_trial_boot", what));
    };
    Program::new("bootctl", ["set-oneshot", &id], SOON).answer().await.map(drop).map_err(cannot)
}

/// Takes that back.
///
/// # Errors
/// If the boot loader cannot be told.
pub async fn try_none() -> Result<(), Failed> {
    Program::new("bootctl", ["set-oneshot", ""], SOON).answer().await.map(drop)
}

/// The entry of a system by what it starts: names of entries are the boot loader's own business.
fn entry_of(system: &StorePath, listed: &str) -> Option<String> {
    let entries: Vec<Entry> = serde_json::from_str(listed).ok()?;
    let init = format!("init={system}/init");
    let starts = |entry: &Entry| entry.options.as_ref().is_some_and(|o| o.split_whitespace().any(|word| word == init));
    entries.into_iter().find(starts)?.id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SYSTEM: &str = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";

    fn entry(listed: &str) -> Option<String> {
        entry_of(&SYSTEM.parse().expect("a path"), listed)
    }

    #[test]
    fn an_entry_is_found_by_what_it_starts() {
        let listed = format!(
            r#"[{{"type":"type1","source":"esp","id":"nixos-generation-7.conf","title":"NixOS","options":"init={SYSTEM}.1/init quiet"}},
                {{"type":"type1","source":"esp","id":"nixos-9c2b.conf","title":"NixOS","linux":"/EFI/nixos/k.efi",
                  "options":"init={SYSTEM}/init loglevel=4","isDefault":false}},
                {{"type":"auto","source":"efivars","id":"auto-reboot-to-firmware-setup","title":"Reboot"}}]"#
        );
        assert_eq!(entry(&listed).as_deref(), Some("nixos-9c2b.conf"));
        assert_eq!(entry("[]"), None);
        assert_eq!(entry("no JSON"), None);
    }

    proptest! {
        #[test]
        fn whatever_bootctl_says_is_read(listed in ".{0,200}", options in ".{0,80}") {
            let _ = (entry(&listed), entry(&serde_json::json!([{"id": "a", "options": options}]).to_string()));
        }
    }
}
