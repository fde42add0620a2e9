//! What a node is given on its boot partition, and reads when it starts for the first time: four files in one folder. They are
//! made from what was asked for, and told without their secrets.

use std::path::Path;

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    enrol::{JoinFile, MAX_JOIN_FILE, MAX_TAGS},
};
use reelmill_daemon::config::parse_toml;
use serde::Serialize;

use super::{
    fat::{FatError, NewFile, Volume},
    medium::Medium,
    ssh::{self, SshKey},
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
/// The longest of the files but for the first.
pub(crate) const LONGEST: u64 = 64 * 1024;

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

    /// Those on a boot partition.
    pub(crate) fn read<M: Medium + ?Sized>(volume: &Volume<'_, M>) -> Result<Self, FatError> {
        let text = |name: &str, most| -> Result<Option<String>, FatError> {
            let bytes = volume.file(&format!("{FOLDER}/{name}"), most)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Self {
            join: text(JOIN, MAX_JOIN_FILE)?,
            keys: text(KEYS, LONGEST)?,
            worker: text(WORKER, LONGEST)?,
            host: text(HOST, LONGEST)?,
        })
    }

    /// What they say.
    pub(crate) fn told(&self) -> Told {
        let mut told = Told::default();
        match self.join.as_deref().map(join) {
            Some(Ok(join)) => told.join = Some(join),
            Some(Err(mistake)) => told.mistakes.push(mistake),
            None => {}
        }
        match self.keys.as_deref().map(|text| ssh::keys(KEYS, text)) {
            Some(Ok(keys)) => told.ssh_keys = keys,
            Some(Err(mistake)) => told.mistakes.push(mistake),
            None => {}
        }
        match self.worker.as_deref().map(|text| settings(WORKER, text)) {
            Some(Ok(names)) => told.worker_env = names,
            Some(Err(mistake)) => told.mistakes.push(mistake),
            None => {}
        }
        match self.host.as_deref().map(|text| host(text.trim_end())) {
            Some(Ok(name)) => told.hostname = Some(name.to_string()),
            Some(Err(mistake)) => told.mistakes.push(mistake),
            None => {}
        }
        told
    }
}

fn join(text: &str) -> Result<Join, String> {
    let file: JoinFile = parse_toml(Path::new(JOIN), text).map_err(|e| e.to_string())?;
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

/// The longest list of tags that a node may have.
pub(crate) fn too_many_tags(file: &JoinFile) -> Option<String> {
    (file.tags.len() > MAX_TAGS).then(|| format!("a node can have at most {MAX_TAGS} tags"))
}

/// A machine's name, which is the node's name too.
pub(crate) fn host(text: &str) -> Result<NodeId, String> {
    let name: NodeId = text.parse().map_err(|e: reelmill_api::node::BadNodeId| e.to_string())?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(format!("`{text}` cannot name a machine: it begins or ends with a hyphen"));
    }
    Ok(name)
}

/// The names of the settings in an environment file. It is stricter than systemd: what systemd would skip with a warning on
/// a node that nobody looks at is a mistake here.
pub(crate) fn settings(file: &str, text: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let mistake = |what: &str| Err(format!("{file}:{}: {what}", index + 1));
        let Some((name, value)) = line.split_once('=') else { return mistake("a setting is written as NAME=VALUE") };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(letter) || name.as_bytes()[0].is_ascii_digit() {
            return mistake("a name is made of letters, digits and underscores");
        }
        if names.iter().any(|known| known == name) {
            return mistake(&format!("{name} is set twice"));
        }
        let quote = value.chars().next().filter(|first| "'\"".contains(*first));
        let closed = quote.is_none_or(|quote| value.len() > 1 && value.ends_with(quote));
        if value.chars().any(char::is_control) || value.ends_with('\\') || !closed {
            return mistake(&format!("the value of {name} does not end on its line"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_by_their_names_and_mistakes_by_their_lines() {
        let check = |text: &str, want: Result<&[&str], &str>| {
            let want = want.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(settings("w", text), want.map_err(str::to_owned), "{text}");
        };
        check("# a\n\nPRESET=all\n ; b\nA_1=\"x y\"\nEMPTY=\n", Ok(&["PRESET", "A_1", "EMPTY"]));
        check("", Ok(&[]));
        check("PRESET all", Err("w:1: a setting is written as NAME=VALUE"));
        check("\nexport A=b", Err("w:2: a name is made of letters, digits and underscores"));
        check("A=secret\nA=secret", Err("w:2: A is set twice"));
        check("A='secret", Err("w:1: the value of A does not end on its line"));
        check("A=secret\\\nb", Err("w:1: the value of A does not end on its line"));
    }

    #[test]
    fn the_tokens_time_is_read_from_the_hubs_comment() {
        let text = "# Put this there until you like.\n# The token lets one node in until 2026-11-24T02:30:00Z; `x` takes it back.\n";
        assert_eq!(expires(text).map(|at| at.to_string()).as_deref(), Some("2026-11-24T02:30:00Z"));
        assert_eq!(expires("a = 1 # until 2026-11-24T02:30:00Z"), None);
    }
}
