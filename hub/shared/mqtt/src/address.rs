//! Where a broker listens, as a person writes it.

use std::{fmt, num::NonZeroU16, str::FromStr};

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host, which the broker's certificate names.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text that is no address of a broker.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("it must be a host's name or address, such as broker.example.net, and may have a port, such as :8884")]
pub struct NotAnAddress;

impl Address {
    /// `HOST` or `HOST:PORT`; an IPv6 address with a port stands in brackets.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str, port: u16) -> Result<Self, NotAnAddress> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, tail) = rest.split_once(']').ok_or(NotAnAddress)?;
                (host, if tail.is_empty() { port } else { number(tail.strip_prefix(':').ok_or(NotAnAddress)?)? })
            }
            None => match text.split_once(':') {
                Some((host, tail)) if !tail.contains(':') => (host, number(tail)?),
                _ => (text, port),
            },
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
            return Err(NotAnAddress);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

fn number(text: &str) -> Result<u16, NotAnAddress> {
    NonZeroU16::from_str(text).map(u16::from).map_err(|_| NotAnAddress)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_may_have_a_port() {
        let check = |text: &str, want: &str| {
            let got = Address::parse(text, 8883).map_or_else(|_| "none".to_owned(), |at| at.to_string());
            assert_eq!(got, want, "{text}");
        };
        check("Broker.example.net", "broker.example.net:8883");
        check("10.0.0.2:1", "10.0.0.2:1");
        check("[fd00::1]:8884", "[fd00::1]:8884");
        check("[fd00::1]", "[fd00::1]:8883");
        check("fd00::1", "[fd00::1]:8883");
        for bad in ["", ":1", "a:", "a:0", "a:65536", "a b", "mqtts://a:1", "a/b", "[::1", "[::1]1"] {
            check(bad, "none");
        }
    }
}
