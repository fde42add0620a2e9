//! Tasks that are to go to another lane, which does not take them.

use std::{fs::File, time::Duration};

use reelmill_api::{ErrorKind, Event, EventBody, JobId, Priority, QueueName};
use reelmill_e2e::{Farm, QueueKind, until};
use reelmill_lab::{
    programs::Running,
    queues::{Kind, QueueServer},
};
use reelmill_queue::NewMessage;

use crate::{QUICK, slow_farm, whole_and_alone, worker};

/// A preset that the first worker does not serve.
const OTHER: &str = "other";

/// Has the queue's file do something to itself, behind its driver's back.
async fn queue_does(farm: &Farm, sql: &'static str) {
    let file = sqlx::SqlitePool::connect(farm.queue_url()).await.expect("the queue's file");
    sqlx::raw_sql(sql).execute(&file).await.expect(sql);
    file.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_lane_takes_nothing_waits_and_keeps_nobody_from_working() {
    let (farm, input) = slow_farm(QueueKind::Sqlite).await;
    farm.add_preset(OTHER, &[("90p", 160, 90)]);
    let closed = "CREATE TRIGGER closed BEFORE INSERT ON messages WHEN NEW.lane = 'reelmill-other' \
                  BEGIN SELECT RAISE(ABORT, 'this lane is closed'); END";
    queue_does(&farm, closed).await;
    let stuck = farm.submit_plain(&input, OTHER).await;
    let said = farm.folder.path().join("said");
    let mut first = worker(&farm, "first");
    first.env("PRESET", QUICK).stderr(File::create(&said).expect("our folder"));
    let _first = Running::start(first);
    let complaints = || {
        let said = std::fs::read_to_string(&said).expect("it was written");
        said.lines().filter(|line| line.contains(&format!("job {stuck}: cannot publish"))).count()
    };
    until("a first try", async || (complaints() > 0).then_some(())).await;
    let job = farm.submit(&input, QUICK).await;
    whole_and_alone(&farm, job).await;
    // It is tried again every ten seconds, and the other job takes a few.
    assert!(complaints() < 20, "{} tries", complaints());
    queue_does(&farm, "DROP TRIGGER closed").await;
    let mut second = worker(&farm, "second");
    second.env("PRESET", OTHER);
    let _second = Running::start(second);
    let (attempt, node) = whole_and_alone(&farm, stuck).await;
    assert_eq!((attempt.number(), node.as_str()), (1, "second"), "what could not be moved is not counted as tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_grows_too_large_for_another_lane_is_a_dead_letter() {
    let server = tokio::task::spawn_blocking(|| QueueServer::start(Kind::Nats)).await.expect("it starts");
    let (farm, input) = slow_farm(QueueKind::Any(server)).await;
    farm.add_preset(OTHER, &[("90p", 160, 90)]);
    let job = JobId::new(uuid::Uuid::new_v4());
    let (before, after) =
        (format!(r#"{{"id":"{job}","input":"{input}","preset":"{OTHER}","settings":{{"why":""#), r#""}}"#);
    let filling = farm.queue.limits().largest_body - before.len() - after.len();
    let body = format!("{before}{}{after}", "x".repeat(filling)).into_bytes();
    let message = NewMessage { body, priority: Priority::Normal, delay: Duration::ZERO, dedupe_key: None };
    let intake = QueueName::default().intake();
    farm.queue.publish(&intake, &message).await.expect("the queue just takes it");
    let mut first = worker(&farm, "first");
    first.env("PRESET", QUICK);
    let _first = Running::start(first);
    let failed = |event: &Event| matches!(event.body, EventBody::Failed { .. });
    let EventBody::Failed { failure, retry_in_seconds } = farm.wait_for(job, "its end", failed).await.body else {
        unreachable!("just matched")
    };
    assert_eq!((failure.kind, retry_in_seconds), (ErrorKind::BadRequest, None), "{failure:?}");
    assert!(
        failure.message.starts_with(&format!("job {job} must go to lane reelmill-other: its ")),
        "{}",
        failure.message
    );
    let letters = async || {
        let letters = farm.queue.dead_letters(&intake, 10).await.expect("the queue answers");
        (!letters.is_empty()).then_some(letters)
    };
    let letters = until("a dead letter", letters).await;
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, failure.lines().as_str()));
    assert_eq!(letters[0].body, message.body, "as it was published");
}
