//! Whatever goes wrong on the way: tried again and whole, or a clear error. Never something else than what was asked.

use std::time::Duration;

use bytes::Bytes;
use reelmill_api::Location;
use reelmill_lab::{
    fault::{Fault, Op},
    s3::{BUCKET, Server},
};
use reelmill_storage::{Condition, ObjectInfo, Storage, StorageError};

use super::support::{config, impatient, location, pattern, reach, read, s3_only, stall_after, until};

const LEN: usize = 7_000_000;

/// A server with one object and two more in a folder.
struct Farm {
    server: Server,
    storage: Storage,
    at: Location,
    info: ObjectInfo,
}

impl Farm {
    async fn new() -> Self {
        Self::with(|server| s3_only(config(&server.endpoint))).await
    }

    /// For this fault: where it is silence, that is told after a second, and else not before a busy machine has answered.
    async fn for_fault(fault: &Fault) -> Self {
        match fault {
            Fault::Stall | Fault::StallAfter(_) => {
                Self::with(|server| s3_only(stall_after(&server.endpoint, Duration::from_secs(1)))).await
            }
            _ => Self::new().await,
        }
    }

    async fn with(storage: impl FnOnce(&Server) -> Storage) -> Self {
        let server = Server::start().await;
        let storage = storage(&server);
        let at = location(&format!("s3://{BUCKET}/in/a.mp4"));
        put(&reach(&server), &at, pattern(LEN)).await.expect("a put");
        let info = storage.head(&at).await.expect("it is there");
        server.plan.clear();
        Self { server, storage, at, info }
    }

    fn out(&self) -> Location {
        location(&format!("s3://{BUCKET}/out/b.mp4"))
    }

    /// Does each kind of work and says whether all of it came out as it should.
    async fn work(&self, op: Op) -> Result<(), StorageError> {
        match op {
            Op::Head => assert_eq!(self.storage.head(&self.at).await?, self.info),
            Op::Get => {
                let got = read(&self.storage, &self.at, &self.info, 0..self.info.bytes).await?;
                assert!(got == pattern(LEN), "{} other bytes", got.len());
                let (small, _) = self.storage.get_small(&self.at, LEN).await?;
                assert!(small == pattern(LEN), "{} other bytes", small.len());
            }
            Op::Put => {
                put(&self.storage, &self.out(), pattern(100_000)).await?;
                self.arrived(100_000).await;
            }
            Op::Begin | Op::Part | Op::Join => {
                let mut upload = self.storage.create(&self.out(), "video/mp4").await?;
                for start in (0..LEN).step_by(1_000_000) {
                    upload.write(pattern(LEN).slice(start..start + 1_000_000)).await?;
                }
                assert_eq!(upload.finish().await?.bytes, LEN as u64);
                self.arrived(LEN).await;
            }
            Op::List => {
                let found = self.storage.list(&location(&format!("s3://{BUCKET}/in"))).await?;
                assert_eq!(found.len(), 1);
            }
            Op::Delete => self.storage.delete(&self.out()).await?,
            Op::Abort | Op::Other => unreachable!("not worked here"),
        }
        Ok(())
    }

    async fn arrived(&self, len: usize) {
        let (whole, _) = reach(&self.server).get_small(&self.out(), LEN).await.expect("it is there");
        assert!(whole == pattern(LEN).slice(..len), "{} other bytes", whole.len());
    }

    /// Whether anything is to be seen of an output.
    async fn published(&self) -> bool {
        !reach(&self.server).list(&location(&format!("s3://{BUCKET}/out"))).await.expect("a list").is_empty()
    }
}

async fn put(storage: &Storage, at: &Location, body: Bytes) -> Result<(), StorageError> {
    storage.put(at, body, "video/mp4", Condition::Always).await.map(drop)
}

/// The kinds of requests that work is made of.
const ALL: [Op; 8] = [Op::Head, Op::Get, Op::Put, Op::Begin, Op::Part, Op::Join, Op::List, Op::Delete];

/// All kinds of work at once: most of the time is spent waiting.
async fn each_op(check: impl AsyncFn(Op)) {
    futures::future::join_all(ALL.map(|op| check(op))).await;
}

fn passing() -> Vec<Fault> {
    let slow_down = Fault::s3(503, "SlowDown");
    vec![slow_down, Fault::s3(500, "InternalError"), Fault::Cut, Fault::LoseAnswer, Fault::Stall]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_passes_is_ridden_out_whatever_is_being_done() {
    each_op(async |op| {
        for fault in passing() {
            let farm = Farm::for_fault(&fault).await;
            farm.server.plan.add(op, 2, fault.clone());
            farm.work(op).await.unwrap_or_else(|e| panic!("{op:?} with {fault:?}: {e}"));
            assert!(farm.server.plan.count(op) >= 2, "{op:?} with {fault:?} was not met");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_stays_is_a_clear_error_and_publishes_nothing() {
    each_op(async |op| {
        for fault in [Fault::s3(503, "SlowDown"), Fault::Cut, Fault::Stall] {
            let farm = Farm::for_fault(&fault).await;
            farm.server.plan.add(op, usize::MAX, fault.clone());
            let error = farm.work(op).await.expect_err("it never works");
            let right = match fault {
                // A store that answers before it read all of a long body may cut the sender off.
                Fault::Answer(..) if op == Op::Part && matches!(error, StorageError::Broken { .. }) => true,
                Fault::Cut => matches!(error, StorageError::Broken { .. }),
                Fault::Stall => matches!(error, StorageError::Stalled { .. }),
                _ => matches!(error, StorageError::Failed { .. }),
            };
            assert!(right, "{op:?} with {fault:?}: {error}");
            farm.server.plan.clear();
            assert!(!farm.published().await, "{op:?} with {fault:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_cut_stalls_or_has_another_length_is_asked_for_again() {
    let faults = [
        Fault::CutAfter(0),
        Fault::CutAfter(100_000),
        Fault::StallAfter(100_000),
        Fault::Shorten(100_000),
        Fault::Lengthen(5),
        Fault::Answer(200, Vec::new(), "a page of a captive portal".to_owned()),
    ];
    for fault in faults {
        let farm = Farm::for_fault(&fault).await;
        farm.server.plan.add(Op::Get, 2, fault.clone());
        let done = farm.work(Op::Get).await;
        match (&fault, &done) {
            // Whatever that is, it is not our object: told at once.
            (Fault::Answer(..), Err(StorageError::NotAStore { .. } | StorageError::Broken { .. })) => {}
            _ => done.unwrap_or_else(|e| panic!("{fault:?}: {e}")),
        }
        assert_eq!(farm.storage.buffered_bytes(), 0, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_never_right_is_an_error_and_no_byte_of_it_is_given() {
    let farm = Farm::new().await;
    let range = |text: &str| ("content-range", format!("bytes {text}/{LEN}"));
    let e_tag = ("etag", farm.info.version.to_string());
    let faults = [
        Fault::Shorten(0),
        Fault::Shorten(100),
        Fault::CutAfter(100),
        Fault::Lengthen(5),
        Fault::Answer(206, vec![e_tag.clone(), range("1-10")], "another so".to_owned()),
        Fault::Answer(200, vec![e_tag], "not all of it".to_owned()),
    ];
    for fault in faults {
        farm.server.plan.clear();
        farm.server.plan.add(Op::Get, usize::MAX, fault.clone());
        let reading = read(&farm.storage, &farm.at, &farm.info, 0..10);
        let got = tokio::time::timeout(Duration::from_secs(30), reading).await.expect("it gives up");
        match (&fault, got) {
            // Ten bytes are there before the cut: all that was asked for.
            (Fault::Shorten(100) | Fault::CutAfter(100), got) => assert_eq!(got.expect("ten bytes"), pattern(10)),
            (_, got) => assert!(matches!(got, Err(StorageError::Broken { .. })), "{fault:?}: {got:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_cut_is_not_asked_for_twice() {
    let farm = Farm::new().await;
    // Far more cuts than tries: each try brings something worth going on for.
    farm.server.plan.add(Op::Get, 20, Fault::CutAfter(300_000));
    let got = read(&farm.storage, &farm.at, &farm.info, 0..farm.info.bytes).await.expect("it goes on");
    assert!(got == pattern(LEN));
    assert!(farm.server.plan.count(Op::Get) > impatient().attempts as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conditional_put_whose_answer_is_lost_knows_its_own_object() {
    let farm = Farm::new().await;
    let (at, put) = (farm.out(), async |body: &'static str, condition| {
        farm.storage.put(&farm.out(), body.into(), "text/plain", condition).await
    });
    farm.server.plan.add(Op::Put, 1, Fault::LoseAnswer);
    let first = put("first", Condition::Absent).await.expect("it is ours");
    farm.server.plan.add(Op::Put, 1, Fault::LoseAnswer);
    let second = put("second", Condition::Matches(first.clone())).await.expect("it is ours");
    // A loser whose first request never came through must not take the winner's object for its own.
    farm.server.plan.add(Op::Put, 1, Fault::Cut);
    for condition in [Condition::Absent, Condition::Matches(first)] {
        let error = put("third", condition).await.expect_err("another one was first");
        assert!(matches!(error, StorageError::ConditionFailed { .. }), "{error}");
    }
    assert_eq!(farm.storage.get_small(&at, 99).await.expect("it is there"), ("second".into(), second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_fails_aborted_or_is_dropped_leaves_nothing_at_the_store() {
    for how in ["failed", "aborted", "dropped"] {
        let farm = Farm::new().await;
        if how == "failed" {
            farm.server.plan.add(Op::Join, usize::MAX, Fault::s3(503, "SlowDown"));
        }
        let mut upload = farm.storage.create(&farm.out(), "video/mp4").await.expect("a beginning");
        upload.write(pattern(LEN)).await.expect("a write");
        assert!(farm.server.unfinished_uploads() > 0, "it has begun");
        match how {
            "failed" => drop(upload.finish().await.expect_err("its end is refused")),
            "aborted" => upload.abort().await,
            _ => drop(upload),
        }
        // The abort of a dropped upload goes on in the background.
        until("the upload is aborted", || farm.server.unfinished_uploads() == 0).await;
        assert!(!farm.published().await, "{how}");
        assert_eq!(farm.storage.buffered_bytes(), 0, "{how}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_cannot_be_finished_after_a_write_that_failed_or_was_called_off() {
    let farm = Farm::new().await;
    farm.server.plan.add(Op::Begin, usize::MAX, Fault::s3(503, "SlowDown"));
    let mut upload = farm.storage.create(&farm.out(), "video/mp4").await.expect("a beginning");
    let error = upload.write(pattern(LEN)).await.expect_err("the store takes nothing");
    assert_eq!(upload.write("more".into()).await.expect_err("it failed before"), error);
    assert_eq!(upload.finish().await.expect_err("it failed before"), error);

    farm.server.plan.clear();
    farm.server.plan.add(Op::Begin, usize::MAX, Fault::Stall);
    let mut upload = farm.storage.create(&farm.out(), "video/mp4").await.expect("a beginning");
    assert!(futures::FutureExt::now_or_never(upload.write(pattern(LEN))).is_none(), "the store is silent");
    let error = upload.finish().await.expect_err("nobody knows how much of the chunk is in");
    assert_eq!(error.to_string(), "cannot finish an upload: one of its writes was called off halfway");
    farm.server.plan.clear();
    assert!(!farm.published().await);
}
