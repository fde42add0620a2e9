//! One node is told something and does it.

use std::process::Command;

use reelmill_lab::programs::output;

use crate::fleet::{Fleet, Said};

fn said(code: i32, out: &str, err: &str) -> Said {
    Said { code: Some(code), out: out.to_owned(), err: err.to_owned() }
}

#[test]
fn a_real_agent_answers_and_tells_why_it_could_not() {
    let fleet = Fleet::start();
    let _agent = fleet.agent("orin-3");
    assert_eq!(
        fleet.send("orin-3 ping nonce=hello"),
        said(
            0,
            "orin-3: succeeded\n{\n  \"nonce\": \"hello\"\n}\n",
            "ping {\"nonce\":\"hello\"} on orin-3, given by anna, may start until TIME; it needs no signature; id ID\n",
        )
    );
    let foreign = fleet.send("orin-3 logs-tail unit=ssh.service --sign anna.key");
    assert_eq!(foreign.code, Some(1), "{foreign:?}");
    let lines: Vec<_> = foreign.out.lines().collect();
    assert_eq!(lines[..2], ["orin-3: accepted", "orin-3: running, collecting"], "{foreign:?}");
    assert!(lines[2].starts_with("orin-3: failed, not_ours: "), "{foreign:?}");
    assert_eq!(fleet.retained("reelmill/1/n/orin-3/cmd/#"), "", "who gave it has cleared it");
}

#[test]
fn a_node_is_drained_and_takes_work_again() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    assert_eq!(
        fleet.send("orin-3 drain deadline_s=600 --sign anna.key --reason disk"),
        said(
            0,
            "orin-3: accepted\norin-3: running, finishing work\norin-3: succeeded\n{\n  \"simulated\": true\n}\n",
            "drain {\"deadline_s\":600,\"mode\":\"requeue\"} on orin-3, given by anna (disk), may start until TIME; it needs one \
             signature; id ID\n",
        )
    );
    let undrained = fleet.send("orin-3 undrain --sign anna.key");
    assert_eq!(
        undrained.out,
        "orin-3: accepted\norin-3: running, at it\norin-3: succeeded\n{\n  \"simulated\": true\n}\n"
    );
}

#[test]
fn a_program_reads_each_state_as_the_node_tells_it() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    let told = fleet.send("orin-3 restart-worker --sign anna.key --json");
    let states: Vec<serde_json::Value> =
        told.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let words: Vec<_> = states.iter().map(|state| (state["node"].as_str(), state["state"].as_str())).collect();
    let node = Some("orin-3");
    assert_eq!(words, [(node, Some("accepted")), (node, Some("running")), (node, Some("succeeded"))]);
    assert_eq!(states[2]["result"], serde_json::json!({"simulated": true}));
}

#[test]
fn what_two_have_signed_is_sent_by_either() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    let printed = output(fleet.command("orin-3 poweroff confirm=orin-3 --sign anna.key --sign-only"), "");
    std::fs::write(fleet.path("one.json"), printed.stdout).expect("ours");
    let one = fleet.send("--file one.json");
    assert_eq!((one.code, one.out.as_str()), (Some(1), ""));
    assert!(
        one.err.starts_with("error: `poweroff` needs two signatures\nhint: name a second key by --sign"),
        "{one:?}"
    );
    let printed = output(fleet.command("--add-signature one.json --sign ben.key"), "");
    std::fs::write(fleet.path("two.json"), printed.stdout).expect("ours");
    // The node has checked both signatures before it says what it cannot do.
    let two = fleet.send("--file two.json");
    let refused = "orin-3: rejected, not_supported: this node cannot do `poweroff`\n";
    assert_eq!((two.code, two.out.as_str()), (Some(3), refused), "{two:?}");
    let both = fleet.send("orin-3 poweroff confirm=orin-3 --sign anna.key --sign ben.key");
    assert_eq!((both.code, both.out.as_str()), (Some(3), refused), "{both:?}");
}

#[test]
fn a_rollout_is_signed_once_and_given_to_its_nodes_by_somebody_without_a_key() {
    let fleet = Fleet::start();
    let _nodes = fleet.simulate(&["orin-3", "orin-4"], 0);
    let printed =
        output(fleet.command("@shelf restart-worker --rollout --canaries 1 --sign anna.key --sign-only"), "").stdout;
    let told =
        fleet.said(&output(fleet.command("@shelf restart-worker --rollout --sign anna.key --sign-only"), "")).err;
    assert!(
        told.starts_with("restart-worker {") && told.contains("} on all nodes tagged shelf, given by anna, "),
        "{told}"
    );
    std::fs::write(fleet.path("rollout.json"), &printed).expect("ours");
    let canary = fleet.send("--file rollout.json --only orin-4");
    assert_eq!(canary.code, Some(0), "{canary:?}");
    assert_eq!(canary.out.lines().next(), Some("orin-4: accepted"), "{canary:?}");
    assert_eq!(fleet.retained("reelmill/1/n/orin-3/st/#"), "", "the other was told nothing");
    let all = fleet.send("--file rollout.json");
    assert_eq!(all.code, Some(0), "{all:?}");
    assert!(all.out.contains("orin-3: running") && !all.out.contains("orin-4: running"), "once is enough: {all:?}");
    let stranger = fleet.send("--file rollout.json --only orin-9");
    assert!(stranger.err.starts_with("error: the rollout is not for orin-9, "), "{stranger:?}");

    // What is given by it is what it says.
    let mut changed: serde_json::Value = serde_json::from_slice(&printed).expect("JSON");
    let payload = changed["payload"].as_str().expect("base64").to_owned();
    changed["payload"] = format!("{}AA{}", &payload[..40], &payload[42..]).into();
    std::fs::write(fleet.path("changed.json"), changed.to_string()).expect("ours");
    assert_ne!(fleet.send("--file changed.json").code, Some(0));
    let unsigned = fleet.send("@shelf ping --rollout --sign anna.key --sign-only");
    assert!(unsigned.err.contains("`ping` cannot be rolled out"), "{unsigned:?}");
}

#[test]
fn what_would_be_sent_is_shown_and_not_sent() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    let dry = fleet.send("orin-3 ping --dry-run");
    assert_eq!(dry.code, Some(0));
    let (topic, message) = dry.out.split_once('\n').expect("two lines");
    assert_eq!(topic, "reelmill/1/n/orin-3/cmd/ping/ID");
    assert!(message.starts_with("{\"v\":1,\"id\":\"ID\",\"op\":\"ping\",\"node\":\"orin-3\""), "{message}");
    assert_eq!(fleet.retained("reelmill/1/n/orin-3/st/#"), "");
}

#[test]
fn on_a_terminal_one_line_changes_in_place() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    let line = fleet.command("orin-3 restart-worker --sign anna.key");
    let words: Vec<_> = line.get_args().map(|word| word.to_string_lossy()).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{} {}", line.get_program().display(), words.join(" ")), "/dev/null"]);
    terminal.current_dir(fleet.folder.path()).env_clear().env("TERM", "xterm");
    terminal.envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = fleet.said(&output(terminal, ""));
    let lines: Vec<_> = said.out.lines().filter(|line| line.contains("orin-3: ")).collect();
    assert_eq!((said.code, lines.len()), (Some(0), 1), "{said:?}");
    assert!(lines[0].contains('\u{1b}') && lines[0].trim_end().ends_with("orin-3: succeeded"), "{said:?}");
}
