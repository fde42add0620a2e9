//! The dead-man's timer, armed by systemd-run and called off by systemctl. As root both speak to systemd itself: the message bus
//! may be what the new system has no more, and the dead-man is for such a system.

use std::{path::Path, time::Duration};

use super::programs::{Failed, Program};
use crate::systemd::unit::BatchId;

/// systemd takes the order at once.
const SOON: Duration = Duration::from_secs(60);
/// Between two tries of what a timer does, seconds.
const AGAIN_AFTER: u64 = 60;
/// By default a unit waits for the basic system, which may never come up. It ends with the machine all the same.
const AT_ANY_TIME: [&str; 3] = ["DefaultDependencies=no", "Conflicts=shutdown.target", "Before=shutdown.target"];

/// What a timer does when it goes off.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// The program, with its path.
    pub program: &'a Path,
    /// Its arguments; no shell reads them.
    pub words: &'a [String],
    /// Its variables, `NAME=value`; it has no others.
    pub variables: &'a [String],
}

/// Arms the timer `reelmill-WHAT-ID.timer`, which does a deed after that time, again a while after it failed, and whatever has
/// become of who armed it.
///
/// # Errors
/// If systemd refuses, or such a timer is armed already.
pub async fn arm(what: &str, id: &BatchId, after: Duration, deed: Deed<'_>) -> Result<(), Failed> {
    Program::new("systemd-run", order(what, id, after, deed), SOON).answer().await.map(drop)
}

/// Calls a timer off. One that is not armed, or has gone off, is none to call off.
///
/// # Errors
/// If systemd refuses.
pub async fn call_off(what: &str, id: &BatchId) -> Result<(), Failed> {
    let timer = id.transient(what, "timer");
    let is_there = Program::new("systemctl", ["show", "--value", "--property=LoadState", timer.as_str()], SOON);
    if is_there.answer().await?.trim() != "loaded" {
        return Ok(());
    }
    Program::new("systemctl", ["stop", timer.as_str()], SOON).answer().await.map(drop)
}

/// The arguments of systemd-run.
fn order(what: &str, id: &BatchId, after: Duration, deed: Deed<'_>) -> Vec<String> {
    let named = [("--unit", id.transient(what, "service").to_string()), ("--description", format!("Reelmill {what}"))];
    let timer = [format!("OnActiveSec={}", after.as_secs()), "AccuracySec=100ms".to_owned()];
    let service = ["Type=exec".to_owned(), "Restart=on-failure".to_owned(), format!("RestartSec={AGAIN_AFTER}")];
    let at_any_time = || AT_ANY_TIME.map(str::to_owned);
    let mut words: Vec<String> =
        ["--quiet", "--no-ask-password", "--collect", "--expand-environment=no"].map(str::to_owned).into();
    words.extend(named.map(|(name, value)| format!("{name}={value}")));
    words.extend(timer.into_iter().chain(at_any_time()).map(|property| format!("--timer-property={property}")));
    words.extend(service.into_iter().chain(at_any_time()).map(|property| format!("--property={property}")));
    words.extend(deed.variables.iter().map(|variable| format!("--setenv={variable}")));
    words.extend(["--".to_owned(), deed.program.display().to_string()]);
    words.extend_from_slice(deed.words);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_ordered_for_any_time_of_the_machine() {
        let (words, variables) = (["deadman".to_owned()], ["STATE_DIRECTORY=/var/lib/reelmill-exec".to_owned()]);
        let deed = Deed { program: Path::new("/usr/bin/reelmill-exec"), words: &words, variables: &variables };
        let order = order("dead-man", &"A7".parse().expect("an id"), Duration::from_secs(900), deed);
        let want = "--quiet --no-ask-password --collect --expand-environment=no --unit=reelmill-dead-man-A7.service \
            --description=Reelmill dead-man --timer-property=OnActiveSec=900 --timer-property=AccuracySec=100ms \
            --timer-property=DefaultDependencies=no --timer-property=Conflicts=shutdown.target \
            --timer-property=Before=shutdown.target --property=Type=exec --property=Restart=on-failure \
            --property=RestartSec=60 --property=DefaultDependencies=no --property=Conflicts=shutdown.target \
            --property=Before=shutdown.target --setenv=STATE_DIRECTORY=/var/lib/reelmill-exec \
            -- /usr/bin/reelmill-exec deadman";
        assert_eq!(order.join(" "), want);
    }
}
