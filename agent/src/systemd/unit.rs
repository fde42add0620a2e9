//! Units: which names may be spoken of at all, and how a unit is.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// Every unit that the agent speaks of begins with this.
const OURS: &str = "reelmill-";
/// The kinds of units that Reelmill installs or makes.
const KINDS: &[&str] = &["service", "timer", "socket", "path", "target"];
/// As long as systemd takes.
const LONGEST: usize = 255;
/// As long as a ULID, with room for a word before it.
const LONGEST_BATCH: usize = 64;

/// The name of a unit of Reelmill. No other unit can be spoken of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnitName(String);

/// A name of a unit that the agent does not touch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unit of Reelmill: a name such as reelmill-worker.service is wanted")]
pub struct NotOurs(String);

impl UnitName {
    /// The node's worker.
    pub fn worker() -> Self {
        Self(format!("{OURS}worker.service"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitName {
    type Err = NotOurs;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_@".contains(c);
        let named = s.strip_prefix(OURS).and_then(|rest| rest.rsplit_once('.'));
        match named {
            Some((name, kind))
                if !name.is_empty()
                    && name.chars().all(plain)
                    && name.matches('@').count() <= 1
                    && !name.ends_with('@')
                    && !name.starts_with('@')
                    && KINDS.contains(&kind)
                    && s.len() <= LONGEST =>
            {
                Ok(Self(s.to_owned()))
            }
            // What others wrote is shown, but not at length.
            _ => Err(NotOurs(s.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a batch or a transient unit is called by: the id of the command that wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchId(String);

/// Text that is no such id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} can not name a batch: 1 to {LONGEST_BATCH} letters and digits are wanted")]
pub struct BadBatchId(String);

impl BatchId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit of an examination of this id.
    pub fn examination(&self) -> UnitName {
        UnitName(format!("{OURS}examine@{}.service", self.0))
    }

    /// The unit of this batch.
    pub fn unit(&self) -> UnitName {
        UnitName(format!("{OURS}batch@{}.service", self.0))
    }

    /// The unit of that kind which a deed of this id has: `reelmill-WHAT-ID.KIND`.
    pub(crate) fn transient(&self, what: &str, kind: &str) -> UnitName {
        UnitName(format!("{OURS}{what}-{}.{kind}", self.0))
    }
}

impl FromStr for BatchId {
    type Err = BadBatchId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let good = (1..=LONGEST_BATCH).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric());
        if good { Ok(Self(s.to_owned())) } else { Err(BadBatchId(s.chars().take(80).collect())) }
    }
}

/// How a unit is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitState {
    /// Which one.
    pub unit: String,
    /// Whether it is installed.
    pub installed: bool,
    /// What it does.
    pub activity: Activity,
    /// systemd's own word for it, such as `running` or `auto-restart`.
    pub sub_state: String,
    /// The process id of its main process, if it has one.
    pub main_pid: Option<u32>,
    /// How its last run ended, in systemd's words: `success`, `exit-code`, `watchdog`, `oom-kill` ... Only of a service.
    pub result: Option<String>,
    /// How often systemd has started it again since it was started by somebody. Only of a service.
    pub restarts: Option<u32>,
    /// The memory of its processes. Only of a service, and where systemd counts it.
    pub memory_bytes: Option<u64>,
    /// Since when its activity is what it is, microseconds since 1970; absent where it never did anything.
    pub since_unix_micros: Option<u64>,
}

/// What a unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It runs.
    Active,
    /// It does not run, and nothing is wrong.
    Inactive,
    /// It ended badly.
    Failed,
    /// It starts, or waits to be started again.
    Activating,
    /// It stops.
    Deactivating,
    /// Something that only this version of systemd knows.
    Other,
}

impl Activity {
    /// From systemd's word for it.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "active" | "reloading" | "refreshing" => Self::Active,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Other,
        }
    }

    /// systemd's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Other => "other",
        }
    }

    /// Whether it has no process and gets none by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn speaks_of_no_unit_but_ours() {
        for good in [
            "reelmill-worker.service",
            "reelmill-agent.service",
            "reelmill-batch@01J8Z3.service",
            "reelmill-dead-man-01J8Z3.timer",
            "reelmill-exec.socket",
        ] {
            assert_eq!(good.parse::<UnitName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "ssh.service",
            "reelmill",
            "reelmill-",
            "reelmill-.service",
            "reelmill-@.service",
            "reelmill-batch@.service",
            "reelmill-a@b@c.service",
            "reelmill-worker",
            "reelmill-worker.mount",
            "reelmill-worker.service ssh.service",
            "reelmill-*.service",
            "reelmill-a/../ssh.service",
            "reelmill-a\\x2d.service",
            "Reelmill-worker.service",
            " reelmill-worker.service",
        ] {
            let refusal = format!("{bad:?} is no unit of Reelmill: a name such as reelmill-worker.service is wanted");
            assert_eq!(bad.parse::<UnitName>().map_err(|e| e.to_string()), Err(refusal));
        }
        assert!(format!("reelmill-{}.service", "a".repeat(300)).parse::<UnitName>().is_err(), "too long");
    }

    #[test]
    fn an_id_names_a_batch_and_nothing_else() {
        let id: BatchId = "01J8Z3".parse().expect("a good id");
        assert_eq!(id.unit().as_str(), "reelmill-batch@01J8Z3.service");
        assert_eq!(id.transient("dead-man", "timer").as_str(), "reelmill-dead-man-01J8Z3.timer");
        for bad in ["", "a b", "../a", "a@b", "a.service", &"a".repeat(65)] {
            assert!(bad.parse::<BatchId>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_makes_a_name_of_ours(id in "[A-Za-z0-9]{1,64}") {
            let id: BatchId = id.parse().expect("letters and digits");
            for unit in [id.unit(), id.transient("dead-man", "service")] {
                prop_assert_eq!(unit.as_str().parse::<UnitName>(), Ok(unit));
            }
        }

        #[test]
        fn a_name_of_ours_is_one_word_that_begins_so(text in "(reelmill-)?.{0,40}(\\.service)?") {
            if let Ok(name) = text.parse::<UnitName>() {
                prop_assert!(name.as_str().starts_with("reelmill-") && !name.as_str().contains([' ', '/', '*']));
            }
        }
    }
}
