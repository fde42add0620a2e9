//! A queue's server that is away for a while.

use std::{fs::File, time::Duration};

use reelmill_e2e::{QueueKind, until};
use reelmill_lab::{programs::Running, redis::Redis};

use crate::{QUICK, in_the_middle, lane_is_empty, slow_farm, whole_and_alone, worker};

/// Longer than a lease, and than some events and extensions take to fail.
const AWAY: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_is_told_of_twice_and_costs_no_job() {
    let (mut farm, input) = slow_farm(QueueKind::Redis(Redis::start_with(&["--appendonly", "yes"]))).await;
    let jobs = [farm.submit(&input, QUICK).await, farm.submit(&input, QUICK).await];
    let said = farm.folder.path().join("said");
    let mut first = worker(&farm, "first");
    first.env("CONCURRENCY", "2").stderr(File::create(&said).expect("our folder"));
    let _worker = Running::start(first);
    in_the_middle(&farm, jobs[0]).await;
    let QueueKind::Redis(redis) = &mut farm.kind else { unreachable!("just chosen") };
    redis.kill();
    tokio::time::sleep(AWAY).await;
    redis.start_again();
    for job in jobs {
        whole_and_alone(&farm, job).await;
    }
    lane_is_empty(&farm).await;
    let said = || std::fs::read_to_string(&said).expect("it was written");
    until("that it is back", async || said().contains("the queue answers again").then_some(())).await;
    let said = said();
    let count = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    assert_eq!([count("trying again until it answers"), count("the queue answers again")], [1, 1], "{said}");
    assert!(
        count("cannot emit an event") + count("cannot lease") <= 1,
        "nobody else of the worker says it, too:\n{said}"
    );
    // Beside that, of each attempt only that it was called off, and that it had nobody to ask before it published.
    let of_the_server = count("redis://");
    assert!(of_the_server <= 1 + 3 * jobs.len(), "{of_the_server} lines:\n{said}");
}
