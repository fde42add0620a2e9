//! org.freedesktop.login1 over D-Bus: the end of the machine, and holding it off.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zbus::{proxy::CacheProperties, zvariant::OwnedFd};

use super::{
    bus::connect,
    error::{Action, Error},
};

/// Who holds reboots off, as others read it.
const WHO: &str = "reelmill-agent";
/// How long logind may take to see that a hold was let go: it hears of that by the end of a pipe.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How soon it is asked again meanwhile.
const LOOK: Duration = Duration::from_millis(50);

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
    let (until, mut was_held_off) = (Instant::now() + LETTING_GO, true);
    loop {
        let asked = match how {
            End::Reboot => manager.reboot(false).await,
            End::PowerOff => manager.power_off(false).await,
        };
        match asked.map_err(|e| Error::of_bus(how.action(), e)) {
            // Before systemd 257, somebody without the right to overrule it was only told that he lacks the right.
            Err(error @ (Error::HeldOff { .. } | Error::Refused { .. })) => {
                let by = manager.list_inhibitors().await.map(|all| blocking(&all)).unwrap_or_default();
                if lets_go(&by, was_held_off) && Instant::now() < until {
                    was_held_off = !by.is_empty();
                    sleep(LOOK).await;
                    continue;
                }
                let held_off = matches!(error, Error::HeldOff { .. }) || !by.is_empty();
                let by = by.into_iter().map(|(who, why)| format!("{who} ({why})")).collect();
                return Err(if held_off { Error::HeldOff { action: how.action(), by } } else { error });
            }
            // The bus ends with the machine, now and then before the answer is through.
            Err(error) if error.is_lost_answer() => return Ok(()),
            // An agent that was killed after it had asked asks again.
            Err(error) if error.is_under_way() => return Ok(()),
            other => return other,
        }
    }
}

/// Whether those who held it off are about to let go, or have just done so: an agent that asks has let go itself, or has died,
/// and logind hears of that a little later. `was_held_off` says that at the last look somebody did, or that this is the first.
fn lets_go(by: &[(String, String)], was_held_off: bool) -> bool {
    if by.is_empty() { was_held_off } else { by.iter().all(|(who, _)| who == WHO) }
}

async fn manager(action: Action) -> Result<ManagerProxy<'static>, Error> {
    let bus = connect().await?;
    let manager = ManagerProxy::builder(&bus).cache_properties(CacheProperties::No).build().await;
    manager.map_err(|e| Error::of_bus(action, e))
}

/// Those of logind's list that hold off the end of the machine: who, and why.
fn blocking(all: &[(String, String, String, String, u32, u32)]) -> Vec<(String, String)> {
    let holds = |what: &str, mode: &str| mode.starts_with("block") && what.split(':').any(|word| word == "shutdown");
    let of = all.iter().filter(|(what, _, _, mode, _, _)| holds(what, mode));
    of.map(|(_, who, why, _, _, _)| (who.clone(), why.clone())).collect()
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
        let because = |who: &str| (who.to_owned(), "because".to_owned());
        assert_eq!(blocking(&all), [because("a"), because("b")]);
    }

    #[test]
    fn only_an_agents_own_hold_is_waited_for() {
        let by = |who: &[&str]| who.iter().map(|who| ((*who).to_owned(), String::new())).collect::<Vec<_>>();
        for (who, was_held_off, want) in [
            (&[WHO][..], true, true),
            (&[WHO], false, true),
            (&[WHO, "apt"], true, false),
            (&["apt"], true, false),
            // Between the refusal and the look; and a refusal that had another reason.
            (&[], true, true),
            (&[], false, false),
        ] {
            assert_eq!(lets_go(&by(who), was_held_off), want, "{who:?}, {was_held_off}");
        }
    }
}
