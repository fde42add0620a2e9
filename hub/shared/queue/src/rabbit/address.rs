//! A RabbitMQ address taken apart.

use std::{fmt, time::Duration};

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    QueueError,
    address::{Dialect, place},
};

/// How its addresses are spoken of.
pub(super) const ADDRESS: Dialect = Dialect {
    server: "RabbitMQ",
    secret: "password",
    hint: "write amqp://user:password@host:5672/vhost, or amqps:// for TLS, with special characters percent-encoded",
};
const DEFAULT_PORT: u16 = 5672;
const DEFAULT_TLS_PORT: u16 = 5671;
/// The user that a server brings, who is let in from the same machine only.
const GUEST: &str = "guest";
/// How many seconds a silent side is borne. The server gives up a silent connection, and with it its leases, after two to
/// three times as long.
pub(super) const HEARTBEAT_S: u16 = 5;
/// The least `consumer_timeout` that RabbitMQ supports; a delivery is renewed well before.
const LEAST_CONSUMER_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a RabbitMQ server is and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    vhost: String,
    user: String,
    password: String,
    /// PEM file of the authorities to trust instead of the system's.
    pub(super) ca: Option<String>,
    /// How long the server lets a delivery be neither acknowledged nor returned.
    pub(super) consumer_timeout: Duration,
}

impl Address {
    /// Reads `amqp[s]://[user:password@]host[:port][/vhost][?ca=/path][&consumer_timeout=SECONDS]`.
    pub(super) fn parse(text: &str) -> Result<Self, QueueError> {
        let (url, host) = ADDRESS.parse(text)?;
        let tls = url.scheme() == "amqps";
        let vhost = url.path().strip_prefix('/').unwrap_or(url.path());
        if vhost.contains(['/', '@', ':']) {
            return Err(ADDRESS.bad_or_unescaped("what follows the host is no virtual host", '/'));
        }
        let (user, password) = ADDRESS.login(&url)?;
        let mut address = Self {
            tls,
            host,
            port: url.port().unwrap_or(if tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT }),
            vhost: Some(ADDRESS.decode(vhost)?).filter(|vhost| !vhost.is_empty()).unwrap_or_else(|| "/".to_owned()),
            user: if user.is_empty() { GUEST.to_owned() } else { user },
            password: password.unwrap_or_else(|| GUEST.to_owned()),
            ca: None,
            consumer_timeout: LEAST_CONSUMER_TIMEOUT,
        };
        ADDRESS.settings(&url).try_for_each(|(name, value)| address.set(name, value))?;
        Ok(address)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), QueueError> {
        match name {
            "ca" if self.tls => self.ca = Some(ADDRESS.decode(value)?),
            "ca" => return Err(ADDRESS.bad("`ca` is for amqps:// addresses")),
            "consumer_timeout" => {
                let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                let seconds = seconds.ok_or_else(|| ADDRESS.bad("its `consumer_timeout` is no number of seconds"))?;
                self.consumer_timeout = Duration::from_secs(seconds);
            }
            _ => {
                let known = "after `?` it may only say ca=/path and consumer_timeout=SECONDS";
                return Err(ADDRESS.bad_or_unescaped(known, '?'));
            }
        }
        Ok(())
    }

    /// How old a delivery may become before it is renewed: within half the time that the server allows it.
    pub(super) fn renew_after(&self) -> Duration {
        self.consumer_timeout / 2
    }

    /// The address in the client library's words.
    pub(super) fn to_uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.user.clone(), password: self.password.clone() },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT_S), ..AMQPQueryString::default() },
        }
    }

    /// `text` without the password, should a server repeat it.
    pub(super) fn scrub(&self, text: &str) -> String {
        if self.password.is_empty() || self.password == GUEST {
            return text.to_owned();
        }
        text.replace(&self.password, "***")
    }
}

/// The address as it may be shown to anyone.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}", place(&self.host, self.port))?;
        match self.vhost.as_str() {
            "/" => Ok(()),
            vhost => write!(f, "/{}", utf8_percent_encode(vhost, NON_ALPHANUMERIC)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_part_and_shows_no_secret() {
        for (text, shown, user, password, vhost) in [
            ("amqp://hub", "amqp://hub:5672", "guest", "guest", "/"),
            ("amqp://hub/", "amqp://hub:5672", "guest", "guest", "/"),
            ("amqp://hub/%2f", "amqp://hub:5672", "guest", "guest", "/"),
            ("amqp://farm:s3cr%2Ft@hub:7000/media", "amqp://hub:7000/media", "farm", "s3cr/t", "media"),
            ("amqp://farm:pw@[::1]:7000/a%2Fb", "amqp://[::1]:7000/a%2Fb", "farm", "pw", "a/b"),
            ("amqps://10.0.0.5?ca=/etc/ca.pem", "amqps://10.0.0.5:5671", "guest", "guest", "/"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
            let read = (address.user.as_str(), address.password.as_str(), address.vhost.as_str());
            assert_eq!(read, (user, password, vhost), "{text}");
        }
    }

    #[test]
    fn a_delivery_is_renewed_within_half_the_servers_patience() {
        for (text, seconds) in [("amqp://hub", 30), ("amqp://hub?consumer_timeout=1800", 900)] {
            assert_eq!(Address::parse(text).expect(text).renew_after().as_secs(), seconds);
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_any_of_it() {
        for (text, part) in [
            ("amqp://", "host"),
            ("amqp:///vhost", "host"),
            ("amqp://u:hun#ter2@hub", ""),
            ("amqp://u:12/hunter2@hub:1/0", "%2F"),
            ("amqp://u:12?hunter2@hub:1/0", "%3F"),
            ("amqp://u:12#hunter2@hub:1/0", "%23"),
            ("amqp://u:hunter2@hub:99999", "port"),
            ("amqp://hub?ca=/hunter2", "amqps"),
            ("amqps://hub?insecure=hunter2", "ca="),
            ("amqps://hub?consumer_timeout=hunter2", "seconds"),
            ("amqps://hub?consumer_timeout=0", "seconds"),
        ] {
            let error = Address::parse(text).expect_err(text);
            let told = format!("{error} {error:?} {:?}", error.hint());
            assert!(told.contains(part) && !told.contains("hunter2") && !told.contains("ter2"), "{text}: {told}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_repeats_an_unescaped_password(password in r"[A-Z0-9/?#@:%\[\]\\]{8,20}", user in "u?") {
            let text = format!("amqp://{user}:{password}@hub:5672/media");
            let told = match Address::parse(&text) {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            let pieces = password.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| piece.len() > 4);
            for piece in pieces {
                prop_assert!(!told.contains(piece) && !told.contains(&piece.to_lowercase()), "{text}: {told}");
            }
        }

        #[test]
        fn takes_any_escaped_password(password in any::<String>()) {
            let escaped = utf8_percent_encode(&password, NON_ALPHANUMERIC);
            let address = Address::parse(&format!("amqp://farm:{escaped}@hub")).expect("an address");
            prop_assert_eq!(address.password, if password.is_empty() { GUEST.to_owned() } else { password });
        }
    }

    #[test]
    fn takes_the_password_out_of_what_a_server_says() {
        let address = Address::parse("amqp://farm:hunter2@hub").expect("an address");
        assert_eq!(address.scrub("login 'hunter2' refused"), "login '***' refused");
    }
}
