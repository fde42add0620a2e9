//! The workers: each in its place, behind lines of its own, and replaced as soon as it is gone.

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::Stdio,
};

use reelmill_lab::{programs::Running, relay::Relay};

use super::field::Field;

/// A place where one worker after the other works.
pub(super) struct Place {
    pub(super) queue: Option<Relay>,
    pub(super) store: Relay,
    number: usize,
    generation: usize,
    running: Running,
    log: PathBuf,
}

impl Place {
    /// A place with its first worker.
    pub(super) async fn new(field: &Field, number: usize) -> Self {
        let (queue, store) = (field.line_to_queue().await, field.line_to_store().await);
        let log = field.folder.path().join(format!("worker-{number}.log"));
        let running = start(field, &name(number, 1), queue.as_ref(), &store, &log);
        Self { queue, store, number, generation: 1, running, log }
    }

    /// Whether its worker has that name.
    pub(super) fn is(&self, node: &str) -> bool {
        name(self.number, self.generation) == node
    }

    /// Kills the worker with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.running.kill();
    }

    /// Puts the next worker in the place of one that is gone.
    pub(super) fn replace(&mut self, field: &Field) {
        self.generation += 1;
        let name = name(self.number, self.generation);
        self.running = start(field, &name, self.queue.as_ref(), &self.store, &self.log);
    }

    /// Replaces a worker that ended by itself, as a service manager does. It may do so only where it found no queue to
    /// start with; else, what it said last.
    pub(super) fn mend(&mut self, field: &Field) -> Option<String> {
        if !self.running.has_ended() {
            return None;
        }
        let (code, log) = (self.running.wait(), self.log());
        let last: Vec<_> = log.lines().rev().take(3).collect();
        let excused = code == Some(1) && last.iter().any(|line| line.contains("connect to the queue"));
        self.replace(field);
        (!excused).then(|| format!("a worker ended by itself, code {code:?}: {last:?}"))
    }

    /// What its workers have logged.
    pub(super) fn log(&self) -> String {
        let log = fs::read(&self.log).expect("the log can be read");
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn name(number: usize, generation: usize) -> String {
    format!("w{number}-{generation}")
}

fn start(field: &Field, name: &str, queue: Option<&Relay>, store: &Relay, log: &PathBuf) -> Running {
    let log = OpenOptions::new().append(true).create(true).open(log).expect("a log file");
    let mut command = field.worker(name, queue, store);
    command.stderr(Stdio::from(log));
    Running::start(command)
}

/// How many attempts were told that they had lost their lease, by what workers log of each once.
pub(super) fn lost_leases(log: &str) -> usize {
    let told = |line: &&str| line.contains("this attempt's failure is not told") || line.ends_with("or was settled");
    log.lines().filter(told).count()
}
