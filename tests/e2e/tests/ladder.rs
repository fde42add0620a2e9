//! A source becomes a ladder: through the real queue, the real store and the real worker.

use reelmill_api::EventBody;
use reelmill_e2e::Farm;
use reelmill_lab::media;

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_clip_becomes_a_ladder() {
    let farm = Farm::start().await;
    let input = farm.upload(&media::clip(), "clips/a b.mp4");
    let job = farm.submit(&input, "hls-ladder").await;
    let _worker = farm.start_worker();
    let event =
        farm.wait_for(job, "the end", |e| matches!(e.body, EventBody::Done { .. } | EventBody::Failed { .. })).await;
    let EventBody::Done { report } = event.body else { panic!("{event:?}") };
    let names: Vec<_> = report.renditions.iter().map(|r| (r.name.as_str(), r.samples)).collect();
    assert_eq!(names[..3], [("720p", 132), ("480p", 132), ("360p", 132)]);
    let files = farm.output_files(job);
    assert!(files.contains("master.m3u8") && files.contains("reelmill.json"), "{files:?}");
    assert_eq!(farm.store.unfinished_uploads(), 0);
}
