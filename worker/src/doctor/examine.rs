//! The examination: each part asks one thing of the machine.

use std::path::Path;

use reelmill_api::{Failure, Location, Need, S3Location, preset::VideoCodec};
use reelmill_daemon::Hinted;
use reelmill_storage::Access;

use super::Finding;
use crate::{
    config::Config,
    engine::{
        Programs,
        capability::{Facts, Hardware, library},
        confine::{self, Enforcement},
    },
    plan::EngineKind,
    setup,
};

/// Less room than this is told: a feature film in ProRes is larger.
const LEAST_ROOM_GIB: u64 = 50;
/// What is asked of encoders here, at the first size class.
const ASKED: [(VideoCodec, u32); 8] = [
    (VideoCodec::H264, 8),
    (VideoCodec::Hevc, 8),
    (VideoCodec::Hevc, 10),
    (VideoCodec::Av1, 8),
    (VideoCodec::Av1, 10),
    (VideoCodec::Prores, 10),
    (VideoCodec::Dnxhr, 8),
    (VideoCodec::Dnxhr, 10),
];

pub(super) async fn encoders(config: &Config) -> Vec<Finding> {
    let mut findings = vec![kernel(confine::probe_kernel())];
    match setup::programs(&config.media) {
        Ok(programs) => findings.extend(engines(config, programs).await),
        Err(e) => findings.push(missing("media programs", &e)),
    }
    findings
}

pub(super) async fn outside(config: &Config) -> Vec<Finding> {
    let mut findings = vec![spool(config.media.spool())];
    findings.extend(queue(config).await);
    findings.extend(store(config).await);
    findings
}

/// An error with its hint as a finding.
fn missing(what: &str, error: &anyhow::Error) -> Finding {
    let hint = error.downcast_ref::<Hinted>().map(|hinted| hinted.hint().to_owned());
    Finding::missing(what, format!("{error:#}"), hint.unwrap_or_else(|| "see docs/operate/worker.md".to_owned()))
}

fn kernel(found: Enforcement) -> Finding {
    let fact = format!("confines media processes {}", found.in_words());
    match found {
        Enforcement::Full => Finding::ok("kernel", fact),
        Enforcement::Partial | Enforcement::None => Finding::warn(
            "kernel",
            fact,
            "run a kernel with Landlock, 6.12 or later for all of it (`lsm=landlock,...`)",
        ),
    }
}

async fn engines(config: &Config, mut programs: Programs) -> Vec<Finding> {
    let prepared = setup::hardware(config).and_then(|hardware| {
        programs.jetson = setup::jetson_of(config, hardware)?;
        Ok(hardware)
    });
    let hardware = match prepared {
        Ok(hardware) => hardware,
        Err(e) => return vec![missing("HWACCEL", &e)],
    };
    let prover = match setup::prover(config, &programs, hardware).await {
        Ok(prover) => prover,
        Err(e) => return vec![missing("ffmpeg", &e)],
    };
    let needs = ASKED.map(|(codec, depth)| Need { codec, depth, class: 0 });
    let facts = prover.facts_for(&needs).await;
    let mut findings = vec![
        Finding::ok("ffmpeg", format!("{} at {}", facts.program, programs.ffmpeg.display())),
        Finding::ok("ffprobe", programs.ffprobe.display().to_string()),
    ];
    findings.extend(gpu(&facts));
    findings.extend(needs.iter().map(|need| encoder(&facts, *need)));
    findings.extend(presets(config, &facts));
    findings
}

fn gpu(facts: &Facts) -> Vec<Finding> {
    match facts.hardware {
        Hardware::Never => vec![Finding::ok("hardware", "not used, by order of HWACCEL=none")],
        Hardware::Absent if has_silent_nvidia() => vec![Finding::warn(
            "hardware",
            "there is an NVIDIA GPU, and no driver for it (/dev/nvidiactl is not there)",
            "install NVIDIA's driver, e.g. `apt-get install nvidia-driver`, or start the container with `--gpus all` and \
             NVIDIA_DRIVER_CAPABILITIES=compute,video",
        )],
        Hardware::Absent => vec![Finding::ok("hardware", "none that encodes; software does")],
        Hardware::Present(EngineKind::Nvenc) => nvidia(facts),
        Hardware::Present(engine) => vec![hardware(facts, engine, "install L4T's GStreamer plug-ins and reelmill-gst")],
    }
}

fn hardware(facts: &Facts, engine: EngineKind, fix: &str) -> Finding {
    let name = engine.name();
    if facts.encodes.iter().any(|c| c.engine == name) {
        return Finding::ok(name, "encodes");
    }
    let why = facts.refusals.iter().find(|r| r.engine == engine).map_or("nothing was asked of it", |r| r.why.as_str());
    Finding::warn(name, format!("encodes nothing: {why}"), fix)
}

fn nvidia(facts: &Facts) -> Vec<Finding> {
    let decoder = match &facts.cuda {
        Some(cuda) => {
            let codecs: Vec<_> = cuda.decodes.iter().map(|(codec, depth)| format!("{codec} {depth} bit")).collect();
            Finding::ok("cuda", format!("{} decodes and scales {}", cuda.device, codecs.join(", ")))
        }
        None => Finding::warn(
            "cuda",
            "the GPU decodes and scales nothing",
            "check `nvidia-smi`, /dev/nvidia-uvm (`nvidia-modprobe -u`), and that this ffmpeg has scale_cuda",
        ),
    };
    let fix = "use a GPU with NVENC (data-centre GPUs such as A100, H100 and H200 have none), or a newer driver";
    vec![decoder, hardware(facts, EngineKind::Nvenc, fix)]
}

/// A GPU on the bus that has no driver.
fn has_silent_nvidia() -> bool {
    let devices = std::fs::read_dir("/sys/bus/pci/devices").into_iter().flatten().flatten();
    let is = |path: &Path, file: &str, start: &str| {
        std::fs::read_to_string(path.join(file)).is_ok_and(|text| text.starts_with(start))
    };
    devices.map(|device| device.path()).any(|path| is(&path, "vendor", "0x10de") && is(&path, "class", "0x03"))
}

fn encoder(facts: &Facts, need: Need) -> Finding {
    let what = format!("encoder {} {} bit", need.codec.as_str(), need.depth);
    if let Some(fact) = facts.encodes.iter().find(|c| (c.codec, c.depth) == (need.codec, need.depth)) {
        return Finding::ok(
            what,
            format!("{} at {:.1}x of 30 frames a second at {}x{}", fact.engine, fact.speed, fact.width, fact.height),
        );
    }
    let why = facts.refusals.iter().rfind(|refusal| refusal.need == need).map_or("not tried", |r| r.why.as_str());
    Finding::warn(what, why, format!("install an ffmpeg with {}", library(need.codec)))
}

/// What each chosen preset lacks; if nothing can be served, that is missing.
fn presets(config: &Config, facts: &Facts) -> Vec<Finding> {
    let known = match setup::presets(config) {
        Ok(known) => known,
        Err(e) => return vec![missing("presets", &e)],
    };
    let lanes = match setup::lanes(config, &known) {
        Ok(lanes) => lanes,
        Err(e) => return vec![missing("presets", &e)],
    };
    let needs: Vec<_> = lanes.served().to_vec();
    let unable: Vec<(String, Failure)> = needs
        .iter()
        .filter_map(|name| {
            let preset = known.get(name)?;
            let at_first = Need::of_preset(preset).into_iter().map(|need| Need { class: 0, ..need });
            let engine = facts.serve(preset, &at_first.collect::<Vec<_>>());
            Some((name.to_string(), engine.err()?))
        })
        .collect();
    let able: Vec<_> = needs.iter().map(ToString::to_string).filter(|n| unable.iter().all(|(u, _)| u != n)).collect();
    let mut findings = Vec::new();
    if able.is_empty() {
        findings.push(Finding::missing("presets", "none can be served here", "see the encoders above, and PRESET"));
    } else {
        findings.push(Finding::ok("presets", able.join(", ")));
    }
    findings.extend(unable.into_iter().map(|(name, failure)| {
        Finding::warn(format!("preset {name}"), failure.message, failure.hint.unwrap_or_default())
    }));
    findings
}

/// The room where single files are made; ladders need none.
fn spool(folder: &Path) -> Finding {
    let what = format!("spool {}", folder.display());
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(room) => {
            let gib = room.f_bavail.saturating_mul(room.f_frsize) >> 30;
            let fact = format!("{gib} GiB free");
            if gib >= LEAST_ROOM_GIB {
                Finding::ok(what, fact)
            } else {
                Finding::warn(
                    what,
                    fact,
                    "set SPOOL_FOLDER to a disk with room for the largest single file; ladders need none",
                )
            }
        }
        Err(e) => Finding::missing(what, e.to_string(), "set SPOOL_FOLDER to a folder that can be written"),
    }
}

async fn queue(config: &Config) -> Vec<Finding> {
    if config.queue.url.is_none() {
        return vec![Finding::warn("queue", "none is configured: only single jobs can be done", "set QUEUE_URL")];
    }
    let answered = async {
        let queue = setup::queue(config).await?;
        queue.depth(&config.queue.name.intake()).await.map_err(setup::queue_error)
    };
    vec![answered.await.map_or_else(|e| missing("queue", &e), |_| Finding::ok("queue", "answers"))]
}

async fn store(config: &Config) -> Vec<Finding> {
    let buckets = [(&config.store.input_bucket, Access::Read), (&config.store.output_bucket, Access::Write)];
    let mut findings = Vec::new();
    for (bucket, access) in buckets {
        let Some(bucket) = bucket else { continue };
        let what = format!("store s3://{bucket}");
        let answered = async {
            let at = Location::S3(S3Location::new(bucket, "")?);
            setup::storage(config)?.check(&at, access).await.map_err(|e| setup::error(e.into()))
        };
        findings.push(answered.await.map_or_else(|e| missing(&what, &e), |_| Finding::ok(&what, "answers")));
    }
    findings
}
