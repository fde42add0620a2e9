//! org.freedesktop.login1 over D-Bus: the end of the machine, and holding it off.

use zbus::{proxy::CacheProperties, zvariant::OwnedFd};

use super::{
    bus::connect,
    error::{Action, Error},
};

/// Who holds reboots off, as others read it.
const WHO: &str = "reelmill-agent";

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1",
    gen_blocking = false
)]
trait Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;
    fn list_inhibitors(&self) -> zbus::Result<Vec<(String, String, String, String, u32, u32)>>;
    fn reboot(&self, interactive: bool) -> zbus::Result<()>;
    fn power_off(&self, interactive: bool) -> zbus::Result<()>;
}

/// While this is held, the machine is neither rebooted nor switched off, from systemd 257 on not even by root; it goes
/// with its holder's process.
#[derive(Debug)]
#[must_use = "dropping it lets the machine be rebooted"]
pub struct Inhibitor {
    _descriptor: OwnedFd,
}

/// How a machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Reboot,
    PowerOff,
}

impl End {
    fn action(self) -> Action {
        match self {
            Self::Reboot => Action::Reboot,
            Self::PowerOff => Action::PowerOff,
        }
    }
}

/// Holds reboots off.
pub(super) async fn inhibit(why: &str) -> Result<Inhibitor, Error> {
    let manager = manager(Action::Inhibit).await?;
    let taken = manager.inhibit("shutdown", WHO, why, "block").await;
    taken.map(|descriptor| Inhibitor { _descriptor: descriptor }).map_err(|e| Error::of_bus(Action::Inhibit, e))
}

/// Ends the machine, or asks for it and hears no more: whether it ended, the next boot tells.
pub(super) async fn end(how: End) -> Result<(), Error> {
    let manager = manager(how.action()).await?;
    let asked = match how {
        End::Reboot => manager.reboot(false).await,
        End::PowerOff => manager.power_off(false).await,
    };
    match asked.map_err(|e| Error::of_bus(how.action(), e)) {
        // Before systemd 257, somebody without the right to overrule it was only told that he lacks the right.
        Err(error @ (Error::HeldOff { .. } | Error::Refused { .. })) => {
            let by = manager.list_inhibitors().await.map(|all| blocking(&all)).unwrap_or_default();
            let held_off = matches!(error, Error::HeldOff { .. }) || !by.is_empty();
            Err(if held_off { Error::HeldOff { action: how.action(), by } } else { error })
        }
        // The bus ends with the machine, now and then before the answer is through.
        Err(error) if error.is_lost_answer() => Ok(()),
        // An agent that was killed after it had asked asks again.
        Err(error) if error.is_under_way() => Ok(()),
        other => other,
    }
}

async fn manager(action: Action) -> Result<ManagerProxy<'static>, Error> {
    let bus = connect().await?;
    let manager = ManagerProxy::builder(&bus).cache_properties(CacheProperties::No).build().await;
    manager.map_err(|e| Error::of_bus(action, e))
}

/// Those of logind's list that hold off the end of the machine: who, and why.
fn blocking(all: &[(String, String, String, String, u32, u32)]) -> Vec<String> {
    let holds = |what: &str, mode: &str| mode.starts_with("block") && what.split(':').any(|word| word == "shutdown");
    let of = all.iter().filter(|(what, _, _, mode, _, _)| holds(what, mode));
    of.map(|(_, who, why, _, _, _)| format!("{who} ({why})")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_blocks_the_end_is_named() {
        let one = |what: &str, who: &str, mode: &str| {
            (what.to_owned(), who.to_owned(), "because".to_owned(), mode.to_owned(), 0, 1)
        };
        let all = [
            one("shutdown", "a", "block"),
            one("sleep:shutdown", "b", "block-weak"),
            one("shutdown", "c", "delay"),
            one("handle-power-key", "d", "block"),
        ];
        assert_eq!(blocking(&all), ["a (because)", "b (because)"]);
    }
}
