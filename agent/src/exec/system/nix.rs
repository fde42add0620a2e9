//! Nix: what a system takes, fetching it, and whether what came is what was meant.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use reelmill_api::fleet::{NarHash, StorePath};
use tokio_util::sync::CancellationToken;

use super::programs::{Failed, Program};
use crate::deeds::{Told, Undone};

/// Links here keep what they point to from Nix's garbage collector.
const ROOTS: &str = "/nix/var/nix/gcroots";
/// A question to the store, or to a cache that may be far away.
const SOON: Duration = Duration::from_secs(300);
/// A whole system over a thin line.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
/// Nothing is built; unsigned is refused whatever nix.conf says; what came is on the disk before it counts; and a cache that
/// lacked a system a minute ago is asked again.
const OPTIONS: [[&str; 2]; 5] = [
    ["max-jobs", "0"],
    ["builders", ""],
    ["require-sigs", "true"],
    ["fsync-store-paths", "true"],
    ["narinfo-cache-negative-ttl", "0"],
];

/// What fetching a system takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Paths that are not here.
    pub paths: u32,
    /// Room that they take, bytes.
    pub bytes: u64,
}

/// The caches and the store.
#[derive(Debug)]
pub struct Nix<'a> {
    /// The caches; `None`: those of nix.conf.
    pub substituters: Option<&'a str>,
}

impl Nix<'_> {
    fn realise(&self, system: &StorePath, more: &[&str], limit: Duration) -> Program {
        let mut words = vec!["--realise", system.as_str()];
        words.extend_from_slice(more);
        for [name, value] in OPTIONS {
            words.extend(["--option", name, value]);
        }
        if let Some(caches) = self.substituters {
            words.extend(["--option", "substituters", caches]);
        }
        Program::new("nix-store", words, limit)
    }

    /// What fetching a system would take.
    ///
    /// # Errors
    /// If no cache has it, or none can be asked.
    pub async fn need(&self, system: &StorePath) -> Result<Need, Undone> {
        let asked = self.realise(system, &["--dry-run"], SOON).run(|_| (), &CancellationToken::new()).await;
        let (_, said) = asked.map_err(|e| fault("cannot ask the caches", &e))?;
        need_of(&said).ok_or_else(|| {
            let said = said.lines().map(str::trim).filter(|line| line.starts_with("warning: ")).next_back();
            let why = said.map(|line| format!(" ({line})")).unwrap_or_default();
            Undone::for_now("not_in_cache", format!("no cache of this node has {system}{why}"))
        })
    }

    /// Brings a system here; `need` is what it takes.
    ///
    /// # Errors
    /// If it does not come whole and signed.
    pub async fn fetch(
        &self,
        system: &StorePath,
        need: Need,
        told: &Told,
        stop: &CancellationToken,
    ) -> Result<(), Undone> {
        let mut came = 0;
        let tell = |line: &str| {
            if line.starts_with("copying path ") {
                came += 1;
                told(percent(came, need.paths));
            }
        };
        let ran = self.realise(system, &[], LONG).run(tell, stop).await;
        ran.map_err(|e| if e.how == "stopped" { stopped() } else { fault("cannot fetch the system", &e) })?;
        // Older versions of Nix do not know the option for it.
        let store = fs::File::open("/nix/store").and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
        store.map_err(|e| Undone::for_now("disk", format!("cannot bring /nix/store to the disk: {e}")))
    }

    /// Whether each path of a system is signed by a key that nix.conf names, and the system is the one that was meant.
    ///
    /// # Errors
    /// If not.
    pub async fn verify(&self, system: &StorePath, meant: &NarHash, stop: &CancellationToken) -> Result<(), Undone> {
        let signed = nix(&["store", "verify", "--recursive", "--no-contents", system.as_str()], LONG).run(|_| (), stop);
        signed.await.map_err(|e| if e.how == "stopped" { stopped() } else { fault("cannot trust the system", &e) })?;
        let found = nix(&["hash", "path", "--sri", "--type", "sha256", system.as_str()], LONG).run(|_| (), stop).await;
        let (found, _) =
            found.map_err(|e| if e.how == "stopped" { stopped() } else { fault("cannot read the system", &e) })?;
        if found.trim() == meant.as_str() {
            return Ok(());
        }
        let what = format!("{system} has the content {}, and the command means {meant}", found.trim());
        Err(Undone::for_good("nar_hash_mismatch", what))
    }
}

fn nix(words: &[&str], limit: Duration) -> Program {
    Program::new("nix", ["--extra-experimental-features", "nix-command"].iter().chain(words), limit)
}

/// Keeps a system from the garbage collector under a name, or no longer.
///
/// # Errors
/// If the disk refuses.
pub fn keep(name: &str, system: Option<&StorePath>) -> std::io::Result<()> {
    let link = Path::new(ROOTS).join(format!("reelmill-{name}"));
    let Some(system) = system else {
        return match fs::remove_file(&link) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
    };
    fs::create_dir_all(ROOTS)?;
    let fresh = link.with_extension("new");
    let _ = fs::remove_file(&fresh);
    symlink(system.as_str(), &fresh)?;
    fs::rename(&fresh, &link)
}

fn stopped() -> Undone {
    Undone::for_now("stopped", "it was asked to end")
}

/// What Nix says, as the command's fault.
fn fault(doing: &str, failed: &Failed) -> Undone {
    let said = &failed.said;
    let has = |words: &[&str]| words.iter().any(|part| said.contains(part));
    let told = format!("{doing}: {failed}");
    if has(&["not signed by any of the keys", "lacks a signature", "lacks a valid signature", "is untrusted"]) {
        Undone::for_good("unsigned", told)
    } else if has(&["hash mismatch"]) {
        Undone::for_good("nar_hash_mismatch", told)
    } else if has(&["No space left on device"]) {
        Undone::for_now("disk_full", told)
    } else {
        Undone::for_now("fetch_failed", told)
    }
}

fn percent(came: u32, of: u32) -> u8 {
    u8::try_from(u64::from(came) * 100 / u64::from(of.max(1))).unwrap_or(100).min(99)
}

/// What `nix-store --realise --dry-run` says that it would fetch; `None` if it would have to build.
fn need_of(said: &str) -> Option<Need> {
    let mut need = Need::default();
    for line in said.lines() {
        if line.starts_with("don't know how to build") || line.contains("will be built") {
            return None;
        }
        let Some((_, size)) = line.split_once(" will be fetched (") else { continue };
        let words = line.split_whitespace();
        need.paths = words.take(3).find_map(|word| word.parse().ok()).unwrap_or(1);
        need.bytes = size.split_once(" download, ").and_then(|(_, rest)| bytes(rest)).unwrap_or_default();
    }
    Some(need)
}

/// A size as Nix writes it, e.g. `12.50 MiB unpacked):`.
fn bytes(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let number: f64 = words.next()?.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let given = words.next()?;
    let unit = ["B", "KiB", "MiB", "GiB", "TiB"].iter().position(|unit| *unit == given)?;
    let power = i32::try_from(unit).ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size far below 2^53, from zero on")]
    Some((number * 1024_f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_needed_is_read_from_a_dry_run() {
        let need = |paths, bytes| Some(Need { paths, bytes });
        for (said, want) in [
            ("", need(0, 0)),
            (
                "this path will be fetched (0.00 MiB download, 0.50 MiB unpacked):\n  /nix/store/a-a\n",
                need(1, 512 * 1024),
            ),
            (
                "warning: the group 'nixbld' specified in 'build-users-group' does not exist\n\
                 these 1207 paths will be fetched (1012.36 MiB download, 3104.00 MiB unpacked):\n  /nix/store/a-a\n",
                need(1207, 3104 << 20),
            ),
            ("these 2 paths will be fetched (1.0 GiB download, 3.0 GiB unpacked):\n", need(2, 3 << 30)),
            ("don't know how to build these paths:\n  /nix/store/a-a\n", None),
            ("this derivation will be built:\n  /nix/store/a-a.drv\n", None),
            ("these 2 derivations will be built:\n  /nix/store/a-a.drv\n", None),
        ] {
            assert_eq!(need_of(said), want, "{said}");
        }
    }

    #[test]
    fn what_nix_says_has_a_code() {
        for (said, code, retry) in [
            (
                "warning: ignoring substitute for '/nix/store/a-a' from 'file:///c', as it's not signed by any of the keys in \
                 'trusted-public-keys'\nerror: build of '/nix/store/a-a' failed",
                "unsigned",
                false,
            ),
            ("path '/nix/store/a-a' is untrusted", "unsigned", false),
            ("error: hash mismatch importing path '/nix/store/a-a';", "nar_hash_mismatch", false),
            ("error: writing to file: No space left on device", "disk_full", true),
            ("error: unable to download 'https://c/x.narinfo'", "fetch_failed", true),
        ] {
            let failed =
                Failed { command: "nix-store".to_owned(), how: "exit status: 1".to_owned(), said: said.to_owned() };
            let undone = fault("cannot fetch", &failed);
            assert_eq!((undone.code.as_str(), undone.retry), (code, retry), "{said}");
        }
    }

    #[test]
    fn progress_never_says_done() {
        assert_eq!([(0, 0), (1, 3), (3, 3), (9, 3)].map(|(came, of)| percent(came, of)), [0, 33, 99, 99]);
    }

    proptest! {
        #[test]
        fn whatever_nix_says_is_read(said in ".{0,200}", size in "these [0-9]{1,12} paths will be fetched \\(.{0,60}") {
            let _ = (need_of(&said), need_of(&size), bytes(&said));
        }
    }
}
