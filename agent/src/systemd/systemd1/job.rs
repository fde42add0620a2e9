//! Jobs: what a unit is told, and the wait for its end.

use std::{io, sync::Arc, time::Duration};

use futures::StreamExt as _;
use zbus::{
    proxy::CacheProperties,
    zvariant::{OwnedObjectPath, Value},
};

use super::{ManagerProxy, state};
use crate::systemd::{
    bus::connect,
    error::{Action, Error},
    unit::{Activity, UnitName},
};

/// What a unit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Asked for as a restart of what does not run: polkit calls the making of a transient unit `start` too (systemd 257
    /// does), so whoever may start a unit may run anything as root under a name that no file has.
    Start,
    Stop,
    Restart,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// A property and its value, in systemd's words.
pub(crate) type Property = (&'static str, Value<'static>);

/// A unit that has no file.
pub(crate) struct Transient {
    pub(crate) unit: UnitName,
    pub(crate) properties: Vec<Property>,
}

/// Does it, and waits for the job's end.
pub(crate) async fn job(verb: Verb, unit: &UnitName, limit: Duration) -> Result<(), Error> {
    let manager = subscribed(&Action::Unit(verb.word(), unit.to_string())).await?;
    do_job(&manager, verb, unit, limit).await
}

/// Starts a unit unless it runs, and waits for the job's end.
pub(crate) async fn start(unit: &UnitName, limit: Duration) -> Result<(), Error> {
    let manager = subscribed(&Action::Unit(Verb::Start.word(), unit.to_string())).await?;
    if state(manager.inner().connection(), unit.as_str()).await?.activity == Activity::Active {
        return Ok(());
    }
    do_job(&manager, Verb::Start, unit, limit).await
}

pub(super) async fn do_job(
    manager: &ManagerProxy<'_>,
    verb: Verb,
    unit: &UnitName,
    limit: Duration,
) -> Result<(), Error> {
    let name = unit.as_str();
    if verb != Verb::Stop {
        // One that failed too often is not started again before this. Where it may not be, neither may the rest.
        let _ = manager.reset_failed_unit(name).await;
    }
    let begun = async || match verb {
        Verb::Start | Verb::Restart => manager.restart_unit(name, "replace").await,
        Verb::Stop => manager.stop_unit(name, "replace").await,
    };
    finished(manager, Action::Unit(verb.word(), unit.to_string()), begun, limit).await
}

/// Starts a unit that has no file, and waits for the job's end: only root may.
pub(super) async fn start_transient(
    manager: &ManagerProxy<'_>,
    what: &Transient,
    action: Action,
    limit: Duration,
) -> Result<(), Error> {
    let begun = async || manager.start_transient_unit(what.unit.as_str(), "fail", &what.properties, &[]).await;
    finished(manager, action, begun, limit).await
}

/// A manager on a connection of its own, which sends signals until the connection ends.
pub(super) async fn subscribed(action: &Action) -> Result<ManagerProxy<'static>, Error> {
    let bus = connect().await?;
    let failed = |e| Error::of_bus(action.clone(), e);
    let manager = ManagerProxy::builder(&bus).cache_properties(CacheProperties::No).build().await.map_err(failed)?;
    manager.subscribe().await.map_err(failed)?;
    Ok(manager)
}

/// Begins a job and waits for its end.
async fn finished(
    manager: &ManagerProxy<'_>,
    action: Action,
    begin: impl AsyncFnOnce() -> zbus::Result<OwnedObjectPath>,
    limit: Duration,
) -> Result<(), Error> {
    let failed = |e| Error::of_bus(action.clone(), e);
    // Before the job is begun, or its end may have passed.
    let mut removed = manager.receive_job_removed().await.map_err(failed)?;
    let job = begin().await.map_err(failed)?;
    let result = async {
        while let Some(signal) = removed.next().await {
            let end = signal.args()?;
            if end.job == *job {
                return Ok(end.result.to_owned());
            }
        }
        Err(zbus::Error::InputOutput(Arc::new(io::ErrorKind::UnexpectedEof.into())))
    };
    match tokio::time::timeout(limit, result).await {
        Err(_) => Err(Error::TimedOut { action, limit }),
        Ok(Err(e)) => Err(failed(e)),
        Ok(Ok(result)) if result == "done" => Ok(()),
        Ok(Ok(result)) => Err(Error::Failed { action, result }),
    }
}
