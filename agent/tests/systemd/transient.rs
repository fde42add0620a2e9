//! Units without a file, for the helper that is root alone: a dead-man timer, and a deed in a unit of its own.

use crate::node::{AGENT, answer, ask, complaint, node};

#[test]
fn the_agent_neither_arms_a_dead_man_nor_calls_one_off() {
    let Some(setup) = node("the_agent_neither_arms_a_dead_man_nor_calls_one_off") else { return };
    let machine = setup.boot();

    let timer = |name: &str| format!("--unit=reelmill-dead-man-{name}.service");
    machine.ok(&["systemd-run", "--quiet", &timer("kept"), "--on-active=600", "--", "/usr/bin/true"]);
    for words in [
        &["systemd-run", "--no-ask-password", &timer("mine"), "--on-active=1", "--", "/usr/bin/true"][..],
        &["systemctl", "--no-ask-password", "stop", "reelmill-dead-man-kept.timer"],
    ] {
        let refused = complaint(&machine.run_as(AGENT, words));
        // systemd's words for what polkit refuses with and without a file of the unit.
        let words_of_polkit = ["Access denied", "Interactive authentication required"];
        assert!(words_of_polkit.iter().any(|words| refused.contains(words)), "{words:?}: {refused}");
    }
    let timers = machine.ok(&["systemctl", "list-units", "--plain", "--no-legend", "reelmill-dead-man-*.timer"]);
    assert!(timers.contains("reelmill-dead-man-kept.timer") && !timers.contains("mine"), "{timers}");
}

#[test]
fn a_deed_of_root_tells_how_it_ended() {
    let Some(setup) = node("a_deed_of_root_tells_how_it_ended") else { return };
    let machine = setup.boot();

    for (id, script, want) in [
        ("good", "exit 0", r#"{"result":"success","exit":{"code":0},"#),
        ("bad", "sleep 0.2; exit 7", r#"{"result":"exit-code","exit":{"code":7},"#),
        ("killed", "kill -TERM $$", r#"{"result":"success","exit":{"signal":15},"#),
    ] {
        let told = answer(&machine, "root", &["run", id, "--", "/usr/bin/sh", "-c", script]);
        assert!(told.starts_with(want), "{id}: {told}");
    }
    let refused = complaint(&ask(&machine, AGENT, &["run", "mine", "--", "/usr/bin/id"]));
    assert!(refused.starts_with("error: cannot run reelmill-by-hand-mine.service: polkit refuses it ("), "{refused}");
}
