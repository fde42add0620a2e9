//! NVIDIA's management library: what it tells of a PC's GPUs, and of Thor's. Each value is asked for by itself and may be
//! missing by itself. Where the library is missing, that is said once and nothing is tried again and again.

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

use nvml_wrapper::{
    Device, Nvml as Library,
    bitmasks::device::ThrottleReasons,
    enum_wrappers::device::{Clock, EncoderType, TemperatureSensor},
    error::NvmlError,
    struct_wrappers::device::EncoderSessionInfo,
};
use reelmill_api::snapshot::{EncoderSession, Encoding, Gpu, ThrottleReason};

/// Where the library lies: on NixOS first, then wherever the linker finds it.
pub const LIBRARIES: &[&str] = &["/run/opengl-driver/lib/libnvidia-ml.so.1", "libnvidia-ml.so.1"];

/// The driver may be loaded late, or anew.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// The driver of Orin's GPU, whose answers are all "not supported".
const TELLS_NOTHING: &str = "nvgpu";

/// A reader of the library.
pub struct Nvml {
    libraries: &'static [&'static str],
    state: State,
}

enum State {
    Open { library: Box<Library>, driver: Option<String> },
    Absent { why: String, again: Option<Instant> },
}

/// What the library says.
pub type Told = Result<Vec<Gpu>, String>;

impl Nvml {
    /// A reader of the first of `libraries` that can be used.
    pub fn new(libraries: &'static [&'static str], now: Instant) -> Self {
        Self { libraries, state: open(libraries, now) }
    }

    /// Every GPU.
    ///
    /// # Errors
    /// Why there are none to tell of, for people.
    pub fn sample(&mut self, now: Instant) -> Told {
        if matches!(&self.state, State::Absent { again: Some(at), .. } if now >= *at) {
            self.state = open(self.libraries, now);
        }
        match &self.state {
            State::Absent { why, .. } => Err(why.clone()),
            State::Open { library, driver } => gpus(library, driver.as_ref()).map_err(|error| {
                let why = format!("the driver is gone: {error}");
                self.state = State::Absent { why: why.clone(), again: Some(now + TRY_AGAIN) };
                why
            }),
        }
    }
}

fn open(libraries: &[&str], now: Instant) -> State {
    for name in libraries {
        match Library::builder().lib_path(OsStr::new(name)).init() {
            Ok(library) if tells_nothing(&library) => {
                return State::Absent { why: "this GPU's driver (nvgpu) answers nothing".to_owned(), again: None };
            }
            Ok(library) => {
                let driver = library.sys_driver_version().ok();
                return State::Open { library: Box::new(library), driver };
            }
            // A library comes with a new system, and with it a new agent.
            Err(NvmlError::LibloadingError(_)) => {}
            Err(error) => {
                let why = format!("libnvidia-ml cannot be used: {error}");
                return State::Absent { why, again: Some(now + TRY_AGAIN) };
            }
        }
    }
    State::Absent { why: "there is no libnvidia-ml".to_owned(), again: None }
}

fn tells_nothing(library: &Library) -> bool {
    library.device_by_index(0).and_then(|device| device.name()).is_ok_and(|name| name.contains(TELLS_NOTHING))
}

fn gpus(library: &Library, driver: Option<&String>) -> Result<Vec<Gpu>, NvmlError> {
    let mut gpus = Vec::new();
    for index in 0..library.device_count()? {
        // One GPU may have fallen off the bus while the others work.
        match library.device_by_index(index) {
            Ok(device) => gpus.push(gpu(index, &device, driver)),
            Err(error @ (NvmlError::Uninitialized | NvmlError::DriverNotLoaded)) => return Err(error),
            Err(error) => log::debug!("GPU {index} tells nothing: {error}"),
        }
    }
    Ok(gpus)
}

fn gpu(index: u32, device: &Device<'_>, driver: Option<&String>) -> Gpu {
    let load = device.utilization_rates().ok();
    let memory = device.memory_info().ok();
    Gpu {
        index,
        name: device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned()),
        uuid: device.uuid().ok(),
        driver: driver.cloned(),
        utilisation_percent: load.as_ref().map(|load| f64::from(load.gpu)),
        memory_utilisation_percent: load.as_ref().map(|load| f64::from(load.memory)),
        encoder_percent: device.encoder_utilization().ok().map(|load| f64::from(load.utilization)),
        decoder_percent: device.decoder_utilization().ok().map(|load| f64::from(load.utilization)),
        encoding: encoding(device),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_free_bytes: memory.as_ref().map(|memory| memory.free),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        power_milliwatts: device.power_usage().ok().map(u64::from),
        power_limit_milliwatts: device.enforced_power_limit().ok().map(u64::from),
        energy_millijoules: device.total_energy_consumption().ok(),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        clock_mhz: device.clock_info(Clock::SM).ok(),
        memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
        video_clock_mhz: device.clock_info(Clock::Video).ok(),
        fan_percent: device.fan_speed(0).ok().map(f64::from),
        throttled: device.current_throttle_reasons().ok().map(reasons),
    }
}

fn encoding(device: &Device<'_>) -> Option<Encoding> {
    let stats = device.encoder_stats().ok()?;
    let busy = stats.session_count > 0;
    // The binding refuses the whole list when it holds a codec that the binding does not know, such as AV1.
    let each = if busy { device.encoder_sessions().unwrap_or_default() } else { Vec::new() };
    Some(Encoding {
        sessions: stats.session_count,
        average_fps: busy.then_some(stats.average_fps),
        average_latency_microseconds: busy.then_some(stats.average_latency),
        each: each.iter().map(session).collect(),
    })
}

fn session(info: &EncoderSessionInfo) -> EncoderSession {
    let codec = match info.codec_type {
        EncoderType::H264 => "h264",
        EncoderType::HEVC => "hevc",
    };
    EncoderSession {
        pid: info.pid,
        codec: codec.to_owned(),
        width: info.hres,
        height: info.vres,
        fps: info.average_fps,
        latency_microseconds: info.average_latency,
    }
}

/// What keeps the clocks down. An idle GPU lowers them by itself, which is no reason to worry.
fn reasons(told: ThrottleReasons) -> Vec<ThrottleReason> {
    const WORDS: &[(ThrottleReasons, ThrottleReason)] = &[
        (ThrottleReasons::SW_POWER_CAP, ThrottleReason::SoftwarePower),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, ThrottleReason::SoftwareThermal),
        (ThrottleReasons::HW_SLOWDOWN, ThrottleReason::Hardware),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, ThrottleReason::HardwareThermal),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, ThrottleReason::HardwarePowerBrake),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, ThrottleReason::Settings),
        (ThrottleReasons::SYNC_BOOST, ThrottleReason::SyncBoost),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, ThrottleReason::Display),
    ];
    WORDS.iter().filter(|(bit, _)| told.contains(*bit)).map(|(_, word)| *word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_library_says_so_and_is_not_asked_again() {
        let now = Instant::now();
        let mut nvml = Nvml::new(&["/nonexistent/libnvidia-ml.so.1", "libno-such-library.so.7"], now);
        assert_eq!(nvml.sample(now), Err("there is no libnvidia-ml".to_owned()));
        assert!(matches!(nvml.state, State::Absent { again: None, .. }));
    }

    #[test]
    fn a_library_that_is_another_one_does_no_harm() {
        let now = Instant::now();
        let mut nvml = Nvml::new(&["libc.so.6"], now);
        let why = nvml.sample(now).expect_err("the C library manages no GPU");
        assert!(why.starts_with("libnvidia-ml cannot be used") || why.starts_with("there is no"), "{why}");
    }

    #[test]
    fn an_idle_gpu_is_not_throttled() {
        assert_eq!(reasons(ThrottleReasons::GPU_IDLE), []);
        let hot = ThrottleReasons::SW_THERMAL_SLOWDOWN | ThrottleReasons::SW_POWER_CAP | ThrottleReasons::GPU_IDLE;
        assert_eq!(reasons(hot), [ThrottleReason::SoftwarePower, ThrottleReason::SoftwareThermal]);
    }
}
