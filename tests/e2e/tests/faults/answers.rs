//! Faults that leave it open whether the store did what it was told: the commit, and what comes after it.

use reelmill_lab::fault::{Fault, Op};

use crate::{
    scene::FRAMES,
    stage::{Stage, Want, check, planned},
    whole,
};

fn refused() -> Fault {
    Fault::s3(503, "SlowDown")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leftovers_that_cannot_be_looked_for_harm_nothing() {
    check([planned(Op::List, "", usize::MAX, refused()).alone(Want::Whole)]).await;
}

/// The store does it, and nobody hears of it: media that a reader may find by now must stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_never_comes_keeps_what_it_may_have_published() {
    let looks = |stage: &Stage| {
        // One before the job begins and one before each of its two claims go well: the report's and the manifest's.
        stage.store.plan.add_for(Op::Get, "/out/master.m3u8", 3, Fault::None);
        stage.store.plan.add_for(Op::Get, "/out/master.m3u8", usize::MAX, refused());
    };
    let lost = |stage: &Stage, times| stage.store.plan.add_for(Op::Put, "/out/master.m3u8", times, Fault::LoseAnswer);
    let stage = Stage::new().await;
    lost(&stage, usize::MAX);
    committed(stage, true).await;
    // Nobody can look whether it is there either.
    let stage = Stage::new().await;
    lost(&stage, usize::MAX);
    looks(&stage);
    committed(stage, false).await;
    // The second try is told that it is there already, and nobody can look whose it is.
    let stage = Stage::new().await;
    lost(&stage, 1);
    stage.store.plan.add_for(Op::Head, "/out/master.m3u8", usize::MAX, refused());
    looks(&stage);
    committed(stage, false).await;
}

/// Does a job whose output is whole in the end, whether the worker can know it or not.
async fn committed(stage: Stage, known: bool) {
    let mut worker = stage.worker();
    // Looks are counted: none may come again because an answer took its time.
    worker.env("S3_STALL_SECONDS", "20");
    let end = stage.play_unjudged(worker).await;
    assert_eq!(stage.store.plan.unmet(), Vec::<String>::new(), "{end:?}");
    whole::check(&stage.out(), FRAMES).unwrap_or_else(|e| panic!("{e} after {end:?}"));
    assert_eq!(end.is_ok(), known, "{end:?}");
    // Another job finds it and leaves it alone.
    stage.store.plan.clear();
    let other = stage.play_unjudged(stage.worker()).await.expect_err("the place is taken");
    assert!(other.message.contains("already holds the published output of job"), "{other:?}");
    whole::check(&stage.out(), FRAMES).expect("it is still whole");
}

/// Nobody knows what a store that hangs up has done: it may still publish it, so the media stays until another attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrives_is_no_success_and_is_made_good_by_another_attempt() {
    let stage = Stage::new().await;
    stage.store.plan.add_for(Op::Put, "/out/master.m3u8", usize::MAX, Fault::Cut);
    let failure = stage.play_unjudged(stage.worker()).await.expect_err("it is not published");
    assert!(failure.lines().contains("look for"), "{failure:?}");
    assert!(!stage.out().join("master.m3u8").exists());
    stage.store.plan.clear();
    let end = stage.play(stage.worker()).await.expect("it is whole, and the first attempt is swept");
    assert!(matches!(end, crate::stage::End::Whole), "{end:?}");
}

/// The same job again, by its id, finds itself published, however the store behaves meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_published_is_found_so_in_spite_of_faults() {
    let stage = Stage::new().await;
    let first = stage.play_as(stage.worker(), Stage::JOB).await.expect("it is published");
    for (path, fault) in [
        ("/out/master.m3u8", refused()),
        ("/out/master.m3u8", Fault::CutAfter(10)),
        ("/reelmill.json", Fault::Stall),
        ("/reelmill.json", Fault::StallAfter(10)),
    ] {
        stage.store.plan.add_for(Op::Get, path, 1, fault.clone());
        let again = stage.play_as(stage.worker(), Stage::JOB).await;
        assert_eq!(again.as_ref(), Ok(&first), "{path} {fault:?}");
        assert_eq!(stage.store.plan.unmet(), Vec::<String>::new());
    }
    whole::check(&stage.out(), FRAMES).expect("it is still whole");
}
