//! A few rounds of the kill test on each kind of queue; `cargo xtask kill` fights hundreds.

use reelmill_e2e::kill::{Battle, Toll};
use reelmill_lab::queues::Kind;

/// Enough, with this seed, to strike each target that there is.
const ROUNDS: usize = 10;
const SEED: u64 = 54;

async fn every_job_ends_exactly_once(queue: Kind) {
    let toll = Battle { queue, rounds: ROUNDS, seed: SEED }.run().await;
    println!("{}\n{toll}", Toll::HEAD);
    assert!(toll.complaints.is_empty(), "seed {}: {:#?}", toll.seed, toll.complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_on_sqlite_ends_exactly_once_whatever_is_killed() {
    every_job_ends_exactly_once(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_on_redis_ends_exactly_once_whatever_is_killed() {
    every_job_ends_exactly_once(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_on_rabbitmq_ends_exactly_once_whatever_is_killed() {
    every_job_ends_exactly_once(Kind::RabbitMq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_on_nats_ends_exactly_once_whatever_is_killed() {
    every_job_ends_exactly_once(Kind::Nats).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_on_sqs_ends_exactly_once_whatever_is_killed() {
    every_job_ends_exactly_once(Kind::Sqs).await;
}
