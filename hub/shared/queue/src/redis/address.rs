//! A Redis address taken apart.

use std::fmt;

use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};

use crate::{
    QueueError,
    address::{Dialect, place},
};

const ADDRESS: Dialect = Dialect {
    server: "Redis",
    secret: "password",
    hint: "write redis://user:password@host:6379/0, or rediss:// for TLS, with special characters percent-encoded",
};
const DEFAULT_PORT: u16 = 6379;

/// Where a Redis server is and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    tls: bool,
    host: String,
    port: u16,
    database: u32,
    user: Option<String>,
    password: Option<String>,
    /// PEM file of the authorities to trust instead of the system's.
    ca: Option<String>,
}

impl Address {
    /// Reads `redis[s]://[user:password@]host[:port][/db][?ca=/path]`.
    pub(super) fn parse(text: &str) -> Result<Self, QueueError> {
        let (url, host) = ADDRESS.parse(text)?;
        let tls = url.scheme() == "rediss";
        let mut ca = None;
        for setting in ADDRESS.settings(&url) {
            match setting {
                ("ca", path) if tls => ca = Some(ADDRESS.decode(path)?),
                ("ca", _) => return Err(ADDRESS.bad("`ca` is for rediss:// addresses")),
                _ => return Err(ADDRESS.bad_or_unescaped("after `?` it may only say ca=/path", '?')),
            }
        }
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| ADDRESS.bad_or_unescaped("what follows the host is no database number", '/'))?,
        };
        let (user, password) = ADDRESS.login(&url)?;
        let user = Some(user).filter(|user| !user.is_empty());
        Ok(Self { tls, host, port: url.port().unwrap_or(DEFAULT_PORT), database, user, password, ca })
    }

    /// A client for the address; it does not connect yet.
    pub(super) fn client(&self) -> Result<Client, QueueError> {
        let mut login = RedisConnectionInfo::default().set_db(self.database.into());
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let (host, port) = (self.host.clone(), self.port);
        let server = if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info = server.into_connection_info().map_err(|e| ADDRESS.bad(&e.to_string()))?.set_redis_settings(login);
        if !self.tls {
            return Client::open(info).map_err(|e| ADDRESS.bad(&e.to_string()));
        }
        // An error means that the program has chosen a provider before; then that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root_cert = self.ca.as_deref().map(|path| ADDRESS.trust(path)).transpose()?.map(|trust| trust.pem);
        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            .map_err(|e| ADDRESS.bad(&format!("its `ca` cannot be used: {e}")))
    }

    /// `text` without the password: a server that does not know a command answers with what it was sent.
    pub(super) fn scrub(&self, text: &str) -> String {
        match self.password.as_deref() {
            Some(password) if !password.is_empty() => text.replace(password, "***"),
            _ => text.to_owned(),
        }
    }
}

/// The address as it may be shown to anyone.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}/{}", place(&self.host, self.port), self.database)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_part_and_shows_no_secret() {
        for (text, shown, user, password) in [
            ("redis://hub", "redis://hub:6379/0", None, None),
            ("redis://:s3cr%2Ft@hub:7000/2", "redis://hub:7000/2", None, Some("s3cr/t")),
            ("redis://farm:pw@[::1]:7000", "redis://[::1]:7000/0", Some("farm"), Some("pw")),
            ("rediss://10.0.0.5?ca=/etc/ca.pem", "rediss://10.0.0.5:6379/0", None, None),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
            assert_eq!((address.user.as_deref(), address.password.as_deref()), (user, password), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_any_of_it() {
        for (text, part) in [
            ("redis://", "host"),
            ("redis:///0", "host"),
            ("redis://:hun#ter2@hub", ""),
            ("redis://u:12/hunter2@hub:1/0", "%2F"),
            ("redis://u:12?hunter2@hub:1/0", "%3F"),
            ("redis://u:12#hunter2@hub:1/0", "%23"),
            ("redis://:hunter2@hub:99999", "port"),
            ("redis://hub?ca=/hunter2", "rediss"),
            ("rediss://hub?insecure=hunter2", "ca="),
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
            let text = format!("redis://{user}:{password}@hub:6379/0");
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
            let address = Address::parse(&format!("redis://:{escaped}@hub")).expect("an address");
            prop_assert_eq!(address.password.unwrap_or_default(), password);
        }
    }

    #[test]
    fn says_which_ca_file_cannot_be_read() {
        let address = Address::parse("rediss://hub?ca=/no/such.pem").expect("an address");
        let error = address.client().expect_err("no such file");
        assert!(error.to_string().contains("/no/such.pem"), "{error}");
    }

    #[test]
    fn takes_the_password_out_of_what_a_server_says() {
        let address = Address::parse("redis://:hunter2@hub").expect("an address");
        assert_eq!(address.scrub("unknown command, args: 'hunter2'"), "unknown command, args: '***'");
    }
}
