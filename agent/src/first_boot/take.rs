//! Taking: each file is read, understood and kept before it is wiped where it lay, so that a power cut at any point is made good
//! by the next boot.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use reelmill_api::enrol::given::MAX_GIVEN;

use super::{Step, given::Kind, state::State, wipe};

/// Takes what lies in the folders, the first file of each kind; what went wrong with the others.
pub fn take(folders: &[PathBuf], state: &State, step: Step<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        if let Err(why) = take_kind(kind, folders, state, &mut wrong, step) {
            wrong.push(why);
        }
    }
    wrong
}

/// Takes one kind of file.
fn take_kind(
    kind: Kind,
    folders: &[PathBuf],
    state: &State,
    wrong: &mut Vec<String>,
    step: Step<'_>,
) -> Result<(), String> {
    let mut found = None;
    let mut to_wipe = Vec::new();
    for path in folders.iter().map(|folder| folder.join(kind.file())) {
        finish_wiping(&path, step);
        match read(&path) {
            Ok(None) => {}
            Ok(Some(bytes)) if found.is_none() => match kind.understand(&path, &bytes) {
                Ok(kept) => {
                    found = Some(kept);
                    to_wipe.push(path);
                }
                // It stays, to be mended; another one may be good.
                Err(why) => wrong.push(why),
            },
            Ok(Some(_)) => {
                log::warn!("{} is not taken: there was a {} before it", path.display(), kind.file());
                to_wipe.push(path);
            }
            Err(e) => wrong.push(format!("cannot read {}: {e}", path.display())),
        }
    }
    let Some(kept) = found else { return Ok(()) };
    for (name, content) in kept {
        state.keep(name, content.as_deref(), step).map_err(|e| format!("cannot keep {name}: {e}"))?;
    }
    for path in to_wipe {
        match wipe::wipe(&path, step) {
            Ok(()) => log::info!("took {}, and wiped it there", path.display()),
            Err(e) => log::error!(
                "took {}, and cannot wipe it there: {e}; whoever gets the medium can read it",
                path.display()
            ),
        }
    }
    Ok(())
}

/// Ends the wiping of a file that was taken before the power went.
fn finish_wiping(path: &Path, step: Step<'_>) {
    let taken = wipe::taken(path);
    match fs::symlink_metadata(&taken) {
        Err(_) => {}
        Ok(_) => match wipe::finish(&taken, step) {
            Ok(()) => log::info!("wiped {}", taken.display()),
            Err(e) => log::error!("cannot wipe {}: {e}; whoever gets the medium can read it", taken.display()),
        },
    }
}

/// What is in a file; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = OpenOptions::new().read(true).custom_flags(wipe::no_links()).open(path);
    let file = match opened {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        opened => opened?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_GIVEN {
        return Err(io::Error::other("this is no file of a few lines"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_GIVEN).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::BTreeMap,
        os::unix::fs::PermissionsExt as _,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    use tempfile::TempDir;

    use super::*;

    const JOIN: &str = "hub = \"https://hub:7443\"\nca_sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\
        token = \"rmj_abababababababababababababababab\"\n[network]\naddress = \"10.0.0.7/24\"\n";
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsyJpGpeAZqyQlWmQE6wFBvbn5SkqFdsTfDFd0KVwtP anna\n";

    /// A machine: `boot` is its boot partition, `state` its disk, `run` is gone with the power.
    struct Machine(TempDir);

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs::create_dir(folder.path().join("boot")).expect("ours");
            let machine = Self(folder);
            for (name, text) in [
                ("join.toml", JOIN),
                ("authorized_keys", KEY),
                ("worker.env", "QUEUE_URL=redis://hub\n"),
                ("hostname", "orin-3\n"),
            ] {
                fs::write(machine.at("boot").join(name), text).expect("ours");
            }
            machine
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Boots it; its name, and what went wrong.
        fn boot(&self, step: Step<'_>) -> (Option<String>, Vec<String>) {
            let _ = fs::remove_dir_all(self.at("run"));
            let state = State::open(&self.at("state"), "nobody-has-this-name").expect("ours");
            let mut wrong = take(&[self.at("boot")], &state, step);
            let name = RefCell::new(None);
            let set_name = |to: &str| {
                *name.borrow_mut() = Some(to.to_owned());
                Ok(())
            };
            if wrong.is_empty() {
                wrong.extend(state.put_into_force(&self.at("run"), &set_name, step));
            }
            (name.into_inner(), wrong)
        }

        /// All files by their way from the machine's root.
        fn files(&self) -> BTreeMap<String, String> {
            let mut all = BTreeMap::new();
            for folder in ["boot", "state", "run/systemd/network"] {
                for entry in fs::read_dir(self.at(folder)).into_iter().flatten().flatten() {
                    let name = format!("{folder}/{}", entry.file_name().display());
                    all.insert(name, fs::read_to_string(entry.path()).expect("text"));
                }
            }
            all
        }
    }

    #[test]
    fn what_was_given_is_taken_wiped_and_in_force() {
        let machine = Machine::new();
        assert_eq!(machine.boot(&mut |_| ()), (Some("orin-3".to_owned()), vec![]));
        let files = machine.files();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "run/systemd/network/10-reelmill-join.network",
                "state/10-reelmill-join.network",
                "state/authorized_keys",
                "state/hostname",
                "state/join.toml",
                "state/worker.env"
            ],
            "nothing is left on the boot partition"
        );
        assert_eq!(files["state/join.toml"], JOIN);
        assert_eq!(files["state/worker.env"], "QUEUE_URL=\"redis://hub\"\n");
        assert!(files["run/systemd/network/10-reelmill-join.network"].contains("Address=10.0.0.7/24\n"));
        for name in ["join.toml", "worker.env"] {
            let mode = fs::metadata(machine.at("state").join(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(
            machine.boot(&mut |_| ()).0.as_deref(),
            Some("orin-3"),
            "the next boot has no files and the same name"
        );
        assert_eq!(machine.files(), files);
    }

    #[test]
    fn a_power_cut_at_any_step_is_made_good_by_the_next_boot() {
        let whole = Machine::new();
        let mut steps = 0;
        whole.boot(&mut |_| {
            steps += 1;
        });
        assert_eq!(steps, 19, "six files are kept, four are wiped in three steps, and all comes into force");
        for cut in 0..steps {
            let machine = Machine::new();
            let (mut left, mut at) = (cut, String::new());
            let until_cut = || {
                machine.boot(&mut |step| {
                    if left == 0 {
                        at = step.to_owned();
                        resume_unwind(Box::new("the power is gone"));
                    }
                    left -= 1;
                })
            };
            assert!(catch_unwind(AssertUnwindSafe(until_cut)).is_err(), "cut {cut}");
            assert_eq!(machine.boot(&mut |_| ()), (Some("orin-3".to_owned()), vec![]), "cut {cut}: {at}");
            assert_eq!(machine.files(), whole.files(), "cut {cut}: {at}");
        }
    }

    #[test]
    fn a_bad_file_stays_and_keeps_nobody_else() {
        let machine = Machine::new();
        fs::write(machine.at("boot/worker.env"), "QUEUE_URL=redis://hub\noops\n").expect("ours");
        fs::remove_file(machine.at("boot/hostname")).expect("ours");
        std::os::unix::fs::symlink("/etc/hostname", machine.at("boot/hostname")).expect("ours");
        let (_, wrong) = machine.boot(&mut |_| ());
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("hostname: Too many levels of symbolic links"), "{wrong:?}");
        assert!(wrong[1].ends_with("boot/worker.env: line 2: it is no NAME=value"), "{wrong:?}");
        let files = machine.files();
        assert!(files.contains_key("boot/worker.env") && !files.contains_key("state/worker.env"));
        assert!(files.contains_key("state/join.toml") && files.contains_key("state/authorized_keys"));
        assert!(!files.contains_key("boot/join.toml"));
    }

    #[test]
    fn the_first_of_two_counts_and_both_are_wiped() {
        let machine = Machine::new();
        fs::create_dir(machine.at("stick")).expect("ours");
        fs::write(machine.at("stick/hostname"), "other\n").expect("ours");
        let state = State::open(&machine.at("state"), "nobody").expect("ours");
        assert!(take(&[machine.at("stick"), machine.at("boot"), machine.at("none")], &state, &mut |_| ()).is_empty());
        assert_eq!(machine.files()["state/hostname"], "other");
        assert!(!machine.at("stick/hostname").exists() && !machine.at("boot/hostname").exists());
    }

    #[test]
    fn what_cannot_be_wiped_is_taken_all_the_same() {
        let machine = Machine::new();
        // A folder in the way of the new name, which even root cannot rename a file to.
        fs::create_dir(machine.at("boot/hostname.taken")).expect("ours");
        assert_eq!(machine.boot(&mut |_| ()), (Some("orin-3".to_owned()), vec![]));
        assert!(machine.at("boot/hostname").exists());
    }
}
