//! Tasks that do nothing, through each driver, through the same server's raw commands, and through Celery and RQ on the same
//! Redis: what a task costs its worker's processor, and how long it waits.

pub(crate) mod consume;
mod contender;
mod measure;
mod notes;
mod raw;

use reelmill_lab::{queues::Kind, redis::Redis};
use tempfile::TempDir;

use contender::{Contender, Way};
use measure::{Figures, measure};

use crate::{ratio::load, usage::median};

/// All are measured in turn, so often.
const ROUNDS: usize = 3;
/// Consumers.
const CONSUMERS: [usize; 2] = [1, 2];

pub(crate) async fn run() {
    let redis = Redis::start();
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("celery_tasks.py"), include_str!("queues/celery_tasks.py")).expect("ours");
    std::fs::write(folder.path().join("rq_tasks.py"), include_str!("queues/rq_tasks.py")).expect("ours");
    let contenders = contenders();
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    for round in 1..=ROUNDS {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            let measured = measure(contender, &redis, folder.path()).await;
            eprintln!("  round {round}: {contender}: {measured:?}; load {}", load());
            figures.push(measured);
        }
    }
    tell(&contenders, &figures);
}

/// All that can be had here.
fn contenders() -> Vec<Contender> {
    let mut ways = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        ways.extend([Way::Driver(kind), Way::Raw(kind)]);
    }
    if contender::programs().is_some() {
        ways.extend([Way::Celery, Way::Rq]);
    } else {
        eprintln!("Celery and RQ are not here: `cargo xtask bench queues` brings them");
    }
    ways.iter().flat_map(|way| CONSUMERS.map(|consumers| Contender { way: *way, consumers })).collect()
}

/// Prints the medians, and the ratio to Celery with as many consumers.
fn tell(contenders: &[Contender], figures: &[Vec<Figures>]) {
    let middle = |at: usize, of: fn(&Figures) -> f64| median(&figures[at].iter().map(of).collect::<Vec<_>>());
    let celery = |consumers| contenders.iter().position(|c| c.way == Way::Celery && c.consumers == consumers);
    println!(
        "{:20} {:>9} {:>24} {:>12} {:>8} {:>10} {:>17} {:>19}",
        "",
        "tasks/s",
        "CPU us/task (range)",
        "tasks/CPU s",
        "celery",
        "server us",
        "50/s: p50, p99 ms",
        "full: p50, p99 ms"
    );
    for (at, contender) in contenders.iter().enumerate() {
        let costs: Vec<f64> = figures[at].iter().map(|f| f.cpu_us).collect();
        let (least, most) = (costs.iter().copied().fold(f64::MAX, f64::min), costs.iter().copied().fold(0.0, f64::max));
        let cost = median(&costs);
        let ratio = celery(contender.consumers).map(|celery| middle(celery, |f| f.cpu_us) / cost);
        println!(
            "{contender:20} {:9.0} {:>24} {:12.0} {:>8} {:>10} {:8.2} {:8.2} {:9.0} {:9.0}",
            middle(at, |f| f.per_second),
            format!("{cost:.0} ({least:.0} to {most:.0})"),
            1e6 / cost,
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}x")),
            figures[at][0]
                .server_us
                .map_or_else(String::new, |_| { format!("{:.0}", middle(at, |f| f.server_us.unwrap_or_default())) }),
            middle(at, |f| f.modest.0),
            middle(at, |f| f.modest.1),
            middle(at, |f| f.full.0),
            middle(at, |f| f.full.1),
        );
    }
    println!("medians of {ROUNDS} rounds; target: 5x Celery's tasks per CPU second, p99 at 50/s below 20 ms");
}
