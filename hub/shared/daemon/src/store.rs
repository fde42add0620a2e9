//! `[store]`: how a program is told of an S3 store, in its file and its environment, the same for all programs.

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr};

use serde::Deserialize;
use url::Url;

use crate::{
    config::Env,
    secret::{Secret, SecretError, SecretRef},
};

const ENDPOINT: &str = "S3_ENDPOINT_URL";
const REGION: &str = "AWS_REGION";
const PATH_STYLE: &str = "S3_PATH_STYLE";
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const CA_FILE: &str = "S3_CA_FILE";
const INPUT_BUCKET: &str = "INPUT_BUCKET";
const OUTPUT_BUCKET: &str = "OUTPUT_BUCKET";
const STALL_SECONDS: &str = "S3_STALL_SECONDS";

/// Every variable that says something of the store.
pub const VARIABLES: [&str; 10] = [
    ENDPOINT,
    REGION,
    PATH_STYLE,
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    CA_FILE,
    INPUT_BUCKET,
    OUTPUT_BUCKET,
    STALL_SECONDS,
];
/// Most stores take any region; this is the one that they expect to be signed for.
const DEFAULT_REGION: &str = "us-east-1";

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The S3 store's address (`S3_ENDPOINT_URL`).
    pub endpoint: Option<Endpoint>,
    /// The region (`AWS_REGION`). Default: `us-east-1`.
    pub region: String,
    /// `http://host/bucket` instead of `http://bucket.host` (`S3_PATH_STYLE`). Default: where an address is given.
    pub path_style: Option<bool>,
    /// The access key (`AWS_ACCESS_KEY_ID`), or a reference such as `file:/run/credentials/x`.
    pub access_key: Option<SecretRef>,
    /// The secret key (`AWS_SECRET_ACCESS_KEY`), or a reference.
    pub secret_key: Option<SecretRef>,
    /// The session token (`AWS_SESSION_TOKEN`), or a reference.
    pub session_token: Option<SecretRef>,
    /// A PEM file with the authorities to trust (`S3_CA_FILE`). Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The bucket that input usually lies in (`INPUT_BUCKET`).
    pub input_bucket: Option<String>,
    /// The bucket for output that nobody names a place for (`OUTPUT_BUCKET`).
    pub output_bucket: Option<String>,
    /// A store that sends or takes no byte for so many seconds has stalled (`S3_STALL_SECONDS`): the request is given up
    /// and tried again. Default: 10.
    pub stall_seconds: Option<NonZeroU32>,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: DEFAULT_REGION.to_owned(),
            path_style: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            ca_file: None,
            input_bucket: None,
            output_bucket: None,
            stall_seconds: None,
        }
    }
}

impl StoreSection {
    /// Lets the environment win over what is set.
    pub fn read_environment(&mut self, env: &mut Env) {
        env.read_hidden(ENDPOINT, &mut self.endpoint, WANTED);
        env.read(REGION, &mut self.region);
        env.read_some(PATH_STYLE, &mut self.path_style);
        env.secret(ACCESS_KEY, &mut self.access_key);
        env.secret(SECRET_KEY, &mut self.secret_key);
        env.secret(SESSION_TOKEN, &mut self.session_token);
        env.read_some(CA_FILE, &mut self.ca_file);
        env.read_some(INPUT_BUCKET, &mut self.input_bucket);
        env.read_some(OUTPUT_BUCKET, &mut self.output_bucket);
        env.read_some(STALL_SECONDS, &mut self.stall_seconds);
    }

    /// The keys that the settings refer to; `None` where none are set.
    ///
    /// # Errors
    /// If only one is set, or a reference leads to no secret.
    pub fn keys(&self) -> Result<Option<Keys>, KeysError> {
        let (access, secret) = match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => (access, secret),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(KeysError::OneOnly { set: ACCESS_KEY, missing: SECRET_KEY }),
            (None, Some(_)) => return Err(KeysError::OneOnly { set: SECRET_KEY, missing: ACCESS_KEY }),
        };
        let resolve = |name, key: &SecretRef| key.resolve().map_err(|source| KeysError::CannotResolve { name, source });
        Ok(Some(Keys {
            access: resolve(ACCESS_KEY, access)?,
            secret: resolve(SECRET_KEY, secret)?,
            session_token: self.session_token.as_ref().map(|token| resolve(SESSION_TOKEN, token)).transpose()?,
        }))
    }
}

/// What opens a store.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The access key.
    pub access: Secret,
    /// The secret key.
    pub secret: Secret,
    /// The token that comes with temporary keys.
    pub session_token: Option<Secret>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// One key is no use.
    #[error("{set} is set and {missing} is not: a store needs both keys")]
    OneOnly {
        /// The variable of the key that is there.
        set: &'static str,
        /// The variable of the other.
        missing: &'static str,
    },
    /// A reference leads to no secret.
    #[error("cannot use {name}")]
    CannotResolve {
        /// The variable of the key.
        name: &'static str,
        /// Why.
        #[source]
        source: SecretError,
    },
}

/// The address of a store: one without a user and password, so that it may be shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Url);

const WANTED: &str = "an address such as http://127.0.0.1:9000, without user, password, `?` and `#`";

/// Text that is no address of a store. It is not shown, because it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the store's address must be {WANTED}")]
pub struct BadEndpoint;

impl Endpoint {
    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let url: Url = s.parse().map_err(|_| BadEndpoint)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && matches!(url.scheme(), "http" | "https");
        if plain { Ok(Self(url)) } else { Err(BadEndpoint) }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = BadEndpoint;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse_toml;

    fn read(toml: &str, env: &[(&str, &str)]) -> Result<StoreSection, String> {
        let mut store: StoreSection = parse_toml(Path::new("a.toml"), toml).map_err(|e| e.to_string())?;
        let mut env = Env::from_pairs(env.iter().copied());
        store.read_environment(&mut env);
        env.finish().map_err(|e| e.to_string())?;
        Ok(store)
    }

    #[test]
    fn every_variable_wins_over_the_file() {
        let toml = "
            endpoint = \"http://old:1\"\nregion = \"old\"\npath_style = true\naccess_key = \"old\"
            secret_key = \"old\"\nsession_token = \"old\"\nca_file = \"/old\"\ninput_bucket = \"old\"
            output_bucket = \"old\"\nstall_seconds = 99";
        let values =
            ["http://store:9000", "eu", "false", "AK", "hunter2", "hunter3", "/ca.pem", "ingest", "ladders", "7"];
        let env: Vec<_> = VARIABLES.into_iter().zip(values).collect();
        let store = read(toml, &env).expect("all can be read");
        let want = "StoreSection { endpoint: Some(http://store:9000/), region: \"eu\", path_style: Some(false), \
                    access_key: Some(Plain([secret])), secret_key: Some(Plain([secret])), \
                    session_token: Some(Plain([secret])), ca_file: Some(\"/ca.pem\"), input_bucket: Some(\"ingest\"), \
                    output_bucket: Some(\"ladders\"), stall_seconds: Some(7) }";
        assert_eq!(format!("{store:?}"), want);
        let keys = store.keys().expect("plain keys").expect("both are set");
        assert_eq!((keys.access.expose(), keys.secret.expose()), ("AK", "hunter2"));
        assert_eq!(keys.session_token.as_ref().map(Secret::expose), Some("hunter3"));
        assert!(!format!("{keys:?}").contains("hunter"), "{keys:?}");
    }

    #[test]
    fn shows_no_address_that_may_hold_a_password() {
        let places =
            [("", "S3_ENDPOINT_URL must be an address"), ("endpoint", "a.toml:1:12: the store's address must be")];
        for bad in [
            "http://farm:hunter2@store:9000",
            "http://hunter2@store:9000",
            "http://store:hunter2",
            "store:9000?hunter2",
            "http://store#hunter2",
            "http://store?hunter2",
            "ftp://store",
        ] {
            for (key, want) in places {
                let toml = if key.is_empty() { String::new() } else { format!("{key} = \"{bad}\"") };
                let env = if key.is_empty() { vec![("S3_ENDPOINT_URL", bad)] } else { vec![] };
                let error = read(&toml, &env).expect_err(bad);
                assert!(error.starts_with(want) && !error.contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn keys_come_in_pairs_or_not_at_all() {
        let check = |env: &[(&str, &str)], want: Result<bool, &str>| {
            let got = read("", env).expect("each can be read").keys();
            assert_eq!(got.map(|keys| keys.is_some()).map_err(|e| e.to_string()), want.map_err(str::to_owned));
        };
        check(&[], Ok(false));
        check(&[(ACCESS_KEY, "a"), (SECRET_KEY, "s")], Ok(true));
        check(
            &[(ACCESS_KEY, "a")],
            Err("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not: a store needs both keys"),
        );
        check(
            &[(SECRET_KEY, "s")],
            Err("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not: a store needs both keys"),
        );
        check(&[(ACCESS_KEY, "a"), (SECRET_KEY, "file:/no/such/file")], Err("cannot use AWS_SECRET_ACCESS_KEY"));
    }
}
