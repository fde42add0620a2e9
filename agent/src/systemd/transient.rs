//! Units without a file, which only root may make: deeds outside the caller's own control group.

use std::time::Duration;

use zbus::zvariant::Value;

use super::{
    error::Error,
    systemd1::{self, Outcome, Property, Transient, Verb},
    unit::{BatchId, UnitName},
};

/// Who is told to end has [`KILL_AFTER`] for it.
const LIMIT: Duration = Duration::from_secs(30);
/// Between the wish that processes end and their end.
const KILL_AFTER: Duration = Duration::from_secs(10);

/// Runs a command as root in a unit of its own, `reelmill-WHAT-ID.service`, and waits for its end. `what` is a word of
/// the caller's own; the command is a program's path with its arguments, and no shell reads it.
///
/// # Errors
/// If this user may not, or the unit cannot be made. A command that fails is an [`Outcome`].
pub async fn run(what: &'static str, id: &BatchId, command: &[&str]) -> Result<Outcome, Error> {
    let mut properties = service(what, command);
    // Kept until this connection ends, so that it can be asked how it went.
    properties.push(("AddRef", Value::from(true)));
    systemd1::run_transient(&Transient { unit: id.transient(what, "service"), properties }).await
}

/// The same for a command that may hang, and is run however far the machine's start is: after that time all its processes are
/// ended, and the outcome is a `timeout`.
///
/// # Errors
/// As for [`run`].
pub async fn run_within(what: &'static str, id: &BatchId, limit: Duration, command: &[&str]) -> Result<Outcome, Error> {
    let mut properties = service(what, command);
    properties.extend(at_any_time());
    properties.push(("AddRef", Value::from(true)));
    properties.push(("RuntimeMaxUSec", Value::from(micros(limit))));
    properties.push(("TimeoutStopUSec", Value::from(micros(KILL_AFTER))));
    systemd1::run_transient(&Transient { unit: id.transient(what, "service"), properties }).await
}

/// Ends a command that [`run`] or [`run_within`] began, with all its processes. Harmless where there is none.
///
/// # Errors
/// If this user may not, or it does not end.
pub async fn end(what: &'static str, id: &BatchId) -> Result<(), Error> {
    match systemd1::job(Verb::Stop, &id.transient(what, "service"), LIMIT).await {
        Err(Error::NotInstalled { .. }) => Ok(()),
        ended => ended,
    }
}

/// The unit in which [`run`] and [`run_within`] run a command.
pub fn unit_of(what: &'static str, id: &BatchId) -> UnitName {
    id.transient(what, "service")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// By default a unit waits for the basic system, which may never come up. It ends with the machine all the same.
fn at_any_time() -> [Property; 3] {
    let end = || Value::from(vec!["shutdown.target"]);
    [("DefaultDependencies", Value::from(false)), ("Conflicts", end()), ("Before", end())]
}

fn service(what: &str, command: &[&str]) -> Vec<Property> {
    let words: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let program = words.first().cloned().unwrap_or_default();
    vec![
        ("Description", Value::from(format!("Reelmill {what}"))),
        ("Type", Value::from("exec")),
        ("CollectMode", Value::from("inactive-or-failed")),
        // Else systemd would put variables in for every `$`.
        ("ExecStartEx", Value::from(vec![(program, words, vec!["no-env-expand"])])),
    ]
}
