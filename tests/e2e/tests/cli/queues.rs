//! `reelmill lanes`, `dead` and `cancel`: what an operator does about what waits and what failed.

use std::{fs, process::Command};

use reelmill_lab::programs::{Running, eventually, free_port, output};
use serde_json::Value;

use crate::desk::{CLIP, Desk, Ended};

/// A farm that is up, and words for it.
struct Up<'a> {
    desk: &'a Desk,
    port: u16,
    _running: Running,
}

impl<'a> Up<'a> {
    fn start(desk: &'a Desk) -> Self {
        let port = free_port();
        let running = desk.start(desk.reelmill(&format!("up data --port {port}")));
        eventually("the addresses", || desk.printed().0.contains("submit a video").then_some(()));
        Self { desk, port, _running: running }
    }

    /// How `reelmill` with these words ends.
    fn run(&self, words: &str) -> Ended {
        self.desk.run(&format!("{words} --hub http://127.0.0.1:{}", self.port))
    }

    /// What it prints where it ends well and has nothing to complain of.
    fn good(&self, words: &str) -> String {
        let ended = self.run(words);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words}: {ended:?}");
        ended.stdout
    }

    fn json(&self, words: &str) -> Value {
        let text = self.good(&format!("{words} --json"));
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).expect("one line of JSON")
    }

    fn letters(&self) -> Vec<Value> {
        self.json("dead list").as_array().expect("a list").clone()
    }

    /// Submits; the job's id.
    fn submit(&self, words: &str) -> String {
        let told = self.good_but_noisy(&format!("submit {words} --preset quick --no-wait"));
        told.strip_prefix("job ").and_then(|rest| rest.split_once(':')).expect("a job").0.to_owned()
    }

    /// The job as the hub's API tells it.
    fn json_of(&self, job: &str) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", &format!("http://127.0.0.1:{}/v1/jobs/{job}", self.port)]);
        serde_json::from_slice(&output(curl, b"").stdout).expect("a job")
    }

    fn good_but_noisy(&self, words: &str) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words}: {ended:?}");
        ended.stdout
    }

    /// Submits what no worker can use; the job's id once it is a dead letter.
    fn fail(&self) -> String {
        fs::write(self.desk.path("bad.mp4"), b"no video").expect("our folder");
        let job = self.submit("bad.mp4");
        eventually("a dead letter", || self.letters().iter().any(|l| l["job"] == job.as_str()).then_some(()));
        job
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_listed_shown_retried_and_dropped() {
    let desk = Desk::new().await;
    let up = Up::start(&desk);
    assert_eq!(up.run("dead list"), Ended { code: Some(0), stdout: String::new(), stderr: "no dead letters\n".into() });
    let job = up.fail();
    let letters = up.letters();
    let message = letters[0]["message_id"].as_str().expect("an id").to_owned();
    let reason = letters[0]["reason"].as_str().expect("text").lines().next().expect("a line").to_owned();
    let want = format!(
        "{:<36}  {:<14}  {:<36}  ATTEMPTS  REASON\n{message}  reelmill-quick  {job}         1  {reason}\n",
        "MESSAGE", "LANE", "JOB"
    );
    assert_eq!(up.good("dead list"), want);
    assert_eq!(up.good("dead list --lane reelmill-quick"), want);

    let shown = up.good(&format!("dead show {job}"));
    assert!(shown.starts_with(&format!("message:  {message}\nlane:     reelmill-quick\njob:      {job}\n")), "{shown}");
    assert!(shown.contains(&format!("\nattempts: 1\nreason:   {reason}\n")), "{shown}");
    let body: Value = serde_json::from_str(&up.good(&format!("dead show {message} --body"))).expect("the task");
    assert_eq!(body["job"], job.as_str());

    assert_eq!(up.good(&format!("dead retry {job}")), format!("retried {message} (job {job})\n"));
    eventually("the same again", || (up.letters().len() == 1).then_some(()));
    let second = up.fail();
    let dropped = up.good("dead drop --all");
    assert!(dropped.contains(&format!("(job {job})\n")) && dropped.contains(&format!("(job {second})\n")), "{dropped}");
    assert_eq!(up.letters(), [Value::Null; 0]);

    let ended = up.run(&format!("dead retry {job}"));
    let want = format!(
        "error: there is no dead letter of {job}\n\
         hint: `reelmill dead list` shows their ids, and those of their jobs\n"
    );
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr), (Some(1), "", want));
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_shown_paused_and_resumed() {
    let desk = Desk::new().await;
    let up = Up::start(&desk);
    let table = up.good("lanes");
    assert!(table.starts_with("LANE "), "{table}");
    let line = |table: &str, lane: &str| {
        let found = table.lines().find(|line| line.split_whitespace().next() == Some(lane));
        found
            .unwrap_or_else(|| panic!("no {lane} in {table}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line(&table, "reelmill-quick")[1..], ["open", "0", "0", "0", "0", "-"]);
    assert_eq!(line(&up.good("lanes pause reelmill-proxy"), "reelmill-proxy")[1], "paused");
    assert_eq!(line(&up.good("lanes"), "reelmill-proxy")[1], "paused");
    assert_eq!(up.json("lanes resume reelmill-proxy")[0]["paused"], false);
    let ended = up.run("lanes pause reelmill-proxi");
    assert_eq!(ended.code, Some(1));
    let error = "error: the hub refused: there is no lane of that name\nhint: lanes here: reelmill, ";
    assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_is_canceled_and_one_that_is_done_is_not() {
    let desk = Desk::new().await;
    let up = Up::start(&desk);
    // Nobody here has the tag of live sources, so it waits.
    let told = up.good_but_noisy("submit srt://127.0.0.1:9 --preset live-hls --no-wait");
    let waiting = told.strip_prefix("job ").and_then(|rest| rest.split_once(':')).expect("a job").0.to_owned();
    for _ in 0..2 {
        assert_eq!(up.good(&format!("cancel {waiting}")), format!("job {waiting}: canceled\n"));
    }
    assert_eq!(up.json(&format!("cancel {waiting}"))["state"], "canceled");
    let done = up.submit(CLIP);
    let is_done = || up.json_of(&done)["state"] == "done";
    eventually("the end", || is_done().then_some(()));
    let ended = up.run(&format!("cancel {done}"));
    let want = format!(
        "error: the hub refused: job {done} is done: its output is published\n\
         hint: remove the output if nobody wants it\n"
    );
    assert_eq!((ended.code, ended.stderr), (Some(1), want));
}
