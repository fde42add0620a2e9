//! `reelmill up`: a farm on one machine that heals itself, keeps its jobs, tells no secret and ends when it is told to.

use std::{collections::BTreeSet, fs, net::SocketAddrV4, path::PathBuf, process::Command};

use reelmill_e2e::{files_under, judge, processes::Process};
use reelmill_lab::programs::{Running, command, eventually, free_port, output};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    desk::{CLIP, Desk, Ended, LONG},
    kin,
};

/// A farm that is up, with its data in `data` on the desk.
struct Up<'a> {
    desk: &'a Desk,
    running: Running,
    port: u16,
}

impl<'a> Up<'a> {
    fn start(desk: &'a Desk, port: u16) -> Self {
        let running = desk.start(desk.reelmill(&format!("up data --port {port}")));
        eventually("the addresses", || desk.printed().0.contains("submit a video").then_some(()));
        Self { desk, running, port }
    }

    /// All its programs, once the worker and the agent run.
    fn programs(&self) -> Vec<Process> {
        kin::wait_for(&self.running, &["reelmill-hub", "reelmill-worker", "reelmill-agent"])
    }

    /// Waits until the hub lists one node, and it is there; the node.
    fn node(&self, wished: impl Fn(&Value) -> bool) -> Value {
        eventually("one node as wished", || {
            let list = get(&format!("http://127.0.0.1:{}/v1/nodes", self.port))?;
            let [node] = &list["nodes"].as_array()?[..] else { return None };
            // A machine whose disk is nearly full says so.
            let is_there = node["state"] == "up" || node["state"] == "degraded";
            (is_there && wished(node)).then(|| node.clone())
        })
    }

    /// Runs a command line of curl's as a person would; the JSON that the hub answers.
    fn curl(&self, line: &str) -> Value {
        let mut shell = Command::new("sh");
        shell.args(["-c", &line.replacen("curl", "curl -sS", 1)]).current_dir(self.desk.path(""));
        let ended = Ended::from(output(shell, b""));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{line}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {}", ended.stdout))
    }

    /// Uploads and submits a video by the very lines that `up` printed; the job's id.
    fn submit(&self, video: &str) -> String {
        let (told, _) = self.desk.printed();
        let lines: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("  curl ")).collect();
        let [upload, submit] = lines[..] else { panic!("two lines for curl: {told}") };
        let uploaded = self.curl(&format!("curl {}", upload.replace("video.mp4", video)));
        let location = uploaded["location"].as_str().unwrap_or_else(|| panic!("a location: {uploaded}"));
        let submit = submit.replace("s3://media-ingest/…", location).replace("hls-ladder", "quick");
        let job = self.curl(&format!("curl {submit}"));
        job["id"].as_str().unwrap_or_else(|| panic!("an id: {job}")).to_owned()
    }

    /// The job as the hub knows it; `None` while the hub is away.
    fn job(&self, id: &str) -> Option<Value> {
        get(&format!("http://127.0.0.1:{}/v1/jobs/{id}", self.port))
    }

    /// Waits until segments of a job lie in the store while it runs.
    fn wait_until_running(&self, id: &str, attempt: u64) {
        eventually("the job to run", || {
            let job = self.job(id)?;
            assert_ne!(job["state"], "done", "it is to be met in the middle");
            (job["state"] == "running" && job["attempt"].as_u64() >= Some(attempt)).then_some(())
        });
        eventually("a segment", || {
            let files = files_under(&self.output(id));
            let ours = format!("a{attempt}-");
            files.iter().any(|file| file.starts_with(&ours) && file.ends_with(".m4s")).then_some(())
        });
    }

    fn wait_until_done(&self, id: &str) -> Value {
        eventually("the job to be done", || {
            let job = self.job(id)?;
            assert_ne!(job["state"], "failed", "{job}");
            (job["state"] == "done").then_some(job)
        })
    }

    /// Where the store keeps a job's output.
    fn output(&self, id: &str) -> PathBuf {
        self.desk.path("data/store/media-output").join(id)
    }

    /// The job's output is whole, and it is the only one.
    fn one_output(&self, id: &str) {
        let folder = self.output(id);
        let job = self.wait_until_done(id);
        let attempt = job["report"]["attempt"].as_str().expect("an attempt").to_owned();
        let first = |name: String| name.split('/').next().expect("a name").to_owned();
        let found = || files_under(&folder).into_iter().map(first).collect::<BTreeSet<_>>();
        let want =
            BTreeSet::from([attempt.as_str(), "manifest.mpd", "master.m3u8", "reelmill.json"].map(str::to_owned));
        eventually("the end of what other attempts left", || (found() == want).then_some(()));
        judge::ffprobe(&folder.join("master.m3u8"), "-show_programs");
    }

    /// Ctrl-C; nobody is left and no port is held.
    fn stop(mut self) {
        let all = self.programs();
        let sockets = kin::listening(&all);
        self.running.signal(Signal::INT);
        assert_eq!(self.running.wait(), Some(0));
        kin::all_end(&all);
        assert_eq!(kin::still_open(&sockets), [""; 0]);
    }
}

/// The JSON at an address, if anything is.
fn get(address: &str) -> Option<Value> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", address]);
    serde_json::from_slice(&output(curl, b"").stdout).ok()
}

fn kill(process: &Process) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("it runs");
    eventually("its end", || (!process.is_alive()).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_a_job_by_the_printed_lines_and_tells_no_secret() {
    let desk = Desk::with_long_video(8).await;
    let port = free_port();
    let up = Up::start(&desk, port);
    let id = up.submit(LONG);
    up.wait_until_running(&id, 1);
    let mut all = kin::wait_for(&up.running, &["reelmill-hub", "reelmill-worker", "reelmill-agent", "ffmpeg"]);
    let addresses = kin::listening(&all);
    assert!(addresses.contains_key(&SocketAddrV4::new([127, 0, 0, 1].into(), port)), "{addresses:?}");
    assert!(addresses.keys().all(|address| address.ip().is_loopback()), "{addresses:?}");
    assert!(
        addresses.len() >= 5,
        "the hub, its store and broker, the worker's gateway, the node's page: {addresses:?}"
    );

    all.extend(kin::below(std::process::id()));
    let keys =
        ["keys/access_key", "keys/secret_key", "operator.key", "fleet/node.key", "fleet/operator.key", "ca/ca.key"];
    let keys = keys
        .map(|name| desk.path("data").join(name))
        .map(|file| fs::read_to_string(file).expect("a key").trim().to_owned());
    assert!(keys.iter().all(|key| key.len() >= 16), "keys that can not be guessed");
    for (name, part) in [("reelmill-hub", "--data"), ("reelmill-worker", "AWS_SECRET_ACCESS_KEY=file:")] {
        let seen = kin::words_and_environment(kin::named(&all, name).pid);
        assert!(seen.contains(part), "words and environment can be read: {seen}");
    }
    for process in &all {
        let seen = kin::words_and_environment(process.pid);
        assert!(!keys.iter().any(|key| seen.contains(key)), "{process:?} shows a key");
    }
    up.one_output(&id);
    let (stdout, stderr) = desk.printed();
    assert!(!keys.iter().any(|key| stdout.contains(key) || stderr.contains(key)), "{stdout}{stderr}");

    let second = desk.run("up data");
    let refused = "error: reelmill-hub ended before it was ready: another reelmill-hub uses the data folder DESK/data\n\
                   hint: stop it first, or give this one a folder of its own\n";
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""));
    assert_eq!(desk.masked(&second.stderr), refused);
    assert_eq!(up.job(&id).expect("the first still answers")["state"], "done");
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_a_node_that_can_be_watched_and_commanded() {
    let desk = Desk::new().await;
    let up = Up::start(&desk, free_port());
    let node = up.node(|node| node["heartbeat"].is_object() && node["ops"]["ping"] == 1);
    let (told, _) = desk.printed();
    let page =
        told.lines().find_map(|line| line.strip_prefix("  node   ")?.split(' ').next()).expect("the node's page");
    let status = eventually("the page of a node at its broker", || {
        get(&format!("{page}api/status")).filter(|status| status["farm"]["broker"]["connected"] == true)
    });
    assert_eq!(status["node"]["id"], node["node"]);

    // The very line that was printed.
    let send =
        told.lines().filter_map(|line| line.strip_prefix("  reelmill ")).find(|words| words.starts_with("send "));
    let ended = desk.run(send.expect("a line to send"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Signed with the key that was made for whoever started the farm.
    let name = node["node"].as_str().expect("a name");
    let ended = desk.run(&format!("send {name} logs-tail unit=ssh.service --settings data/operator.toml"));
    assert!(ended.code == Some(1) && ended.stdout.contains("not_ours"), "it was obeyed, and is not ours: {ended:?}");

    kill(kin::named(&up.programs(), "reelmill-agent"));
    eventually("another agent", || desk.printed().1.contains("reelmill-agent ended with signal: 9").then_some(()));
    up.programs();
    let seen_after = |seen: &Value| {
        let seen = seen["last_seen"].as_str().expect("a time").to_owned();
        up.node(|node| node["last_seen"].as_str().is_some_and(|last| last > seen.as_str()))
    };
    let again = seen_after(&node);
    // The broker comes back with other certificates, and the agent to it.
    kill(kin::named(&up.programs(), "reelmill-hub"));
    seen_after(&again);
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_without_an_agent_takes_jobs() {
    let desk = Desk::new().await;
    let folder = desk.path("bin");
    fs::create_dir(&folder).expect("our folder");
    for name in ["reelmill", "reelmill-hub", "reelmill-worker"] {
        fs::copy(command(name).get_program(), folder.join(name)).expect("a program is copied");
    }
    let port = free_port();
    let mut reelmill = Command::new(folder.join("reelmill"));
    reelmill.args(["up", "data", "--port", &port.to_string()]).current_dir(desk.path(""));
    desk.settings(&mut reelmill);
    let mut up = Up { desk: &desk, running: desk.start(reelmill), port };
    eventually("the addresses", || desk.printed().0.contains("submit a video").then_some(()));
    let (told, said) = desk.printed();
    assert!(!told.contains("  node ") && said.contains("no agent runs here"), "{told}{said}");
    assert!(desk.masked(&said).contains("error: cannot find reelmill-agent in DESK/bin\n"), "{said}");
    up.one_output(&up.submit(CLIP));
    up.running.signal(Signal::INT);
    assert_eq!(up.running.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_again_what_is_killed_and_the_job_is_done_once() {
    let desk = Desk::with_long_video(8).await;
    let up = Up::start(&desk, free_port());
    let id = up.submit(LONG);
    up.wait_until_running(&id, 1);
    kill(kin::named(&up.programs(), "reelmill-worker"));
    up.wait_until_running(&id, 2);
    let hub = kin::named(&up.programs(), "reelmill-hub").clone();
    kill(&hub);
    up.one_output(&id);
    assert_ne!(kin::named(&up.programs(), "reelmill-hub").pid, hub.pid);
    let (_, told) = desk.printed();
    for name in ["reelmill-worker", "reelmill-hub"] {
        assert!(told.contains(&format!("{name} ended with signal: 9 (SIGKILL); starting it again in 0.5 s")), "{told}");
    }
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn farms_on_one_machine_leave_each_other_their_ports() {
    let worker = |up: &Up| kin::named(&up.programs(), "reelmill-worker").clone();
    // Besides, it listens on ports that the system chose.
    let status = |up: &Up| {
        let chosen = || kin::listening(&[worker(up)]).into_keys().find(|address| address.port() < 10_000);
        eventually("a worker that tells what it does", chosen)
    };
    let desks = [Desk::new().await, Desk::new().await, Desk::new().await];
    let [first, second] = [0, 1].map(|one| Up::start(&desks[one], free_port()));
    let addresses = [status(&first), status(&second)];
    assert_ne!(addresses[0], addresses[1]);
    // While a worker is away, its port is not given to a farm that begins.
    kill(&worker(&first));
    let third = Up::start(&desks[2], free_port());
    assert!(!addresses.contains(&status(&third)));
    assert_eq!(status(&first), addresses[0]);
    for up in [first, second, third] {
        up.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_outlive_a_stop_and_a_start() {
    let desk = Desk::with_long_video(8).await;
    let port = free_port();
    let up = Up::start(&desk, port);
    let (short, long) = (up.submit(CLIP), up.submit(LONG));
    up.one_output(&short);
    up.wait_until_running(&long, 1);
    let output = up.output(&long);
    up.stop();
    assert_eq!(files_under(&output), BTreeSet::new(), "what was begun was swept");

    let up = Up::start(&desk, port);
    assert_eq!(up.job(&short).expect("it is known")["state"], "done");
    up.one_output(&long);
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_whose_command_line_is_killed_ends() {
    let desk = Desk::new().await;
    let mut up = Up::start(&desk, free_port());
    let all = up.programs();
    up.running.kill();
    kin::all_end(&all);
    // What it left does not stand in the way of the next.
    Up::start(&desk, up.port).stop();
}
