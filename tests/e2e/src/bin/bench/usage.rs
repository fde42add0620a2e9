//! What a running process uses, to the nanosecond.

use std::{fs, path::Path};

/// What a process has used until now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time of all its threads, milliseconds.
    cpu_ms: f64,
    /// Memory that is there for it, also for others at the same time.
    pub(crate) resident_mb: f64,
    /// Memory that is there for it alone, and no part of a file.
    pub(crate) anonymous_mb: f64,
}

impl Usage {
    /// Of the process of that number.
    pub(crate) fn of(pid: u32) -> Self {
        let of = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{of}/status")).expect("the process runs");
        let mb = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
            line.trim_end_matches("kB").trim().parse::<f64>().expect("a number") * 1024.0 / 1e6
        };
        let threads = fs::read_dir(format!("{of}/task")).expect("the process runs");
        let cpu_ms = threads.map(|thread| nanoseconds(&thread.expect("a thread").path()) / 1e6).sum();
        Self { cpu_ms, resident_mb: mb("VmRSS:"), anonymous_mb: mb("RssAnon:") }
    }

    /// Processor time since then, milliseconds.
    pub(crate) fn since(&self, before: &Self) -> f64 {
        self.cpu_ms - before.cpu_ms
    }
}

/// Time on a processor; counted in full by the scheduler, where `stat` counts hundredths of a second.
fn nanoseconds(thread: &Path) -> f64 {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// The one in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
