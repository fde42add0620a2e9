//! Damaged clips, two hundred of them: each ends in whole output or in one clear sentence, soon, and touches nothing else.

use std::time::{Duration, Instant};

use reelmill_api::ErrorKind;
use reelmill_e2e::damage::{Bout, Clips};

use crate::stage::{QUICK, Stage, TOLERANT, tiny};

const VARIANTS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn damaged_clips_end_whole_or_clearly() {
    let mut stage = Stage::start().await;
    let _ = stage.canary.touched();
    let clips = Clips::make(stage.farm.folder.path());
    let bout = Bout::new(&stage.farm, &mut stage.worker, QUICK);
    // As long as it takes: how long a machine needs for all is no promise.
    let (given, tally) = bout.run(&clips, 0..VARIANTS, Instant::now() + Duration::from_secs(3600)).await;
    println!("{tally}");
    assert_eq!((given, tally.published + tally.refusals() + tally.delays()), (VARIANTS, VARIANTS));
    assert!(tally.published > 20 && tally.refusals() > 50, "the damage is too much or too little:\n{tally}");
    assert_eq!(stage.canary.touched(), Vec::<String>::new());
}

/// What is damaged is refused for the damage: the same clips, whole, are published.
#[tokio::test(flavor = "multi_thread")]
async fn the_clips_that_are_damaged_are_well_before() {
    let stage = Stage::start().await;
    let clips = Clips::make(stage.farm.folder.path());
    for (name, bytes) in clips.whole() {
        let job = stage.submit(name, bytes).await;
        let end = stage.end(job).await;
        assert!(end.is_ok(), "{name}: {end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_middle_is_refused_or_told_as_the_preset_says() {
    let stage = Stage::start().await;
    let mut clip = tiny(stage.farm.folder.path(), "clip.mp4");
    // A sixth of it, far from the index at its end; a little less may decode to another picture without a complaint.
    let third = clip.len() / 3;
    clip[third..third + third / 2].iter_mut().for_each(|byte| *byte ^= 0x3c);

    let refused = stage.submit("refused.mp4", &clip).await;
    let failure = stage.refused(refused, "refused.mp4").await;
    assert_eq!(failure.kind, ErrorKind::BadSource, "{failure:?}");
    assert!(failure.lines().contains("it is cut or damaged: ") && failure.lines().contains("tolerate"), "{failure:?}");

    let told = stage.submit_by("told.mp4", &clip, TOLERANT).await;
    let report = stage.end(told).await.expect("it is published");
    assert!(report.changes.iter().any(|change| change.starts_with("damaged in ")), "{:?}", report.changes);
}
