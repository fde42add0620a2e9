//! Units without a file, for the helper that is root: a dead-man timer, and a deed in a unit of its own.

use crate::node::{AGENT, answer, ask, complaint, node};

#[test]
fn a_timer_goes_off_unless_it_is_called_off_and_only_root_arms_one() {
    let Some(setup) = node("a_timer_goes_off_unless_it_is_called_off_and_only_root_arms_one") else { return };
    let machine = setup.boot();

    answer(&machine, "root", &["arm", "kept", "600", "--", "/usr/bin/touch", "/run/kept"]);
    answer(&machine, "root", &["arm", "off", "1", "--", "/usr/bin/touch", "/run/off"]);
    let again = complaint(&ask(&machine, "root", &["arm", "kept", "600", "--", "/usr/bin/true"]));
    assert!(again.starts_with("error: cannot make reelmill-dead-man-kept.timer: "), "{again}");
    let refused = complaint(&ask(&machine, AGENT, &["arm", "mine", "1", "--", "/usr/bin/touch", "/run/mine"]));
    assert!(refused.starts_with("error: cannot make reelmill-dead-man-mine.timer: polkit refuses it ("), "{refused}");
    let refused = complaint(&ask(&machine, AGENT, &["call-off", "kept"]));
    assert!(refused.starts_with("error: cannot stop reelmill-dead-man-kept.timer: polkit refuses it ("), "{refused}");

    machine.ok(&["sh", "-c", "while ! test -e /run/off; do sleep 0.1; done"]);
    let timers = || machine.ok(&["systemctl", "list-units", "--plain", "--no-legend", "reelmill-dead-man-*.timer"]);
    assert!(timers().contains("reelmill-dead-man-kept.timer"), "{}", timers());
    answer(&machine, "root", &["call-off", "kept"]);
    assert!(!timers().contains("kept"), "{}", timers());
    assert_eq!(machine.ok(&["sh", "-c", "ls /run/kept /run/mine 2>/dev/null; true"]), "");
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
