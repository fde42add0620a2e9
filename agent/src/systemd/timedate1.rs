//! org.freedesktop.timedate1 over D-Bus: whether the clock is right.

use zbus::{Connection, proxy::CacheProperties};

use super::error::{Action, Error};

#[zbus::proxy(
    interface = "org.freedesktop.timedate1",
    default_service = "org.freedesktop.timedate1",
    default_path = "/org/freedesktop/timedate1",
    gen_blocking = false
)]
trait Timedate {
    #[zbus(property(emits_changed_signal = "false"), name = "NTPSynchronized")]
    fn ntp_synchronized(&self) -> zbus::Result<bool>;
}

/// Whether the kernel says that the clock has been set by the network. timedated is started by the question and ends
/// half a minute later, so ask once in a while only.
pub(super) async fn is_synchronised(bus: Connection) -> Result<bool, Error> {
    let ask = async {
        let timedate = TimedateProxy::builder(&bus).cache_properties(CacheProperties::No).build().await?;
        timedate.ntp_synchronized().await
    };
    ask.await.map_err(|e: zbus::Error| Error::of_bus(Action::AskClock, e))
}
