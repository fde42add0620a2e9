//! Other programs' jobs and readers of events, by each server's own clients and as the document shows it.

use std::{process::Command, time::Duration};

use reelmill_api::{EventBody, QueueName};
use reelmill_e2e::{Farm, QueueKind, output::Output, until};
use reelmill_lab::{
    media,
    programs::output,
    queues::{Kind, QueueServer},
    s3::Server,
    sqs,
};
use reelmill_queue::{Limits, Readers};

use crate::document::{self, Example};

/// What the document calls the source.
const SOURCE: &str = "s3://media-ingest/films/a.mp4";
/// How the document calls each server.
const ADDRESSES: [&str; 3] = ["redis://hub:6379", "amqp://user:password@hub:5672", "nats://hub:4222"];

#[test]
fn every_kind_of_queue_that_has_a_server_has_an_example() {
    let shown: Vec<String> = document::examples().into_iter().map(|example| example.name).collect();
    for name in kinds_with_a_server().map(Kind::name) {
        assert!(shown.iter().any(|shown| shown == name), "an example of {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_other_programs_become_ladders_as_the_document_shows_it() {
    for kind in kinds_with_a_server() {
        let queue = tokio::task::spawn_blocking(move || QueueServer::start(kind)).await.expect("it starts");
        let farm = Farm::start_with(Server::start().await, QueueKind::Any(queue)).await;
        let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -f lavfi -i sine=duration=2 -c:v libx264 \
                     -preset ultrafast -pix_fmt yuv420p -c:a aac -movflags +faststart a.mp4";
        let input = farm.upload(&media::make(farm.folder.path(), words), "films/a.mp4");
        // Whoever was there before, a hub or a worker, has made the queue on servers where queues are made.
        let lanes = [QueueName::default().intake()];
        let none = farm.queue.lease(&lanes, Duration::ZERO, Duration::ZERO).await.expect("the queue answers");
        assert!(none.is_none(), "nobody has put anything there yet");
        let _worker = farm.start_worker();
        for example in document::examples().iter().filter(|example| example.name == kind.name()) {
            run(example, &farm, &input);
        }
        let job = until("an event", async || Some(farm.events().await.first()?.job)).await;
        let output = Output::of(&farm, job).await;
        output.is_true();
        assert_eq!((output.report.input.to_string(), output.report.preset.as_str()), (input.clone(), "hls-ladder"));
        let readers = format!("{}-events", kind.name());
        for example in document::examples().iter().filter(|example| example.name == readers) {
            let told = run(example, &farm, &input);
            for event in ["started", "done"] {
                assert!(told.contains(&format!("\"event\":\"{event}\"")), "{event} in {told}");
            }
        }
        let failed = farm.events().await.into_iter().any(|e| matches!(e.body, EventBody::Failed { .. }));
        assert!(!failed, "on {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_of_each_server_what_its_driver_says() {
    let document = document::text();
    for &kind in Kind::ALL {
        let server = tokio::task::spawn_blocking(move || QueueServer::start(kind)).await.expect("it starts");
        let queue = reelmill_queue::connect(&server.url(), &QueueName::default()).await.expect("the queue answers");
        let row = row(kind, &queue.limits());
        assert!(document.lines().any(|line| line == row), "the document lacks this line:\n{row}");
    }
}

/// A driver's limits as the document's table has them.
fn row(kind: Kind, limits: &Limits) -> String {
    let name = match kind.name() {
        "sqlite" => "SQLite",
        "redis" => "Redis",
        "rabbitmq" => "RabbitMQ",
        "nats" => "NATS",
        "sqs" => "SQS",
        other => panic!("what is {other} called in the document?"),
    };
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let grace = limits.grace.as_secs();
    let delay = limits.longest_delay;
    let cells = [
        name.to_owned(),
        if limits.receipts_travel { "outlives its connection" } else { "ends with its connection" }.to_owned(),
        if limits.tick.as_secs() > 0 {
            format!("{} s", limits.tick.as_secs())
        } else {
            format!("{} ms", limits.tick.as_millis())
        },
        if grace == 0 { "at the lease's end".to_owned() } else { format!("up to {grace} s after it") },
        if delay == Duration::MAX { "any".to_owned() } else { format!("{} s", delay.as_secs()) },
        size(limits.largest_body),
        if limits.keeps_order { "kept" } else { "not kept" }.to_owned(),
        yes(limits.counts_leased),
        yes(limits.tells_age),
        if limits.readers == Readers::Many { "everybody" } else { "whoever comes first" }.to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Bytes as people count them.
fn size(bytes: usize) -> String {
    match bytes {
        ..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn kinds_with_a_server() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| *kind != Kind::Sqlite)
}

/// Runs an example of the document with this farm's server and source in place of those that it names; what it prints.
fn run(example: &Example, farm: &Farm, input: &str) -> String {
    let url = farm.queue_url();
    let text = ADDRESSES.iter().fold(example.text.replace(SOURCE, input), |text, address| text.replace(address, url));
    let mut command = match example.language.as_str() {
        "bash" => Command::new("bash"),
        "python" => sqs::python(),
        other => panic!("who runs {other}?"),
    };
    command.args(if example.language == "bash" { ["-euc"] } else { ["-c"] }).arg(&text);
    // As everybody's AWS programs are told of a server that is not AWS'.
    if let Some((_, host)) = url.strip_prefix("http").and_then(|rest| rest.split_once('@')) {
        let host = host.split(['/', '?']).next().unwrap_or(host);
        command.env("AWS_ENDPOINT_URL", format!("http://{host}"));
        command.env("AWS_ACCESS_KEY_ID", "AKLAB").env("AWS_SECRET_ACCESS_KEY", "lab/secret");
    }
    let ran = output(command, b"");
    assert!(ran.status.success(), "{text}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("it prints text")
}
