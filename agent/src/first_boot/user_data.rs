//! The user data of a rented machine: found with its provider or on a disk that the provider attached, understood, and laid where
//! the first boot looks for its files.

pub mod ask;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use reelmill_api::enrol::given::MAX_GIVEN;
use reelmill_daemon::Hinted;
use serde::Deserialize;

use super::{given::Kind, state};
use crate::exec::files::{self, PRIVATE};

/// How long a machine's network may take to reach its provider.
const TRIES: u32 = 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(3);
/// Where it lies on a disk: NoCloud's, then OpenStack's.
const ON_DISK: &[&str] = &["user-data", "openstack/latest/user_data"];

/// Takes the user data that a rented machine was ordered with.
#[derive(Debug, Args)]
pub struct UserData {
    /// Where the provider tells a machine about itself; nobody is asked without it.
    #[arg(long, value_name = "URL")]
    url: Option<ask::Provider>,
    /// A disk that the provider attached, mounted; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    disk: Vec<PathBuf>,
    /// Where its files are laid for the first boot.
    #[arg(long, value_name = "FOLDER", default_value = "/run/reelmill/user-data")]
    to: PathBuf,
    /// Where what was taken is kept: once a join file is there, nobody is asked any more.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/reelmill-host")]
    state: PathBuf,
    /// How often the provider is tried, three seconds apart.
    #[arg(long, default_value_t = TRIES)]
    tries: u32,
}

/// Does it.
///
/// # Errors
/// If there is user data that cannot be used, or the provider cannot be reached.
pub async fn run(asked: &UserData) -> anyhow::Result<()> {
    if asked.state.join(state::JOIN).exists() {
        log::info!("nobody is asked for user data: this machine has its join file");
        return Ok(());
    }
    let Some((from, text)) = find(asked).await? else {
        log::warn!("this machine was ordered without user data");
        return Ok(());
    };
    let hint = "order the machine with a join.toml as its user data; docs/operate/appliance.md";
    let given = understand(&text)
        .map_err(|why| Hinted::new(format!("the user data from {from} cannot be used: {why}"), hint))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&asked.to)
        .with_context(|| format!("cannot make {}", asked.to.display()))?;
    for (kind, text) in given {
        let path = asked.to.join(kind.file());
        files::replace(&path, text.as_bytes(), PRIVATE).with_context(|| format!("cannot write {}", path.display()))?;
    }
    log::info!("took the user data from {from}");
    Ok(())
}

/// The user data, and where it came from.
async fn find(asked: &UserData) -> anyhow::Result<Option<(String, String)>> {
    for path in asked.disk.iter().flat_map(|disk| ON_DISK.iter().map(|name| disk.join(name))) {
        match on_disk(&path) {
            Ok(text) => return Ok(Some((path.display().to_string(), text))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    let Some(provider) = &asked.url else { return Ok(None) };
    for left in (0..asked.tries.max(1)).rev() {
        match provider.user_data(MAX_GIVEN).await {
            Ok(text) => return Ok(text.map(|text| (provider.to_string(), text))),
            Err(why) if left == 0 => {
                let hint = "is this a rented machine whose provider tells user data at that address?";
                return Err(Hinted::new(format!("cannot ask {provider} for user data: {why}"), hint).into());
            }
            Err(why) => log::debug!("cannot ask {provider} for user data yet: {why}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

fn on_disk(path: &Path) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() || meta.len() > MAX_GIVEN {
        return Err(io::Error::other("this is no file of a few lines"));
    }
    fs::read_to_string(path)
}

/// Several files in one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    files: std::collections::BTreeMap<String, String>,
}

/// The files that a text gives: it is a join file, or has a table `files` of them.
///
/// # Errors
/// If it is neither, with the line, and never what stands there.
pub fn understand(text: &str) -> Result<Vec<(Kind, String)>, String> {
    if text.trim_start().starts_with("#cloud-config") {
        return Err("it is a #cloud-config, which Reelmill does not read".to_owned());
    }
    let has_files = text.lines().any(|line| line.trim() == "[files]");
    let given = if has_files {
        let parsed: Files =
            reelmill_daemon::config::parse_toml(Path::new("user-data"), text).map_err(|e| e.to_string())?;
        let kind = |(name, text): (String, String)| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.file() == name);
            let known = Kind::ALL.map(Kind::file).join("`, `");
            kind.map(|kind| (kind, text)).ok_or(format!("`files` has a file that nobody reads; known are `{known}`"))
        };
        parsed.files.into_iter().map(kind).collect::<Result<_, _>>()?
    } else {
        vec![(Kind::Join, text.to_owned())]
    };
    for (kind, text) in &given {
        kind.understand(Path::new(kind.file()), text.as_bytes())?;
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JOIN: &str = "hub = \"https://hub:7443\"\nca_sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n";

    #[test]
    fn a_join_file_alone_is_enough() {
        assert_eq!(understand(JOIN), Ok(vec![(Kind::Join, JOIN.to_owned())]));
    }

    #[test]
    fn several_files_stand_in_a_table() {
        let text = format!(
            "[files]\n\"join.toml\" = '''\n{JOIN}'''\n\"worker.env\" = \"QUEUE_URL=redis://hub\"\nhostname = \"gpu-1\"\n"
        );
        let want = vec![
            (Kind::HostName, "gpu-1".to_owned()),
            (Kind::Join, JOIN.to_owned()),
            (Kind::WorkerEnv, "QUEUE_URL=redis://hub".to_owned()),
        ];
        assert_eq!(understand(&text), Ok(want));
    }

    #[test]
    fn what_is_neither_is_told() {
        let table = [
            ("#cloud-config\nusers: []\n", "it is a #cloud-config, which Reelmill does not read"),
            (
                "[files]\nmotd = \"hi\"\n",
                "`files` has a file that nobody reads; known are `authorized_keys`, `hostname`, `worker.env`, `join.toml`",
            ),
            ("[files]\nhostname = 7\n", "user-data:2:12: invalid type: integer `7`, expected a string"),
            (
                "[files]\nhostname = \"A B\"\n",
                "hostname: a machine's name is 1 to 63 lower-case letters, digits and hyphens, without a hyphen at its ends",
            ),
            ("#!/bin/sh\necho hunter2\n", "join.toml:2:6: "),
        ];
        for (text, want) in table {
            let told = understand(text).expect_err(text);
            assert!(told.starts_with(want) && !told.contains("hunter2"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_provider_says_is_read(text in "\\PC*(\n\\PC*){0,4}", more in "\\PC*") {
            let _ = understand(&text);
            let _ = understand(&format!("[files]\n{more}"));
        }
    }
}
