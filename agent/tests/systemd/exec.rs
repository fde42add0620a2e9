//! The root helper under a real systemd: started by its socket, for the agent's user alone; what is not right does nothing;
//! the worker's settings change and come back, whoever dies on the way.

#[path = "../exec/signed.rs"]
mod signed;

use reelmill_agent::exec::wire::Request;
use reelmill_api::fleet::state::Phase;
use reelmill_lab::nspawn::{Machine, Setup};
use serde_json::{Value, json};
use signed::{NAME, adopt, ago, command, part, sign, with};

use crate::{
    hardening::score,
    node::{AGENT, WORKER, complaint, node},
};

const HELPER: &str = "reelmill-exec.service";
const SOCKET: &str = "reelmill-exec.socket";
const CHECK: &str = "reelmill-exec-check.service";
const SETTINGS: &str = "/var/lib/reelmill-exec/worker.env";

/// A worker that finds no fault with any settings but thirteen tasks at once, takes its time for eleven, and does not start
/// with seven.
const STAND_IN: &str = "#!/bin/sh
case \"$*\" in *check-config)
    [ \"$CONCURRENCY\" != 13 ] || { echo \"$(id -un) says: concurrency is 13\" >&2; exit 1; }
    [ \"$CONCURRENCY\" != 11 ] || sleep 50
    exit 0;;
esac
[ \"$CONCURRENCY\" != 7 ] || exit 1
systemd-notify --ready
exec sleep infinity\n";
const UNIT: &str = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/reelmill-worker\n\
                    Environment=CONCURRENCY=1\nEnvironmentFile=-/var/lib/reelmill-exec/worker.env\n";

/// A node whose helper ends some seconds after the last question.
fn node_with_helper(test: &str) -> Option<Setup> {
    let setup = node(test)?
        .program("reelmill-exec")
        .unit(HELPER, include_str!("../../units/reelmill-exec.service"))
        .unit(SOCKET, include_str!("../../units/reelmill-exec.socket"))
        .unit(CHECK, include_str!("../../units/reelmill-exec-check.service"))
        .enabled(SOCKET)
        .file("/etc/reelmill/exec.env", "CLOCK_IS_RIGHT=true\nIDLE_SECONDS=10\n")
        .script("/usr/bin/reelmill-worker", STAND_IN)
        .unit(WORKER, UNIT);
    Some(setup)
}

/// What the helper answers that user: its result as JSON, or the code of why not.
fn ask_as(machine: &Machine, user: &str, request: &Request) -> Result<Value, String> {
    machine.write("/run/question", &serde_json::to_string(request).expect("JSON"));
    machine.ok(&["chmod", "644", "/run/question"]);
    let asked = machine.run_as(user, &["sh", "-c", "reelmill-exec ask < /run/question"]);
    if asked.status.success() {
        return Ok(serde_json::from_slice(&asked.stdout).expect("JSON"));
    }
    let said = complaint(&asked);
    let undone = said.trim_start_matches("error: ");
    Err(undone.split(": ").next().unwrap_or(undone).to_owned())
}

fn ask(machine: &Machine, request: &Request) -> Result<Value, String> {
    ask_as(machine, AGENT, request)
}

/// Why the agent's request was not done.
fn refused(machine: &Machine, request: &Request) -> String {
    ask(machine, request).expect_err("it was to be refused")
}

fn enrolled(setup: Setup) -> Machine {
    let machine = setup.boot();
    assert_eq!(ask(&machine, &adopt(NAME, 1)), Ok(json!({})));
    machine
}

/// New settings of the worker, with the question for each part of it, signed by one operator.
fn set_conf(ver: u64, concurrency: u32) -> impl Fn(Phase) -> Request {
    let command = command("set-conf", json!({"ver": ver, "concurrency": concurrency}));
    move |phase| part(&command, &sign(&command, &[1]), phase)
}

/// With how many tasks at once the worker runs.
fn concurrency(machine: &Machine) -> String {
    let pid = machine.property(WORKER, "MainPID");
    machine.ok(&["sh", "-c", &format!("tr '\\0' '\\n' < /proc/{pid}/environ | sed -n 's/^CONCURRENCY=//p'")])
}

#[test]
fn a_question_starts_the_helper_and_silence_ends_it() {
    let Some(setup) = node_with_helper("a_question_starts_the_helper_and_silence_ends_it") else { return };
    let machine = setup.boot();
    assert_eq!(machine.property(HELPER, "ActiveState"), "inactive", "nobody has asked");
    assert_eq!(machine.ok(&["stat", "-c", "%U %a", "/run/reelmill-exec/socket"]), "reelmill-agent 600");

    assert_eq!(ask(&machine, &adopt(NAME, 1)), Ok(json!({})));
    let pid = machine.property(HELPER, "MainPID");
    let status = machine.ok(&["cat", &format!("/proc/{pid}/status")]);
    for (field, want) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapBnd", "0000000000000202")] {
        let got = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":"));
        assert_eq!(got.map(str::trim), Some(want), "{field}");
    }
    machine.wait_for(HELPER, "ActiveState", "inactive");
    assert_eq!(machine.property(HELPER, "Result"), "success");

    assert_eq!(refused(&machine, &adopt("orin-4", 1)), "adopted", "the next one knows what the first was told");
    let modes = machine.ok(&["stat", "-c", "%n %U %a", "/var/lib/reelmill-exec", "/var/lib/reelmill-exec/ledger"]);
    assert_eq!(modes, "/var/lib/reelmill-exec root 711\n/var/lib/reelmill-exec/ledger root 600");
    assert!(!machine.run_as(AGENT, &["cat", "/var/lib/reelmill-exec/trust.json"]).status.success());
    let said = machine.journal(&["--unit", HELPER, "--identifier=reelmill-exec"]);
    assert!(said.iter().any(|entry| entry["MESSAGE"] == "`orin-3` obeys the keys of trust document 1"), "{said:?}");
}

#[test]
fn only_the_agents_user_and_root_may_ask() {
    let Some(setup) = node_with_helper("only_the_agents_user_and_root_may_ask") else { return };
    let machine = setup.boot();
    assert_eq!(
        ask_as(&machine, "nobody", &adopt(NAME, 1)),
        Err("no_helper".to_owned()),
        "the socket is closed to others"
    );
    // Were it not, the helper itself would know who asks.
    machine.ok(&["chmod", "666", "/run/reelmill-exec/socket"]);
    assert_eq!(ask_as(&machine, "nobody", &adopt(NAME, 1)), Err("refused".to_owned()));
    assert_eq!(ask_as(&machine, "reelmill-worker", &adopt(NAME, 1)), Err("refused".to_owned()));
    assert_eq!(ask_as(&machine, "root", &adopt(NAME, 1)), Ok(json!({})));
    assert_eq!(ask(&machine, &adopt(NAME, 1)), Ok(json!({})));
}

#[test]
fn the_agents_user_can_do_nothing_that_was_not_commanded() {
    let Some(setup) = node_with_helper("the_agents_user_can_do_nothing_that_was_not_commanded") else { return };
    let machine = enrolled(setup);
    let before = machine.property(WORKER, "MainPID");
    let good = command("set-conf", json!({"ver": 1, "concurrency": 2}));
    let check = |command: &Value, seeds: &[u8]| part(command, &sign(command, seeds), Phase::Check);
    let late = json!({"issued_at": ago(20), "exp": ago(10)});
    for (what, request, want) in [
        ("signed by nobody", check(&good, &[]), "bad_signature"),
        ("forged", check(&good, &[9]), "bad_signature"),
        ("expired", check(&with(good.clone(), &late), &[1]), "expired"),
        ("for another node", check(&with(good.clone(), &json!({"node": "orin-4"})), &[1]), "wrong_node"),
        ("the second part first", part(&good, &sign(&good, &[1]), Phase::Activate), "out_of_order"),
        ("the last part first", part(&good, &sign(&good, &[1]), Phase::Commit), "out_of_order"),
    ] {
        assert_eq!(refused(&machine, &request), want, "{what}");
    }
    assert!(!machine.run(&["test", "-e", SETTINGS]).status.success());

    // What was done once and undone, or done for good, is not done again.
    let (one, two) = (set_conf(1, 2), set_conf(2, 3));
    for phase in [Phase::Check, Phase::Activate, Phase::Undo] {
        assert!(ask(&machine, &one(phase)).is_ok(), "{phase:?}");
    }
    for phase in [Phase::Check, Phase::Activate, Phase::Commit] {
        assert!(ask(&machine, &two(phase)).is_ok(), "{phase:?}");
    }
    machine.wait_for(HELPER, "ActiveState", "inactive");
    let after = machine.property(WORKER, "MainPID");
    assert_ne!(after, before);
    for phase in [Phase::Check, Phase::Activate, Phase::Commit] {
        assert_eq!(refused(&machine, &one(phase)), "ended", "{phase:?}");
    }
    for phase in [Phase::Check, Phase::Activate, Phase::Undo] {
        assert_eq!(refused(&machine, &two(phase)), "ended", "{phase:?}");
    }
    assert_eq!(ask(&machine, &two(Phase::Commit)), Ok(json!({"conf_ver": 2})), "told again");
    assert_eq!((machine.property(WORKER, "MainPID"), concurrency(&machine).as_str()), (after, "3"));
}

#[test]
fn settings_are_tried_put_in_force_and_undone() {
    let Some(setup) = node_with_helper("settings_are_tried_put_in_force_and_undone") else { return };
    let machine = enrolled(setup);
    assert_eq!(concurrency(&machine), "1");

    let first = set_conf(3, 2);
    assert_eq!(ask(&machine, &first(Phase::Check)), Ok(json!({})));
    assert_eq!(concurrency(&machine), "1", "they are only looked at");
    assert_eq!(ask(&machine, &first(Phase::Activate)), Ok(json!({"conf_ver": 3, "restarted": true})));
    assert_eq!(concurrency(&machine), "2");
    assert_eq!(ask(&machine, &first(Phase::Commit)), Ok(json!({"conf_ver": 3})));
    let read = machine.run_as(AGENT, &["cat", SETTINGS]);
    let text = "# Written by reelmill-exec, from a signed command: version 3\nCONCURRENCY=2\n";
    assert_eq!(String::from_utf8_lossy(&read.stdout), text, "the agent reads which version is in force");

    assert_eq!(refused(&machine, &set_conf(3, 4)(Phase::Check)), "old_version");
    assert_eq!(refused(&machine, &set_conf(4, 13)(Phase::Check)), "bad_settings", "the worker itself refuses them");
    let said = machine.journal(&["--unit", HELPER, "--identifier=reelmill-exec", "--priority=warning"]);
    let said: Vec<_> = said.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    assert!(said.iter().any(|line| line.contains("reelmill-worker says: concurrency is 13")), "{said:?}");

    // Who asks for a check and goes away has it stopped; the next question need not wait for it.
    let slow = set_conf(4, 11);
    machine.write("/run/question", &serde_json::to_string(&slow(Phase::Check)).expect("JSON"));
    let asker = ["systemd-run", "--quiet", "--collect", "--unit=asker"];
    machine.ok(&[&asker[..], &["sh", "-c", "reelmill-exec ask < /run/question"]].concat());
    machine.wait_for(CHECK, "ActiveState", "activating");
    machine.ok(&["systemctl", "kill", "--signal=KILL", "asker.service"]);
    assert_eq!(ask(&machine, &slow(Phase::Undo)), Ok(json!({})));
    assert_eq!(machine.property(CHECK, "ActiveState"), "activating", "it had not come to its end");
    machine.ok(&["systemctl", "stop", CHECK]);

    // These pass the check, and the worker does not start with them.
    let broken = set_conf(5, 7);
    assert_eq!(ask(&machine, &broken(Phase::Check)), Ok(json!({})));
    assert_eq!(refused(&machine, &broken(Phase::Activate)), "service_manager");
    assert_eq!(machine.property(WORKER, "ActiveState"), "failed");
    assert_eq!(ask(&machine, &broken(Phase::Undo)), Ok(json!({"restarted": true})));
    assert_eq!((machine.property(WORKER, "ActiveState").as_str(), concurrency(&machine).as_str()), ("active", "2"));
    assert_eq!(refused(&machine, &broken(Phase::Activate)), "ended");

    // A worker that was stopped on purpose stays so.
    machine.ok(&["systemctl", "stop", WORKER]);
    let drained = set_conf(6, 5);
    assert_eq!(ask(&machine, &drained(Phase::Check)), Ok(json!({})));
    assert_eq!(ask(&machine, &drained(Phase::Activate)), Ok(json!({"conf_ver": 6, "restarted": false})));
    assert_eq!(machine.property(WORKER, "ActiveState"), "inactive");
    assert_eq!(machine.ok(&["ls", "/var/lib/reelmill-exec"]), "ledger\ntrust.json\nworker.env\nworker.env.before");
}

#[test]
fn a_cut_of_power_at_any_part_leaves_settings_that_can_be_kept_or_undone() {
    let Some(setup) = node_with_helper("a_cut_of_power_at_any_part_leaves_settings_that_can_be_kept_or_undone") else {
        return;
    };
    let mut machine = enrolled(setup);
    let kept = set_conf(1, 2);
    for phase in [Phase::Check, Phase::Activate, Phase::Commit] {
        // Cut while it is done, or just before: the part comes again after the boot.
        machine.write("/run/question", &serde_json::to_string(&kept(phase)).expect("JSON"));
        machine.ok(&["sh", "-c", "reelmill-exec ask < /run/question > /dev/null 2>&1 &"]);
        machine.kill();
        machine = machine.boot_again();
        assert!(ask(&machine, &kept(phase)).is_ok(), "{phase:?}");
    }
    assert_eq!(concurrency(&machine), "2");

    let undone = set_conf(2, 3);
    assert!(ask(&machine, &undone(Phase::Check)).is_ok());
    assert!(ask(&machine, &undone(Phase::Activate)).is_ok());
    machine.kill();
    machine = machine.boot_again();
    assert_eq!(concurrency(&machine), "3", "it is in force until somebody decides");
    assert_eq!(ask(&machine, &undone(Phase::Undo)), Ok(json!({"restarted": true})));
    assert_eq!(concurrency(&machine), "2");
    machine.kill();
    machine = machine.boot_again();
    assert_eq!(ask(&machine, &undone(Phase::Undo)), Ok(json!({"restarted": true})), "told again");
    assert_eq!(refused(&machine, &undone(Phase::Activate)), "ended");

    // The agent has forgotten one that is open, perhaps with its disk; a new one finds the way clear.
    let (lost, next) = (set_conf(3, 4), set_conf(3, 6));
    assert!(ask(&machine, &lost(Phase::Check)).is_ok());
    assert!(ask(&machine, &lost(Phase::Activate)).is_ok());
    assert_eq!(ask(&machine, &next(Phase::Check)), Ok(json!({})));
    assert_eq!(concurrency(&machine), "2", "what was left open was undone");
    assert_eq!(refused(&machine, &lost(Phase::Commit)), "ended");
    assert!(ask(&machine, &next(Phase::Activate)).is_ok());
    assert_eq!(concurrency(&machine), "6");
}

#[test]
fn locked_in_it_still_does_what_it_is_for() {
    let Some(setup) = node_with_helper("locked_in_it_still_does_what_it_is_for") else { return };
    let machine = enrolled(
        setup
            .file("/etc/nvpmodel.conf", "< POWER_MODEL ID=2 NAME=15W >\n")
            .file("/var/lib/nvpmodel/status", "pmode:0000\n")
            .script("/usr/bin/nvpmodel", "#!/bin/sh\necho pmode:000$2 > /var/lib/nvpmodel/status\n")
            .enabled("reelmill-agent.service"),
    );
    let act = |op: &str, args: Value, seeds: &[u8]| {
        let command = command(op, args);
        part(&command, &sign(&command, seeds), Phase::Act)
    };
    let told = ask(&machine, &act("power-mode", json!({"mode": "15W"}), &[1]));
    assert_eq!(told, Ok(json!({"id": 2, "mode": "15W", "reboot_needed": false})));
    assert_eq!(machine.ok(&["cat", "/var/lib/nvpmodel/status"]), "pmode:0002");
    for file in ["key.pem", "tags.json"] {
        machine.ok(&["runuser", "--user", AGENT, "--", "touch", &format!("/var/lib/reelmill-agent/{file}")]);
    }
    let reset = |keep: bool| act("factory-reset", json!({"keep_identity": keep}), &[1, 2]);
    assert_eq!(ask(&machine, &reset(true)), Ok(json!({"kept_identity": true})));
    assert_eq!(machine.ok(&["ls", "/var/lib/reelmill-agent"]), "key.pem");
    assert_eq!(ask(&machine, &reset(false)), Ok(json!({"kept_identity": false})));
    assert_eq!(machine.ok(&["ls", "/var/lib/reelmill-agent"]), "");
    assert_eq!(refused(&machine, &reset(true)), "not_adopted");

    let pid = machine.property(HELPER, "MainPID");
    let inside = |script: &str| machine.run(&["nsenter", "--mount", "--target", &pid, "sh", "-c", script]);
    assert!(inside("true").status.success(), "the helper is there");
    for folder in ["/usr", "/etc", "/etc/reelmill", "/var/lib", "/home", "/root"] {
        assert!(!inside(&format!("touch {folder}/x")).status.success(), "{folder} is closed");
    }
    assert!(inside("true").status.success(), "it is still there");
}

#[test]
fn where_nothing_can_be_written_down_nothing_is_done() {
    let Some(setup) = node_with_helper("where_nothing_can_be_written_down_nothing_is_done") else { return };
    let machine = setup.boot();
    machine.ok(&["mkdir", "/var/lib/reelmill-exec"]);
    machine.ok(&["mount", "-t", "tmpfs", "-o", "size=64k,mode=711", "tmpfs", "/var/lib/reelmill-exec"]);
    assert_eq!(ask(&machine, &adopt(NAME, 1)), Ok(json!({})));
    let before = machine.property(WORKER, "MainPID");
    // The last page that the ledger has is still good for some lines.
    machine.run(&["dd", "if=/dev/zero", "of=/var/lib/reelmill-exec/full", "bs=1k"]);
    let told: Vec<_> = (1..20).map(|ver| refused(&machine, &set_conf(ver, 2)(Phase::Check))).collect();
    assert!(told.iter().all(|told| ["disk", "no_ledger"].contains(&told.as_str())), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("no_ledger"));
    assert_eq!(machine.property(WORKER, "MainPID"), before);
    machine.ok(&["rm", "/var/lib/reelmill-exec/full"]);
    assert_eq!(ask(&machine, &set_conf(20, 2)(Phase::Check)), Ok(json!({})), "it goes on by itself");
}

/// Root that may write to `/sys`, to the network and in another user's folder is more open than the agent, and no more.
#[test]
fn the_units_are_well_written_and_the_helper_is_as_closed_as_its_work_allows() {
    const MOST: f64 = 2.3;
    let Some(setup) = node_with_helper("the_units_are_well_written_and_the_helper_is_as_closed_as_its_work_allows")
    else {
        return;
    };
    let machine = setup.boot();
    for unit in [HELPER, SOCKET, CHECK] {
        let verified =
            machine.run(&["systemd-analyze", "verify", "--man=no", &format!("/usr/lib/systemd/system/{unit}")]);
        assert!(verified.status.success() && verified.stderr.is_empty(), "{unit}: {verified:?}");
    }
    let score = score(&machine, HELPER);
    println!("systemd-analyze security {HELPER}: {score}");
    assert!(score <= MOST, "the exposure is {score}");
}
