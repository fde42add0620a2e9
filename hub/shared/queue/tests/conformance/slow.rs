//! A server that is slow: each of its answers is late, as on a long line or from a machine with too much to do.

use std::time::Duration;

use reelmill_api::QueueName;
use reelmill_lab::relay::Relay;
use reelmill_queue::{NewMessage, Published, connect};

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, is_lost, lane, message, text};

/// How late each piece of an answer is: later than a short lease lasts.
const LATE: Duration = Duration::from_millis(250);

/// Whether a lane was used on a connection before its server becomes slow.
#[derive(PartialEq, Eq)]
enum Lane {
    Used,
    New,
}

/// Every call does what it does elsewhere, only later.
async fn is_waited_for(bench: &Bench, port: u16, before: Lane) {
    let (relay, lane) = (Relay::before(port).await, lane("q"));
    let url = bench.url.replacen(&format!(":{port}"), &format!(":{}", relay.port), 1);
    let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
    let lanes = std::slice::from_ref(&lane);
    if before == Lane::Used {
        let keyed = NewMessage { dedupe_key: Some("first".to_owned()), ..message("first") };
        queue.publish(&lane, &keyed).await.expect("stored");
        let first = queue.lease(lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
        queue.ack(&first.receipt).await.expect("ours");
    }
    relay.delay_answers(LATE);
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), ..message("task") };
    assert_eq!(queue.publish(&lane, &keyed).await.expect("stored"), Published::Stored);
    assert_eq!(queue.publish(&lane, &keyed).await.expect("an answer"), Published::Duplicate);
    let first = queue.lease(lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    queue.extend(&first.receipt, LONG).await.expect("ours");
    queue.hand_back(&first.receipt).await.expect("ours");
    let same = queue.lease(lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    assert_eq!((same.attempt, text(&same)), (1, "task"));
    queue.retry_after(&same.receipt, Duration::ZERO).await.expect("ours");
    let mut attempt = 2;
    if queue.limits().tick < LATE {
        // Whoever hears of a lease when it is over does not believe to have it.
        let late = queue.lease(lanes, SHORT, PATIENCE).await.expect("an answer").expect("a message");
        assert_eq!(late.attempt, attempt);
        assert!(is_lost(queue.ack(&late.receipt).await));
        attempt += 1;
    }
    let last = queue.lease(lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    assert_eq!(last.attempt, attempt);
    queue.emit(b"event").await.expect("told");
    queue.ack(&last.receipt).await.expect("ours");
    assert!(queue.lease(lanes, LONG, SHORT).await.expect("an answer").is_none());
    bench.check_depth(&lane, EMPTY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_waited_for() {
    let bench = Bench::redis().await;
    is_waited_for(&bench, bench.server().port, Lane::New).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_waited_for() {
    let bench = Bench::nats().await;
    is_waited_for(&bench, bench.nats_server().port, Lane::New).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_waited_for() {
    let bench = Bench::rabbit().await;
    // To make a lane's queues takes twenty answers; a call that is told so after five seconds goes on when it is repeated.
    is_waited_for(&bench, bench.host().port(), Lane::Used).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_is_waited_for() {
    let bench = Bench::sqs().await;
    is_waited_for(&bench, bench.moto().port, Lane::New).await;
}
