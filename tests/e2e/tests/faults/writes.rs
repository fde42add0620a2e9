//! Faults of what the worker writes: each kind of file, each kind of fault.

use reelmill_lab::fault::{Fault, Op};

use crate::stage::{Planned, Want, check, planned, together};

/// Every kind of file that a job puts, by a part of its path.
const FILES: [&str; 10] = [
    "/144p/init.mp4",
    "/144p/seg_00000.m4s",
    "/144p/seg_00001.m4s",
    "/144p/seg_00002.m4s",
    "/audio/init.mp4",
    "/audio/seg_00002.m4s",
    "/72p/index.m3u8",
    "/reelmill.json",
    "/out/reelmill.json",
    "/out/master.m3u8",
];

/// Every file meets this fault so often, all in one job.
fn every_file(times: usize, fault: &Fault) -> Vec<Planned> {
    FILES.iter().map(|path| planned(Op::Put, path, times, fault.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_is_repeated() {
    let passing = [
        (2, Fault::s3(503, "SlowDown")),
        (1, Fault::s3(500, "InternalError")),
        (2, Fault::Cut),
        (1, Fault::CutTaking(100)),
        (2, Fault::LoseAnswer),
        (1, Fault::Stall),
        (1, Fault::StallTaking(100)),
        (1, Fault::ShortenTaken(50)),
        (1, Fault::Lengthen(1000)),
    ];
    check(passing.map(|(times, fault)| together(every_file(times, &fault), Want::Whole))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_refused_for_ever_fails_the_job() {
    let files = ["/144p/init.mp4", "/audio/seg_00002.m4s", "/72p/index.m3u8", "/out/reelmill.json", "/out/master.m3u8"];
    let refused = files.map(|path| planned(Op::Put, path, usize::MAX, Fault::s3(503, "SlowDown")));
    check(refused.map(|planned| planned.alone(Want::Failed("503")))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_never_works_fails_the_job() {
    let fail = |path, fault: Fault, why| planned(Op::Put, path, usize::MAX, fault).alone(Want::Failed(why));
    check([
        fail("/72p/index.m3u8", Fault::Cut, "72p/index.m3u8: the store at"),
        fail("/144p/seg_00002.m4s", Fault::CutTaking(100), "144p/seg_00002.m4s: the store at"),
        fail("/audio/init.mp4", Fault::Stall, "audio/init.mp4: the store at"),
        fail("/out/reelmill.json", Fault::StallTaking(10), "out/reelmill.json: the store at"),
        fail("/72p/seg_00000.m4s", Fault::LoseAnswer, "72p/seg_00000.m4s: the store at"),
        fail("/144p/seg_00000.m4s", Fault::ShortenTaken(50), "144p/seg_00000.m4s: the store at"),
    ])
    .await;
}
