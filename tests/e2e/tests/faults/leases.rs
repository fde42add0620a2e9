//! The same with a queue: what fails at first is tried again by a new attempt, and only one of them is published.

use std::time::Duration;

use reelmill_api::EventBody;
use reelmill_e2e::{Farm, files_under};
use reelmill_lab::{
    fault::{Fault, Op},
    media,
};

use crate::whole;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_attempt_publishes_what_the_first_could_not() {
    let farm = Farm::start().await;
    let words = "-i CLIP -vf scale=160:90 -c:v libx264 -preset ultrafast -c:a copy small.mp4";
    let input = farm.upload(&media::make(farm.folder.path(), words), "in/small.mp4");
    // As many refusals as one attempt bears.
    farm.store.plan.add_for(Op::Put, "/audio/seg_00001.m4s", 6, Fault::s3(503, "SlowDown"));
    let job = farm.submit(&input, "hls-ladder").await;
    let _worker = farm.start_worker();
    let first = farm.wait_for(job, "the first end", |e| matches!(e.body, EventBody::Failed { .. })).await;
    let EventBody::Failed { failure, retry_in_seconds } = first.body else { unreachable!("just matched") };
    assert!(retry_in_seconds.is_some() && failure.message.contains("503"), "{failure:?}");
    let done = farm.wait_for(job, "the second end", |e| matches!(e.body, EventBody::Done { .. })).await;
    assert_ne!(done.attempt, first.attempt);
    assert_eq!(done.attempt.number(), 2);
    whole::check(&farm.output_folder(job), media::CLIP_FRAMES).expect("the output is whole");
    let depth = farm.queue.depth(&farm.lane("hls-ladder")).await.expect("the queue answers");
    assert_eq!((depth.ready, depth.delayed, depth.dead), (0, 0, 0), "{depth:?}");
    tokio::time::timeout(Duration::from_secs(10), async {
        while files_under(&farm.output_folder(job)).iter().any(|f| f.starts_with(&first.attempt.to_string())) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("nothing of the first attempt is left");
    assert_eq!(farm.store.unfinished_uploads(), 0);
}
