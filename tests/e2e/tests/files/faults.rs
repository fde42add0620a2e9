//! A store that fails while a file is stored or committed: the file is published whole, or not at all and with a reason.

use reelmill_api::{Event, EventBody, Failure, Report, rendition::Track};
use reelmill_e2e::{files_under, judge};
use reelmill_lab::{
    fault::{Fault, Op},
    media,
    programs::{output, store_settings},
    s3::{BUCKET, Server},
};

use crate::stage::Stage;

const JOB: &str = "0191f0a0-0000-7000-8000-000000000001";

/// A store with a source whose archive master has several parts.
struct Shop {
    store: Server,
    stage: Stage,
}

impl Shop {
    async fn open() -> Self {
        let (store, stage) = (Server::start().await, Stage::new());
        let words = "-f lavfi -i testsrc2=size=1280x720:rate=25 -t 1.2 -c:v libx264 -preset ultrafast -qp 30 a.mp4";
        std::fs::create_dir(store.folder.join("in")).expect("a folder in the store");
        let made = media::make(stage.folder.path(), words);
        std::fs::copy(made, store.folder.join("in/a.mp4")).expect("the source goes into the store");
        Self { store, stage }
    }

    async fn play_as(&self, id: &str) -> Result<Report, Failure> {
        let mut worker = self.stage.worker();
        worker.envs(store_settings(&self.store)).env("S3_STALL_SECONDS", "1");
        let job = format!(
            r#"{{"input":"s3://{BUCKET}/in/a.mp4","output":"s3://{BUCKET}/out/","preset":"archive-dnxhr","id":"{id}"}}"#
        );
        let ran = tokio::task::spawn_blocking(move || output(worker, job + "\n")).await.expect("it ran");
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        let last = told.lines().last().unwrap_or_else(|| panic!("no word: {}", String::from_utf8_lossy(&ran.stderr)));
        match serde_json::from_str::<Event>(last).expect("an event").body {
            EventBody::Done { report } => Ok(*report),
            EventBody::Failed { failure, .. } => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    async fn play(&self) -> Result<Report, Failure> {
        let end = self.play_as(JOB).await;
        assert_eq!(self.store.plan.unmet(), Vec::<String>::new(), "every fault was met: {end:?}");
        assert_eq!(self.store.unfinished_uploads(), 0, "{end:?}");
        assert_eq!(std::fs::read_dir(self.stage.spool()).map_or(0, Iterator::count), 0, "{end:?}");
        end
    }

    /// The file and its report, and nothing else.
    fn holds(&self, report: &Report) {
        let Track::File { path, .. } = &report.renditions[0].track else { panic!("no file") };
        let out = self.store.folder.join("out");
        assert_eq!(files_under(&out), [path.clone(), "reelmill.json".to_owned()].into());
        judge::decodes(&out.join(path));
        assert_eq!(out.join(path).metadata().expect("it is there").len(), report.renditions[0].bytes);
        assert!(report.renditions[0].bytes > 2 * (5 << 20), "it went out in parts");
    }

    fn is_empty(&self) {
        assert_eq!(files_under(&self.store.folder.join("out")), [].into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_fail_are_sent_again() {
    let shop = Shop::open().await;
    for (op, fault) in [
        (Op::Begin, Fault::s3(503, "SlowDown")),
        (Op::Part, Fault::s3(500, "InternalError")),
        (Op::Part, Fault::CutTaking(100_000)),
        (Op::Part, Fault::LoseAnswer),
        (Op::Join, Fault::LoseAnswer),
    ] {
        shop.store.plan.add_for(op, "/archive-dnxhr.mov", 1, fault);
    }
    let report = shop.play().await.unwrap_or_else(|e| panic!("{}", e.lines()));
    shop.holds(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_never_arrives_fails_the_job_and_leaves_nothing() {
    let shop = Shop::open().await;
    shop.store.plan.add_for(Op::Part, "/archive-dnxhr.mov", usize::MAX, Fault::Cut);
    let failure = shop.play().await.expect_err("it cannot be stored");
    assert!(failure.message.contains("archive-dnxhr.mov: the store at"), "{}", failure.lines());
    shop.is_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_known_to_be_done() {
    let shop = Shop::open().await;
    shop.store.plan.add_for(Op::Put, "/reelmill.json", 1, Fault::LoseAnswer);
    let report = shop.play().await.unwrap_or_else(|e| panic!("{}", e.lines()));
    shop.holds(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_keeps_its_media_and_says_where_to_look() {
    let shop = Shop::open().await;
    shop.store.plan.add_for(Op::Put, "/reelmill.json", usize::MAX, Fault::Stall);
    let failure = shop.play().await.expect_err("nobody knows");
    assert!(failure.lines().contains("out/reelmill.json"), "{}", failure.lines());
    let files = files_under(&shop.store.folder.join("out"));
    assert!(files.len() == 1 && files.iter().all(|f| f.ends_with("/archive-dnxhr.mov")), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_another_job_is_never_replaced() {
    let shop = Shop::open().await;
    let first = shop.play().await.unwrap_or_else(|e| panic!("{}", e.lines()));
    let other = shop.play_as("0191f0a0-0000-7000-8000-000000000002").await.expect_err("the place is taken");
    assert!(other.message.contains(&format!("already holds the published output of job {JOB}")), "{}", other.lines());
    shop.holds(&first);
    let again = shop.play().await.unwrap_or_else(|e| panic!("{}", e.lines()));
    assert_eq!(again, first, "the same job finds what it has");
    std::fs::write(shop.store.folder.join("out/reelmill.json"), "{}").expect("somebody's own file");
    let failure = shop.play().await.expect_err("the place is taken");
    assert!(failure.message.contains("already holds the report of another program"), "{}", failure.lines());
}
