//! Units without a file, which only root may make: a deed outside the caller's own control group, and a timer that does
//! something unless it is called off in time, whatever has become of who armed it.

use std::time::Duration;

use zbus::zvariant::Value;

use super::{
    error::Error,
    systemd1::{self, Outcome, Property, Transient, Verb},
    unit::{BatchId, UnitName},
};

/// Making a unit and stopping a timer take no time.
const LIMIT: Duration = Duration::from_secs(30);
/// Between the wish that processes end and their end.
const KILL_AFTER: Duration = Duration::from_secs(10);
/// Between two tries of what a timer does.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Runs a command as root in a unit of its own, `reelmill-WHAT-ID.service`, and waits for its end. `what` is a word of
/// the caller's own; the command is a program's path with its arguments, and no shell reads it.
///
/// # Errors
/// If this user may not, or the unit cannot be made. A command that fails is an [`Outcome`].
pub async fn run(what: &'static str, id: &BatchId, command: &[&str]) -> Result<Outcome, Error> {
    let mut properties = service(what, command);
    // Kept until this connection ends, so that it can be asked how it went.
    properties.push(("AddRef", Value::from(true)));
    systemd1::run_transient(&Transient { unit: id.transient(what, "service"), properties, other: None }).await
}

/// The same for a command that may hang: after that time all its processes are ended, and the outcome is a `timeout`.
///
/// # Errors
/// As for [`run`].
pub async fn run_within(what: &'static str, id: &BatchId, limit: Duration, command: &[&str]) -> Result<Outcome, Error> {
    let mut properties = service(what, command);
    properties.push(("AddRef", Value::from(true)));
    properties.push(("RuntimeMaxUSec", Value::from(micros(limit))));
    properties.push(("TimeoutStopUSec", Value::from(micros(KILL_AFTER))));
    systemd1::run_transient(&Transient { unit: id.transient(what, "service"), properties, other: None }).await
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

/// Arms a timer that runs a command as root after that time, once.
///
/// # Errors
/// If this user may not, or a timer of that id is armed already.
pub async fn arm(what: &'static str, id: &BatchId, after: Duration, command: &[&str]) -> Result<(), Error> {
    arm_with(what, id, after, command, &[]).await
}

/// The same for a command that is given these variables, `NAME=value`, and runs again a while after it failed.
///
/// # Errors
/// As for [`arm`].
pub async fn arm_with(
    what: &'static str,
    id: &BatchId,
    after: Duration,
    command: &[&str],
    variables: &[String],
) -> Result<(), Error> {
    let mut deed = service(what, command);
    if !variables.is_empty() {
        deed.push(("Environment", Value::from(variables.to_vec())));
        deed.push(("Restart", Value::from("on-failure")));
        deed.push(("RestartUSec", Value::from(micros(AGAIN_AFTER))));
    }
    let timer = vec![
        ("Description", Value::from(format!("Reelmill {what}: goes off unless it is called off"))),
        ("TimersMonotonic", Value::from(vec![("OnActiveSec", micros(after))])),
        ("AccuracyUSec", Value::from(100_000_u64)),
        ("RemainAfterElapse", Value::from(false)),
    ];
    let other = Some((id.transient(what, "service"), deed));
    systemd1::start_transient(&Transient { unit: timer_of(what, id), properties: timer, other }, LIMIT).await
}

/// Calls a timer off. One that went off already has done its work.
///
/// # Errors
/// If this user may not, or there is no such timer.
pub async fn call_off(what: &'static str, id: &BatchId) -> Result<(), Error> {
    systemd1::job(Verb::Stop, &timer_of(what, id), LIMIT).await
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn timer_of(what: &str, id: &BatchId) -> UnitName {
    id.transient(what, "timer")
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
