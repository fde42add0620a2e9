//! What a node is given on its boot partition, and reads when it starts for the first time: four files in one folder. They are
//! made from what was asked for, and told without their secrets.

use std::path::Path;

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    enrol::{
        JoinFile, MAX_JOIN_FILE, MAX_TAGS, Network,
        given::{self, MAX_GIVEN, SshKey},
    },
};
use reelmill_daemon::config::parse_toml;
use serde::Serialize;

use super::{
    fat::{FatError, NewFile, Volume},
    medium::Medium,
};

/// The folder on the boot partition.
pub(crate) const FOLDER: &str = "reelmill";
/// How the node finds its farm.
pub(crate) const JOIN: &str = "join.toml";
/// Who may log in.
pub(crate) const KEYS: &str = "authorized_keys";
/// The worker's settings.
pub(crate) const WORKER: &str = "worker.env";
/// The machine's name.
pub(crate) const HOST: &str = "hostname";

/// The files' texts; what is absent is not written.
#[derive(Clone, Default)]
pub(crate) struct Papers {
    /// `join.toml`.
    pub(crate) join: Option<String>,
    /// `authorized_keys`.
    pub(crate) keys: Option<String>,
    /// `worker.env`.
    pub(crate) worker: Option<String>,
    /// `hostname`.
    pub(crate) host: Option<String>,
}

/// What the files say, without secrets.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// How the node finds its farm.
    pub(crate) join: Option<Join>,
    /// The machine's name.
    pub(crate) hostname: Option<String>,
    /// Who may log in.
    pub(crate) ssh_keys: Vec<SshKey>,
    /// Which of the worker's settings are there.
    pub(crate) worker_env: Vec<String>,
    /// What the node will not take, and why.
    pub(crate) mistakes: Vec<String>,
}

/// What the join file says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Join {
    /// The hub's door.
    pub(crate) hub: String,
    /// Who the hub must prove to be.
    pub(crate) ca_sha256: String,
    /// The name that the node would like.
    pub(crate) node: Option<String>,
    /// The tags that it would like.
    pub(crate) tags: Vec<String>,
    /// Whether there is a token.
    pub(crate) token: bool,
    /// Until when the token is good, where the file tells.
    pub(crate) token_expires: Option<Timestamp>,
    /// Its own address, where it has no DHCP.
    pub(crate) network: Option<String>,
}

impl Papers {
    /// The files as they are put into the folder; those that are absent are removed from it.
    pub(crate) fn files(&self) -> Vec<NewFile> {
        let all = [(JOIN, &self.join), (KEYS, &self.keys), (WORKER, &self.worker), (HOST, &self.host)];
        all.into_iter().map(|(name, text)| NewFile { name, bytes: text.clone().map(String::into_bytes) }).collect()
    }

    /// Whether there is nothing in them.
    pub(crate) fn is_empty(&self) -> bool {
        self.files().iter().all(|file| file.bytes.is_none())
    }

    /// Whether something in them is for the node's eyes alone.
    pub(crate) fn is_secret(&self) -> bool {
        self.worker.is_some() || self.told().join.is_some_and(|join| join.token)
    }

    /// Those on a boot partition.
    pub(crate) fn read<M: Medium + ?Sized>(volume: &Volume<'_, M>) -> Result<Self, FatError> {
        let text = |name: &str, most| -> Result<Option<String>, FatError> {
            let bytes = volume.file(&format!("{FOLDER}/{name}"), most)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Self {
            join: text(JOIN, MAX_JOIN_FILE)?,
            keys: text(KEYS, MAX_GIVEN)?,
            worker: text(WORKER, MAX_GIVEN)?,
            host: text(HOST, MAX_GIVEN)?,
        })
    }

    /// What they say.
    pub(crate) fn told(&self) -> Told {
        let mut told = Told::default();
        let mut mistakes = Vec::new();
        let Self { join: join_file, keys: key_file, worker, host: name } = self;
        told.join = understood(JOIN, join_file, &mut mistakes, join);
        told.ssh_keys = understood(KEYS, key_file, &mut mistakes, keys).unwrap_or_default();
        told.worker_env = understood(WORKER, worker, &mut mistakes, settings).unwrap_or_default();
        told.hostname = understood(HOST, name, &mut mistakes, given::host_name);
        told.mistakes = mistakes;
        told
    }
}

/// What a file says, if it is there and a node takes it.
fn understood<T>(
    name: &str,
    text: &Option<String>,
    mistakes: &mut Vec<String>,
    understand: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let told = |why: String| if why.starts_with(name) { why } else { format!("{name}: {why}") };
    let understood = text.as_deref().map(understand)?;
    understood.map_err(|why| mistakes.push(told(why))).ok()
}

/// Who may log in by a file.
fn keys(text: &str) -> Result<Vec<SshKey>, String> {
    given::ssh_keys(text).map(|keys| keys.into_iter().map(|(key, _)| key).collect())
}

/// The names of the settings in a file.
fn settings(text: &str) -> Result<Vec<String>, String> {
    given::settings(text).map(|all| all.into_iter().map(|(name, _)| name.to_owned()).collect())
}

fn join(text: &str) -> Result<Join, String> {
    let file = join_file(Path::new(JOIN), text)?;
    Ok(Join {
        hub: file.hub.to_string(),
        ca_sha256: file.ca_sha256.to_string(),
        node: file.node.as_ref().map(NodeId::to_string),
        tags: file.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        token: file.token().is_some(),
        token_expires: expires(text).filter(|_| file.token().is_some()),
        network: file.network.map(|network| {
            let by = network.gateway.map(|gateway| format!(" by {gateway}")).unwrap_or_default();
            let on = network.interface.map(|name| format!(" on {name}")).unwrap_or_default();
            format!("{}{by}{on}", String::from(network.address))
        }),
    })
}

/// A join file that a node takes; `path` names it in errors.
pub(crate) fn join_file(path: &Path, text: &str) -> Result<JoinFile, String> {
    let file: JoinFile = parse_toml(path, text).map_err(|e| e.to_string())?;
    let told = |why: String| format!("{}: {why}", path.display());
    file.network.as_ref().map_or(Ok(()), Network::check).map_err(told)?;
    file.node.as_ref().map_or(Ok(String::new()), |node| given::host_name(node.as_str())).map_err(told)?;
    if file.tags.len() > MAX_TAGS {
        return Err(told(format!("a node can have at most {MAX_TAGS} tags")));
    }
    Ok(file)
}

/// When the token's time is over, by the comment that `reelmill-hub token join` writes.
pub(crate) fn expires(text: &str) -> Option<Timestamp> {
    let comments = text.lines().filter(|line| line.starts_with('#'));
    let mut words = comments.filter_map(|line| line.split_once(" until ")).map(|(_, rest)| rest);
    words.find_map(|rest| rest.split([';', ' ']).next()?.parse().ok())
}

/// A join file's text: as it was given if nothing in it changes, else anew, with the comments that it began with.
pub(crate) fn join_text(given: Option<&str>, file: &JoinFile, changed: bool) -> String {
    match given {
        Some(text) if !changed => text.to_owned(),
        Some(text) => {
            let comments = text.lines().take_while(|line| line.starts_with('#'));
            comments.map(|line| format!("{line}\n")).collect::<String>() + &file.to_toml()
        }
        None => file.to_toml(),
    }
}

/// A machine's name, which is the node's name too.
pub(crate) fn host(text: &str) -> Result<NodeId, String> {
    given::host_name(text)?.parse().map_err(|e: reelmill_api::node::BadNodeId| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokens_time_is_read_from_the_hubs_comment() {
        let text = "# Put this there until you like.\n# The token lets one node in until 2026-11-24T02:30:00Z; `x` takes it back.\n";
        assert_eq!(expires(text).map(|at| at.to_string()).as_deref(), Some("2026-11-24T02:30:00Z"));
        assert_eq!(expires("a = 1 # until 2026-11-24T02:30:00Z"), None);
    }
}
