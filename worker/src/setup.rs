//! From a configuration to parts that are proven to work.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use reelmill_api::{Failure, Location, S3Location, preset::Presets};
use reelmill_daemon::{ConfigError, Hinted, StoreSection, config::toml_files};
use reelmill_gst::graph::Family;
use reelmill_queue::{QueueError, SharedQueue};
use reelmill_storage::{FileRoots, S3Config, Storage};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Node,
    attempt::Workshop,
    config::{AdmissionSection, Config, Confinement, Elements, HwAccel, MediaSection, PresetChoice},
    engine::{
        self, EngineKind, Programs,
        capability::Hardware,
        child::Limits,
        confine::{self, Enforcement},
        jetson::Jetson,
        prove::Prover,
        sessions::Sessions,
    },
    gateway::Gateway,
    lanes::Lanes,
    spool::Spool,
};

/// Sockets and libraries of one media process; a ladder holds a connection a rendition.
const MEDIA_FILES: u64 = 512;
/// Seconds for which nothing may move in an attempt: twice as long as a store may take to join an upload, which is the
/// longest that a step is silent.
const STANDSTILL: u64 = 600;
/// This program, whatever has become of its file since it was started.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// A failure with its hint as an error for the terminal.
pub fn error(failure: Failure) -> anyhow::Error {
    match failure.hint {
        Some(hint) => Hinted::new(failure.message, hint).into(),
        None => anyhow::anyhow!(failure.message),
    }
}

/// Known presets: the built-in ones and those in the configured folder.
///
/// # Errors
/// If the folder cannot be read, or a preset in it is wrong (with file, line and column).
pub fn presets(config: &Config) -> anyhow::Result<Presets> {
    let mut presets = Presets::built_in();
    let Some(folder) = &config.preset_folder else { return Ok(presets) };
    presets.add_files(&toml_files(folder)?).map_err(|e| anyhow::anyhow!(e))?;
    Ok(presets)
}

/// The lanes of the presets chosen.
///
/// # Errors
/// If a chosen preset is not known.
pub fn lanes(config: &Config, presets: &Presets) -> anyhow::Result<Lanes> {
    let lanes = Lanes::new(config.queue.name.clone(), &config.presets, presets, &config.tags).map_err(|name| {
        let known: Vec<_> = presets.names().into_iter().map(ToString::to_string).collect();
        Hinted::new(format!("PRESET: there is no preset `{name}`"), format!("known presets: {}", known.join(", ")))
    })?;
    for (preset, tag) in lanes.untagged() {
        let tag = tag.as_str();
        let named = config.presets.iter().any(|choice| matches!(choice, PresetChoice::One(name) if name == preset));
        let level = if named { log::Level::Warn } else { log::Level::Info };
        log::log!(
            level,
            "preset {preset} is not served: it requires the tag {tag}; set TAGS={tag} if this node has it"
        );
    }
    Ok(lanes)
}

/// The stores that the configuration allows.
///
/// # Errors
/// If a key cannot be resolved or a setting cannot be used.
pub fn storage(config: &Config) -> anyhow::Result<Storage> {
    let mut roots = FileRoots::none();
    for folder in &config.files.read {
        roots = roots.reading(folder);
    }
    for folder in &config.files.write {
        roots = roots.writing(folder);
    }
    Storage::new(s3(&config.store)?, roots).map_err(|e| error(e.into()))
}

fn s3(store: &StoreSection) -> anyhow::Result<Option<S3Config>> {
    let Some(keys) = store.keys()? else { return Ok(None) };
    let endpoint = store.endpoint.as_ref().map(|endpoint| endpoint.url().clone());
    let mut s3 = S3Config::new(endpoint, &store.region, keys.access.expose(), keys.secret.expose());
    s3.session_token = keys.session_token.map(|token| token.expose().to_owned());
    s3.ca_file.clone_from(&store.ca_file);
    s3.path_style = store.path_style.unwrap_or(s3.path_style);
    if let Some(seconds) = store.stall_seconds {
        s3.patience.stall = Duration::from_secs(seconds.get().into());
    }
    Ok(Some(s3))
}

/// The queue.
///
/// # Errors
/// If none is configured, or its address cannot be used.
pub async fn queue(config: &Config) -> anyhow::Result<SharedQueue> {
    let url = config.queue.url.as_ref().ok_or_else(|| {
        Hinted::new(
            "no queue is configured",
            "set QUEUE_URL, e.g. redis://hub:6379 or sqlite:///var/lib/reelmill/queue.sqlite",
        )
    })?;
    let url = keyed(url.resolve()?.expose(), &config.store)?;
    reelmill_queue::connect(&url, &config.queue.name).await.map_err(queue_error)
}

/// The queue's address, with the store's keys where it is one of SQS and has none of its own.
fn keyed(url: &str, store: &StoreSection) -> anyhow::Result<String> {
    let Some(keys) = store.keys()? else { return Ok(url.to_owned()) };
    let token = keys.session_token.as_ref().map(|token| token.expose());
    Ok(reelmill_queue::with_keys(url, keys.access.expose(), keys.secret.expose(), token))
}

/// What may run at once on this node.
///
/// # Errors
/// If it cannot be counted where the configuration says.
pub fn node(config: &Config) -> anyhow::Result<Node> {
    let AdmissionSection { node_concurrency, pixel_budget, .. } = config.admission;
    let (sessions, pixels) = (node_concurrency.map(NonZeroU32::get), pixel_budget.map(NonZeroU64::get));
    Node::new(config.admission.folder(), sessions, pixels).map_err(error)
}

/// How long nothing may move in an attempt.
///
/// # Errors
/// If that is no longer than a media process may stand still, whose end would then never be told as what it is.
pub fn standstill(config: &Config) -> anyhow::Result<Duration> {
    let stall = u64::from(config.media.stall_seconds.get());
    let stuck = config.queue.stuck_seconds.map_or_else(|| STANDSTILL.max(2 * stall), |stuck| stuck.get().into());
    if stuck > stall {
        return Ok(Duration::from_secs(stuck));
    }
    let message =
        format!("[queue] stuck_seconds (STUCK_SECONDS) is {stuck}, and stall_seconds under [media] is {stall}");
    Err(Hinted::new(message, "give an attempt more time than a media process, or leave it out").into())
}

/// A queue's error with its hint, for the terminal.
pub fn queue_error(error: QueueError) -> anyhow::Error {
    match error.hint().map(str::to_owned) {
        Some(hint) => Hinted::new(error, hint).into(),
        None => error.into(),
    }
}

/// A configuration's error, for the terminal; one with a place in the file says there what is expected.
pub fn config_error(error: ConfigError) -> anyhow::Error {
    match error {
        ConfigError::Read { .. } => {
            Hinted::new(error, "check the path after --config, and that this user may read the file").into()
        }
        _ => error.into(),
    }
}

/// Media programs by their full paths.
///
/// # Errors
/// If one is not there.
pub fn programs(media: &MediaSection) -> anyhow::Result<Programs> {
    Ok(Programs {
        launcher: PathBuf::from(THIS_PROGRAM),
        ffmpeg: find(&media.ffmpeg)?,
        ffprobe: find(&media.ffprobe)?,
        readable: media.readable.iter().map(|folder| readable(folder)).collect::<Result<_, _>>()?,
        writable: None,
        jetson: None,
        reach: None,
        gpu: media.gpu.clone(),
        limits: Limits {
            memory_bytes: u64::from(media.memory_mib.get()) << 20,
            cpu: Duration::from_secs(u64::from(media.cpu_hours.get()) * 3600),
            files: MEDIA_FILES,
        },
        stall: Duration::from_secs(media.stall_seconds.get().into()),
    })
}

/// A folder without links in its path, so that Landlock's rule and the programs' paths speak of the same one.
fn readable(folder: &Path) -> anyhow::Result<PathBuf> {
    let found = std::fs::canonicalize(folder).ok().filter(|found| folder.is_absolute() && found.is_dir());
    found.ok_or_else(|| {
        Hinted::new(
            format!("[media] readable: {} is no folder", folder.display()),
            "give the full path of a folder that is there",
        )
        .into()
    })
}

/// Where single files are made.
///
/// # Errors
/// If it is no full path.
pub fn spool(media: &MediaSection) -> anyhow::Result<Spool> {
    let spool = media.spool();
    if spool.is_absolute() {
        return Ok(Spool::new(spool.to_owned(), u64::from(media.spool_gib.get()) << 30));
    }
    let message = format!("[media] spool (SPOOL_FOLDER): {} is no full path", spool.display());
    Err(Hinted::new(message, "give the full path of a folder, e.g. /var/spool/reelmill").into())
}

/// A program by its path, or by its name on `PATH`.
fn find(program: &Path) -> anyhow::Result<PathBuf> {
    let found = if program.components().count() > 1 {
        std::fs::canonicalize(program).ok()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
    };
    found.ok_or_else(|| {
        Hinted::new(
            format!("cannot find the program {}", program.display()),
            "install ffmpeg, or set its path under [media]",
        )
        .into()
    })
}

/// GStreamer's side of the jetson engine.
///
/// # Errors
/// If its program or the folder of its plug-ins is not there.
fn jetson(config: &Config) -> anyhow::Result<Jetson> {
    let media = &config.media;
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(&media.gst)));
    let program = beside.filter(|path| path.is_file()).map_or_else(|| find(&media.gst), Ok)?;
    let given = media.gst_plugins.iter().map(|folder| readable(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    let plugin_folders = if given.is_empty() { system_plugins() } else { given };
    if plugin_folders.is_empty() {
        let message = "no folder of GStreamer plug-ins is where distributions put it";
        anyhow::bail!(Hinted::new(message, "install GStreamer's plug-ins, or set gst_plugins under [media]"));
    }
    let family = match media.gst_elements {
        Elements::L4t => Family::L4t,
        Elements::Software => Family::Software,
    };
    Ok(Jetson { program, plugin_folders, family, preset: config.nvenc_preset.number() })
}

fn system_plugins() -> Vec<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0", std::env::consts::ARCH);
    let usual = [multiarch.as_str(), "/usr/lib64/gstreamer-1.0", "/usr/lib/gstreamer-1.0"];
    usual.map(PathBuf::from).into_iter().filter(|folder| folder.is_dir()).collect()
}

/// GStreamer's side, where the hardware wants it. A Jetson without it encodes in software, unless it was asked not to.
///
/// # Errors
/// If it was asked not to.
pub(crate) fn jetson_of(config: &Config, hardware: Hardware) -> anyhow::Result<Option<Jetson>> {
    if hardware != Hardware::Present(EngineKind::Jetson) {
        return Ok(None);
    }
    match (jetson(config), config.hwaccel) {
        (Err(e), HwAccel::Auto) => {
            log::warn!("this Jetson's encoders are not used: {e}");
            Ok(None)
        }
        (found, _) => found.map(Some),
    }
}

/// What hardware `HWACCEL` means on this machine.
///
/// # Errors
/// If a forced value contradicts the machine.
pub fn hardware(config: &Config) -> anyhow::Result<Hardware> {
    let has_elements = is_jetson() || config.media.gst_elements == Elements::Software;
    engine::select(config.hwaccel, has_elements, has_nvidia()).map_err(error)
}

/// What finds out what this node can encode.
///
/// # Errors
/// If ffmpeg does not start.
pub async fn prover(config: &Config, programs: &Programs, hardware: Hardware) -> anyhow::Result<Prover> {
    let folder = config.cache_folder.clone();
    Prover::new(programs.clone(), hardware, config.nvenc_preset, config.media.nvenc_sessions, folder)
        .await
        .map_err(error)
}

/// Everything that an attempt works with.
///
/// # Errors
/// If ffmpeg does not work here, or the kernel confines less than the configuration requires.
pub async fn workshop(config: &Config, presets: Presets, stop: CancellationToken) -> anyhow::Result<Workshop> {
    let mut programs = programs(&config.media)?;
    check_confinement(config.media.confinement)?;
    let hardware = hardware(config)?;
    programs.jetson = jetson_of(config, hardware)?;
    let prover = prover(config, &programs, hardware).await?;
    let spool = spool(&config.media)?;
    spool.sweep();
    let default_output =
        config.store.output_bucket.as_ref().map(|bucket| S3Location::new(bucket, "").map(Location::S3)).transpose()?;
    Ok(Workshop {
        node: config.node.clone(),
        prover,
        nvenc_preset: config.nvenc_preset,
        sessions: Sessions::new(config.media.nvenc_sessions),
        presets,
        default_output,
        storage: storage(config)?,
        gateway: Gateway::start(stop).await.context("cannot start the loopback gateway")?,
        programs,
        spool,
        counters: Arc::default(),
    })
}

fn check_confinement(wanted: Confinement) -> anyhow::Result<()> {
    match (confine::probe_kernel(), wanted) {
        (Enforcement::Full, _) => Ok(()),
        (found, Confinement::Require) => Err(Hinted::new(
            format!("this kernel confines media processes only {}", found.in_words()),
            "run a kernel with Landlock (6.12 or later for all of it), or set confinement = \"best-effort\"",
        )
        .into()),
        (found, Confinement::BestEffort) => {
            log::warn!(
                "this kernel confines media processes only {}; set confinement = \"require\" to refuse that",
                found.in_words()
            );
            Ok(())
        }
    }
}

/// Tegra's own device tree says so.
fn is_jetson() -> bool {
    std::fs::read("/proc/device-tree/compatible")
        .is_ok_and(|text| String::from_utf8_lossy(&text).contains("nvidia,tegra"))
}

fn has_nvidia() -> bool {
    Path::new("/dev/nvidiactl").exists()
}
