//! Settings that are more than text or a number: each can only hold what it may.

use std::{net::SocketAddr, num::NonZeroU32, str::FromStr, time::Duration};

use reelmill_api::NodeId;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::window::Window;

/// The longest that may pass between two looks: a node that is seen more seldom is not watched.
const LONGEST_INTERVAL_SECONDS: u32 = 60;

/// Text that is not what a setting must be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it must be {0}")]
pub struct Unfit(&'static str);

impl Unfit {
    pub(super) const fn new(must_be: &'static str) -> Self {
        Self(must_be)
    }
}

/// A setting that is text of a certain form: read by `FromStr` from the environment and from TOML alike.
macro_rules! text_setting {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|e| D::Error::custom(format!("{text:?}: {e}")))
            }
        }
    };
}

text_setting!(Window);
text_setting!(WatchedUnit);
text_setting!(HostName);
text_setting!(Target);
text_setting!(LoopbackUrl);

/// The id that is most like a host's name; `node` if nothing of that name is left.
pub(super) fn id_of_host(name: &str) -> NodeId {
    let own = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let fit: String = own.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let fit: String = fit.trim_matches('-').chars().take(63).collect();
    fit.parse().unwrap_or_else(|_| "node".parse().expect("four letters"))
}

/// Seconds between two looks at the node; one, unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct SampleSeconds(NonZeroU32);

impl SampleSeconds {
    /// As a time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.get().into())
    }
}

impl TryFrom<u32> for SampleSeconds {
    type Error = Unfit;

    fn try_from(seconds: u32) -> Result<Self, Self::Error> {
        let within = NonZeroU32::new(seconds).filter(|n| n.get() <= LONGEST_INTERVAL_SECONDS);
        within.map(Self).ok_or(Unfit("a whole number from 1 to 60"))
    }
}

impl Default for SampleSeconds {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl FromStr for SampleSeconds {
    type Err = Unfit;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<u32>().unwrap_or_default().try_into()
    }
}

/// The name of a unit of systemd that is watched, with its suffix: any unit, where [`crate::systemd::UnitName`] is one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedUnit(String);

impl WatchedUnit {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WatchedUnit {
    type Err = Unfit;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        let named = s.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && !kind.is_empty());
        if s.len() > 255 || !named || !s.chars().all(fits) {
            return Err(Unfit("a unit's whole name such as reelmill-worker.service"));
        }
        Ok(Self(s.to_owned()))
    }
}

/// A host's name as it stands in an address bar, in small letters, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = Unfit;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if s.is_empty() || s.len() > 253 || !s.chars().all(fits) {
            return Err(Unfit("a host's name such as edge-1.example.net, without a port"));
        }
        Ok(Self(s.to_ascii_lowercase()))
    }
}

/// A TCP port of a host: `HOST:PORT`, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// As `HOST:PORT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = Unfit;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let named = s.rsplit_once(':').is_some_and(|(host, port)| {
            host.parse::<HostName>().is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if named || s.parse::<SocketAddr>().is_ok_and(|at| at.port() > 0) {
            return Ok(Self(s.to_owned()));
        }
        Err(Unfit("a host and a port such as 10.0.0.2:9000"))
    }
}

/// An address on this machine: `http://127.0.0.1:PORT/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackUrl {
    /// Where to connect.
    pub at: SocketAddr,
    /// What to ask for, from `/`.
    pub path: String,
}

impl FromStr for LoopbackUrl {
    type Err = Unfit;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let unfit = Unfit("an address on this machine such as http://127.0.0.1:9320/status");
        let rest = s.strip_prefix("http://").ok_or(unfit)?;
        let (at, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let at: SocketAddr = at.parse().map_err(|_| unfit)?;
        if !at.ip().is_loopback() || !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(unfit);
        }
        Ok(Self { at, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_becomes_an_id() {
        for (name, id) in [("edge-1", "edge-1"), ("Edge_1.example.net", "edge-1"), ("-", "node"), ("", "node")] {
            assert_eq!(id_of_host(name).as_str(), id, "{name}");
            assert!(id_of_host(name).as_str().parse::<NodeId>().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_target_is_a_host_and_a_port() {
        for good in ["nas:1", "10.0.0.2:65535", "[fd00::1]:80"] {
            assert!(good.parse::<Target>().is_ok(), "{good}");
        }
        for bad in ["nas", "nas:", ":80", "nas:0", "nas:65536", "http://nas:80", "a b:80", "[::1]"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_worker_is_on_this_machine() {
        for bad in [
            "127.0.0.1:80",
            "http://localhost:80/",
            "http://127.0.0.1/",
            "http://127.0.0.1:80/a b",
            "ftp://127.0.0.1:80/",
        ] {
            assert!(bad.parse::<LoopbackUrl>().is_err(), "{bad}");
        }
        assert_eq!("http://127.0.0.1:80".parse::<LoopbackUrl>().map(|url| url.path).ok().as_deref(), Some("/"));
    }
}
