//! An SQS address taken apart.

use std::{fmt, net::IpAddr, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::{
    BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reelmill_api::QueueName;
use url::{Host, Url};

use crate::{QueueError, address::Dialect};

const ADDRESS: Dialect = Dialect {
    server: "SQS",
    secret: "key",
    hint: "write sqs://eu-central-1 and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write the keys into it, \
        sqs://KEY:SECRET@eu-central-1, with special characters percent-encoded",
};
/// For servers that are not AWS: most take any.
const DEFAULT_REGION: &str = "us-east-1";
/// How long a message can be invisible after it was received; then it is anyone's, whatever its holder asks.
const LONGEST_HIDDEN: Duration = Duration::from_secs(12 * 3600);
/// How long a connection may take to come up, TLS included.
const CONNECT: Duration = Duration::from_secs(2);

/// Where SQS is and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    region: String,
    /// A server that is not AWS.
    endpoint: Option<Url>,
    /// Whose queues they are, if not the keys' owner's.
    pub(super) account: Option<String>,
    keys: Keys,
    /// PEM file of the authorities to trust instead of the system's.
    ca: Option<String>,
    /// How long a message can be invisible after it was received.
    pub(super) longest: Duration,
}

#[derive(Clone, PartialEq, Eq)]
struct Keys {
    access: String,
    secret: String,
    token: Option<String>,
}

/// What stands behind the `?`.
#[derive(Default)]
struct Settings {
    region: Option<String>,
    ca: Option<String>,
    token: Option<String>,
    plain: bool,
    longest: Option<Duration>,
}

impl Address {
    /// Reads `sqs://KEY:SECRET@region`, `https://KEY:SECRET@sqs.REGION.amazonaws.com[/account[/queue]]`, or the address of
    /// a server that is not AWS, `http[s]://KEY:SECRET@host[:port][/account[/queue]][?region=...]`.
    pub(super) fn parse(text: &str, farm: &QueueName) -> Result<Self, QueueError> {
        let (url, host) = ADDRESS.parse(text.strip_prefix("sqs+").unwrap_or(text))?;
        let settings = Settings::parse(&url)?;
        let path = url.path().trim_matches('/');
        let (account, queue) = match path.split_once('/') {
            Some((account, queue)) => (Some(account), Some(queue)),
            None => (Some(path).filter(|path| !path.is_empty()), None),
        };
        if account.is_some_and(|account| account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit())) {
            return Err(ADDRESS.bad_or_unescaped("what follows the host is no account of twelve digits", '/'));
        }
        if queue.is_some_and(|queue| queue != farm.as_str()) {
            return Err(
                ADDRESS.bad("the queue that it names is not QUEUE_NAME's; make them the same, or leave it out here")
            );
        }
        let aws = match url.scheme() {
            "sqs" => Some(host.clone()),
            "https" => region_of(&host),
            _ => None,
        };
        if url.scheme() == "http" && !settings.plain && !is_loopback(url.host()) {
            return Err(ADDRESS.bad(
                "without TLS, keys and tasks can be read by others on the way; add plain=yes behind `?` if they may",
            ));
        }
        if settings.ca.is_some() && url.scheme() == "http" {
            return Err(ADDRESS.bad("`ca` is for addresses with TLS"));
        }
        let region = settings.region.or_else(|| aws.clone()).unwrap_or_else(|| DEFAULT_REGION.to_owned());
        if !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(ADDRESS.bad("what should be a region is none, as eu-central-1 is"));
        }
        Ok(Self {
            keys: Keys::of(&url, settings.token)?,
            endpoint: aws.is_none().then(|| endpoint(&url)),
            account: account.map(str::to_owned),
            ca: settings.ca,
            longest: settings.longest.unwrap_or(LONGEST_HIDDEN).min(LONGEST_HIDDEN),
            region,
        })
    }

    /// A client for the address; it does not connect yet. Its tries and time limits are ours.
    pub(super) fn client(&self) -> Result<aws_sdk_sqs::Client, QueueError> {
        let keys = Credentials::new(&self.keys.access, &self.keys.secret, self.keys.token.clone(), None, "reelmill");
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(keys)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(self.http_client()?);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Ok(aws_sdk_sqs::Client::from_conf(config.build()))
    }

    fn http_client(&self) -> Result<SharedHttpClient, QueueError> {
        if self.endpoint.as_ref().is_some_and(|url| url.scheme() == "http") {
            return Ok(Builder::new().build_http());
        }
        let trust = match &self.ca {
            // All its certificates were parsed, because the client would panic on a bad one.
            Some(file) => TrustStore::empty().with_pem_certificate(ADDRESS.trust(file)?.pem),
            None => TrustStore::default(),
        };
        let context = TlsContext::builder().with_trust_store(trust).build();
        let context = context.map_err(|e| ADDRESS.bad(&format!("TLS cannot be set up: {e}")))?;
        Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
    }

    /// `text` without what opens the queues, should a server repeat it.
    pub(super) fn scrub(&self, text: &str) -> String {
        let secrets = [Some(&self.keys.secret), self.keys.token.as_ref()];
        secrets.into_iter().flatten().filter(|s| !s.is_empty()).fold(text.to_owned(), |text, s| text.replace(s, "***"))
    }
}

impl Keys {
    fn of(url: &Url, token: Option<String>) -> Result<Self, QueueError> {
        let (access, secret) = ADDRESS.login(url)?;
        let secret = secret.unwrap_or_default();
        if access.is_empty() || secret.is_empty() {
            return Err(ADDRESS.bad("there are no keys for it"));
        }
        Ok(Self { access, secret, token })
    }
}

impl Settings {
    fn parse(url: &Url) -> Result<Self, QueueError> {
        let mut settings = Self::default();
        for (name, value) in ADDRESS.settings(url) {
            let value = ADDRESS.decode(value)?;
            match (name, value.as_str()) {
                ("region", _) => settings.region = Some(value),
                ("ca", _) => settings.ca = Some(value),
                ("token", _) => settings.token = Some(value),
                ("plain", "yes") => settings.plain = true,
                ("longest", _) => {
                    let seconds = value.parse().ok().filter(|&seconds: &u32| seconds >= 4);
                    let seconds = seconds.ok_or_else(|| ADDRESS.bad("`longest` is no number of seconds from 4"))?;
                    settings.longest = Some(Duration::from_secs(seconds.into()));
                }
                _ => {
                    let known = "after `?` it may only say region, ca, token, longest and plain=yes";
                    return Err(ADDRESS.bad_or_unescaped(known, '?'));
                }
            }
        }
        Ok(settings)
    }
}

/// The address as it may be shown to anyone.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(url) => f.write_str(&url.origin().ascii_serialization()),
            None => write!(f, "https://sqs.{}.amazonaws.com", self.region),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// `url` with these keys in it, if it is an address of SQS and holds none; any other as it is. Programs have keys for S3,
/// and those of AWS open both.
pub fn with_keys(url: &str, access: &str, secret: &str, token: Option<&str>) -> String {
    let keyed = || {
        let mut keyed = Url::parse(url).ok()?;
        let ours = matches!(keyed.scheme(), "sqs" | "sqs+http" | "sqs+https" | "http" | "https");
        if !ours || !keyed.username().is_empty() || keyed.password().is_some() {
            return None;
        }
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        keyed.set_username(&escaped(access)).ok()?;
        keyed.set_password(Some(&escaped(secret))).ok()?;
        if let Some(token) = token {
            let query = keyed.query().map(|query| format!("{query}&")).unwrap_or_default();
            keyed.set_query(Some(&format!("{query}token={}", escaped(token))));
        }
        Some(keyed.to_string())
    };
    keyed().unwrap_or_else(|| url.to_owned())
}

/// The region in the name of an AWS host.
fn region_of(host: &str) -> Option<String> {
    let inner = host.strip_prefix("sqs.")?;
    let region = inner.strip_suffix(".amazonaws.com").or_else(|| inner.strip_suffix(".amazonaws.com.cn"))?;
    (!region.contains('.')).then(|| region.to_owned())
}

/// The address without user, path and query.
fn endpoint(url: &Url) -> Url {
    let mut endpoint = url.clone();
    endpoint.set_path("");
    endpoint.set_query(None);
    // Neither can fail for an address with a host.
    let _ = endpoint.set_username("");
    let _ = endpoint.set_password(None);
    endpoint
}

fn is_loopback(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Address, QueueError> {
        Address::parse(text, &QueueName::default())
    }

    #[test]
    fn reads_every_part_and_shows_no_secret() {
        for (text, shown, region, account) in [
            ("sqs://AK:s3%2Fcr@eu-central-1", "https://sqs.eu-central-1.amazonaws.com", "eu-central-1", None),
            (
                "https://AK:s3%2Fcr@sqs.eu-central-1.amazonaws.com/123456789012/reelmill",
                "https://sqs.eu-central-1.amazonaws.com",
                "eu-central-1",
                Some("123456789012"),
            ),
            ("https://AK:s3%2Fcr@sqs.lan/?region=lan", "https://sqs.lan", "lan", None),
            ("http://AK:s3%2Fcr@[::1]:5000", "http://[::1]:5000", "us-east-1", None),
            ("sqs+http://AK:s3%2Fcr@127.0.0.1:5000?region=eu", "http://127.0.0.1:5000", "eu", None),
            ("http://AK:s3%2Fcr@hub:9324?plain=yes&token=t%2Bk", "http://hub:9324", "us-east-1", None),
        ] {
            let address = parse(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
            assert_eq!((address.region.as_str(), address.account.as_deref()), (region, account), "{text}");
            assert_eq!((address.keys.access.as_str(), address.keys.secret.as_str()), ("AK", "s3/cr"));
            assert_eq!(address.scrub("it was s3/cr"), "it was ***");
            address.client().expect("a client");
        }
    }

    #[test]
    fn says_what_is_wrong_without_repeating_any_of_it() {
        for (text, part) in [
            ("sqs://", "host"),
            ("sqs://eu-central-1", "no keys"),
            ("sqs://hunter2@eu-central-1", "no keys"),
            ("sqs://AK:hun#ter2@eu-central-1", ""),
            ("sqs://AK:12/hunter2@eu-central-1", "%2F"),
            ("https://AK:s@lan/hunter2", "%2F"),
            ("https://AK:s@lan/123456789012/hunter2", "QUEUE_NAME"),
            ("sqs://AK:s@eu?hunter2", "%3F"),
            ("sqs://AK:s@EU_hunter2", "region"),
            ("http://AK:hunter2@hub:5000", "plain=yes"),
            ("http://AK:hunter2@127.0.0.1:5000?ca=/x", "`ca`"),
            ("sqs://AK:hunter2@eu?longest=3", "longest"),
        ] {
            let error = parse(text).expect_err(text);
            let told = format!("{error} {error:?} {:?}", error.hint());
            assert!(told.contains(part) && !told.contains("hunter2") && !told.contains("ter2"), "{text}: {told}");
        }
    }

    #[test]
    fn says_which_ca_file_cannot_be_used() {
        let error = parse("sqs://a:b@eu?ca=/no/such.pem").expect("an address").client().expect_err("no such file");
        assert!(error.to_string().contains("/no/such.pem"), "{error}");
    }

    #[test]
    fn keys_are_put_only_into_an_address_of_sqs_without_any() {
        for url in ["redis://hub", "sqs://AK:s@eu-central-1", "sqlite:///a", "no address"] {
            assert_eq!(with_keys(url, "KEY", "se/cret", None), url);
        }
        let keyed = with_keys("https://sqs.eu.amazonaws.com/?ca=/x", "KEY", "s/e+c%r", Some("t+k=&"));
        let address = parse(&keyed).expect("an address");
        assert_eq!((address.keys.secret.as_str(), address.keys.token.as_deref()), ("s/e+c%r", Some("t+k=&")));
        assert_eq!(address.ca.as_deref(), Some("/x"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_repeats_an_unescaped_secret(secret in r"[A-Z0-9/?#@:%\[\]\\]{8,20}", scheme in "sqs|https|http") {
            let text = format!("{scheme}://AK:{secret}@127.0.0.1:5000");
            let told = match parse(&text) {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            let pieces = secret.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| piece.len() > 4);
            for piece in pieces {
                prop_assert!(!told.contains(piece) && !told.contains(&piece.to_lowercase()), "{text}: {told}");
            }
        }

        #[test]
        fn takes_any_keys(access in ".+", secret in ".+", token in proptest::option::of(".+")) {
            let address = parse(&with_keys("sqs://eu-central-1", &access, &secret, token.as_deref())).expect("an address");
            prop_assert_eq!(address.keys.access, access);
            prop_assert_eq!(address.keys.secret, secret);
            prop_assert_eq!(address.keys.token, token);
        }
    }
}
