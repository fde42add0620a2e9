//! One look at the node: what its sensors and its worker tell, as one snapshot.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use jiff::{Timestamp, Unit};
use reelmill_api::{
    preset::Tag,
    snapshot::{Absent, Snapshot},
};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, LoopbackUrl, Target, TegrastatsSection},
    deeds::tags::SaidTags,
    sensors::{Sensors, Setup, tegrastats::source::Source},
    systemd::watch::{self, Seen},
    worker_status,
};

/// What is looked with.
pub struct Eyes {
    sensors: Sensors,
    systemd: Receiver<Seen>,
    worker: LoopbackUrl,
    tags: Arc<SaidTags>,
}

impl Eyes {
    /// Opens them; `tags` are those that commands give and take. What runs beside them, such as tegrastats, ends with `stop`; to be called within a runtime.
    pub fn new(config: &Config, tags: Arc<SaidTags>, now: Instant, stop: &CancellationToken) -> Self {
        let node = config.node.as_str().to_owned();
        let own = config.tags.iter().map(Tag::as_str).map(str::to_owned).collect();
        let lan_target = config.lan_target.as_ref().map(Target::as_str).map(str::to_owned);
        let setup = Setup::start(node, own, source(&config.tegrastats), lan_target, stop);
        let units = config.units.iter().map(|unit| unit.as_str().to_owned()).collect();
        Self {
            sensors: Sensors::new(setup, now),
            systemd: watch::follow(units, stop.clone()),
            worker: config.worker.status.clone(),
            tags,
        }
    }

    /// The node now. Reading the sensors blocks, for about a millisecond; a driver that hangs for good stops the loop,
    /// and the watchdog ends the agent.
    pub async fn look(&mut self) -> Snapshot {
        let worker = worker_status::read(&self.worker).await;
        let mut snapshot = self.sensors.sample(Instant::now(), wall_clock());
        self.systemd.borrow().tell(&mut snapshot);
        self.tags.apply(&mut snapshot.tags);
        match worker {
            Ok(status) => snapshot.worker = Some(status),
            Err(silence) => snapshot.absent.push(Absent { source: "worker".to_owned(), why: silence.to_string() }),
        }
        snapshot
    }
}

fn source(tegrastats: &TegrastatsSection) -> Source {
    match &tegrastats.socket {
        Some(socket) => Source::Socket(socket.clone()),
        None => Source::Program(tegrastats.program.clone()),
    }
}

/// The time now to the second, RFC 3339 in UTC.
fn wall_clock() -> String {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.round(Unit::Second).unwrap_or(now).to_string()
}
