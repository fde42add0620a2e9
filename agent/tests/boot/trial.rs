//! A new system is booted on trial: a good one stays, and from any other the machine comes back by itself.

use crate::place::Place;

/// The kernel has no first process any more, and starts the machine again.
const PANICS: &str = "echo \"no system here\"; exit 1";
/// Nothing that needs the basic system ever starts, the agent least of all.
const HANGS: &str = "mkdir -p /run/systemd/system/basic.target.wants; \
    printf \"[Unit]\\nDefaultDependencies=no\\nBefore=basic.target\\n[Service]\\nType=oneshot\\nTimeoutStartSec=infinity\\nExecStart=/usr/bin/sleep infinity\\n\" \
    > /run/systemd/system/hang.service; ln -s ../hang.service /run/systemd/system/basic.target.wants/";
/// All is well but that nobody can command it.
const NO_AGENT: &str = "mkdir -p /run/systemd/system; ln -s /dev/null /run/systemd/system/reelmill-agent.service";

#[test]
#[ignore = "takes many minutes; `cargo xtask test boot` runs it"]
fn a_system_is_tried_by_one_boot_and_the_machine_comes_back_from_it_by_itself() {
    const TEST: &str = "a_system_is_tried_by_one_boot_and_the_machine_comes_back_from_it_by_itself";
    let Some(place) = Place::start(TEST) else { return };
    let good = place.switch(&place.release("good", ""), 1);
    let end = place.end(&good);
    assert_eq!((end.state.as_str(), &end.error), ("succeeded", &None), "{:?}\n{}", place.ways(&good), place.story());
    assert_eq!(place.systems(), ["good", "good", "good"]);
    assert!(place.vm().ok("cat /proc/cmdline").contains("lab=good"));

    for (ctr, (name, early)) in (2..).zip([("panics", PANICS), ("lacks-the-agent", NO_AGENT), ("hangs", HANGS)]) {
        let bad = place.switch(&place.release(name, early), ctr);
        let end = place.end(&bad);
        eprintln!("{name}: {:?}: {:?}", place.ways(&bad), end.error);
        assert_eq!(end.state.as_str(), "rolled_back", "{name}: {:?}\n{}", end.error, place.story());
        assert_eq!(place.systems(), ["good", "good", "good"], "{name}");
        assert_eq!(place.bad().last().map(String::as_str), Some(name));
        assert_eq!(place.record("pending"), None, "{name}");
    }
}
