//! What is special about NATS: leases of our own, and strangers' publications.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt as _;
use reelmill_api::{Lane, Priority, QueueName};
use reelmill_lab::{
    nats::{Nats, Talk},
    programs::Running,
};
use reelmill_queue::{Cursor, Leased, NewMessage, SharedQueue, connect};
use rustix::process::Signal;

use crate::{
    bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, farm, is_lost, lane, message, text},
    promises::KEPT,
};

/// Tells a child process of these tests which queue to work on.
const CHILD_URL: &str = "REELMILL_TEST_NATS";

pub(crate) async fn at(url: &str) -> SharedQueue {
    connect(url, &QueueName::default()).await.expect("the server answers")
}

/// What is on the lane or comes there.
pub(crate) async fn take(queue: &SharedQueue, lane: &Lane) -> Leased {
    let lanes = std::slice::from_ref(lane);
    queue.lease(lanes, LONG, PATIENCE).await.expect("an answer").expect("a message comes in time")
}

/// Why leases are records of ours.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_acknowledgement_of_jetstreams_own_ends_anothers_delivery() {
    let server = Nats::start();
    let client = async_nats::connect(server.url()).await.expect("it answers");
    let js = jetstream::new(client);
    let config = jetstream::stream::Config {
        name: "work".to_owned(),
        retention: jetstream::stream::RetentionPolicy::WorkQueue,
        ..Default::default()
    };
    let stream = js.create_stream(config).await.expect("a stream");
    js.publish("work", "task".into()).await.expect("sent").await.expect("stored");
    let config = pull::Config { durable_name: Some("w".to_owned()), ack_wait: SHORT, ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let mut deliveries = consumer.messages().await.expect("deliveries").take(2);
    let first = deliveries.next().await.expect("one").expect("a message");
    let second = deliveries.next().await.expect("another").expect("a message");
    assert_eq!(second.info().expect("about it").delivered, 2);
    first.double_ack().await.expect("the server takes it");
    let left = stream.get_info().await.expect("an answer").state.messages;
    assert_eq!(left, 0, "were the message still there, JetStream's own leases could be used");
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_in_what_strangers_publish_on_a_lanes_plain_name() {
    let bench = Bench::nats().await;
    let (intake, ladder) = (lane("reelmill"), lane("reelmill-hls-ladder"));
    let job = r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;
    let binary = b"\xff\x00\xfe not text\r\n";
    // The intake is there as soon as anything of the farm is, another lane once somebody uses it.
    bench.nats_server().publish("reelmill", job.as_bytes());
    assert!(bench.lease_now(&ladder).await.is_none());
    bench.nats_server().publish("reelmill-hls-ladder", binary);
    let mut talk = Talk::with(bench.nats_server().port).expect("it answers");
    talk.say(b"HPUB reelmill 22 28\r\nNATS/1.0\r\nfrom: me\r\n\r\nsecond\r\nPING\r\n");
    assert_eq!(talk.hear().as_deref(), Some("PONG"));

    let first = bench.lease(&intake, LONG).await;
    assert_eq!((text(&first), first.attempt), (job, 1));
    let second = bench.lease(&intake, LONG).await;
    assert_eq!(text(&second), "second");
    assert_eq!(bench.lease(&ladder, LONG).await.body, binary);
    bench.queue.retry_after(&first.receipt, Duration::ZERO).await.expect("ours");
    let again = bench.lease(&intake, LONG).await;
    assert_eq!((&again.message_id, again.attempt), (&first.message_id, 2));
    assert_ne!(first.message_id, second.message_id);
    for leased in [again, second] {
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
    bench.check_depth(&intake, EMPTY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_a_stranger_who_asks_that_it_has_the_job() {
    let bench = Bench::nats().await;
    let mut talk = Talk::with(bench.nats_server().port).expect("it answers");
    talk.say(b"SUB inbox 1\r\nPUB reelmill inbox 3\r\njob\r\n");
    let header = talk.hear().expect("an answer");
    let length = header.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a length");
    let answer = String::from_utf8(talk.hear_bytes(length)).expect("text");
    assert_eq!(answer.replace(' ', ""), r#"{"stream":"reelmill-tasks","seq":1}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_lanes_at_once_and_none_is_closed_again() {
    let bench = Bench::nats().await;
    let mut opening = tokio::task::JoinSet::new();
    for i in 0..12 {
        let queue = bench.another().await;
        opening.spawn(async move {
            let lane = lane(&format!("lane-{i}"));
            queue.lease(std::slice::from_ref(&lane), LONG, Duration::ZERO).await.expect("an answer");
        });
    }
    opening.join_all().await;
    for i in 0..12 {
        let name = format!("lane-{i}");
        bench.nats_server().publish(&name, name.as_bytes());
        assert_eq!(text(&bench.lease(&lane(&name), LONG).await), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_share_a_lane_without_loss_or_double() {
    const MESSAGES: usize = 300;
    let (bench, lane) = (Bench::nats().await, lane("q"));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (queue, lanes) = (bench.another().await, [lane.clone()]);
        consumers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let leased = queue.lease(&lanes, LONG, PATIENCE).await.expect("an answer").expect("a message comes");
                assert_eq!(leased.attempt, 1);
                queue.ack(&leased.receipt).await.expect("nobody else has it");
                match text(&leased) {
                    "stop" => return taken,
                    number => taken.push(number.parse::<usize>().expect("a number")),
                }
            }
        });
    }
    for i in 0..MESSAGES {
        bench.publish(&lane, &i.to_string()).await;
    }
    for _ in 0..8 {
        bench.publish(&lane, "stop").await;
    }
    let mut taken = consumers.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken, (0..MESSAGES).collect::<Vec<_>>());
    bench.check_depth(&lane, EMPTY).await;
}

/// Not a test but the main function of a process that a test below stops: it takes a task and keeps its lease.
#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_keeps_a_lease() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let queue = at(&url).await;
    let leased = queue.lease(&[lane("q")], KEPT, PATIENCE).await.expect("an answer").expect("a message comes");
    let mut extensions = 0;
    while queue.extend(&leased.receipt, KEPT).await.is_ok() {
        extensions += 1;
        queue.emit(format!("extended {extensions}").as_bytes()).await.expect("emitted");
        tokio::time::sleep(SHORT).await;
    }
    let acked = queue.ack(&leased.receipt).await;
    queue.emit(format!("ended, ack was lost: {}", is_lost(acked)).as_bytes()).await.expect("emitted");
}

/// Reads events until one begins like this.
async fn hear(queue: &SharedQueue, cursor: &mut Cursor, beginning: &str) -> String {
    let begun = Instant::now();
    loop {
        let events = queue.events(cursor, Duration::from_secs(1)).await.expect("events");
        *cursor = events.next;
        let mut texts = events.bodies.into_iter().map(|body| String::from_utf8_lossy(&body).into_owned());
        if let Some(text) = texts.find(|text| text.starts_with(beginning)) {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {beginning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_loses_its_lease_and_is_told() {
    let (bench, lane, mut cursor) = (Bench::nats().await, lane("q"), Cursor::default());
    bench.publish(&lane, "task").await;
    let mut command = Command::new(std::env::current_exe().expect("this test's program"));
    command.args(["--exact", "nats_only::child_that_keeps_a_lease", "--ignored"]).env(CHILD_URL, &bench.url);
    command.stdout(Stdio::null());
    let child = Running::start(command);
    // Well beyond the time for which it took the lease: it lasts as long as it is extended.
    hear(&bench.queue, &mut cursor, "extended 50").await;
    assert!(bench.lease_now(&lane).await.is_none(), "the child has it");
    child.signal(Signal::STOP);
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((text(&second), second.attempt), ("task", 2));
    child.signal(Signal::CONT);
    assert_eq!(hear(&bench.queue, &mut cursor, "ended").await, "ended, ack was lost: true");
    bench.queue.ack(&second.receipt).await.expect("the second lease holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_an_operator_set_on_a_stream() {
    let bench = Bench::nats().await;
    let js = jetstream::new(async_nats::connect(&bench.url).await.expect("it answers"));
    let mut stream = js.get_stream("reelmill-tasks").await.expect("a stream");
    let mut config = stream.info().await.expect("its settings").config.clone();
    config.max_bytes = 500_000_000;
    js.update_stream(config).await.expect("changed");
    bench.publish(&lane("another"), "task").await;
    let config = stream.info().await.expect("its settings").config.clone();
    assert_eq!((config.max_bytes, config.subjects.len()), (500_000_000, 3), "{:?}", config.subjects);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_farm_whose_names_are_anothers() {
    let bench = Bench::nats().await;
    bench.publish(&lane("studio"), "task").await;
    let error = connect(&bench.url, &farm("studio")).await.err().expect("its intake is a lane of ours");
    assert!(
        error.to_string().contains("make the stream studio-tasks") && error.to_string().contains("overlap"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_body_that_the_server_would_not_take() {
    let bench = Bench::nats().await;
    let large = vec![0; bench.queue.limits().largest_body + 1];
    let urgent = NewMessage { priority: Priority::High, ..message(large) };
    let error = bench.queue.publish(&lane("q"), &urgent).await.expect_err("too large");
    assert!(error.to_string().contains("more than the 1047552"), "{error}");
    bench.publish(&lane("q"), "the connection is as it was").await;
}
