//! What each operation is told, by the operation's name.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Bounded, CommandId, Envelope, NarHash, Seconds, StoreFile, StorePath, Text, topic::Document};
use crate::{NodeId, PresetName, QueueName, preset::Tag};

/// Are you there?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Text<64>>,
}

/// Report again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which documents; none means all.
    #[serde(default)]
    pub docs: Vec<Document>,
}

/// Collect what helps to find a fault, without secrets, and upload it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diag {
    /// From when on; absent: since the boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whose journal; none means all of Reelmill's.
    #[serde(default)]
    pub units: Vec<UnitName>,
    /// Where to put it: a presigned `https://` or `http://` address. It is as good as a secret.
    pub upload: Url,
}

/// The end of a unit's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsTail {
    /// The unit.
    pub unit: UnitName,
    /// How many lines.
    #[serde(default = "LogsTail::usual_lines")]
    pub lines: Bounded<1, 500>,
    /// For how long new lines follow; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<Seconds<300>>,
}

impl LogsTail {
    fn usual_lines() -> Bounded<1, 500> {
        Bounded::of(100)
    }
}

/// A short real encode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// By which recipe; absent: one of each engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetName>,
    /// How long it may take.
    #[serde(default = "SelfTest::usual_seconds")]
    pub seconds: Seconds<600>,
}

impl SelfTest {
    fn usual_seconds() -> Seconds<600> {
        Seconds::of(60)
    }
}

/// What the owner says of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// Tags to give.
    #[serde(default)]
    pub add: Vec<Tag>,
    /// Tags to take away.
    #[serde(default)]
    pub del: Vec<Tag>,
}

/// Take no more work, and finish what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// By when; absent: however long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<Seconds<86_400>>,
    /// What happens then.
    #[serde(default)]
    pub mode: AtDeadline,
}

/// What becomes of work that a deadline finds unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It goes back on its lane for another node.
    #[default]
    Requeue,
    /// It goes on; the drain has failed.
    Abort,
}

/// An operation that is told nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// Start the worker anew; refused while it works, unless forced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartWorker {
    /// Which of the node's workers, from 0; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
}

/// Run a worker of its own until its lanes are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// From which queue; absent: the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Which presets; none means those of the node.
    #[serde(default)]
    pub presets: Vec<PresetName>,
    /// How many encoder sessions at once; absent: as the node's worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// How long it may run; absent: as long as the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_s: Option<Seconds<86_400>>,
}

/// Change the worker's settings; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetConf {
    /// The settings' new version; it rises.
    pub ver: u64,
    /// Which presets are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Vec<PresetName>>,
    /// How many tasks run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Bounded<1, 64>>,
    /// Bounds of the media processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Bounds of the media processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory that one may own, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<Bounded<256, 1_048_576>>,
    /// Seconds without progress after which one is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_s: Option<Seconds<3_600>>,
}

/// Choose a power mode of the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerMode {
    /// By nvpmodel's number or name.
    pub mode: ModeName,
}

/// A power mode by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ModeName {
    /// nvpmodel's number.
    Id(u8),
    /// nvpmodel's name, e.g. `MAXN_SUPER`.
    Name(Text<32>),
}

/// Switch the machine off. It takes hands to switch it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poweroff {
    /// The node's name once more.
    pub confirm: NodeId,
}

/// Call off another command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Which.
    pub target: CommandId,
}

/// Replace a credential; the old one is kept until the new one has worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateCred {
    /// Which.
    pub which: Credential,
}

/// A node's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The key and certificate by which the broker knows the node.
    NodeCert,
}

/// Change to another system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The system, which a cache must have: nothing is built on a node.
    pub store_path: StorePath,
    /// The digest of its content.
    pub nar_hash: NarHash,
    /// The release's number; a lower one than the present needs a `rollback`.
    pub release_ctr: u64,
    /// Whether to boot it.
    #[serde(default)]
    pub mode: SwitchMode,
    /// What must be well before it stays.
    #[serde(default)]
    pub verify: Verify,
    /// What it was built from; for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// How a new system comes into force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchMode {
    /// By a boot where the kernel or its parameters differ, else at once.
    #[default]
    Auto,
    /// At once.
    Switch,
    /// By a boot.
    Boot,
}

/// What must be well before a new system stays. The agent, the broker and the worker always must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// How long that may take.
    #[serde(default = "Verify::usual_timeout")]
    pub timeout_s: Seconds<600>,
    /// Whether a test encode must pass.
    #[serde(default = "Verify::usual_encode")]
    pub encode: bool,
    /// Whether a GPU must be seen; absent: if one was seen before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<bool>,
}

impl Verify {
    fn usual_timeout() -> Seconds<600> {
        Seconds::of(600)
    }

    fn usual_encode() -> bool {
        true
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self { timeout_s: Self::usual_timeout(), encode: Self::usual_encode(), gpu: None }
    }
}

/// What a system was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The flake, e.g. `github:reelmill/reelmill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<Text<256>>,
    /// Its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<Text<64>>,
}

/// Back to an older system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Which.
    pub to: Generation,
}

/// A numbered system: `"previous"` or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Generation {
    /// The one before the present.
    Previous(Previous),
    /// By number.
    Number(u32),
}

/// The word `previous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Previous {
    /// The one before.
    #[serde(rename = "previous")]
    Previous,
}

/// New firmware for the board. There is no way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// The capsule, in the store, so that its path binds its content.
    pub capsule: StoreFile,
    /// The release of L4T that it belongs to, e.g. `36.4.3`.
    pub l4t: Text<32>,
}

/// Trust other keys from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTrust {
    /// The new trust document, signed by the keys that the old one requires.
    pub document: Envelope,
}

/// Forget everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactoryReset {
    /// Whether the node keeps its key and certificate.
    pub keep_identity: bool,
}

/// A systemd unit by its whole name, e.g. `reelmill-worker.service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

impl UnitName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        const KINDS: [&str; 8] = ["service", "socket", "timer", "target", "mount", "path", "slice", "scope"];
        let ok = s.len() <= 255
            && !s.starts_with(['-', '.'])
            && s.rsplit_once('.').is_some_and(|(name, kind)| !name.is_empty() && KINDS.contains(&kind))
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        if ok { Ok(Self(s)) } else { Err(format!("`{s}` is no unit such as reelmill-worker.service")) }
    }
}

impl From<UnitName> for String {
    fn from(u: UnitName) -> Self {
        u.0
    }
}
