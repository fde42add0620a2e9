//! The processes below one of ours, as /proc shows them: to see that none outlives it.

use std::{fs, process::Command};

use anyhow::Result;

use crate::program;

/// A process that was seen alive. Its start time tells it from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    parent: u32,
    name: String,
    started: u64,
    zombie: bool,
}

impl Process {
    /// Whether it still runs.
    pub(crate) fn lives(&self) -> bool {
        self.now().is_some()
    }

    /// What it is now, if it still runs: a shell's child has the shell's name until it becomes what it was started for.
    pub(crate) fn now(&self) -> Option<Self> {
        let now = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok().and_then(|text| parse(&text));
        now.filter(|now| now.started == self.started && !now.zombie)
    }

    /// Its name and number.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.name, self.pid)
    }

    /// Sends it a signal, named as `kill` names it.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        signal_pid(self.pid, signal)
    }
}

/// Sends a signal to the process with that number, named as `kill` names it.
pub(crate) fn signal_pid(pid: u32, signal: &str) -> Result<()> {
    program::run(Command::new("kill").args(["-s", signal, &pid.to_string()]))
}

/// All living processes below `pid`, its children's children too.
pub(crate) fn below(pid: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    descendants(pid, stats.filter_map(|text| parse(&text)).collect())
}

fn descendants(pid: u32, all: Vec<Process>) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|p| p.parent == parent && !p.zombie);
        for child in children {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

/// Understands /proc/PID/stat. The name stands in parentheses and may itself hold spaces and parentheses.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        started: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (a (b) c) S 4200 4242 4242 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";

    fn process(pid: u32, parent: u32) -> Process {
        Process { pid, parent, name: "p".to_owned(), started: 1, zombie: false }
    }

    #[test]
    fn reads_a_name_with_parentheses_in_it() {
        let want = Process { pid: 4242, parent: 4200, name: "a (b) c".to_owned(), started: 987_654, zombie: false };
        assert_eq!(parse(STAT), Some(want));
        assert_eq!(parse(""), None);
        assert_eq!(parse("1 (x) S"), None);
    }

    #[test]
    fn finds_children_of_children_and_no_strangers() {
        let all = vec![process(2, 1), process(3, 2), process(4, 3), process(9, 8)];
        assert_eq!(descendants(2, all).iter().map(|p| p.pid).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn sees_a_child_live_and_end() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let seen = below(std::process::id()).into_iter().find(|p| p.pid == child.id()).expect("it is our child");
        assert!(seen.lives());
        seen.signal("KILL").expect("it is ours");
        child.wait().expect("it is ours");
        assert!(!seen.lives());
    }
}
