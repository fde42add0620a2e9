//! A worker that cannot work says why and ends with 1.

use std::{fs, process::Command};

use reelmill_lab::programs::Nobody;

use crate::desk::Desk;

impl Desk {
    /// How a worker with these settings ends.
    fn check_worker(&self, words: &[&str], adapt: impl FnOnce(&mut Command), want: &str) {
        let mut worker = self.command("reelmill-worker", words);
        adapt(&mut worker);
        let output = worker.output().expect("it starts");
        let said = self.plain(&String::from_utf8_lossy(&output.stderr));
        let at = said.find("error: ").unwrap_or(0);
        assert_eq!((output.status.code(), &said[at..]), (Some(1), want), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_used_is_named() {
    let desk = Desk::new().await;
    let file = desk.path("worker.toml");
    fs::write(&file, "[queue]\nurk = \"redis://hub\"\n").expect("our folder");
    desk.check_worker(
        &["--config", &file.display().to_string()],
        |_| (),
        "error: DESK/worker.toml:2:1: unknown key `urk`; known are `url`, `name`, `lease_seconds`, `stuck_seconds`\n",
    );
    let none = desk.path("none.toml").display().to_string();
    desk.check_worker(
        &["--config", &none],
        |_| (),
        "error: cannot read the configuration DESK/none.toml: No such file or directory (os error 2)\n\
         hint: check the path after --config, and that this user may read the file\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("PRESET", "hls-ladder,nope");
        },
        "error: PRESET: there is no preset `nope`\nhint: known presets: archive-dnxhr, archive-prores, hls-ladder, hls-ladder-4k, hls-ladder-av1, hls-ladder-hevc, live-hls, \
         proxy, quick, social-square, social-vertical\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env_remove("QUEUE_URL");
        },
        "error: no queue is configured\n\
         hint: set QUEUE_URL, e.g. redis://hub:6379 or sqlite:///var/lib/reelmill/queue.sqlite\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("STUCK_SECONDS", "20").env("STALL_SECONDS", "20");
        },
        "error: [queue] stuck_seconds (STUCK_SECONDS) is 20, and stall_seconds under [media] is 20\n\
         hint: give an attempt more time than a media process, or leave it out\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("PIXEL_BUDGET", "100").env("NODE_FOLDER", &file);
        },
        "error: cannot use DESK/worker.toml: it is no folder that this user alone may write to\n\
         hint: [admission] folder (NODE_FOLDER) must be a folder that the node's workers alone may write to\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("HWACCEL", "gpu").env("CONCURRENCY", "0");
        },
        "error: 2 mistakes in the environment:\n      CONCURRENCY is \"0\": it must be a whole number from 1\n      \
         HWACCEL is \"gpu\": must be one of auto, cuda, jetson, none\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_can_be_checked_where_neither_secrets_nor_programs_are() {
    let desk = Desk::new().await;
    let check = |words: &[&str], secret: Option<&str>| {
        let mut worker = desk.command("reelmill-worker", &[&["check-config"], words].concat());
        worker.env("AWS_ACCESS_KEY_ID", "file:/run/credentials/reelmill-worker.service/access-key");
        worker.env_remove("AWS_SECRET_ACCESS_KEY").envs(secret.map(|key| ("AWS_SECRET_ACCESS_KEY", key)));
        worker.env("REELMILL_FFMPEG", "/nowhere/ffmpeg").env("PRESET_FOLDER", "/nowhere/presets");
        let output = worker.output().expect("it starts");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code(), said)
    };
    let secret = Some("file:/run/credentials/reelmill-worker.service/secret-key");
    assert_eq!(check(&["--settings-only"], secret), (Some(0), "the settings can be used\n".to_owned()));
    let (code, said) = check(&["--settings-only"], None);
    assert!(code == Some(1) && said.contains("a store needs both keys"), "{said}");
    assert_eq!(check(&[], secret).0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_reached_is_named() {
    let desk = Desk::new().await;
    let nobody = Nobody::there();
    let port = nobody.port();
    desk.check_worker(
        &["check-config", "--connect"],
        |worker| {
            worker.env("QUEUE_URL", format!("redis://:hidden-password@127.0.0.1:{port}"));
        },
        &format!(
            "error: cannot connect to the queue at redis://127.0.0.1:{port}/0: Connection refused (os error 111)\n\
             hint: does the queue server run, can this machine reach it, is the password right?\n"
        ),
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("QUEUE_URL", "carrier-pigeon://roof");
        },
        "error: the queue's address begins with no scheme that is known\n\
         hint: write sqlite:///path/queue.sqlite, redis://host:6379, amqp://user:password@host:5672, nats://host:4222 or \
             sqs://region\n",
    );
    desk.check_worker(
        &[],
        |worker| {
            worker.env("QUEUE_URL", "sqlite:///proc/none/queue.sqlite");
        },
        "error: cannot open the queue in /proc/none/queue.sqlite: No such file or directory (os error 2)\n\
         hint: give a path in a folder that exists and that this user may write to\n",
    );
}
