//! A line to the fleet's broker, lost and found again, for whoever talks on it: the agent of a node, or the hub. It knows
//! topics and deliveries, and nothing of commands.

mod address;
mod line;
mod link;
mod retry;
mod tls;

use std::{fmt, sync::Arc, time::Duration};

use reelmill_api::fleet::topic::Topic;
/// A message as the broker delivers it, and what a subscription asks for.
pub use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{Filter, Publish, RetainForwardRule},
};

pub use self::{
    address::{Address, NotAnAddress},
    line::Heard,
    link::Link,
    retry::Retry,
    tls::{Identity, IdentityError},
};

/// Where a broker is and who we are to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The broker's host, which its certificate names.
    pub host: String,
    /// Its port for those of our kind.
    pub port: u16,
    /// Our name to the broker; of two with the same, the later one takes the earlier one's place.
    pub client: String,
    /// What we show, and whom we trust.
    pub identity: Identity,
    /// After so long a silence each side looks whether the other is there; from 5 seconds.
    pub keep_alive: Duration,
    /// How long the broker keeps what comes for us while we are away; `None` to begin anew each time.
    pub session: Option<Duration>,
    /// What the broker says for us once we are lost.
    pub will: Option<Will>,
}

impl Settings {
    /// How long a silence may usually be.
    pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
}

/// What a connection of that name leaves to be said.
pub type LastWords = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A retained message that the broker publishes once a connection is lost.
#[derive(Clone)]
pub struct Will {
    /// Where.
    pub topic: Topic,
    /// How long the broker holds it back: a link that is back before then was never lost to anyone.
    pub delay: Duration,
    /// What.
    pub payload: Arc<LastWords>,
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will").field("topic", &self.topic).field("delay", &self.delay).finish_non_exhaustive()
    }
}
