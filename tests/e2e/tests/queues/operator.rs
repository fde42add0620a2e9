//! An operator at a hub, with real workers on real queues.

use std::fs;

use reelmill_e2e::{Farm, QueueKind, processes::children, until};
use reelmill_lab::{
    media,
    programs::{Running, eventually},
    queues::{Kind, QueueServer},
    redis::Redis,
    s3::{BUCKET, Pace, Server},
};

use crate::{document, hub::Hub};

/// Two presets that cost little.
const QUICK: &str = "quick";
const OTHER: &str = "other";

/// A farm whose store is slow or not, and a source of six seconds.
async fn farm(kind: Kind, bytes_per_second: Option<u64>) -> (Farm, String) {
    let store = Server::start_with(None, Pace { bytes_per_second, ..Pace::default() }).await;
    let queue = tokio::task::spawn_blocking(move || QueueServer::start(kind)).await.expect("it starts");
    let farm = Farm::start_with(store, QueueKind::Any(queue)).await;
    for preset in [QUICK, OTHER] {
        farm.add_preset(preset, &[("90p", 160, 90)]);
    }
    let words = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -f lavfi -i sine=duration=6 -c:v libx264 \
                 -preset ultrafast -pix_fmt yuv420p -b:v 1500k -minrate 1500k -maxrate 1500k -bufsize 500k -nal-hrd cbr \
                 -c:a aac -movflags +faststart a.mp4";
    let input = farm.upload(&media::make(farm.folder.path(), words), "in/a.mp4");
    (farm, input)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_that_is_canceled_on_the_hub_is_called_off_by_its_worker() {
    for &kind in Kind::ALL {
        let (farm, input) = farm(kind, Some(300_000)).await;
        let (hub, worker) = (Hub::start(&farm), farm.start_worker());
        let job = hub.submit(&input, QUICK);
        let id = job.parse().expect("an id");
        hub.until(&job, "running");
        until("the first segment", async || farm.output_files(id).iter().any(|f| f.contains("/seg_")).then_some(()))
            .await;
        let media = eventually("a media process", || Some(children(worker.pid())).filter(|all| !all.is_empty()));
        assert_eq!(hub.good(&format!("reelmill cancel {job}")), format!("job {job}: canceled\n"));
        eventually("the end of its media processes", || (!media.iter().any(|p| p.is_alive())).then_some(()));
        until("what was made of it to be swept", async || farm.output_files(id).is_empty().then_some(())).await;
        let lane = farm.lane(QUICK);
        let lane_is_empty = async || {
            (hub.curl(&["/v1/lanes"])["lanes"].as_array()?.iter()).find(|l| l["lane"] == lane.as_str()).and_then(|l| {
                (l["ready"] == 0 && l["delayed"] == 0 && l["leased"].as_u64().unwrap_or(0) == 0).then_some(())
            })
        };
        until("the lane to be empty", lane_is_empty).await;
        // Another job is worked on as ever, and by then all events of the first were heard.
        let next = hub.submit(&input, QUICK);
        hub.until(&next, "done");
        assert_eq!(hub.job(&job)["state"], "canceled", "on {kind}");
        assert_eq!(hub.good("reelmill dead list --json"), "[]\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_waits_while_others_go_on() {
    for &kind in Kind::ALL {
        let (farm, input) = farm(kind, None).await;
        let hub = Hub::start(&farm);
        hub.good("reelmill lanes pause reelmill-quick");
        let _worker = farm.start_worker();
        let (waiting, other) = (hub.submit(&input, QUICK), hub.submit(&input, OTHER));
        hub.until(&other, "done");
        let job = hub.job(&waiting);
        assert_eq!((&job["state"], &job["attempt"]), (&"queued".into(), &0.into()), "on {kind}");
        hub.good("reelmill lanes resume reelmill-quick");
        hub.until(&waiting, "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_done_once_its_cause_is_gone_and_it_is_retried() {
    for &kind in Kind::ALL {
        let (farm, _) = farm(kind, None).await;
        let (hub, _worker) = (Hub::start(&farm), farm.start_worker());
        let job = hub.submit(&format!("s3://{BUCKET}/in/late.mp4"), QUICK);
        hub.until(&job, "failed");
        fs::copy(farm.folder.path().join("a.mp4"), farm.store.folder.join("in/late.mp4")).expect("it is there now");
        let told = eventually("its dead letter", || {
            let ran = hub.run(&format!("reelmill dead retry {job}"));
            ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
        });
        assert!(told.starts_with("retried ") && told.ends_with(&format!(" (job {job})\n")), "{told}");
        let done = hub.until(&job, "done");
        assert_eq!((&done["attempt"], done.get("failure")), (&1.into(), None), "on {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_has_operators_type_works_as_it_is_written() {
    let farm = Farm::start_on_redis().await;
    let QueueKind::Redis(redis) = &farm.kind else { unreachable!("just chosen") };
    let hub = Hub::start(&farm);
    broken_messages_die(&farm, redis);
    let script = document::script("hub").replace("http://127.0.0.1:8080", &format!("http://127.0.0.1:{}", hub.port));
    let said = hub.good(&script);
    let paused = |line: &&str| line.starts_with("reelmill-hls-ladder-4k ") && line.contains(" paused ");
    assert_eq!(said.lines().filter(paused).count(), 1, "{said}");
    assert!(said.contains("the message on reelmill is not a job"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("retried ")).count(), 2, "{said}");
    // Retried, they lie on the intake, as no worker is there.
    assert_eq!(hub.curl(&["/v1/lanes"])["lanes"][0]["ready"], 2);
    assert_eq!(farm.queue.notices().await.expect("the queue answers"), Default::default());
}

/// Has a worker make two dead letters, and ends it.
fn broken_messages_die(farm: &Farm, redis: &Redis) {
    let worker: Running = farm.start_worker();
    redis.cli(&["RPUSH", "reelmill", "{", "[]"]);
    eventually("two dead letters", || (redis.cli(&["XLEN", "{reelmill}:dead"]) == "2").then_some(()));
    drop(worker);
}
