//! Faults of what the worker reads: the source at its start, in the middle and at its end, and what is published already.

use std::ops::Range;

use reelmill_lab::fault::{Fault, Op};

use crate::{
    scene::places,
    stage::{Case, Planned, Want, check, planned, together},
};

const SOURCE: &str = "/in/source.mp4";

fn read(from: &Range<u64>, times: usize, fault: &Fault) -> Planned {
    planned(Op::Get, SOURCE, times, fault.clone()).from(from)
}

/// A read at each place meets this fault once, all in one job.
fn every_place(fault: &Fault) -> Vec<Planned> {
    places().map(|from| read(&from, 1, fault)).into()
}

/// A job for each place, whose reads meet this fault so often.
fn each_place(times: usize, fault: &Fault, want: Want) -> Vec<Case> {
    places().map(|from| read(&from, times, fault).alone(want)).into()
}

fn head(times: usize, fault: &Fault) -> Planned {
    planned(Op::Head, SOURCE, times, fault.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_fails_once_is_repeated() {
    let answers = [Fault::s3(503, "SlowDown"), Fault::s3(500, "InternalError"), Fault::Cut, Fault::Stall];
    let bodies = [Fault::CutAfter(1000), Fault::StallAfter(1000), Fault::Shorten(1000), Fault::Lengthen(1000)];
    let with_head = answers.map(|fault| together([every_place(&fault), vec![head(1, &fault)]].concat(), Want::Whole));
    let without = bodies.map(|fault| together(every_place(&fault), Want::Whole));
    check(with_head.into_iter().chain(without)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lies_about_what_it_sends_is_not_believed() {
    let [first, middle, end] = places();
    let bytes = end.end;
    let lie = |name, value: String| Fault::Header(name, value);
    let another = lie("content-range", format!("bytes 7-1006/{bytes}"));
    let replaced = Want::Failed("it was replaced while it was read");
    let mut cases = vec![
        together(every_place(&another), Want::Whole),
        read(&middle, usize::MAX, &another).alone(Want::Failed("another range")),
        read(&middle, usize::MAX, &lie("content-range", "bytes 0-0/1".to_owned())).alone(replaced),
        read(&first, 1, &lie("etag", "\"another\"".to_owned())).alone(replaced),
        read(&end, usize::MAX, &lie("etag", "\"another\"".to_owned())).alone(replaced),
    ];
    for wrong in [bytes + 1000, bytes - 1000] {
        let lie = lie("content-length", wrong.to_string());
        cases.push(head(1, &lie).alone(Want::Failed("source.mp4")));
    }
    check(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_never_works_fails_the_job() {
    let mut cases = each_place(usize::MAX, &Fault::s3(503, "SlowDown"), Want::Failed("503"));
    let [first, middle, end] = places();
    for planned in [
        read(&first, usize::MAX, &Fault::CutAfter(0)),
        read(&middle, usize::MAX, &Fault::Cut),
        read(&end, usize::MAX, &Fault::Stall),
        read(&middle, usize::MAX, &Fault::Shorten(1000)),
        head(usize::MAX, &Fault::s3(503, "SlowDown")),
        head(usize::MAX, &Fault::Stall),
    ] {
        cases.push(planned.alone(Want::Failed("source.mp4: the store at")));
    }
    check(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_what_is_published_that_fails_is_repeated() {
    let looks = |times, fault: &Fault| {
        ["/out/master.m3u8", "/out/reelmill.json"].map(|path| planned(Op::Get, path, times, fault.clone()))
    };
    let refused = Fault::s3(503, "SlowDown");
    let passing = [refused.clone(), Fault::Cut, Fault::Stall].map(|fault| together(looks(1, &fault), Want::Whole));
    let staying = looks(usize::MAX, &refused).map(|planned| planned.alone(Want::Failed("503")));
    check(passing.into_iter().chain(staying)).await;
}
