//! Lanes that are paused.

use std::time::Duration;

use reelmill_api::{Lane, Notice, QueueName, status::WorkerState};
use reelmill_e2e::{Farm, QueueKind, until};
use reelmill_lab::programs::{Running, free_port};

use crate::{QUICK, lane_is_empty, on_both_queues, slow_farm, status, whole_and_alone, worker};

async fn paused(farm: &Farm, lane: &Lane) {
    farm.queue.post(&Notice::Paused(lane.clone())).await.expect("the queue answers");
}

/// Waits until the worker says that these of its lanes are paused, and what that makes of it.
async fn says(port: u16, state: WorkerState, lanes: &[&Lane]) {
    let mut lanes: Vec<_> = lanes.iter().map(|lane| (*lane).clone()).collect();
    lanes.sort();
    let named =
        |said: &[Lane]| said.iter().filter(|lane| !lane.as_str().contains("-needs-")).cloned().collect::<Vec<_>>();
    let said =
        async || status(port).is_some_and(|said| said.state == state && named(&said.paused) == lanes).then_some(());
    until(&format!("{state:?} with {lanes:?} paused"), said).await;
}

async fn ready(farm: &Farm, lane: &Lane) -> u64 {
    let depth = farm.queue.depth(lane).await.expect("the queue answers");
    assert_eq!((depth.delayed, depth.leased), (0, Some(0)), "{lane}: {depth:?}");
    depth.ready
}

async fn tasks_wait_for_the_end_of_a_pause(kind: QueueKind) {
    let (farm, input) = slow_farm(kind).await;
    farm.add_preset("other", &[("90p", 160, 90)]);
    let (quick, other, intake) = (farm.lane(QUICK), farm.lane("other"), QueueName::default().intake());
    for lane in [&quick, &other, &intake] {
        paused(&farm, lane).await;
    }
    let held = farm.submit(&input, QUICK).await;
    let port = free_port();
    let mut watched = worker(&farm, "first");
    watched.env("PRESET", "quick,other").env("STATUS_LISTEN", format!("127.0.0.1:{port}"));
    let _worker = Running::start(watched);
    says(port, WorkerState::Paused, &[&quick, &other, &intake]).await;
    farm.queue.withdraw(&Notice::Paused(other.clone())).await.expect("the queue answers");
    says(port, WorkerState::Ready, &[&quick, &intake]).await;
    let free = farm.submit(&input, "other").await;
    whole_and_alone(&farm, free).await;
    // Longer than a wait for a task lasts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ready(&farm, &quick).await, 1, "nothing is leased from the lane that is still paused");
    assert!(farm.output_files(held).is_empty());
    farm.queue.withdraw(&Notice::Paused(quick.clone())).await.expect("the queue answers");
    assert_eq!(whole_and_alone(&farm, held).await.0.number(), 1, "waiting is not counted as trying");
    lane_is_empty(&farm).await;
    // And once more, now that it works.
    paused(&farm, &quick).await;
    says(port, WorkerState::Ready, &[&quick, &intake]).await;
    farm.submit(&input, QUICK).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ready(&farm, &quick).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_leased_from_a_paused_lane_until_it_is_resumed() {
    on_both_queues(tasks_wait_for_the_end_of_a_pause).await;
}
