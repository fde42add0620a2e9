//! The node's service manager as the agent needs it: the worker's unit, batches, the end of the machine and what holds it
//! up, the clock and the journal. Each outside party has a file of its own; what may be touched is decided here, and by
//! polkit once more.

mod bus;
pub mod by_hand;
pub mod error;
pub mod journal;
mod login1;
mod systemd1;
mod timedate1;
pub mod transient;
pub mod unit;
pub mod watch;

use std::time::Duration;

pub use error::Error;
pub use login1::Inhibitor;
use rustix::process::Signal;
pub use systemd1::{Exit, Outcome};
pub use unit::{Activity, UnitName, UnitState};

use self::{bus::Bus, systemd1::Verb, unit::BatchId};

/// What the agent asks of its node. It is cheap to make and connects when it is first asked.
#[derive(Debug)]
pub struct Systemd {
    bus: Bus,
    worker: UnitName,
}

impl Systemd {
    /// The node's service manager, with the unit that is its worker.
    pub fn new(worker: UnitName) -> Self {
        Self { bus: Bus::default(), worker }
    }

    /// How the worker's unit is.
    ///
    /// # Errors
    /// If the service manager does not answer.
    pub async fn worker_state(&self) -> Result<UnitState, Error> {
        self.state(self.worker.as_str()).await
    }

    /// How a unit is, whosever it is: to look is not to touch.
    ///
    /// # Errors
    /// If the service manager does not answer, or this is no name of a unit.
    pub async fn state(&self, unit: &str) -> Result<UnitState, Error> {
        self.bus.ask(|bus| async move { systemd1::state(&bus, unit).await }).await
    }

    /// Stops the worker as a drain would, within its own time limit, and starts it again.
    ///
    /// # Errors
    /// If polkit refuses, the unit does not come up, or it takes longer than `limit`.
    pub async fn restart_worker(&self, limit: Duration) -> Result<(), Error> {
        systemd1::job(Verb::Restart, &self.worker, limit).await
    }

    /// Has the worker take no more work and finish what it has, or take work again. It does not end by that.
    ///
    /// # Errors
    /// If polkit refuses, or it does not run.
    pub async fn tell_worker(&self, drains: bool) -> Result<(), Error> {
        let signal = if drains { Signal::USR1 } else { Signal::USR2 };
        self.bus.ask(|bus| async move { systemd1::signal(&bus, self.worker.as_str(), signal).await }).await
    }

    /// Stops the worker, which hands back or ends what it has in work.
    ///
    /// # Errors
    /// If polkit refuses, or it takes longer than `limit`; it goes on stopping then.
    pub async fn stop_worker(&self, limit: Duration) -> Result<(), Error> {
        systemd1::job(Verb::Stop, &self.worker, limit).await
    }

    /// Holds off reboots, then stops the worker. What is returned keeps holding them off; if the worker does not stop in
    /// time, nothing is held: use [`Systemd::hold`] and [`Systemd::stop_worker`] where it shall be.
    ///
    /// # Errors
    /// If polkit refuses, or the worker takes longer than `limit`.
    pub async fn drain(&self, why: &str, limit: Duration) -> Result<Inhibitor, Error> {
        let inhibitor = self.hold(why).await?;
        self.stop_worker(limit).await?;
        Ok(inhibitor)
    }

    /// Only holds off reboots, and leaves the worker alone.
    ///
    /// # Errors
    /// If polkit refuses or logind does not answer.
    pub async fn hold(&self, why: &str) -> Result<Inhibitor, Error> {
        login1::inhibit(why).await
    }

    /// Lets reboots go again and starts the worker. A node that was not drained just has its worker started.
    ///
    /// # Errors
    /// If polkit refuses, the unit does not come up, or it takes longer than `limit`.
    pub async fn undrain(&self, inhibitor: Option<Inhibitor>, limit: Duration) -> Result<(), Error> {
        drop(inhibitor);
        systemd1::start(&self.worker, limit).await
    }

    /// Reboots the machine. This process is stopped soon after it returns, or before. Whether it was rebooted, the next
    /// boot tells: its id is another.
    ///
    /// # Errors
    /// If polkit refuses, or someone holds it off: also an [`Inhibitor`] of our own, which must be dropped first.
    pub async fn reboot(&self) -> Result<(), Error> {
        login1::end(login1::End::Reboot).await
    }

    /// Switches the machine off.
    ///
    /// # Errors
    /// As for [`Systemd::reboot`].
    pub async fn power_off(&self) -> Result<(), Error> {
        login1::end(login1::End::PowerOff).await
    }

    /// Runs a worker until the lanes are empty, in a unit of that id, and tells how it ended. A batch of that id that
    /// already runs is not started again, only waited for: so an agent that was restarted finds it again. It goes on if
    /// this future is dropped; see [`Systemd::stop_batch`].
    ///
    /// # Errors
    /// If polkit refuses or the unit is not installed. A worker that fails is no error but an [`Outcome`].
    pub async fn run_batch(&self, id: &BatchId) -> Result<Outcome, Error> {
        systemd1::run(&id.unit()).await
    }

    /// Stops a batch; it hands back what it has in work.
    ///
    /// # Errors
    /// If polkit refuses, or it takes longer than `limit`.
    pub async fn stop_batch(&self, id: &BatchId, limit: Duration) -> Result<(), Error> {
        systemd1::job(Verb::Stop, &id.unit(), limit).await
    }

    /// Has the worker examine its machine, in a unit of that id, and tells how that ended.
    ///
    /// # Errors
    /// If polkit refuses or the unit is not installed.
    pub async fn run_examination(&self, id: &BatchId) -> Result<Outcome, Error> {
        systemd1::run(&id.examination()).await
    }

    /// Stops an examination.
    ///
    /// # Errors
    /// If polkit refuses, or it takes longer than `limit`.
    pub async fn stop_examination(&self, id: &BatchId, limit: Duration) -> Result<(), Error> {
        systemd1::job(Verb::Stop, &id.examination(), limit).await
    }

    /// Whether the clock has been set by the network: until then, no expiry may be judged.
    ///
    /// # Errors
    /// If timedated does not answer.
    pub async fn is_clock_synchronised(&self) -> Result<bool, Error> {
        self.bus.ask(timedate1::is_synchronised).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command core does its work in tasks.
    #[test]
    fn what_is_asked_can_be_waited_for_in_a_task() {
        fn sends<T: Send>(_: T) {}
        let (systemd, limit) = (Systemd::new(UnitName::worker()), Duration::ZERO);
        let id: BatchId = "1".parse().expect("an id");
        // None of them is begun.
        sends(systemd.worker_state());
        sends(systemd.restart_worker(limit));
        sends(systemd.tell_worker(true));
        sends(systemd.drain("", limit));
        sends(systemd.undrain(None, limit));
        sends(systemd.run_batch(&id));
        sends(systemd.reboot());
        sends(systemd.is_clock_synchronised());
        sends(transient::run("a", &id, &["/a"]));
        sends(journal::read(&journal::Query::last_errors(1, limit)));
    }
}
