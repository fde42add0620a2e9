//! A control group for each machine: systemd-nspawn gives its guest the group `payload` below its own, so that two
//! machines started from one group would stop each other's services.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::programs::eventually;

/// The group; removed when dropped, once all its processes are gone.
pub(super) struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// A new one below the group of this process.
    pub(super) fn new(name: &str) -> Self {
        let folder = own().join(name);
        fs::create_dir(&folder).unwrap_or_else(|e| panic!("cannot make the control group {}: {e}", folder.display()));
        Self { folder }
    }

    /// Its name.
    pub(super) fn name(&self) -> String {
        self.folder.file_name().expect("it has one").to_string_lossy().into_owned()
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that takes a process.
    pub(super) fn entrance(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Ends all that is in it. Nothing in it runs for a moment after anything else in it has ended.
    pub(super) fn kill(&self) {
        let write = |file: &str| {
            let file = self.folder.join(file);
            fs::write(&file, "1").unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        };
        write("cgroup.freeze");
        eventually("a frozen control group", || {
            let events = fs::read_to_string(self.folder.join("cgroup.events")).expect("it is there");
            events.lines().any(|line| line == "frozen 1").then_some(())
        });
        write("cgroup.kill");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// The folder of this process's group in the unified hierarchy, which a machine with both has besides the old ones.
fn own() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc");
    let unified = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    });
    let unified = unified.expect("a kernel with the unified control groups mounted");
    let groups = fs::read_to_string("/proc/self/cgroup").expect("proc");
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).expect("this process has a unified group");
    unified.join(group)
}

/// Groups go from the leaves up; one that is still busy stays, empty of harm.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
