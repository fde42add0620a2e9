//! Shares of the node's pixel rate: a file for each task that has one or waits for one, locked by whoever it belongs to.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reelmill_api::Failure;
use serde::{Deserialize, Serialize};

use super::{Admission, LOOK, cannot, lock, try_lock};

/// How long a task that does not fit is passed by lighter ones. Then nothing that came later begins before it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How the files of claims begin.
const CLAIM: &str = "pixels-";

/// What one task has of the node's pixel rate, or waits for; free again when dropped.
#[derive(Debug)]
pub struct Share {
    file: File,
    path: PathBuf,
    claim: Claim,
}

/// A share as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// Pixels per second.
    weight: u64,
    /// When it was asked for, in milliseconds since 1970.
    since_ms: u64,
    /// Whether it was given.
    held: bool,
}

/// Whether a claim is met beside `others`. One that is heavier than everything runs alone.
fn is_met(claim: &Claim, others: &[Claim], pixels: u64, now_ms: u64) -> bool {
    let overdue = |other: &&Claim| {
        let waited = Duration::from_millis(now_ms.saturating_sub(other.since_ms));
        other.held || (other.since_ms < claim.since_ms && waited >= PATIENCE)
    };
    let taken = others.iter().filter(overdue).fold(0_u64, |sum, other| sum.saturating_add(other.weight));
    taken == 0 || taken.saturating_add(claim.weight) <= pixels
}

impl Admission {
    /// A share of `weight` pixels per second, given or still waited for; `None` where nothing is counted.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub async fn claim(&self, weight: u64) -> Result<Option<Share>, Failure> {
        let (Some(folder), Some(pixels)) = (&self.folder, self.pixels) else { return Ok(None) };
        let _door = door(folder).await?;
        let path = folder.join(format!("{CLAIM}{}", uuid::Uuid::new_v4().simple()));
        let made = || -> io::Result<Share> {
            let others = others(folder, None)?;
            let file = try_lock(&path)?.ok_or(io::ErrorKind::WouldBlock)?;
            let mut claim = Claim { weight, since_ms: now_ms(), held: false };
            claim.held = is_met(&claim, &others, pixels, claim.since_ms);
            let mut share = Share { file, path: path.clone(), claim };
            share.write()?;
            Ok(share)
        };
        made().map(Some).map_err(|e| cannot(&path, "claim", &e))
    }

    /// Returns when a share is given.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub async fn given(&self, share: &mut Share) -> Result<(), Failure> {
        let (Some(folder), Some(pixels)) = (&self.folder, self.pixels) else { return Ok(()) };
        while !share.is_given() {
            tokio::time::sleep(LOOK).await;
            let _door = door(folder).await?;
            let others = others(folder, Some(&share.path)).map_err(|e| cannot(folder, "read", &e))?;
            if is_met(&share.claim, &others, pixels, now_ms()) {
                share.claim.held = true;
                share.write().map_err(|e| cannot(&share.path, "write", &e))?;
            }
        }
        Ok(())
    }
}

impl Share {
    /// Whether it was given.
    pub fn is_given(&self) -> bool {
        self.claim.held
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&serde_json::to_vec(&self.claim)?)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Whoever comes next removes what is left of it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whoever has the door reads and writes claims, and nobody else; a look takes microseconds.
async fn door(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("door");
    loop {
        match try_lock(&path).map_err(|e| cannot(&path, "lock", &e))? {
            Some(door) => return Ok(door),
            None => tokio::time::sleep(LOOK / 50).await,
        }
    }
}

/// The claims of living workers but for `own`; those of dead ones are removed.
fn others(folder: &Path, own: Option<&Path>) -> io::Result<Vec<Claim>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_claim = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(CLAIM));
        if is_claim && Some(path.as_path()) != own {
            found.extend(read(&path)?);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Option<Claim>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if lock(&file)? {
        // Nobody has it any more.
        fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(weight: u64, since_ms: u64, held: bool) -> Claim {
        Claim { weight, since_ms, held }
    }

    #[test]
    fn what_fits_begins_and_what_waited_long_is_not_passed() {
        let [running, heavy, light] = [claim(60, 0, true), claim(90, 1, false), claim(30, 2, false)];
        let soon = 1000;
        let late = u64::try_from(PATIENCE.as_millis()).expect("seconds") + 1;
        assert!(!is_met(&heavy, std::slice::from_ref(&running), 100, soon));
        assert!(is_met(&light, &[running.clone(), heavy.clone()], 100, soon), "it passes the heavy one");
        assert!(!is_met(&light, &[running, heavy.clone()], 100, late), "and no more once that has waited long");
        assert!(is_met(&heavy, std::slice::from_ref(&light), 100, late), "which then begins");
        assert!(!is_met(&light, &[claim(90, 1, true)], 100, late));
        assert!(is_met(&claim(500, 3, false), &[], 100, 3), "one that is heavier than everything runs alone");
        assert!(!is_met(&claim(500, 3, false), &[claim(1, 0, true)], 100, 3));
    }

    proptest! {
        /// Lighter tasks come without end, a task runs for a while: whoever waits begins, and never is more taken than there is,
        /// but by one that is alone.
        #[test]
        fn whoever_waits_begins_in_the_end(weights in prop::collection::vec(1_u64..150, 1..12), lasts in 1_u64..40_000) {
            let (mut waiting, mut running): (Vec<Claim>, Vec<(u64, Claim)>) = (Vec::new(), Vec::new());
            let mut begun = 0;
            for step in 0..400 {
                let now = step * 5000;
                let next = weights.get(usize::try_from(step).expect("small")).copied();
                waiting.push(claim(next.unwrap_or(10), now, false));
                running.retain(|(until, _)| *until > now);
                for n in (0..waiting.len()).rev() {
                    let mut others: Vec<_> = running.iter().map(|(_, claim)| claim.clone()).collect();
                    let mine = waiting.remove(n);
                    others.extend(waiting.iter().cloned());
                    if is_met(&mine, &others, 100, now) {
                        begun += usize::from(mine.since_ms < weights.len() as u64 * 5000);
                        running.push((now + lasts, Claim { held: true, ..mine }));
                    } else {
                        waiting.insert(n, mine);
                    }
                }
                let taken: u64 = running.iter().map(|(_, claim)| claim.weight).sum();
                prop_assert!(taken <= 100 || running.len() == 1, "{} by {}", taken, running.len());
            }
            prop_assert_eq!(begun, weights.len());
        }
    }

    #[tokio::test]
    async fn shares_are_counted_over_all_workers_and_a_dead_ones_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node");
        let [one, other] = [(); 2].map(|()| Admission::new(&path, None, Some(100)).expect("our folder"));
        let first = one.claim(70).await.expect("a folder").expect("counted");
        let mut second = other.claim(40).await.expect("a folder").expect("counted");
        let light = one.claim(30).await.expect("a folder").expect("counted");
        assert_eq!([first.is_given(), second.is_given(), light.is_given()], [true, false, true]);
        // As the kernel closes the files of a dead worker, and nobody removes them.
        let left = first.path.clone();
        rustix::fs::flock(&first.file, rustix::fs::FlockOperation::Unlock).expect("it is ours");
        assert!(left.exists());
        other.given(&mut second).await.expect("a folder");
        assert!(!left.exists(), "it was removed");
        drop((first, second, light));
        let names = fs::read_dir(&path).expect("ours").map(|entry| entry.expect("an entry").file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["door"]);
    }
}
