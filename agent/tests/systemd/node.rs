//! A node with the agent's units installed as an image would have them, and stand-ins for the rest.

use std::process::Output;

use reelmill_lab::nspawn::{Machine, Setup};

/// The user of the agent's service.
pub(crate) const AGENT: &str = "reelmill-agent";
/// The worker's unit.
pub(crate) const WORKER: &str = "reelmill-worker.service";
/// A unit that is none of Reelmill's.
pub(crate) const OTHER: &str = "other.service";

/// Runs, does nothing, and is stopped at once.
const STAND_IN: &str = "[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\n";

/// A node that is not booted; the agent's service is installed and not enabled.
pub(crate) fn node(test: &str) -> Option<Setup> {
    let setup = Setup::new(test)?
        .program("reelmill-agent")
        .unit("reelmill-agent.service", include_str!("../../units/reelmill-agent.service"))
        .unit("reelmill-batch@.service", include_str!("../../units/reelmill-batch@.service"))
        .unit("reelmill-examine@.service", include_str!("../../units/reelmill-examine@.service"))
        .file("/usr/share/polkit-1/rules.d/reelmill-agent.rules", include_str!("../../units/reelmill-agent.rules"))
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .file("/etc/reelmill/agent.toml", "")
        .unit(WORKER, STAND_IN)
        .enabled(WORKER)
        .unit(OTHER, STAND_IN)
        .enabled(OTHER);
    Some(setup)
}

/// What `reelmill-agent systemd WORDS` does as that user.
pub(crate) fn ask(machine: &Machine, user: &str, words: &[&str]) -> Output {
    machine.run_as(user, &[&["/usr/bin/reelmill-agent", "systemd"], words].concat())
}

/// Its answer, which must be a good one.
pub(crate) fn answer(machine: &Machine, user: &str, words: &[&str]) -> String {
    let asked = ask(machine, user, words);
    assert!(asked.status.success(), "{words:?} as {user}: {asked:?}");
    String::from_utf8(asked.stdout).expect("text").trim_end().to_owned()
}

/// What is said on standard error by something that must fail.
pub(crate) fn complaint(ran: &Output) -> String {
    assert!(!ran.status.success(), "it was to be refused: {ran:?}");
    String::from_utf8_lossy(&ran.stderr).trim_end().to_owned()
}
