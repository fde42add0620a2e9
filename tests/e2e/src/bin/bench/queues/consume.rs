//! The process whose processor time is measured: consumers that lease, note and acknowledge, by the driver or by hand.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use reelmill_api::{Lane, QueueName};
use reelmill_lab::queues::Kind;
use reelmill_queue::{SharedQueue, connect};
use tokio::task::JoinSet;

use super::{notes::Noting, raw::Raw};

/// As a worker's.
const LEASE: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(2);

/// The lane of all messages.
pub(super) fn lane() -> Lane {
    QueueName::default().intake()
}

/// The command that becomes this process.
pub(super) fn command(raw: bool, kind: Kind, url: &str, consumers: usize, notes: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    let way = if raw { "raw" } else { "driver" };
    command.args(["consume", way, kind.name(), url, &consumers.to_string()]).arg(notes);
    command
}

/// Does what the command says, for ever. Panics where the words are not those of [`command`].
pub(crate) async fn run(words: &[String]) {
    let [way, kind, url, consumers, notes] = words else { panic!("started by hand: {words:?}") };
    let (kind, noting) = (kind.parse::<Kind>().expect("a kind"), Arc::new(Noting::to(Path::new(notes))));
    let mut all = JoinSet::new();
    // Consumers share a connection, as tasks of one worker do.
    let driver = if way == "raw" { None } else { Some(connect(url, &QueueName::default()).await.expect("it answers")) };
    for number in 0..consumers.parse().expect("a number") {
        let (noting, url) = (noting.clone(), url.clone());
        match driver.clone() {
            Some(queue) => all.spawn(async move { consume(queue, &noting).await }),
            None => all.spawn(async move { Raw::open(kind, &url).await.consume(number, &noting).await }),
        };
    }
    all.join_all().await;
}

async fn consume(queue: SharedQueue, noting: &Noting) {
    let lanes = [lane()];
    loop {
        if let Some(leased) = queue.lease(&lanes, LEASE, WAIT).await.expect("an answer") {
            noting.note(&leased.body);
            queue.ack(&leased.receipt).await.expect("it is ours");
        }
    }
}
