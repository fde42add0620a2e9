//! What can be set about changes of the system. All of it comes from the environment, so that what the helper starts by
//! systemd (a dead-man) can be given the same.

use std::{path::PathBuf, time::Duration};

use reelmill_daemon::{ConfigError, Env};

use crate::config::LoopbackUrl;

/// Where the helper's unit keeps what must outlast a boot.
const STATE_FOLDER: &str = "/var/lib/reelmill-exec";
/// Nix's profile of systems.
const PROFILE: &str = "/nix/var/nix/profiles/system";
/// Left free in the store beyond what a system takes: the node must still write its journal and its work.
const SPARE_MIB: u64 = 1024;
/// Room on the boot partition for one more kernel with its initial RAM disk; where boards have larger ones, set more.
const BOOT_SPARE_MIB: u64 = 64;
/// What `switch-to-configuration` may take: it restarts units, each with a time limit of its own.
const ACTIVATE_SECONDS: u64 = 300;
/// The shortest time after which an unconfirmed system is undone.
const DEAD_MAN_SECONDS: u64 = 900;
/// What a boot and the agent's own start may take beyond what the check of the new system may.
const GRACE_SECONDS: u64 = 300;
/// How long a system that somebody put into force by hand has to become well.
const GUARD_SECONDS: u64 = 300;
/// For how long it must stay well without a break.
const STEADY_SECONDS: u64 = 10;
/// Where the agent tells how the node is.
const AGENT_STATUS: &str = "http://127.0.0.1:9310/api/status";
/// Where root asks the agent about its line to the broker.
const AGENT_DOOR: &str = "/run/reelmill-agent/door";

/// The settings; plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the record of changes lies (`STATE_DIRECTORY`).
    pub state_folder: PathBuf,
    /// Nix's profile of systems (`SYSTEM_PROFILE`).
    pub profile: PathBuf,
    /// The caches that systems come from (`SUBSTITUTERS`, as in nix.conf); `None`: those of nix.conf.
    pub substituters: Option<String>,
    /// What stays free in the store beside the new system, MiB (`STORE_SPARE_MIB`).
    pub spare_mib: u64,
    /// What must be free on the boot partition, MiB (`BOOT_SPARE_MIB`).
    pub boot_spare_mib: u64,
    /// How long `switch-to-configuration` may take, seconds (`ACTIVATE_SECONDS`).
    pub activate_s: u64,
    /// The least time after which a system that nobody confirms is undone, seconds (`DEAD_MAN_SECONDS`).
    pub dead_man_s: u64,
    /// What is added to the time that a command allows for its check, seconds (`DEAD_MAN_GRACE_SECONDS`).
    pub grace_s: u64,
    /// Whether a system that was put into force by hand is guarded (`GUARD`).
    pub guard: bool,
    /// How long such a system has to become well, seconds (`GUARD_SECONDS`).
    pub guard_s: u64,
    /// For how long it must stay so, seconds (`GUARD_STEADY_SECONDS`).
    pub steady_s: u64,
    /// Where the agent tells how the node is (`AGENT_STATUS`).
    pub agent_status: LoopbackUrl,
    /// Where root asks the agent about its line to the broker (`AGENT_DOOR`).
    pub agent_door: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_folder: PathBuf::from(STATE_FOLDER),
            profile: PathBuf::from(PROFILE),
            substituters: None,
            spare_mib: SPARE_MIB,
            boot_spare_mib: BOOT_SPARE_MIB,
            activate_s: ACTIVATE_SECONDS,
            dead_man_s: DEAD_MAN_SECONDS,
            grace_s: GRACE_SECONDS,
            guard: true,
            guard_s: GUARD_SECONDS,
            steady_s: STEADY_SECONDS,
            agent_status: AGENT_STATUS.parse().expect("a loopback address"),
            agent_door: PathBuf::from(AGENT_DOOR),
        }
    }
}

impl Settings {
    /// The defaults under the environment's.
    ///
    /// # Errors
    /// All mistakes of the environment.
    pub fn load(mut env: Env) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        env.read("STATE_DIRECTORY", &mut settings.state_folder);
        env.read("SYSTEM_PROFILE", &mut settings.profile);
        env.read_some("SUBSTITUTERS", &mut settings.substituters);
        env.read("STORE_SPARE_MIB", &mut settings.spare_mib);
        env.read("BOOT_SPARE_MIB", &mut settings.boot_spare_mib);
        env.read("ACTIVATE_SECONDS", &mut settings.activate_s);
        env.read("DEAD_MAN_SECONDS", &mut settings.dead_man_s);
        env.read("DEAD_MAN_GRACE_SECONDS", &mut settings.grace_s);
        env.read("GUARD", &mut settings.guard);
        env.read("GUARD_SECONDS", &mut settings.guard_s);
        env.read("GUARD_STEADY_SECONDS", &mut settings.steady_s);
        env.read("AGENT_STATUS", &mut settings.agent_status);
        env.read("AGENT_DOOR", &mut settings.agent_door);
        env.finish()?;
        Ok(settings)
    }

    /// The variables that a dead-man needs, which systemd starts with none: where its record lies, and how long things take.
    pub fn for_dead_man(&self) -> Vec<String> {
        vec![
            format!("STATE_DIRECTORY={}", self.state_folder.display()),
            format!("SYSTEM_PROFILE={}", self.profile.display()),
            format!("ACTIVATE_SECONDS={}", self.activate_s),
        ]
    }

    /// When a system is undone that nobody confirms, where its check may take so long. Activation comes before the check, and a
    /// boot may.
    pub fn deadline(&self, check_s: u64) -> Duration {
        Duration::from_secs(self.dead_man_s.max(self.activate_s + check_s + self.grace_s))
    }

    /// How long `switch-to-configuration` may take.
    pub fn activate_within(&self) -> Duration {
        Duration::from_secs(self.activate_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_man_is_given_makes_the_same_settings() {
        let env =
            Env::from_pairs([("STATE_DIRECTORY", "/srv/exec"), ("SYSTEM_PROFILE", "/p"), ("ACTIVATE_SECONDS", "7")]);
        let settings = Settings::load(env).expect("good settings");
        let told = settings.for_dead_man();
        let again = Settings::load(Env::from_pairs(told.iter().filter_map(|pair| pair.split_once('='))));
        assert_eq!(again.expect("good settings"), settings);
    }

    #[test]
    fn a_dead_man_waits_longer_than_activation_and_check_together() {
        let settings = Settings::default();
        assert_eq!(settings.deadline(600), Duration::from_secs(1200));
        assert_eq!(settings.deadline(60), Duration::from_secs(900), "never less than a quarter of an hour");
        assert!(settings.deadline(0) > settings.activate_within() + Duration::from_secs(settings.guard_s));
    }
}
