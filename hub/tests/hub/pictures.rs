//! Pictures of the pages of nodes and of queues, taken by Chromium, which also sees that nothing is wrong with it. Needs node, the npm packages
//! of tests/browser and Chromium, so it runs only when asked for:
//!
//! ```text
//! npm ci --prefix tests/browser && PICTURES=/tmp/pictures cargo test -p reelmill-hub --test hub pictures -- --ignored
//! ```

use std::{env, ffi::OsString, path::Path, process::Stdio};

use reelmill_api::JobState;
use reelmill_hub::Config;
use reelmill_lab::mosquitto::Mosquitto;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{fleet, queues::Scene, support::TestHub};

/// Three nodes as they are, and one that means harm.
fn nodes() -> Vec<(&'static str, Value, Value, Value)> {
    let beat = |figures: Value| {
        let mut beat = json!({"v": 1, "t": "2026-11-22T10:00:00Z", "up_s": 8000});
        figures.as_object().into_iter().flatten().for_each(|(name, value)| beat[name] = value.clone());
        beat
    };
    let orin = "NVIDIA Jetson Orin NX 16GB";
    let hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let hot = json!(["tj is at 92.0 \u{b0}C, 3 below its limit", "reelmill-worker.service has failed"]);
    vec![
        (
            "orin-1",
            json!({"state": "up"}),
            json!(orin),
            beat(json!({"cpu_pct": 31.2, "mem_pct": 48.5, "disk_pct": 21.0, "temp_c": 58.5, "power_w": 12.4,
                        "gpu_pct": 44, "enc_pct": 73, "tasks": 2})),
        ),
        (
            "orin-2",
            json!({"state": "degraded", "reasons": hot}),
            json!(orin),
            beat(json!({"cpu_pct": 91.2, "mem_pct": 88.5, "disk_pct": 61.0, "temp_c": 92.0, "power_w": 19.4,
                        "gpu_pct": 98, "enc_pct": 100, "tasks": 4})),
        ),
        ("orin-10", json!({"state": "down"}), json!(orin), beat(json!({"cpu_pct": 3.0}))),
        (
            "a-long-name-of-sixty-three-letters-and-no-hyphen-at-the-very-en",
            json!({"state": "degraded", "reasons": [hostile, "x".repeat(300)]}),
            json!(hostile),
            beat(json!({"temp_c": 1e300, "tasks": 4_294_967_295_u32})),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node, npm packages and Chromium"]
async fn the_page_of_nodes_is_good() {
    let broker = Mosquitto::start();
    let hub = fleet::at(&broker).await;
    for (node, mut health, board, beat) in nodes() {
        (health["v"], health["conn"]) = (json!(1), json!("a"));
        let say = |topic: &str, what: &Value, words: &[&str]| {
            broker.publish(&format!("reelmill/1/n/{node}/{topic}"), what.to_string(), words);
        };
        say("health", &health, &["-r"]);
        say("rep/hw", &json!({"board": {"model": board}}), &["-r"]);
        say("m", &beat, &[]);
        hub.node(|known| known["node"] == node && known["heartbeat"].is_object()).await;
    }
    let none = TestHub::start_with(tempfile::tempdir().expect("a folder"), Config::default()).await;
    look(&[("nodes", &hub, "nodes"), ("no-nodes", &none, "nodes")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node, npm packages and Chromium"]
async fn the_page_of_queues_is_good_and_its_buttons_do_what_they_say() {
    let scene = Scene::embedded().await;
    let hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    for (body, reason) in [
        (&b"\xff\x00\xff"[..], "the message on reelmill is not a job: it is no whole JSON, see line 1 column 1"),
        (hostile.as_bytes(), hostile),
    ] {
        scene.bury_at_the_intake(body, &format!("{reason}\nhint: the smallest job is {{}}")).await;
    }
    scene.failed_job().await;
    let (again, _) = scene.failed_job().await;
    let waiting = scene.hub.submit().await;
    scene.posted("/v1/lanes/reelmill-hls-ladder-4k/pause").await;
    let none = TestHub::start().await;
    look(&[("queues", &scene.hub, "queues"), ("no-queues", &none, "queues")]).await;
    let mut browser = browser("queues.mjs");
    browser.args([&scene.hub.addresses.api, &waiting.id.to_string(), &again.id.to_string()]).args(pictures());
    assert!(browser.status().await.expect("node runs").success());
    assert_eq!(scene.hub.job(&waiting.id).await.state, JobState::Canceled);
    assert_eq!(scene.hub.job(&again.id).await.state, JobState::Queued);
}

/// Looks at pages of these names, of these hubs and at these addresses.
async fn look(pages: &[(&str, &TestHub, &str)]) {
    let mut browser = browser("agent-page.mjs");
    browser.args(pages.iter().map(|(name, hub, path)| format!("{name}={}/{path}", hub.addresses.api))).args(pictures());
    assert!(browser.status().await.expect("node runs").success());
}

fn browser(script: &str) -> Command {
    let mut browser = Command::new("node");
    browser.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser").join(script)).stdin(Stdio::null());
    browser
}

/// Where pictures are wanted, if they are.
fn pictures() -> Option<OsString> {
    let folder = env::var_os("PICTURES")?;
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    Some(folder)
}
