//! Runs: a service from its start to its end, and how it ended.

use std::time::Duration;

use serde::{Serialize, Serializer};
use zbus::Connection;

use super::{
    ManagerProxy, OF_SERVICE, Properties,
    job::{Transient, Verb, do_job, start_transient, subscribed},
    state,
};
use crate::systemd::{
    error::{Action, Error},
    unit::UnitName,
};

/// How often a running unit is looked at. Its times are systemd's own, so this is not what is measured; and a question
/// survives a service manager that is replaced meanwhile, where a signal would be lost.
const LOOK: Duration = Duration::from_millis(500);
/// From a start to the first sign of life; a batch that proves a GPU first takes a while.
const START_LIMIT: Duration = Duration::from_secs(600);

/// How a run of a unit ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// systemd's word: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `oom-kill` ...
    pub result: String,
    /// How its main process ended; `None` if there was none.
    pub exit: Option<Exit>,
    /// How long its main process ran, by systemd's clock.
    #[serde(rename = "duration_seconds", serialize_with = "as_seconds")]
    pub duration: Duration,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Outcome {
    /// Whether all went well.
    pub fn is_success(&self) -> bool {
        self.result == "success"
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Starts an installed service unless it runs already, and waits for its end.
pub(crate) async fn run(unit: &UnitName) -> Result<Outcome, Error> {
    let action = Action::Unit("run", unit.to_string());
    let manager = subscribed(&action).await?;
    keep(&manager, unit, &action).await?;
    let bus = manager.inner().connection();
    let begun = if state(bus, unit.as_str()).await?.activity.is_over() {
        do_job(&manager, Verb::Start, unit, START_LIMIT).await
    } else {
        log::info!("{unit} runs already: its end is waited for");
        Ok(())
    };
    outcome(bus, unit, begun).await
}

/// Runs a service that has no file to its end: only root may.
pub(crate) async fn run_transient(what: &Transient) -> Result<Outcome, Error> {
    let action = Action::Unit("run", what.unit.to_string());
    let manager = subscribed(&action).await?;
    let begun = start_transient(&manager, what, action, START_LIMIT).await;
    outcome(manager.inner().connection(), &what.unit, begun).await
}

/// How it ended, also where its start is said to have failed because it ended so soon; but a job that failed without a
/// failed run is an error.
async fn outcome(bus: &Connection, unit: &UnitName, begun: Result<(), Error>) -> Result<Outcome, Error> {
    match begun {
        Ok(()) => end_of(bus, unit).await,
        Err(error @ Error::Failed { .. }) => {
            let outcome = end_of(bus, unit).await?;
            if outcome.is_success() { Err(error) } else { Ok(outcome) }
        }
        Err(error) => Err(error),
    }
}

/// Keeps a unit in systemd's memory until this connection ends: one that has ended would be forgotten, with how it did.
async fn keep(manager: &ManagerProxy<'_>, unit: &UnitName, action: &Action) -> Result<(), Error> {
    let failed = |e| Error::of_bus(action.clone(), e);
    manager.load_unit(unit.as_str()).await.map_err(failed)?;
    manager.ref_unit(unit.as_str()).await.map_err(failed)
}

async fn end_of(bus: &Connection, unit: &UnitName) -> Result<Outcome, Error> {
    while !state(bus, unit.as_str()).await?.activity.is_over() {
        tokio::time::sleep(LOOK).await;
    }
    let read = async {
        let properties = Properties::of(bus, unit.as_str()).await?;
        let begun: u64 = properties.get(OF_SERVICE, "ExecMainStartTimestampMonotonic").await?;
        let ended: u64 = properties.get(OF_SERVICE, "ExecMainExitTimestampMonotonic").await?;
        let code: i32 = properties.get(OF_SERVICE, "ExecMainCode").await?;
        let status: i32 = properties.get(OF_SERVICE, "ExecMainStatus").await?;
        Ok(Outcome {
            result: properties.get(OF_SERVICE, "Result").await?,
            exit: exit(code, status),
            duration: Duration::from_micros(ended.saturating_sub(begun)),
        })
    };
    read.await.map_err(|e| Error::of_bus(Action::Unit("look at", unit.to_string()), e))
}

/// From waitid(2)'s numbers.
fn exit(code: i32, status: i32) -> Option<Exit> {
    match code {
        1 => Some(Exit::Code(status)),
        2 | 3 => Some(Exit::Signal(status)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_by_itself_or_by_a_signal() {
        assert_eq!(exit(1, 3), Some(Exit::Code(3)));
        assert_eq!(exit(2, 15), Some(Exit::Signal(15)));
        assert_eq!(exit(3, 6), Some(Exit::Signal(6)));
        assert_eq!(exit(0, 0), None);
    }

    #[test]
    fn an_outcome_is_told_in_seconds() {
        let outcome = Outcome {
            result: "exit-code".to_owned(),
            exit: Some(Exit::Code(3)),
            duration: Duration::from_millis(1500),
        };
        let json = serde_json::to_string(&outcome).expect("plain data");
        assert_eq!(json, r#"{"result":"exit-code","exit":{"code":3},"duration_seconds":1.5}"#);
        assert!(!outcome.is_success());
    }
}
