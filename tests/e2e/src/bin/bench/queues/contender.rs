//! What is measured beside each other: how each one's workers are started and its tasks published.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reelmill_api::{Priority, QueueName};
use reelmill_lab::queues::Kind;
use reelmill_queue::{NewMessage, connect};
use tokio::time::{Instant, sleep_until};

use super::{consume, notes::now_ns, raw::Raw};

/// A way to have tasks done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A driver of ours.
    Driver(Kind),
    /// The same server's raw commands.
    Raw(Kind),
    /// Celery on Redis.
    Celery,
    /// RQ on Redis.
    Rq,
}

/// One of them with so many consumers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) way: Way,
    pub(super) consumers: usize,
}

/// What workers and publishers need to know.
pub(super) struct Site<'a> {
    pub(super) url: &'a str,
    pub(super) notes: &'a Path,
    /// Where the tasks of Celery and RQ lie.
    pub(super) folder: &'a Path,
}

impl Contender {
    /// On which server it runs.
    pub(super) fn kind(&self) -> Kind {
        match self.way {
            Way::Driver(kind) | Way::Raw(kind) => kind,
            Way::Celery | Way::Rq => Kind::Redis,
        }
    }

    /// How many tasks are enough to measure it by.
    pub(super) fn tasks(&self) -> u64 {
        match self.way {
            Way::Driver(Kind::Sqlite) | Way::Raw(Kind::Sqlite) => 2000,
            Way::Driver(Kind::RabbitMq) | Way::Raw(Kind::RabbitMq) => 3000,
            Way::Driver(Kind::Sqs) | Way::Raw(Kind::Sqs) => 300,
            Way::Driver(_) | Way::Raw(_) => 10_000,
            Way::Celery => 3000,
            Way::Rq => 150,
        }
    }

    /// Its workers' commands.
    pub(super) fn workers(&self, site: &Site<'_>) -> Vec<Command> {
        match self.way {
            Way::Driver(kind) | Way::Raw(kind) => {
                let raw = matches!(self.way, Way::Raw(_));
                vec![consume::command(raw, kind, site.url, self.consumers, site.notes)]
            }
            Way::Celery => {
                let mut celery = python(site, "celery");
                celery.args(["-A", "celery_tasks", "worker", "--loglevel", "ERROR", "--concurrency"]);
                celery.arg(self.consumers.to_string());
                vec![celery]
            }
            Way::Rq => (0..self.consumers)
                .map(|_| {
                    let mut rq = python(site, "rq");
                    rq.args(["worker", "--quiet", "--url", site.url]);
                    rq
                })
                .collect(),
        }
    }

    /// Publishes so many tasks, one after the other: `rate` a second, or as fast as it can.
    pub(super) async fn publish(&self, site: &Site<'_>, count: u64, rate: Option<u32>) {
        match self.way {
            Way::Driver(_) => {
                let queue = connect(site.url, &QueueName::default()).await.expect("it answers");
                let lane = consume::lane();
                for number in pace(count, rate) {
                    number.await;
                    let body = now_ns().to_string().into_bytes();
                    let (priority, delay) = (Priority::Normal, Duration::ZERO);
                    let message = NewMessage { body, priority, delay, dedupe_key: None };
                    queue.publish(&lane, &message).await.expect("stored");
                }
            }
            Way::Raw(kind) => {
                let raw = Raw::open(kind, site.url).await;
                for number in pace(count, rate) {
                    number.await;
                    raw.publish(&now_ns().to_string()).await;
                }
            }
            Way::Celery => published_by(site, "celery_tasks.py", count, rate).await,
            Way::Rq => published_by(site, "rq_tasks.py", count, rate).await,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.way {
            Way::Driver(kind) => format!("reelmill {kind}"),
            Way::Raw(kind) => format!("raw {kind}"),
            Way::Celery => "celery".to_owned(),
            Way::Rq => "rq".to_owned(),
        };
        f.pad(&format!("{name} x{}", self.consumers))
    }
}

/// The moments at which messages are published.
fn pace(count: u64, rate: Option<u32>) -> impl Iterator<Item = impl Future<Output = ()>> {
    let began = Instant::now();
    (0..count).map(move |number| async move {
        if let Some(rate) = rate {
            sleep_until(began + Duration::from_secs_f64(number as f64 / f64::from(rate))).await;
        }
    })
}

/// The folder of the programs of Celery and RQ, if they are here: `cargo xtask bench queues` brings them.
pub(super) fn programs() -> Option<PathBuf> {
    std::env::var_os("REELMILL_BENCH_PYTHON").map(PathBuf::from)
}

fn python(site: &Site<'_>, program: &str) -> Command {
    let mut command = Command::new(programs().expect("only asked for where they are").join(program));
    command.current_dir(site.folder).env("PYTHONPATH", site.folder);
    command.env("BENCH_REDIS", site.url).env("BENCH_NOTES", site.notes);
    command
}

async fn published_by(site: &Site<'_>, script: &str, count: u64, rate: Option<u32>) {
    let mut command = python(site, "python");
    command.args([script, &count.to_string(), &rate.unwrap_or(0).to_string()]);
    let status = tokio::task::spawn_blocking(move || command.status().expect("it starts")).await.expect("it ran");
    assert!(status.success(), "{script} failed: {status}");
}
