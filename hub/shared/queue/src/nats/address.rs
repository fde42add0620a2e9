//! A NATS address taken apart.

use std::{fmt, time::Duration};

use async_nats::{
    ConnectOptions,
    rustls::{ClientConfig, crypto::ring},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    QueueError,
    address::{Dialect, place},
};

const ADDRESS: Dialect = Dialect {
    server: "NATS",
    secret: "password",
    hint: "write nats://user:password@host:4222, or tls:// for TLS, with special characters percent-encoded",
};
const DEFAULT_PORT: u16 = 4222;

/// Where a NATS server is and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    tls: bool,
    host: String,
    port: u16,
    login: Login,
    /// PEM file of the authorities to trust instead of the system's.
    ca: Option<String>,
    /// On how many servers of a cluster everything is kept.
    pub(super) replicas: usize,
}

#[derive(Clone, PartialEq, Eq)]
enum Login {
    Nobody,
    User { name: String, password: String },
    Token(String),
}

impl Address {
    /// Reads `nats://[user:password@|token@]host[:port][?replicas=n]`, or `tls://` with `?ca=/path` as well.
    pub(super) fn parse(text: &str) -> Result<Self, QueueError> {
        let (url, host) = ADDRESS.parse(text)?;
        let tls = url.scheme() == "tls";
        if !url.path().trim_start_matches('/').is_empty() {
            return Err(ADDRESS.bad_or_unescaped("something follows the host", '/'));
        }
        let (mut ca, mut replicas) = (None, 1);
        for setting in ADDRESS.settings(&url) {
            match setting {
                ("ca", path) if tls => ca = Some(ADDRESS.decode(path)?),
                ("ca", _) => return Err(ADDRESS.bad("`ca` is for tls:// addresses")),
                ("replicas", number) => replicas = replicas_of(number)?,
                _ => return Err(ADDRESS.bad_or_unescaped("after `?` it may say ca=/path and replicas=3", '?')),
            }
        }
        let login = match ADDRESS.login(&url)? {
            (name, Some(password)) => Login::User { name, password },
            (token, None) if !token.is_empty() => Login::Token(token),
            _ => Login::Nobody,
        };
        Ok(Self { tls, host, port: url.port().unwrap_or(DEFAULT_PORT), login, ca, replicas })
    }

    /// How to be let in.
    pub(super) fn options(&self) -> Result<ConnectOptions, QueueError> {
        let options = match &self.login {
            Login::Nobody => ConnectOptions::new(),
            Login::User { name, password } => ConnectOptions::with_user_and_password(name.clone(), password.clone()),
            Login::Token(token) => ConnectOptions::with_token(token.clone()),
        };
        if !self.tls {
            return Ok(options);
        }
        // An error means that the program has chosen a provider before; then that one serves as well.
        let _ = ring::default_provider().install_default();
        let options = options.require_tls(true);
        match &self.ca {
            None => Ok(options),
            Some(path) => {
                let roots = ADDRESS.trust(path)?.roots;
                let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
                Ok(options.tls_client_config(config))
            }
        }
    }

    /// Finds out why nobody is there.
    pub(super) async fn reach(&self, within: Duration) -> Result<(), String> {
        match timeout(within, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(reached) => reached.map(drop).map_err(|e| e.to_string()),
            Err(_) => Err("nobody is there, or something on the way keeps quiet".to_owned()),
        }
    }

    /// `text` without the secrets: a server may repeat what it was sent.
    pub(super) fn scrub(&self, text: &str) -> String {
        match &self.login {
            Login::User { password: secret, .. } | Login::Token(secret) if !secret.is_empty() => {
                text.replace(secret, "***")
            }
            _ => text.to_owned(),
        }
    }
}

/// The address as it may be shown to anyone, and as the client library gets it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "nats" };
        write!(f, "{scheme}://{}", place(&self.host, self.port))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn replicas_of(number: &str) -> Result<usize, QueueError> {
    number
        .parse()
        .ok()
        .filter(|n| (1..=5).contains(n))
        .ok_or_else(|| ADDRESS.bad_or_unescaped("`replicas` is a number from 1 to 5", '?'))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn user(name: &str, password: &str) -> Login {
        Login::User { name: name.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn reads_every_part_and_shows_no_secret() {
        for (text, shown, login, replicas) in [
            ("nats://hub", "nats://hub:4222", Login::Nobody, 1),
            ("nats://farm:s3cr%2Ft@hub:7000/?replicas=3", "nats://hub:7000", user("farm", "s3cr/t"), 3),
            ("nats://:pw@[::1]:7000", "nats://[::1]:7000", user("", "pw"), 1),
            ("nats://t0ken@hub", "nats://hub:4222", Login::Token("t0ken".to_owned()), 1),
            ("tls://10.0.0.5?ca=/etc/ca.pem&replicas=5", "tls://10.0.0.5:4222", Login::Nobody, 5),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
            assert!(address.login == login && address.replicas == replicas, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_any_of_it() {
        for (text, part) in [
            ("nats://", "host"),
            ("nats:///x", "host"),
            ("nats://u:hun#ter2@hub", ""),
            ("nats://u:12/hunter2@hub:1", "%2F"),
            ("nats://u:12?hunter2@hub:1", "%3F"),
            ("nats://u:12?replicas=hunter2@hub:1", "%3F"),
            ("nats://u:12#hunter2@hub:1", "%23"),
            ("nats://hub/hunter2", "%2F"),
            ("nats://:hunter2@hub:99999", "port"),
            ("nats://hub?ca=/hunter2", "tls"),
            ("tls://hub?insecure=hunter2", "ca="),
            ("nats://hub?replicas=0", "1 to 5"),
        ] {
            let error = Address::parse(text).expect_err(text);
            let told = format!("{error} {error:?} {:?}", error.hint());
            assert!(told.contains(part) && !told.contains("hunter2") && !told.contains("ter2"), "{text}: {told}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_repeats_an_unescaped_password(password in r"[A-Z0-9/?#@:%\[\]\\]{8,20}", user in "u?:?") {
            let text = format!("nats://{user}{password}@hub:4222");
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
            let address = Address::parse(&format!("nats://u:{escaped}@hub")).expect("an address");
            prop_assert!(address.login == user("u", &password) || password.is_empty());
        }
    }

    #[test]
    fn says_which_ca_file_cannot_be_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").expect("written");
        for path in ["/no/such.pem", empty.to_str().expect("text")] {
            let address = Address::parse(&format!("tls://hub?ca={path}")).expect("an address");
            let error = address.options().expect_err("of no use");
            assert!(error.to_string().contains(path), "{error}");
        }
    }

    #[test]
    fn takes_the_secret_out_of_what_a_server_says() {
        for text in ["nats://u:hunter2@hub", "nats://hunter2@hub"] {
            let address = Address::parse(text).expect("an address");
            assert_eq!(address.scrub("unknown command 'hunter2'"), "unknown command '***'");
        }
    }
}
