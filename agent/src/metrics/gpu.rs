//! GPUs, under the names and labels of NVIDIA's DCGM exporter, so that its dashboards serve our nodes too; and what only a
//! Jetson has. One label differs: `modelName`, which promtool does not let pass, is `model_name`.

use reelmill_api::{
    metrics::{self as names, Metric},
    snapshot::{BoardFamily, Engine, Gpu, Rail, Snapshot, ThrottleReason},
};

use super::text::{Label, Text, count, flag, hertz, ratio, thousandths};

const BYTES_OF_MEBIBYTE: f64 = 1_048_576.0;

/// A GPU and the words for its labels.
struct Labelled<'a> {
    gpu: &'a Gpu,
    index: String,
    device: String,
    hostname: &'a str,
}

impl<'a> Labelled<'a> {
    fn new(gpu: &'a Gpu, snapshot: &'a Snapshot) -> Self {
        let index = gpu.index.to_string();
        Self { gpu, device: format!("nvidia{index}"), index, hostname: &snapshot.node.hostname }
    }

    fn labels(&self) -> [Label<'_>; 5] {
        [
            ("gpu", &self.index),
            ("UUID", self.gpu.uuid.as_deref().unwrap_or_default()),
            ("device", &self.device),
            ("model_name", &self.gpu.name),
            ("hostname", self.hostname),
        ]
    }
}

pub(super) fn gpus(text: &mut Text, snapshot: &Snapshot) {
    let all: Vec<Labelled<'_>> = snapshot.gpus.iter().map(|gpu| Labelled::new(gpu, snapshot)).collect();
    // A Jetson's GPU has no meter of its own.
    let board = (snapshot.node.board.family == BoardFamily::Jetson).then(|| snapshot.board_milliwatts()).flatten();
    let mebibytes = |bytes: u64| count(bytes) / BYTES_OF_MEBIBYTE;
    let mut each = |metric: Metric, value: &dyn Fn(&Gpu) -> Option<f64>| {
        text.family(metric, &all, |one| Some((value(one.gpu)?, one.labels())));
    };
    each(names::GPU_UTIL, &|gpu| gpu.utilisation_percent);
    each(names::GPU_MEM_COPY_UTIL, &|gpu| gpu.memory_utilisation_percent);
    each(names::GPU_ENC_UTIL, &|gpu| gpu.encoder_percent);
    each(names::GPU_DEC_UTIL, &|gpu| gpu.decoder_percent);
    each(names::GPU_TEMP, &|gpu| gpu.temperature_celsius);
    each(names::GPU_POWER, &|gpu| gpu.power_milliwatts.or(board).map(thousandths));
    each(names::GPU_POWER_LIMIT, &|gpu| gpu.power_limit_milliwatts.map(thousandths));
    each(names::GPU_ENERGY, &|gpu| gpu.energy_millijoules.map(count));
    each(names::GPU_SM_CLOCK, &|gpu| gpu.clock_mhz.map(f64::from));
    each(names::GPU_MEM_CLOCK, &|gpu| gpu.memory_clock_mhz.map(f64::from));
    each(names::GPU_VIDEO_CLOCK, &|gpu| gpu.video_clock_mhz.map(f64::from));
    each(names::GPU_FB_TOTAL, &|gpu| gpu.memory_total_bytes.map(mebibytes));
    each(names::GPU_FB_USED, &|gpu| gpu.memory_used_bytes.map(mebibytes));
    each(names::GPU_FB_FREE, &|gpu| gpu.memory_free_bytes.map(mebibytes));
    each(names::GPU_FAN, &|gpu| gpu.fan_percent);
    let encoding = |gpu: &Gpu| gpu.encoding.clone();
    each(names::GPU_SESSIONS, &|gpu| Some(f64::from(encoding(gpu)?.sessions)));
    each(names::GPU_SESSION_FPS, &|gpu| Some(f64::from(encoding(gpu)?.average_fps?)));
    each(names::GPU_SESSION_LATENCY, &|gpu| Some(f64::from(encoding(gpu)?.average_latency_microseconds?) / 1e6));
    let reasons = all.iter().flat_map(|one| ThrottleReason::ALL.map(|reason| (one, reason)));
    text.family(names::GPU_THROTTLED, reasons, |(one, reason)| {
        let holds = one.gpu.throttled.as_ref()?.contains(&reason);
        let [gpu, uuid, device, model, hostname] = one.labels();
        Some((flag(holds), [gpu, uuid, device, model, hostname, ("reason", reason.as_str())]))
    });
}

pub(super) fn tegra(text: &mut Text, snapshot: &Snapshot) {
    let mut engine = |metric: Metric, value: fn(&Engine) -> Option<f64>| {
        text.family(metric, &snapshot.engines, |engine| Some((value(engine)?, [("engine", engine.name.as_str())])));
    };
    engine(names::TEGRA_ENGINE_ON, |engine| Some(flag(engine.on)));
    // An engine without power does nothing, and that is a measurement.
    engine(names::TEGRA_ENGINE_USAGE, |engine| if engine.on { engine.percent.map(ratio) } else { Some(0.0) });
    engine(names::TEGRA_ENGINE_CLOCK, |engine| engine.mhz.map(hertz));
    let mut rail = |metric: Metric, value: fn(&Rail) -> Option<f64>| {
        text.family(metric, &snapshot.rails, |rail| Some((value(rail)?, [("rail", rail.name.as_str())])));
    };
    rail(names::TEGRA_RAIL_POWER, |rail| rail.milliwatts.map(thousandths));
    rail(names::TEGRA_RAIL_AVERAGE, |rail| rail.average_milliwatts.map(thousandths));
    rail(names::TEGRA_RAIL_VOLTAGE, |rail| rail.millivolts.map(thousandths));
    rail(names::TEGRA_RAIL_CURRENT, |rail| rail.milliamperes.map(thousandths));
    rail(names::TEGRA_RAIL_OVER_CURRENT, |rail| rail.over_current.map(flag));
    text.single(names::TEGRA_BOARD_POWER, snapshot.board_milliwatts().map(thousandths));
    let memory = snapshot.memory;
    text.single(names::TEGRA_MEMORY_FREE_BLOCKS, memory.and_then(|memory| memory.largest_free_blocks).map(f64::from));
    text.single(names::TEGRA_MEMORY_FREE_BLOCK, memory.and_then(|memory| memory.largest_free_block_bytes).map(count));
}
