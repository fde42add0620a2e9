//! `cargo xtask damage`: damaged sources through one worker, as many as wanted, and what became of them.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use reelmill_e2e::{
    Farm,
    damage::{Bout, Clips},
    processes::peak_memory,
};
use reelmill_lab::programs::Running;

/// How long the worker lets a media process stand still.
const STALL_SECONDS: &str = "10";

/// What is wanted: how many sources, which is the first, and for how long new ones are begun.
struct Wanted {
    count: u64,
    first: u64,
    minutes: u64,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut wanted = Self { count: 10_000, first: 0, minutes: 24 * 60 };
        while let Some(word) = words.next() {
            let number = words.next()?.parse().ok()?;
            match word.as_str() {
                "--count" => wanted.count = number,
                "--first" => wanted.first = number,
                "--minutes" => wanted.minutes = number,
                _ => return None,
            }
        }
        Some(wanted)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(wanted) = Wanted::parse(std::env::args().skip(1)) else {
        eprintln!("error: the words are not understood\nhint: --count N, --first N, --minutes N");
        return ExitCode::from(2);
    };
    let farm = Farm::start().await;
    farm.add_preset("quick", &[("64p", 96, 64)]);
    let clips = Clips::make(farm.folder.path());
    let mut command = farm.worker();
    command.env("CONCURRENCY", "4").env("STALL_SECONDS", STALL_SECONDS).env("REELMILL_LOG", "error");
    // A run of hours goes on beside other work, at the lowest priority.
    command.env("LEASE_SECONDS", "60");
    let mut worker = Running::start(command);
    let (began, pid) = (Instant::now(), worker.pid());
    let until = began + Duration::from_secs(wanted.minutes * 60);
    let numbers = wanted.first..wanted.first + wanted.count;
    let (given, tally) = Bout::new(&farm, &mut worker, "quick").run(&clips, numbers, until).await;
    println!(
        "{given} damaged sources through one worker in {:.0} s; stall limit {STALL_SECONDS} s",
        began.elapsed().as_secs_f64()
    );
    print!("{tally}");
    let peak = peak_memory(pid) as f64 / 1e6;
    println!("the worker (process {pid}) ran from the first to the last; its peak resident memory: {peak:.1} MB");
    ExitCode::SUCCESS
}
