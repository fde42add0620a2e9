//! Faults of a segment that goes out in parts: its upload's begin, its parts, their joining, and its abort.

use reelmill_lab::fault::{Fault, Op};

use crate::{
    scene::Scene,
    stage::{Case, Planned, Want, check, planned, together},
};

const SEGMENT: &str = "/360p/seg_00000.m4s";

fn every_request(times: usize, fault: &Fault) -> [Planned; 3] {
    [Op::Begin, Op::Part, Op::Join].map(|op| planned(op, SEGMENT, times, fault.clone()))
}

async fn check_large(cases: impl IntoIterator<Item = Case>) {
    check(cases.into_iter().map(|case| case.with(Scene::Large))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_an_upload_in_parts_that_fails_is_repeated() {
    let passing = [Fault::s3(503, "SlowDown"), Fault::s3(500, "InternalError"), Fault::Cut];
    let whole = passing.map(|fault| together(every_request(2, &fault), Want::Whole));
    // A store may be silent for minutes while it joins, so that is not stalled here.
    let part = [Fault::Stall, Fault::CutTaking(100_000), Fault::StallTaking(100_000), Fault::LoseAnswer];
    let part = part.map(|fault| planned(Op::Part, SEGMENT, 1, fault)).into_iter();
    let others = [planned(Op::Begin, SEGMENT, 1, Fault::Stall), planned(Op::Join, SEGMENT, 1, Fault::LoseAnswer)];
    check_large(whole.into_iter().chain([together(part.chain(others), Want::Whole)])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_an_upload_in_parts_that_never_works_fails_the_job_and_leaves_no_parts() {
    let why = Want::Failed("360p/seg_00000.m4s: the store at");
    // A store that refuses a long body without reading it is met as a closed line.
    let refused = every_request(usize::MAX, &Fault::s3(503, "SlowDown")).map(|planned| planned.alone(why));
    let abort = planned(Op::Abort, SEGMENT, 2, Fault::s3(503, "SlowDown"));
    let cut = planned(Op::Part, SEGMENT, usize::MAX, Fault::Cut).alone(why);
    let join = together([planned(Op::Join, SEGMENT, usize::MAX, Fault::CutTaking(10)), abort], why);
    check_large(refused.into_iter().chain([cut, join])).await;
}
