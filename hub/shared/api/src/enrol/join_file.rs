//! `join.toml`: what a person puts on a node's boot partition or on a stick, so that the node finds its farm. The hub and the
//! operator's command line write it, the node's agent reads it.

use std::{fmt, net::IpAddr, ops::Range};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use url::Url;

use super::{BadToken, JoinToken};
use crate::{NodeId, fleet::Sha256, preset::Tag};

/// The longest file that is read, in bytes; it holds a few lines.
pub const MAX_JOIN_FILE: u64 = 16 * 1024;

/// What the file says.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinFile {
    /// The hub's door, as in `https://hub.example:7443`.
    pub hub: HubUrl,
    /// The digest of the farm's authority: whoever cannot show it is not the hub.
    pub ca_sha256: Sha256,
    /// The word that lets the node in; without it an operator approves its code.
    #[serde(default)]
    token: Option<Spanned<Word>>,
    /// The name that the node would like. Default: the one in its settings.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// The tags that it would like.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// A network without DHCP. It is checked here; the image sets the network up by it before the agent starts.
    #[serde(default)]
    pub network: Option<Network>,
}

/// A token, or the empty text that is left of one.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Word(Option<JoinToken>);

impl TryFrom<String> for Word {
    type Error = BadToken;

    fn try_from(text: String) -> Result<Self, BadToken> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|token| Self(Some(token))) }
    }
}

/// A network of fixed addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Which interface, as in `eth0`. Default: the first that has a cable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The node's address and how long its network's part is, as in `10.0.0.7/24`.
    pub address: Subnet,
    /// The way to other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Who is asked for names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
}

/// An address and the length of its network's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet(pub IpAddr, pub u8);

impl TryFrom<String> for Subnet {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('/').and_then(|(at, bits)| Some((at.parse().ok()?, bits.parse().ok()?)));
        let most = |at: &IpAddr| if at.is_ipv4() { 32 } else { 128 };
        let fits = parts.filter(|(at, bits)| (1..=most(at)).contains(bits));
        fits.map(|(at, bits)| Self(at, bits)).ok_or("an address must be written as 10.0.0.7/24")
    }
}

impl From<Subnet> for String {
    fn from(Subnet(at, bits): Subnet) -> Self {
        format!("{at}/{bits}")
    }
}

/// Where the hub's door is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubUrl {
    /// Its host, a name or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl TryFrom<String> for HubUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bad = "the hub must be written as https://HOST:PORT";
        let url = Url::parse(&text).map_err(|_| bad)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "https" || !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(bad);
        }
        let host = url.host_str().ok_or(bad)?.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: url.port_or_known_default().ok_or(bad)? })
    }
}

impl From<HubUrl> for String {
    fn from(hub: HubUrl) -> Self {
        hub.to_string()
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "https://[{host}]:{port}") } else { write!(f, "https://{host}:{port}") }
    }
}

/// Without its token.
impl fmt::Debug for JoinFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFile").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl JoinFile {
    /// What leads to a hub, and nothing else.
    pub fn new(hub: HubUrl, ca_sha256: Sha256) -> Self {
        Self { hub, ca_sha256, token: None, node: None, tags: Vec::new(), network: None }
    }

    /// The token, if one is left.
    pub fn token(&self) -> Option<&JoinToken> {
        self.token.as_ref().and_then(|word| word.get_ref().0.as_ref())
    }

    /// Where in the text that was read the token stands, with its quotes; also an empty one.
    pub fn token_span(&self) -> Option<Range<usize>> {
        self.token.as_ref().map(Spanned::span)
    }

    /// Takes another token.
    pub fn set_token(&mut self, token: JoinToken) {
        self.token = Some(Spanned::new(0..0, Word(Some(token))));
    }

    /// The file's text, with the token in it.
    pub fn to_toml(&self) -> String {
        let text = Text {
            hub: &self.hub,
            ca_sha256: &self.ca_sha256,
            token: self.token().map(JoinToken::expose),
            node: self.node.as_ref(),
            tags: &self.tags,
            network: self.network.as_ref(),
        };
        toml::to_string(&text).expect("texts, lists of texts, and one table at the end")
    }
}

/// The file as it is written: a token that is not there is left out.
#[derive(Serialize)]
struct Text<'a> {
    hub: &'a HubUrl,
    ca_sha256: &'a Sha256,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a NodeId>,
    #[serde(skip_serializing_if = "is_empty")]
    tags: &'a [Tag],
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a Network>,
}

fn is_empty(tags: &[Tag]) -> bool {
    tags.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_written_is_read_again() {
        let hub = HubUrl { host: "fd00::1".to_owned(), port: 7443 };
        let mut file = JoinFile::new(hub, toml::from_str::<JoinFile>(&short()).expect("a good file").ca_sha256);
        assert_eq!(file.to_toml(), short());
        file.set_token(JoinToken::new([0xab; 16]));
        file.node = Some("orin-3".parse().expect("a name"));
        file.tags = vec!["lan".parse().expect("a tag")];
        file.network = Some(Network {
            interface: None,
            address: Subnet([10, 0, 0, 7].into(), 24),
            gateway: Some([10, 0, 0, 1].into()),
            dns: vec![[10, 0, 0, 1].into()],
        });
        let text = file.to_toml();
        let want = format!(
            "{}token = \"rmj_abababababababababababababababab\"\nnode = \"orin-3\"\ntags = [\"lan\"]\n\n[network]\n\
             address = \"10.0.0.7/24\"\ngateway = \"10.0.0.1\"\ndns = [\"10.0.0.1\"]\n",
            short()
        );
        assert_eq!(text, want);
        let again: JoinFile = toml::from_str(&text).expect("a good file");
        assert_eq!((again.to_toml(), again.network), (text, file.network));
    }

    fn short() -> String {
        format!("hub = \"https://[fd00::1]:7443\"\nca_sha256 = \"{PIN}\"\n")
    }
}
