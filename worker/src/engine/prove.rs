//! Proof that an engine works here: short real encodes, never the presence of a program or a library. What was proven is
//! kept, in memory and, where there is a folder for it, in a file.

mod cuda;
mod store;

use std::{
    num::NonZeroU32,
    path::PathBuf,
    time::{Duration, Instant},
};

use reelmill_api::{
    Capability, ErrorKind, Failure, Need,
    preset::{Effort, VideoCodec},
};
use reelmill_gst::Codec;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    EngineKind, Programs,
    capability::{CLASSES, Facts, Hardware, Refusal},
    child::{self, Ended},
    confine::Besides,
    ffmpeg::strings,
    jetson, nvenc, software,
};
use crate::{
    config::NvencPreset,
    plan::{Placement, RatePlan, VideoPlan},
};

/// No proof takes longer, even on a machine that has other work: a second of it is enough on an idle one.
pub(super) const LONGEST_PROOF: Duration = Duration::from_secs(60);
/// The gateway serves no proof; port 1 is nobody's.
pub(super) const NO_PORT: u16 = 1;
/// Frames per second of what is encoded, by which its speed is counted.
const RATE: u32 = 30;

/// Why a proof failed.
pub(super) struct Unproven {
    /// What was said.
    pub(super) why: String,
    /// Whether it may be otherwise another time, with the same programs and devices: the machine was short of time, memory or
    /// encoders.
    pub(super) passing: bool,
}

impl Unproven {
    /// For good, as far as anybody can say.
    fn lasting(why: &str) -> Self {
        Self { why: why.to_owned(), passing: false }
    }

    /// For the moment.
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), passing: true }
    }

    /// As a program ended: a signal came from elsewhere, and an encoder that is taken is free another time.
    pub(super) fn of_end(code: Option<i32>, kind: Option<ErrorKind>, why: String) -> Self {
        Self { why, passing: code.is_none() || kind == Some(ErrorKind::Busy) }
    }
}

/// Proves engines, each thing once.
pub struct Prover {
    programs: Programs,
    preset: NvencPreset,
    known: Mutex<Facts>,
    store: Option<store::Store>,
}

impl Prover {
    /// Nothing proven yet but that ffmpeg starts; or what an earlier worker with the same programs and devices proved and
    /// left in `folder`.
    ///
    /// # Errors
    /// `no_capability` if ffmpeg does not start, with what it said.
    pub async fn new(
        programs: Programs,
        hardware: Hardware,
        preset: NvencPreset,
        sessions: Option<NonZeroU32>,
        folder: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let version = version(&programs).await?;
        let store = folder.map(|folder| {
            let settings =
                format!("{version}, {hardware:?}, {preset}, {} bytes of memory", programs.limits.memory_bytes);
            let settings = format!("{settings}, {:?}, {:?}", programs.jetson, programs.gpu);
            store::Store::new(&folder, &programs.ffmpeg, &settings)
        });
        let fresh =
            Facts { hardware, program: version, encodes: Vec::new(), refusals: Vec::new(), cuda: None, sessions };
        let mut known = store.as_ref().and_then(store::Store::read).unwrap_or(fresh);
        known.sessions = sessions;
        if hardware == Hardware::Present(EngineKind::Nvenc) && known.cuda.is_none() {
            known.cuda = cuda::prove(&programs).await;
        }
        Ok(Self { programs, preset, known: Mutex::new(known), store })
    }

    /// What is known once it is known of all `needs` whether they are met.
    pub async fn facts_for(&self, needs: &[Need]) -> Facts {
        let mut known = self.known.lock().await;
        let before = known.clone();
        for need in needs {
            self.settle(&mut known, *need).await;
        }
        if let Some(store) = self.store.as_ref().filter(|_| *known != before) {
            store.write(&known);
        }
        known.clone()
    }

    /// Hardware first; software only where hardware does not meet the need.
    async fn settle(&self, known: &mut Facts, need: Need) {
        let hardware = if let Hardware::Present(engine) = known.hardware { Some(engine) } else { None };
        for engine in hardware.into_iter().chain([EngineKind::Software]) {
            if known.meets(engine, need) {
                return;
            }
            if known.refuses(engine, need) {
                continue;
            }
            match self.encode(engine, need).await {
                Ok(speed) => {
                    log::debug!("proven: {need} by {} at {speed:.1}x", engine.name());
                    known
                        .encodes
                        .retain(|c| (c.engine.as_str(), c.codec, c.depth) != (engine.name(), need.codec, need.depth));
                    return known.encodes.push(capability(engine, need, speed));
                }
                Err(Unproven { why, passing }) => {
                    log::debug!("not proven: {need} by {}: {why}", engine.name());
                    known.refusals.push(Refusal { engine, need, why, passing });
                }
            }
        }
    }

    /// A short encode; its speed, or why there is none.
    async fn encode(&self, engine: EngineKind, need: Need) -> Result<f64, Unproven> {
        match engine {
            EngineKind::Software => {
                self.by_ffmpeg(
                    need,
                    software::encoder(&proof(need), None),
                    software::format(&proof(need)),
                    Besides::default(),
                )
                .await
            }
            EngineKind::Nvenc if need.codec.is_mezzanine() => Err(Unproven::lasting("no GPU encodes it")),
            EngineKind::Nvenc => {
                let format = if need.depth > 8 { "p010le" } else { "nv12" };
                self.by_ffmpeg(need, nvenc::encoder(&proof(need), self.preset), format, nvenc::besides()).await
            }
            EngineKind::Jetson => self.by_gstreamer(need).await,
        }
    }

    async fn by_gstreamer(&self, need: Need) -> Result<f64, Unproven> {
        let codec = match need.codec {
            VideoCodec::H264 => Codec::H264,
            VideoCodec::Hevc => Codec::H265,
            VideoCodec::Av1 => Codec::Av1,
            VideoCodec::Prores | VideoCodec::Dnxhr => return Err(Unproven::lasting("no Jetson encodes it")),
        };
        let jetson = self.programs.jetson.as_ref();
        let jetson = jetson.ok_or_else(|| Unproven::lasting("GStreamer's side of it is not there"))?;
        let size = CLASSES[need.class];
        let side = |pixels: u32| u16::try_from(pixels).expect("a class is far smaller");
        let depth = u8::try_from(need.depth).expect("8 or 10");
        let began = Instant::now();
        let sides = (side(size.width), side(size.height));
        jetson::prove::encodes(&self.programs, jetson, codec, depth, sides).await?;
        Ok(f64::from(jetson::prove::PICTURES) / f64::from(RATE) / began.elapsed().as_secs_f64().max(0.001))
    }

    async fn by_ffmpeg(
        &self,
        need: Need,
        encoder: Vec<String>,
        format: &str,
        besides: Besides,
    ) -> Result<f64, Unproven> {
        let size = CLASSES[need.class];
        let frames = frames(need);
        let mut args = strings("-nostdin -hide_banner -loglevel error -f lavfi -i");
        args.push(format!("testsrc2=size={}x{}:rate={RATE}", size.width, size.height));
        args.extend(strings(&format!("-f lavfi -i sine=sample_rate=48000 -frames:v {frames} -shortest")));
        args.extend(encoder);
        args.extend(strings(&format!("-pix_fmt {format} -c:a aac -f null -")));
        let began = Instant::now();
        run(&self.programs, &args, besides).await?;
        Ok(f64::from(frames) / f64::from(RATE) / began.elapsed().as_secs_f64().max(0.001))
    }
}

fn capability(engine: EngineKind, need: Need, speed: f64) -> Capability {
    let size = CLASSES[need.class];
    // Two digits are more than a few frames can tell.
    let speed = (speed * 100.0).round() / 100.0;
    let engine = engine.name().to_owned();
    Capability { engine, codec: need.codec, depth: need.depth, width: size.width, height: size.height, speed }
}

/// Few, since large pictures take software long; the first class has enough to see that groups of frames come out.
fn frames(need: Need) -> u32 {
    if need.class == 0 { 3 } else { 1 }
}

/// A rendition as presets ask for it.
fn proof(need: Need) -> VideoPlan {
    VideoPlan {
        name: "proof".to_owned(),
        size: CLASSES[need.class],
        placement: Placement::Whole,
        codec: need.codec,
        depth: need.depth,
        hdr: false,
        effort: Effort::Fast,
        rate: (!need.codec.is_mezzanine()).then_some(RatePlan { crf: 24, max_bps: Some(8_000_000) }),
        gop: RATE,
    }
}

/// `ffmpeg 5.1.9`, from what it prints of itself.
async fn version(programs: &Programs) -> Result<String, Failure> {
    let said = run(programs, &strings("-hide_banner -version"), Besides::default()).await.map_err(|said| {
        let message = format!("{} does not start: {}", programs.ffmpeg.display(), said.why);
        Failure::new(ErrorKind::NoCapability, message).hint("install ffmpeg, or set `ffmpeg` under [media] to its path")
    })?;
    Ok(version_of(&said))
}

/// Runs ffmpeg to its end: what it printed, or how it failed and what it said last.
async fn run(programs: &Programs, args: &[String], besides: Besides) -> Result<String, Unproven> {
    let given = child::Given { besides, ..child::Given::default() };
    let spawned = child::spawn_given(programs, &programs.ffmpeg, args, programs.limits, NO_PORT, given);
    let mut child = spawned.map_err(|failure| Unproven::passing(failure.message))?;
    match child.finish(LONGEST_PROOF, &CancellationToken::new()).await {
        Ended::Exited { success: true, stdout, .. } => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        Ended::Exited { code, status, stderr, .. } => {
            let kind = nvenc::words::refusal(&stderr);
            let why = if stderr.is_empty() { status } else { stderr[..stderr.len().min(SAID_LINES)].join("; ") };
            Err(Unproven::of_end(code, kind, why))
        }
        Ended::TimedOut | Ended::Canceled => Err(Unproven::passing("it took too long")),
    }
}

/// The first lines say why; what follows is how the rest fell with it.
const SAID_LINES: usize = 2;

/// `ffmpeg 5.1.9` of `ffmpeg version 5.1.9-0+deb12u1 Copyright ...`.
fn version_of(text: &str) -> String {
    let number = text.split_whitespace().nth(2).unwrap_or("of unknown version");
    format!("ffmpeg {}", number.split(['-', '+']).next().unwrap_or(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_what_ffmpeg_prints() {
        assert_eq!(version_of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026"), "ffmpeg 5.1.9");
        assert_eq!(version_of("ffmpeg version n8.0 Copyright"), "ffmpeg n8.0");
        assert_eq!(version_of(""), "ffmpeg of unknown version");
    }
}
