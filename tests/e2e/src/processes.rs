//! Processes as the kernel shows them.

use std::{fs, path::PathBuf, time::Duration};

use reelmill_lab::programs::Running;
use rustix::process::Signal;

/// One process, told apart from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    started: String,
}

/// A process's state and family from its `stat` file, whose second field may hold anything within its brackets.
struct Stat {
    name: String,
    state: String,
    parent: u32,
    started: String,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let fields: Vec<_> = tail.split_whitespace().collect();
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        state: (*fields.first()?).to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
    })
}

/// All running children of a process.
pub fn children(parent: u32) -> Vec<Process> {
    let pids = fs::read_dir("/proc").expect("proc").filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let child = |pid: u32| {
        let stat = stat(pid)?;
        let wanted = stat.parent == parent && stat.state != "Z";
        wanted.then_some(Process { pid, name: stat.name, started: stat.started })
    };
    pids.filter_map(child).collect()
}

impl Process {
    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|s| s.started == self.started && !matches!(s.state.as_str(), "Z" | "X"))
    }

    /// Its command line, word by word.
    pub fn words(&self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// What its open files are, as the kernel names them; those that close meanwhile are left out.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid));
        entries.into_iter().flatten().filter_map(|e| fs::read_link(e.ok()?.path()).ok()).collect()
    }

    /// Those of its open files that it may write to.
    pub fn writable_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        let writable = entries.filter(|e| self.may_write_to(&e.file_name().to_string_lossy()));
        writable.filter_map(|e| fs::read_link(e.path()).ok()).collect()
    }

    /// By the access mode in the flags that it was opened with (proc(5)): 0 is read only.
    fn may_write_to(&self, descriptor: &str) -> bool {
        let text = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", self.pid)).unwrap_or_default();
        let flags = text.lines().find_map(|l| l.strip_prefix("flags:"));
        flags.and_then(|f| u32::from_str_radix(f.trim(), 8).ok()).is_some_and(|flags| flags & 0o3 != 0)
    }

    /// The soft and hard value of a limit, by its name in the `limits` file.
    pub fn limit(&self, name: &str) -> Option<(String, String)> {
        let text = fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        let mut values = line.split_whitespace().map(str::to_owned);
        Some((values.next()?, values.next()?))
    }
}

/// Stops a program as a debugger would, at a moment when no other process waits for it: one that is stopped while it
/// writes to a SQLite file holds it until somebody ends it, which is the service manager's watchdog's work, not the queue's.
pub async fn freeze(program: &Running) {
    let pid = program.pid();
    crate::until("a moment without a lock", async || {
        program.signal(Signal::STOP);
        crate::until("the stop of all threads", async || is_stopped(pid).then_some(())).await;
        if !holds_a_lock(pid) {
            return Some(());
        }
        program.signal(Signal::CONT);
        tokio::time::sleep(Duration::from_millis(5)).await;
        None
    })
    .await;
}

/// Whether every thread is stopped; one that waits for a disk stops when the disk has answered.
fn is_stopped(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there").flatten();
    let mut states = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("stat")).ok()?;
        Some(text.rsplit_once(") ")?.1.starts_with('T'))
    });
    states.all(|stopped| stopped)
}

/// Whether a process holds a POSIX lock for writing, as SQLite takes one for each transaction (proc_locks(5)).
fn holds_a_lock(pid: u32) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("proc");
    locks.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        matches!(fields.get(1..5), Some(["POSIX", _, "WRITE", owner]) if *owner == pid.to_string())
    })
}

/// The most memory that a process has had resident so far, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

/// What of a process's resident memory is a part of files, its program's above all, in bytes.
pub fn file_memory(pid: u32) -> u64 {
    memory(pid, "RssFile:")
}

fn memory(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = text.lines().find_map(|l| l.strip_prefix(name)).expect("a process has memory");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("kilobytes") * 1024
}
