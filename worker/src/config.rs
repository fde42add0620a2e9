//! The worker's configuration: a TOML file, over which the environment wins. Plain values only.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
};

use reelmill_api::{PresetName, QueueName, preset::Tag};
use reelmill_daemon::{ConfigError, Env, SecretRef, StoreSection, load_toml};
use serde::Deserialize;

/// Where single files are made by a worker that no unit of systemd gives a folder.
const SPOOL: &str = "/tmp/transcode";
/// Where workers of a node keep count that no unit of systemd gives a folder.
const COUNTS: &str = "/tmp/reelmill-node";

/// Everything that can be set. Unknown keys are refused with file, line and column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node's name in events and reports. Default: the host's name.
    pub node: String,
    /// Presets to serve (`PRESET`). Default: `all`.
    pub presets: Vec<PresetChoice>,
    /// What the owner says of this node (`TAGS`), e.g. `lan`; presets that require a tag are served only where it is.
    pub tags: Vec<Tag>,
    /// A folder with presets of your own, each `NAME.toml`; they override built-in ones.
    pub preset_folder: Option<PathBuf>,
    /// Encoder sessions at once (`CONCURRENCY`), one for each rendition with pictures; a task that needs more runs alone.
    /// Default: 1.
    pub concurrency: NonZeroUsize,
    /// What encodes (`HWACCEL`). Default: `auto`.
    pub hwaccel: HwAccel,
    /// The effort of a hardware encoder (`NVENC_PRESET`), p1 (fastest) to p7 (best). Default: p4.
    pub nvenc_preset: NvencPreset,
    /// A folder where what was proven of this node is kept for the next start (`REELMILL_CACHE_FOLDER`). Default: the one
    /// that systemd's `CacheDirectory=` makes; without either, all is proven at each start.
    pub cache_folder: Option<PathBuf>,
    /// Where tasks come from.
    pub queue: QueueSection,
    /// Where media lies: AWS, where keys and no address are given.
    pub store: StoreSection,
    /// Which folders `file://` may name.
    pub files: FilesSection,
    /// Media processes.
    pub media: MediaSection,
    /// What may run at once on the node, over all its workers.
    pub admission: AdmissionSection,
    /// The end of the worker.
    pub drain: DrainSection,
    /// The loopback status.
    pub status: StatusSection,
}

/// `[queue]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// The queue's address (`QUEUE_URL`), e.g. `redis://hub:6379` or `sqlite:///var/lib/reelmill/queue.sqlite`; a secret,
    /// because it may hold a password.
    pub url: Option<SecretRef>,
    /// The queue's name (`QUEUE_NAME`). Default: `reelmill`.
    pub name: QueueName,
    /// Seconds that a lease holds without being extended. Default: 30.
    pub lease_seconds: NonZeroU32,
    /// An attempt in which nothing has moved for so many seconds, not a byte and not a step, is called off and tried again
    /// (`STUCK_SECONDS`); longer than `stall_seconds` under `[media]`. Default: 600, or twice that where it is longer.
    pub stuck_seconds: Option<NonZeroU32>,
}

/// `[files]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSection {
    /// Folders that sources may be read from (`REELMILL_FILE_ROOTS`, separated by colons).
    pub read: Vec<PathBuf>,
    /// Folders that output may be written to (`REELMILL_OUTPUT_ROOTS`, separated by colons).
    pub write: Vec<PathBuf>,
}

/// `[media]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSection {
    /// The ffmpeg program. Default: from `PATH`.
    pub ffmpeg: PathBuf,
    /// The ffprobe program. Default: from `PATH`.
    pub ffprobe: PathBuf,
    /// The program `reelmill-gst` (`REELMILL_GST`), for the jetson engine. Default: beside this one, else from `PATH`.
    pub gst: PathBuf,
    /// Folders in which GStreamer's plug-ins lie (`REELMILL_GST_PLUGINS`, separated by colons). Default: the system's.
    pub gst_plugins: Vec<PathBuf>,
    /// Whose elements the jetson engine uses: `l4t` (default), or `software`, which needs no Jetson.
    pub gst_elements: Elements,
    /// More folders that media programs and their libraries may be read from, e.g. `["/opt/ffmpeg"]`. Those of the system
    /// (`/usr`, `/lib`, `/nix/store` ...) always may. A hostile source can read them too, so they should hold nothing
    /// else; where the worker runs as root, they must be open to all users, since media programs run as nobody.
    pub readable: Vec<PathBuf>,
    /// Memory that one media process may own, MiB (`MEDIA_MEMORY_MIB`). Default: 8192.
    pub memory_mib: NonZeroU32,
    /// Processor time that one media process may use, all threads together, hours. Default: 96.
    pub cpu_hours: NonZeroU32,
    /// A media process without progress for so many seconds is killed (`STALL_SECONDS`). Default: 120.
    pub stall_seconds: NonZeroU32,
    /// Where single files are made (`SPOOL_FOLDER`), for a stream cannot go back to write an index; ladders need no disk.
    /// Default: `spool` in the folder that systemd's `CacheDirectory=` makes; without one, `/tmp/transcode`.
    pub spool: Option<PathBuf>,
    /// The largest file that may be made there, GiB. Default: 2048.
    pub spool_gib: NonZeroU32,
    /// The NVIDIA GPU that media programs see (`GPU`), by its number in the order of the bus, as `nvidia-smi` counts, or by
    /// its UUID. Default: all, of which CUDA takes the first.
    pub gpu: Option<Gpu>,
    /// Encoder sessions that the GPU's driver allows at once, one for each rendition (`NVENC_SESSIONS`): 8 on consumer cards
    /// since 2024. Default: as many as it gives.
    pub nvenc_sessions: Option<NonZeroU32>,
    /// Whether media processes may run on a kernel that cannot confine them fully. Default: `best-effort`.
    pub confinement: Confinement,
}

/// `[admission]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionSection {
    /// Encoder sessions at once on this node, all workers together (`NODE_CONCURRENCY`). Default: what each may do.
    pub node_concurrency: Option<NonZeroU32>,
    /// Pixels per second that the node encodes at once, all renditions of all tasks of all workers together
    /// (`PIXEL_BUDGET`): 1920x1080 at 30 frames per second are 62208000. A task that is heavier runs alone. Default: no bound.
    pub pixel_budget: Option<NonZeroU64>,
    /// Where the workers of the node keep count (`NODE_FOLDER`), a folder that they alone may write to. Default: the one that
    /// systemd's `RuntimeDirectory=` makes; without one, `/tmp/reelmill-node`.
    pub folder: Option<PathBuf>,
}

/// `[drain]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainSection {
    /// After SIGTERM, tasks in work may take so many seconds before they are handed back (`DRAIN_DEADLINE_SECONDS`).
    /// Default: 60, below systemd's 90.
    pub deadline_seconds: u32,
}

/// `[status]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusSection {
    /// Where status JSON and metrics are served (`STATUS_LISTEN`); loopback only. Default: `127.0.0.1:9320`; port 0 takes
    /// a free one.
    pub listen: SocketAddr,
}

/// A preset's name, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PresetChoice {
    /// Every preset that is known.
    All,
    /// This one.
    One(PresetName),
}

/// What encodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HwAccel {
    /// The node chooses.
    #[default]
    Auto,
    /// NVIDIA hardware: NVENC, or on a Jetson its own engine.
    Cuda,
    /// The Jetson's engine.
    Jetson,
    /// Software.
    None,
}

/// GStreamer elements of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Elements {
    /// NVIDIA's, on a Jetson.
    #[default]
    L4t,
    /// Those of any machine: slower than the software engine, and the same graph.
    Software,
}

/// The effort of a hardware encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NvencPreset(u8);

/// Whether media processes may run less than fully confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// As far as the kernel can; what is missing is said at start.
    #[default]
    BestEffort,
    /// All of it, or no work is taken.
    Require,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: host_name(),
            presets: vec![PresetChoice::All],
            tags: Vec::new(),
            preset_folder: None,
            concurrency: NonZeroUsize::MIN,
            hwaccel: HwAccel::default(),
            nvenc_preset: NvencPreset::default(),
            cache_folder: None,
            queue: QueueSection::default(),
            store: StoreSection::default(),
            files: FilesSection::default(),
            media: MediaSection::default(),
            admission: AdmissionSection::default(),
            drain: DrainSection { deadline_seconds: 60 },
            status: StatusSection { listen: SocketAddr::from(([127, 0, 0, 1], 9320)) },
        }
    }
}

impl Default for QueueSection {
    fn default() -> Self {
        let lease_seconds = NonZeroU32::new(30).expect("not zero");
        Self { url: None, name: QueueName::default(), lease_seconds, stuck_seconds: None }
    }
}

impl Default for MediaSection {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        Self {
            ffmpeg: PathBuf::from("ffmpeg"),
            ffprobe: PathBuf::from("ffprobe"),
            gst: PathBuf::from("reelmill-gst"),
            gst_plugins: Vec::new(),
            gst_elements: Elements::default(),
            readable: Vec::new(),
            memory_mib: number(8192),
            cpu_hours: number(96),
            stall_seconds: number(120),
            spool: None,
            spool_gib: number(2048),
            gpu: None,
            nvenc_sessions: None,
            confinement: Confinement::default(),
        }
    }
}

impl Default for DrainSection {
    fn default() -> Self {
        Config::default().drain
    }
}

impl Default for StatusSection {
    fn default() -> Self {
        Config::default().status
    }
}

impl Config {
    /// The file's settings, if there is one, under the environment's.
    ///
    /// # Errors
    /// The file's first mistake with its place, or all of the environment's.
    pub fn load(file: Option<&Path>, mut env: Env) -> Result<Self, ConfigError> {
        let mut config = file.map_or_else(|| Ok(Self::default()), load_toml)?;
        config.overlay(&mut env);
        env.finish()?;
        Ok(config)
    }

    fn overlay(&mut self, env: &mut Env) {
        env.read("REELMILL_NODE", &mut self.node);
        env.read_list("PRESET", &mut self.presets);
        env.read_list("TAGS", &mut self.tags);
        env.read_some("PRESET_FOLDER", &mut self.preset_folder);
        env.read("CONCURRENCY", &mut self.concurrency);
        env.read("HWACCEL", &mut self.hwaccel);
        env.read("NVENC_PRESET", &mut self.nvenc_preset);
        let mut of_unit = None;
        env.read_some::<PathBuf>("CACHE_DIRECTORY", &mut of_unit);
        self.media.spool = self.media.spool.take().or(of_unit.as_ref().map(|folder| folder.join("spool")));
        self.cache_folder = of_unit.or(self.cache_folder.take());
        env.read_some("REELMILL_CACHE_FOLDER", &mut self.cache_folder);
        env.secret("QUEUE_URL", &mut self.queue.url);
        env.read("QUEUE_NAME", &mut self.queue.name);
        env.read("LEASE_SECONDS", &mut self.queue.lease_seconds);
        env.read_some("STUCK_SECONDS", &mut self.queue.stuck_seconds);
        self.store.read_environment(env);
        env.read_paths("REELMILL_FILE_ROOTS", &mut self.files.read);
        env.read_paths("REELMILL_OUTPUT_ROOTS", &mut self.files.write);
        env.read("REELMILL_FFMPEG", &mut self.media.ffmpeg);
        env.read("REELMILL_FFPROBE", &mut self.media.ffprobe);
        env.read("REELMILL_GST", &mut self.media.gst);
        env.read_paths("REELMILL_GST_PLUGINS", &mut self.media.gst_plugins);
        env.read_some("GPU", &mut self.media.gpu);
        env.read_some("NVENC_SESSIONS", &mut self.media.nvenc_sessions);
        env.read("MEDIA_MEMORY_MIB", &mut self.media.memory_mib);
        env.read("STALL_SECONDS", &mut self.media.stall_seconds);
        env.read_some("SPOOL_FOLDER", &mut self.media.spool);
        env.read_some("NODE_CONCURRENCY", &mut self.admission.node_concurrency);
        env.read_some("PIXEL_BUDGET", &mut self.admission.pixel_budget);
        let mut of_unit = None;
        env.read_some::<PathBuf>("RUNTIME_DIRECTORY", &mut of_unit);
        self.admission.folder = self.admission.folder.take().or(of_unit);
        env.read_some("NODE_FOLDER", &mut self.admission.folder);
        env.read("DRAIN_DEADLINE_SECONDS", &mut self.drain.deadline_seconds);
        env.read("STATUS_LISTEN", &mut self.status.listen);
    }
}

impl AdmissionSection {
    /// Where the workers of the node keep count.
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new(COUNTS))
    }
}

impl MediaSection {
    /// Where single files are made.
    pub fn spool(&self) -> &Path {
        self.spool.as_deref().unwrap_or(Path::new(SPOOL))
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl FromStr for PresetChoice {
    type Err = reelmill_api::preset::BadPresetName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s == "all" { Ok(Self::All) } else { s.parse().map(Self::One) }
    }
}

impl TryFrom<String> for PresetChoice {
    type Error = reelmill_api::preset::BadPresetName;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

/// Text that is none of a setting's values.
#[derive(Debug, thiserror::Error)]
#[error("must be one of {0}")]
pub struct NotOneOf(&'static str);

impl FromStr for HwAccel {
    type Err = NotOneOf;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda),
            "jetson" => Ok(Self::Jetson),
            "none" => Ok(Self::None),
            _ => Err(NotOneOf("auto, cuda, jetson, none")),
        }
    }
}

/// An NVIDIA GPU, by its number or its UUID.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Gpu(String);

impl Gpu {
    /// As CUDA names it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Gpu {
    type Err = NotOneOf;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let number = !s.is_empty() && s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit());
        let uuid = s
            .strip_prefix("GPU-")
            .or(s.strip_prefix("MIG-"))
            .is_some_and(|id| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
        if number || uuid {
            Ok(Self(s.to_owned()))
        } else {
            Err(NotOneOf("a GPU's number, e.g. 0, and its UUID, e.g. GPU-1c2d3e4f"))
        }
    }
}

impl TryFrom<String> for Gpu {
    type Error = NotOneOf;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl NvencPreset {
    /// Its number, 1 to 7.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// NVENC's own default, in the middle.
impl Default for NvencPreset {
    fn default() -> Self {
        Self(4)
    }
}

impl std::fmt::Display for NvencPreset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl FromStr for NvencPreset {
    type Err = NotOneOf;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let number = s.strip_prefix('p').and_then(|n| n.parse().ok()).filter(|n| (1..=7).contains(n));
        number.map(Self).ok_or(NotOneOf("p1 to p7"))
    }
}

impl TryFrom<String> for NvencPreset {
    type Error = NotOneOf;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::load(None, Env::from_pairs(pairs.iter().copied())).map_err(|e| e.to_string())
    }

    #[test]
    fn the_seeds_variables_all_work() {
        let config = from_env(&[
            ("QUEUE_URL", "redis://:secret@hub:6379"),
            ("QUEUE_NAME", "films"),
            ("INPUT_BUCKET", "media-ingest"),
            ("OUTPUT_BUCKET", "media-output"),
            ("PRESET", "hls-ladder, proxy"),
            ("CONCURRENCY", "3"),
            ("HWACCEL", "cuda"),
            ("NVENC_PRESET", "p6"),
            ("S3_ENDPOINT_URL", "http://hub:9000"),
            ("AWS_ACCESS_KEY_ID", "file:/run/credentials/key"),
            ("AWS_SECRET_ACCESS_KEY", "topsecret"),
        ])
        .expect("a configuration");
        assert_eq!((config.presets.len(), config.concurrency.get(), config.hwaccel), (2, 3, HwAccel::Cuda));
        assert_eq!(config.nvenc_preset, NvencPreset(6));
        let shown = format!("{config:?}");
        assert!(!shown.contains("secret@") && !shown.contains("topsecret"), "{shown}");
    }

    #[test]
    fn a_unit_of_systemd_gives_the_folders_that_nobody_names() {
        let folders = |pairs: &[(&str, &str)]| {
            let config = from_env(pairs).expect("a configuration");
            (config.cache_folder.clone(), config.media.spool().to_owned())
        };
        let path = PathBuf::from;
        assert_eq!(folders(&[]), (None, path("/tmp/transcode")));
        let unit = ("CACHE_DIRECTORY", "/var/cache/worker");
        assert_eq!(folders(&[unit]), (Some(path("/var/cache/worker")), path("/var/cache/worker/spool")));
        let named = [unit, ("SPOOL_FOLDER", "/srv"), ("REELMILL_CACHE_FOLDER", "/c")];
        assert_eq!(folders(&named), (Some(path("/c")), path("/srv")));
    }

    #[test]
    fn a_gpu_is_a_number_or_a_uuid_and_nothing_that_could_be_more_arguments() {
        for good in ["0", "15", "GPU-1c2d3e4f-0000-0000-0000-000000000000", "MIG-1c2d3e4f"] {
            assert_eq!(good.parse::<Gpu>().map(|gpu| gpu.0).map_err(|e| e.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-1", "0,1", "GPU-", "GPU-x", "all", "0 LD_PRELOAD=x"] {
            assert!(bad.parse::<Gpu>().is_err(), "{bad}");
        }
    }

    #[test]
    fn all_mistakes_in_the_environment_are_told_at_once() {
        let error =
            from_env(&[("CONCURRENCY", "0"), ("HWACCEL", "gpu"), ("NVENC_PRESET", "p8"), ("QUEUE_NAME", "a b")])
                .expect_err("four mistakes");
        for part in ["CONCURRENCY", "auto, cuda, jetson, none", "p1 to p7", "QUEUE_NAME"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("worker.toml");
        std::fs::write(&file, "concurrency = 2\n[store]\nendpont = \"http://hub:9000\"\n").expect("written");
        let error = Config::load(Some(&file), Env::from_pairs([("X", "y")])).expect_err("a typo").to_string();
        assert!(error.contains("worker.toml:3:1: ") && error.contains("endpont"), "{error}");
    }
}
