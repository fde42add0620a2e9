//! The root helper's settings: a TOML file, over which the environment wins. Plain values only.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use reelmill_api::NodeId;
use reelmill_daemon::{ConfigError, Env, load_toml};
use serde::Deserialize;

/// Where the helper's unit keeps what must outlast a reboot.
const STATE_FOLDER: &str = "/var/lib/reelmill-exec";
/// Where the agent's unit keeps what it knows.
const AGENT_FOLDER: &str = "/var/lib/reelmill-agent";
/// Keys that an image or its owner brings.
const TRUST: &str = "/etc/reelmill/trust.json";
/// Longer than an agent waits between two parts of a short command.
const IDLE_SECONDS: NonZeroU32 = NonZeroU32::new(60).expect("it is not zero");

/// Everything that can be set. Unknown keys are refused with file, line and column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// This node's id where `trust` brings the keys (`REELMILL_NODE`); else it comes with them. Default: the host's name as
    /// far as it is one, as with the agent.
    pub node: NodeId,
    /// Whose commands this node obeys, where its image or owner says so (`TRUST`), as `reelmill keys trust` writes it; then
    /// the agent cannot bring any. Default: `/etc/reelmill/trust.json`.
    pub trust: PathBuf,
    /// Where the helper's ledger, its keys and the worker's changed settings lie. Default: the folder that systemd's
    /// `StateDirectory=` makes (`STATE_DIRECTORY`), else `/var/lib/reelmill-exec`.
    pub state_folder: PathBuf,
    /// The agent's state folder (`AGENT_FOLDER`), which a factory reset empties. Default: `/var/lib/reelmill-agent`.
    pub agent_folder: PathBuf,
    /// Whether the clock is right though no time service on this node says so (`CLOCK_IS_RIGHT`), as with the agent.
    /// Default: `false`.
    pub clock_is_right: bool,
    /// Seconds without a question after which the helper ends (`IDLE_SECONDS`); the next one starts it again. Default: 60.
    pub idle_seconds: NonZeroU32,
    /// NVIDIA's program that sets a Jetson's power mode (`NVPMODEL`). Default: from `PATH`.
    pub nvpmodel: PathBuf,
    /// Where the EFI system partition is mounted (`ESP`). Default: the first of `/boot`, `/efi` and `/boot/efi` that has a
    /// folder `EFI`.
    pub esp: Option<PathBuf>,
    /// The root of the file system; another one in tests only.
    #[serde(skip)]
    pub root: Root,
}

/// The root of the file system.
#[derive(Clone, Debug)]
pub struct Root(pub PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    /// A file below it, by its way from there.
    pub fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: crate::config::Config::default().node,
            trust: PathBuf::from(TRUST),
            state_folder: PathBuf::from(STATE_FOLDER),
            agent_folder: PathBuf::from(AGENT_FOLDER),
            clock_is_right: false,
            idle_seconds: IDLE_SECONDS,
            nvpmodel: PathBuf::from("nvpmodel"),
            esp: None,
            root: Root::default(),
        }
    }
}

impl Settings {
    /// The file's settings, if there is one, under the environment's.
    ///
    /// # Errors
    /// The file's first mistake with its place, or all of the environment's.
    pub fn load(file: Option<&Path>, mut env: Env) -> Result<Self, ConfigError> {
        let mut settings: Self = file.map_or_else(|| Ok(Self::default()), load_toml)?;
        env.read("REELMILL_NODE", &mut settings.node);
        env.read("TRUST", &mut settings.trust);
        env.read("STATE_DIRECTORY", &mut settings.state_folder);
        env.read("AGENT_FOLDER", &mut settings.agent_folder);
        env.read("CLOCK_IS_RIGHT", &mut settings.clock_is_right);
        env.read("IDLE_SECONDS", &mut settings.idle_seconds);
        env.read("NVPMODEL", &mut settings.nvpmodel);
        env.read_some("ESP", &mut settings.esp);
        env.finish()?;
        Ok(settings)
    }

    /// A file in the state folder.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state_folder.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_come_from_the_environment() {
        let settings = Settings::load(
            None,
            Env::from_pairs([
                ("REELMILL_NODE", "edge-1"),
                ("TRUST", "/t"),
                ("STATE_DIRECTORY", "/s"),
                ("AGENT_FOLDER", "/a"),
                ("CLOCK_IS_RIGHT", "true"),
                ("IDLE_SECONDS", "5"),
                ("NVPMODEL", "/n"),
                ("ESP", "/e"),
            ]),
        );
        assert_eq!(
            format!("{:?}", settings.expect("settings")),
            "Settings { node: NodeId(\"edge-1\"), trust: \"/t\", state_folder: \"/s\", agent_folder: \"/a\", \
             clock_is_right: true, idle_seconds: 5, nvpmodel: \"/n\", esp: Some(\"/e\"), root: Root(\"/\") }"
        );
        let wrong = Settings::load(None, Env::from_pairs([("IDLE_SECONDS", "0"), ("CLOCK_IS_RIGHT", "maybe")]));
        let told = wrong.expect_err("two mistakes").to_string();
        assert!(told.starts_with("2 mistakes in the environment:"), "{told}");
    }

    #[test]
    fn an_unknown_key_is_told_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("exec.toml");
        std::fs::write(&file, "clock_is_right = true\nroot = \"/mnt\"\n").expect("written");
        let told =
            Settings::load(Some(&file), Env::from_pairs([("X", "y")])).expect_err("root is for tests").to_string();
        assert!(told.contains("exec.toml:2:1: unknown key `root`; known are `node`, `trust`"), "{told}");
    }
}
