//! One contender measured: as fast as it can, then at a modest rate.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reelmill_e2e::processes::children;
use reelmill_lab::{
    programs::Running,
    queues::{Kind, QueueServer},
    redis::Redis,
};
use rustix::process::Signal;
use tokio::time::sleep;

use super::{
    contender::{Contender, Site},
    notes::Notes,
};
use crate::ratio::cpu_of;

/// Tasks before the first that counts.
const WARM_UP: u64 = 40;
/// A modest rate, a second, and for how many tasks.
const RATE: u32 = 50;
const AT_RATE: u64 = 500;
/// How long tasks may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured; waits in milliseconds, as the median and the 99th percentile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Processor time of the workers for one task.
    pub(super) cpu_us: f64,
    /// Processor time of the server for one task, where it tells.
    pub(super) server_us: Option<f64>,
    pub(super) full: (f64, f64),
    pub(super) modest: (f64, f64),
}

/// Measures it, on `redis` if it runs on one, with a folder for its files.
pub(super) async fn measure(contender: &Contender, redis: &Redis, folder: &Path) -> Figures {
    let own = (contender.kind() != Kind::Redis).then(|| QueueServer::start(contender.kind()));
    let url = own.as_ref().map_or_else(|| redis.url(), QueueServer::url);
    redis.cli(&["FLUSHALL"]);
    let notes = Notes::new(folder.join("notes"));
    let site = Site { url: &url, notes: notes.path(), folder };
    let mut workers: Vec<_> = contender.workers(&site).into_iter().map(Running::start).collect();
    contender.publish(&site, WARM_UP, None).await;
    until(&notes, WARM_UP).await;
    let cpu = || workers.iter().map(|worker| cpu_of_tree(worker.pid())).sum::<Duration>();
    let server = || own.is_none().then(|| cpu_of_redis(redis));
    let (began, used, served, count) = (Instant::now(), cpu(), server(), contender.tasks());
    contender.publish(&site, count, None).await;
    until(&notes, WARM_UP + count).await;
    let (took, used) = (began.elapsed(), cpu().saturating_sub(used));
    let served = server().zip(served).map(|(now, before)| now - before);
    let full = percentiles(&notes.waits(WARM_UP));
    let before = notes.count();
    let at_rate = AT_RATE.min(count);
    contender.publish(&site, at_rate, Some(RATE)).await;
    until(&notes, before + at_rate).await;
    let modest = percentiles(&notes.waits(before));
    workers.iter_mut().for_each(end);
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    Figures {
        per_second: count as f64 / took.as_secs_f64(),
        cpu_us: each(used.as_secs_f64()),
        server_us: served.map(each),
        full,
        modest,
    }
}

async fn until(notes: &Notes, count: u64) {
    let began = Instant::now();
    while notes.count() < count {
        assert!(began.elapsed() < PATIENCE, "only {} of {count} tasks were done", notes.count());
        sleep(Duration::from_millis(5)).await;
    }
}

/// Processor time of a process and of all below it.
fn cpu_of_tree(pid: u32) -> Duration {
    cpu_of(pid) + children(pid).iter().map(|child| cpu_of_tree(child.pid)).sum::<Duration>()
}

/// Seconds of processor time that the server says it has used.
fn cpu_of_redis(redis: &Redis) -> f64 {
    let told = redis.cli(&["INFO", "cpu"]);
    let of = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    of("used_cpu_sys:").expect("it tells") + of("used_cpu_user:").expect("it tells")
}

fn percentiles(waits: &[Duration]) -> (f64, f64) {
    let at = |part: usize| waits[(waits.len() * part / 100).min(waits.len() - 1)].as_secs_f64() * 1e3;
    (at(50), at(99))
}

/// Ends a worker as its operator would, so that it takes its children with it.
fn end(worker: &mut Running) {
    worker.signal(Signal::TERM);
    let began = Instant::now();
    while !worker.has_ended() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
