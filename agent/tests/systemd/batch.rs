//! Batches: one run of the worker in a unit of its own, with its duration and exit code.

use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::eventually,
};

use crate::node::{AGENT, answer, ask, complaint, node};

/// A worker that says how it was started, works for a second, and ends as the file says.
const WORKER: &str = "#!/bin/sh
echo \"$(id -un) $*\" >> /var/cache/reelmill-worker/started
systemd-notify --ready
sleep 1
. /etc/reelmill/end\n";

fn node_with_worker(test: &str) -> Option<Setup> {
    let setup = node(test)?
        .script("/usr/bin/reelmill-worker", WORKER)
        // The script's child speaks for it.
        .file("/etc/systemd/system/reelmill-batch@.service.d/test.conf", "[Service]\nNotifyAccess=all\n");
    Some(setup)
}

/// The result and exit of a batch that ran for a second.
fn run(machine: &Machine, id: &str, end: &str) -> String {
    machine.write("/etc/reelmill/end", end);
    let line = answer(machine, AGENT, &["batch", id]);
    let (told, duration) = line.trim_end_matches('}').rsplit_once(r#","duration_seconds":"#).expect("a duration");
    let seconds: f64 = duration.parse().expect("a number");
    assert!((1.0..30.0).contains(&seconds), "{id} slept for a second, and ran for {seconds}");
    told.to_owned()
}

#[test]
fn a_batch_tells_its_duration_and_how_it_ended() {
    let Some(setup) = node_with_worker("a_batch_tells_its_duration_and_how_it_ended") else { return };
    let machine = setup.boot();

    assert_eq!(run(&machine, "good", "exit 0"), r#"{"result":"success","exit":{"code":0}"#);
    assert_eq!(run(&machine, "bad", "exit 3"), r#"{"result":"exit-code","exit":{"code":3}"#);
    assert_eq!(run(&machine, "killed", "kill -KILL $$"), r#"{"result":"signal","exit":{"signal":9}"#);
    // A unit that failed may be run again.
    assert_eq!(run(&machine, "bad", "exit 0"), r#"{"result":"success","exit":{"code":0}"#);

    let started = machine.ok(&["cat", "/var/cache/reelmill-worker/started"]);
    let want = "reelmill-worker --config /etc/reelmill/worker.toml --drain\n".repeat(4);
    assert_eq!(format!("{started}\n"), want, "as the worker's user, draining");

    let refused = complaint(&ask(&machine, "nobody", &["batch", "theirs"]));
    assert!(refused.starts_with("error: cannot run reelmill-batch@theirs.service: polkit refuses it ("), "{refused}");
    let refused = complaint(&ask(&machine, AGENT, &["batch", "../worker"]));
    assert!(refused.contains("can not name a batch"), "{refused}");
}

#[test]
fn a_batch_outlives_who_asked_for_it_and_can_be_stopped() {
    let Some(setup) = node_with_worker("a_batch_outlives_who_asked_for_it_and_can_be_stopped") else { return };
    let machine = setup.file("/etc/reelmill/end", "sleep infinity").boot();
    let unit = "reelmill-batch@long.service";

    let asker = ["systemd-run", "--quiet", "--unit=asker", "--uid=reelmill-agent"];
    machine.ok(&[&asker[..], &["/usr/bin/reelmill-agent", "systemd", "batch", "long"]].concat());
    machine.wait_for(unit, "ActiveState", "active");
    machine.ok(&["systemctl", "kill", "--signal=KILL", "asker.service"]);
    machine.wait_for("asker.service", "ActiveState", "failed");
    assert_eq!(machine.property(unit, "ActiveState"), "active", "the batch goes on");

    // Asked again, it is waited for and not started again.
    machine.ok(&["systemctl", "reset-failed", "asker.service"]);
    machine.ok(&[&asker[..], &["--service-type=exec", "/usr/bin/reelmill-agent", "systemd", "batch", "long"]].concat());
    let said = || {
        let entries = machine.journal(&["--unit=asker.service", "--identifier=reelmill-agent"]);
        let said = entries.iter().filter_map(|entry| entry["MESSAGE"].as_str().map(str::to_owned));
        said.collect::<Vec<_>>()
    };
    let waits = format!("{unit} runs already: its end is waited for");
    eventually("somebody who waits", || said().contains(&waits).then_some(()));
    answer(&machine, AGENT, &["stop-batch", "long"]);
    machine.wait_for("asker.service", "ActiveState", "inactive");
    let told: Vec<_> = said().into_iter().filter(|line| *line != waits).collect();
    assert!(told.len() == 1 && told[0].starts_with(r#"{"result":"success","exit":{"signal":15},"#), "{told:?}");
    assert_eq!(machine.ok(&["wc", "-l", "/var/cache/reelmill-worker/started"]).split(' ').next(), Some("1"));
}
