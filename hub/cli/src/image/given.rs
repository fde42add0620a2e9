//! The words of the command line that say what a node is given; they are the same for an image and for a device.

use std::{
    fs::File,
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    enrol::{
        HubUrl, JoinFile, JoinToken, MAX_JOIN_FILE, Network, Subnet,
        given::{self, MAX_GIVEN},
    },
    fleet::Sha256,
    node::Tag,
};
use reelmill_daemon::report::Hinted;

use super::papers::{self, Papers};
use crate::screen::Screen;

const GIVEN: &str = "What the node is given";

/// What a node is given.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = GIVEN)]
pub(crate) struct Given {
    /// The join file that `reelmill-hub token join` prints; `-` reads it from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hub", "join_token", "join_token_file"])]
    join: Option<PathBuf>,
    /// Instead of a join file: the hub's door, as in https://hub.example:7443
    #[arg(long, value_name = "URL", requires = "ca_sha256", value_parser = hub)]
    hub: Option<HubUrl>,
    /// With --hub: the digest of the farm's authority, by which the node knows the hub
    #[arg(long, value_name = "HEX", requires = "hub", value_parser = digest)]
    ca_sha256: Option<Sha256>,
    /// With --hub: a file with the token that lets the node in; without one an operator approves it
    #[arg(long, value_name = "FILE", requires = "hub", conflicts_with = "join_token")]
    join_token_file: Option<PathBuf>,
    /// The token itself. Others on this machine and the shell's history see it: prefer --join or --join-token-file
    #[arg(long, value_name = "TOKEN", requires = "hub")]
    join_token: Option<String>,
    /// The name of the machine and of the node
    #[arg(long, value_name = "NAME", value_parser = papers::host)]
    hostname: Option<NodeId>,
    /// Who may log in as root: a file with public SSH keys, or a key; may be given more than once
    #[arg(long, value_name = "FILE|KEY")]
    ssh_key: Vec<String>,
    /// Settings of the worker, a line NAME=VALUE each; they may be secret
    #[arg(long, value_name = "FILE")]
    worker_env: Option<PathBuf>,
    /// A tag that the node would like, as in lan; may be given more than once
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// An address where there is no DHCP, as in 10.0.0.7/24,gateway=10.0.0.1,dns=10.0.0.1,interface=eth0
    #[arg(long, value_name = "ADDRESS", value_parser = network)]
    network: Option<Network>,
}

impl Given {
    /// Whether anything was given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { join, hub, hostname, ssh_key, worker_env, tag, network, .. } = self;
        let none = join.is_none() && hub.is_none() && hostname.is_none() && worker_env.is_none() && network.is_none();
        none && ssh_key.is_empty() && tag.is_empty()
    }

    /// Whether standard input is read for it.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.join.as_deref() == Some(Path::new("-"))
    }

    /// The files, of which the node will refuse none.
    pub(crate) fn papers(&self, screen: &Screen) -> anyhow::Result<Papers> {
        let (join, node) = self.join(screen)?;
        let host = self.hostname.clone().or(node);
        if let Some(host) = &host {
            papers::host(host.as_str()).map_err(anyhow::Error::msg)?;
        }
        Ok(Papers { join, keys: self.keys()?, worker: self.worker()?, host: host.map(|name| format!("{name}\n")) })
    }

    /// The join file, and the node's name in it.
    fn join(&self, screen: &Screen) -> anyhow::Result<(Option<String>, Option<NodeId>)> {
        let text = self.join.as_deref().map(|path| read(path, MAX_JOIN_FILE)).transpose()?;
        let mut file = match (&self.join, &text, &self.hub, self.ca_sha256) {
            (Some(path), Some(text), ..) => papers::join_file(path, text).map_err(anyhow::Error::msg)?,
            (_, _, Some(hub), Some(ca)) => JoinFile::new(hub.clone(), ca),
            _ if !self.tag.is_empty() || self.network.is_some() => {
                let hint = "`reelmill-hub token join` prints one";
                return Err(Hinted::new("--tag and --network go into a join file: give --join or --hub", hint).into());
            }
            _ => return Ok((None, None)),
        };
        let expires = text.as_deref().and_then(papers::expires);
        if let Some(expires) = expires.filter(|at| *at <= Timestamp::now()) {
            screen
                .note(&format!("note: the token is good until {expires} only, which is over by this machine's clock"));
        }
        if let Some(token) = self.token()? {
            file.set_token(token);
        }
        let changed = self.change(&mut file)?;
        let written = papers::join_text(text.as_deref(), &file, changed);
        papers::join_file(Path::new(papers::JOIN), &written).map_err(anyhow::Error::msg)?;
        Ok((Some(written), file.node))
    }

    /// Whether words of the command line changed the join file.
    fn change(&self, file: &mut JoinFile) -> anyhow::Result<bool> {
        if let (Some(host), Some(node)) = (&self.hostname, &file.node)
            && host != node
        {
            let hint = "leave --hostname out, or have the hub make a token for that name";
            return Err(Hinted::new(format!("the join file is for the node {node}, and not for {host}"), hint).into());
        }
        let named = self.hostname.is_some() && file.node.is_none();
        if named {
            file.node.clone_from(&self.hostname);
        }
        if !self.tag.is_empty() {
            file.tags.clone_from(&self.tag);
        }
        if self.network.is_some() {
            file.network.clone_from(&self.network);
        }
        Ok(named || !self.tag.is_empty() || self.network.is_some())
    }

    fn token(&self) -> anyhow::Result<Option<JoinToken>> {
        let (name, text) = match (&self.join_token_file, &self.join_token) {
            (Some(path), _) => (path.display().to_string(), read(path, MAX_GIVEN)?),
            (None, Some(token)) => ("--join-token".to_owned(), token.clone()),
            (None, None) => return Ok(None),
        };
        // What was given instead may be another secret: it is not shown.
        text.trim().parse().map(Some).with_context(|| format!("{name} holds no join token"))
    }

    fn keys(&self) -> anyhow::Result<Option<String>> {
        let mut all = String::new();
        for word in &self.ssh_key {
            let text = if given::ssh_keys(word).is_ok() { word.clone() } else { read(Path::new(word), MAX_GIVEN)? };
            if text.contains("PRIVATE KEY-----") {
                let hint = "the public one lies beside it, and its name ends in .pub";
                return Err(Hinted::new(format!("{word} is a private key"), hint).into());
            }
            given::ssh_keys(&text).map_err(|why| anyhow!("{word}: {why}"))?;
            all.push_str(text.trim_end());
            all.push('\n');
        }
        if all.len() as u64 > MAX_GIVEN {
            bail!("these are more SSH keys than a node reads: {} bytes, of at most {MAX_GIVEN}", all.len());
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn worker(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.worker_env else { return Ok(None) };
        let text = read(path, MAX_GIVEN)?;
        given::settings(&text).map_err(|why| anyhow!("{}: {why}", path.display()))?;
        Ok(Some(text))
    }
}

/// A short text; `-` is standard input.
fn read(path: &Path, most: u64) -> anyhow::Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(most + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
    };
    read.with_context(cannot)?;
    if bytes.len() as u64 > most {
        bail!("{}: it is longer than {most} bytes", cannot());
    }
    given::text(&bytes).map_err(|why| anyhow!("{}: {why}", cannot()))
}

fn hub(word: &str) -> Result<HubUrl, &'static str> {
    HubUrl::try_from(word.to_owned())
}

fn digest(word: &str) -> Result<Sha256, String> {
    serde_json::from_value(word.into()).map_err(|e| e.to_string())
}

/// A network in one word.
fn network(word: &str) -> Result<Network, String> {
    let mut parts = word.split(',');
    let address = Subnet::try_from(parts.next().unwrap_or_default().to_owned())?;
    let mut network = Network { interface: None, address, gateway: None, dns: Vec::new() };
    for part in parts {
        let ip = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("`{text}` is no address"));
        match part.split_once('=') {
            Some(("gateway", at)) => network.gateway = Some(ip(at)?),
            Some(("dns", at)) => network.dns.push(ip(at)?),
            Some(("interface", name)) => network.interface = Some(name.to_owned()),
            _ => return Err(format!("`{part}` is none of gateway=, dns=, interface=")),
        }
    }
    network.check().map(|()| network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_word() {
        let whole = network("10.0.0.7/24,gateway=10.0.0.1,dns=10.0.0.1,dns=fd00::1,interface=eth0").expect("a network");
        assert_eq!(toml(&whole), "interface eth0, 10.0.0.7/24 by 10.0.0.1, dns 10.0.0.1 fd00::1");
        assert_eq!(network("10.0.0.7").expect_err("no network"), "an address must be written as 10.0.0.7/24");
        assert_eq!(network("10.0.0.7/8,gw=1").expect_err("no network"), "`gw=1` is none of gateway=, dns=, interface=");
        assert_eq!(network("10.0.0.7/8,dns=x").expect_err("no network"), "`x` is no address");
    }

    fn toml(network: &Network) -> String {
        let Network { interface, address, gateway, dns } = network;
        let dns: Vec<_> = dns.iter().map(IpAddr::to_string).collect();
        let (interface, gateway) = (interface.clone().unwrap_or_default(), gateway.expect("one was given"));
        format!("interface {interface}, {} by {gateway}, dns {}", String::from(*address), dns.join(" "))
    }
}
