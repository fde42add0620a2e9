//! Measuring and telling: wall time, processor time of finished children, medians.

use std::{
    fs,
    time::{Duration, Instant},
};

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// By the clock on the wall.
    pub(crate) wall: Duration,
    /// Processor time, user and system.
    pub(crate) cpu: Duration,
}

/// Measures a piece of work whose processor time `cpu` tells.
pub(crate) async fn measure<F: Future>(cpu: impl Fn() -> Duration, work: F) -> (Took, F::Output) {
    let (began, used) = (Instant::now(), cpu());
    let output = work.await;
    (Took { wall: began.elapsed(), cpu: cpu().saturating_sub(used) }, output)
}

/// Processor time of a running process and of its children that have ended and been waited for.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    cpu(&format!("/proc/{pid}/stat"), 11..15)
}

/// Processor time of this process's children that have ended and been waited for.
pub(crate) fn cpu_of_children() -> Duration {
    cpu("/proc/self/stat", 13..15)
}

/// The sum of some of `utime`, `stime`, `cutime` and `cstime` (proc(5), fields 14 to 17; here counted after the name).
fn cpu(path: &str, fields: std::ops::Range<usize>) -> Duration {
    let text = fs::read_to_string(path).expect("the process runs");
    let (_, tail) = text.rsplit_once(") ").expect("a name in brackets");
    let ticks: u64 =
        tail.split_whitespace().skip(fields.start).take(fields.len()).map(|n| n.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The machine's load over the last minute, for the reader to judge the figures by.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Notes a pair on standard error as soon as it was measured: the whole takes minutes.
pub(crate) fn noted(pair: (Took, Took)) -> (Took, Took) {
    let seconds = |took: &Took| format!("wall {:.1} s, cpu {:.1} s", took.wall.as_secs_f64(), took.cpu.as_secs_f64());
    eprintln!("  {} against {}; load {}", seconds(&pair.0), seconds(&pair.1), load());
    pair
}

/// Prints the ratios of pairs that were measured in turn: the median, and the range.
pub(crate) fn tell(what: &str, target: &str, pairs: &[(Took, Took)]) {
    let line = |name: &str, of: fn(&Took) -> Duration| {
        let mut ratios: Vec<f64> = pairs.iter().map(|(a, b)| of(a).as_secs_f64() / of(b).as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, middle, high) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        let seconds = |t: fn(&(Took, Took)) -> &Took| {
            pairs.iter().map(|p| of(t(p)).as_secs_f64()).sum::<f64>() / pairs.len() as f64
        };
        println!(
            "{what}: {name} ratio {middle:.3} ({low:.3} to {high:.3}, {} pairs; mean {:.1} s against {:.1} s); target {target}",
            pairs.len(),
            seconds(|p| &p.0),
            seconds(|p| &p.1)
        );
    };
    line("wall", |t| t.wall);
    line("cpu ", |t| t.cpu);
}
