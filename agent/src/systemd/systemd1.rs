//! org.freedesktop.systemd1 over D-Bus: its words, and how a unit is. What is done with units is below.

mod job;
mod run;

pub(super) use job::{Property, Transient, Verb, job, start};
pub use run::{Exit, Outcome};
pub(super) use run::{run, run_transient};
use rustix::process::Signal;
use zbus::{
    Connection, Proxy,
    proxy::CacheProperties,
    zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value},
};

use super::{
    error::{Action, Error},
    unit::{Activity, UnitState},
};

const SERVICE: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const OF_SERVICE: &str = "org.freedesktop.systemd1.Service";

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1",
    gen_blocking = false
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn ref_unit(&self, name: &str) -> zbus::Result<()>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[(&str, Value<'_>)],
        others: &[(&str, Vec<(&str, Value<'_>)>)],
    ) -> zbus::Result<OwnedObjectPath>;
    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: ObjectPath<'_>, unit: &str, result: &str) -> zbus::Result<()>;
}

/// How a unit is.
pub(super) async fn state(bus: &Connection, unit: &str) -> Result<UnitState, Error> {
    let read = async {
        let properties = Properties::of(bus, unit).await?;
        let (mut main_pid, mut result, mut restarts, mut memory) = (None, None, None, None);
        if unit.ends_with(".service") {
            main_pid = Some(properties.get(OF_SERVICE, "MainPID").await?).filter(|pid| *pid != 0);
            result = Some(properties.get(OF_SERVICE, "Result").await?);
            restarts = Some(properties.get(OF_SERVICE, "NRestarts").await?);
            // All ones where it is not counted.
            memory = Some(properties.get(OF_SERVICE, "MemoryCurrent").await?).filter(|bytes| *bytes != u64::MAX);
        }
        let active: String = properties.get(UNIT, "ActiveState").await?;
        let since: u64 = properties.get(UNIT, "StateChangeTimestamp").await?;
        Ok(UnitState {
            installed: properties.get::<String>(UNIT, "LoadState").await? == "loaded",
            activity: Activity::of(&active),
            sub_state: properties.get(UNIT, "SubState").await?,
            main_pid,
            result,
            restarts,
            memory_bytes: memory,
            since_unix_micros: Some(since).filter(|since| *since != 0),
            unit: unit.to_owned(),
        })
    };
    read.await.map_err(|e| Error::of_bus(Action::Unit("look at", unit.to_owned()), e))
}

/// Sends a signal to a unit's main process.
pub(super) async fn signal(bus: &Connection, unit: &str, signal: Signal) -> Result<(), Error> {
    let send = async {
        let manager = ManagerProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
        manager.kill_unit(unit, "main", signal.as_raw()).await
    };
    send.await.map_err(|e| Error::of_bus(Action::Unit("signal", unit.to_owned()), e))
}

/// The properties of one unit, asked for one by one: a service has three hundred.
struct Properties<'a>(Proxy<'a>);

impl<'a> Properties<'a> {
    async fn of(bus: &'a Connection, unit: &str) -> zbus::Result<Self> {
        let manager = ManagerProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
        let path = manager.load_unit(unit).await?;
        let proxy = zbus::proxy::Builder::new(bus)
            .destination(SERVICE)?
            .path(path)?
            .interface("org.freedesktop.DBus.Properties")?
            .cache_properties(CacheProperties::No);
        Ok(Self(proxy.build().await?))
    }

    async fn get<T>(&self, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedValue>,
        T::Error: Into<zbus::zvariant::Error>,
    {
        let value: OwnedValue = self.0.call("Get", &(interface, name)).await?;
        T::try_from(value).map_err(|e| zbus::Error::Variant(e.into()))
    }
}
