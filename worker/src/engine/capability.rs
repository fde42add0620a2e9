//! What a node can encode and decode, as proven, and what that means for a preset and for a plan. Pure.

use std::fmt;

use reelmill_api::{
    Capability, ErrorKind, Failure, Preset,
    preset::{Fallback, Hdr, Product, VideoCodec},
};
use serde::{Deserialize, Serialize};

use super::{EngineKind, jetson, nvenc};
use crate::{
    config::NvencPreset,
    plan::{Coded, Cuda, Maker, Plan, Size},
};

/// Sizes up to which encoders are proven; a picture belongs to the first that holds it, whichever way it stands.
pub const CLASSES: [Size; 3] =
    [Size { width: 1920, height: 1088 }, Size { width: 4096, height: 2304 }, Size { width: 8192, height: 4352 }];

/// Something that must be encoded: a codec, bits of a sample, and a size class (its place in [`CLASSES`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The codec.
    pub codec: VideoCodec,
    /// Bits of a sample.
    pub depth: u32,
    /// The size class.
    pub class: usize,
}

impl Need {
    fn new(codec: VideoCodec, depth: u32, width: u32, height: u32) -> Self {
        let (long, short) = (width.max(height), width.min(height));
        let class = CLASSES.iter().position(|size| long <= size.width && short <= size.height);
        Self { codec, depth, class: class.unwrap_or(CLASSES.len() - 1) }
    }

    /// What a plan needs.
    pub fn of_plan(plan: &Plan) -> Vec<Self> {
        let videos = plan.videos();
        largest(videos.iter().map(|v| Self::new(v.codec, v.depth, v.size.width, v.size.height)).collect())
    }

    /// What a preset may need. Files of the source's own size are counted as full HD; larger ones are proven when they come.
    pub fn of_preset(preset: &Preset) -> Vec<Self> {
        let codec = |own: Option<VideoCodec>| own.unwrap_or(preset.video.codec);
        let sizes: Vec<(VideoCodec, u32, u32)> = match &preset.product {
            Product::Ladder(ladder) => ladder.rungs.rungs().iter().map(|r| rung(r, codec(r.codec))).collect(),
            Product::Live(live) => live.rungs.rungs().iter().map(|r| rung(r, codec(r.codec))).collect(),
            Product::Files(files) => files
                .iter()
                .map(|f| {
                    let side = |side: fn(&reelmill_api::preset::Frame) -> u32| f.frame.as_ref().map_or(1080, side);
                    (codec(f.codec), side(|f| f.width.get()).min(1920), side(|f| f.height.get()).min(1920))
                })
                .collect(),
        };
        let needs = sizes.into_iter().flat_map(|(codec, width, height)| {
            depths(codec, preset.video.hdr).iter().map(move |depth| Self::new(codec, *depth, width, height))
        });
        largest(needs.collect())
    }
}

fn rung(rung: &reelmill_api::preset::Rung, codec: VideoCodec) -> (VideoCodec, u32, u32) {
    (codec, rung.long_side.get(), rung.short_side.get())
}

/// The bits of a sample that a codec may be asked for.
fn depths(codec: VideoCodec, hdr: Hdr) -> &'static [u32] {
    match codec {
        VideoCodec::H264 => &[8],
        VideoCodec::Prores => &[10],
        VideoCodec::Dnxhr => &[8, 10],
        VideoCodec::Hevc | VideoCodec::Av1 if hdr == Hdr::Keep => &[8, 10],
        VideoCodec::Hevc | VideoCodec::Av1 => &[8],
    }
}

/// Of each codec and depth only the largest class: what holds it holds the smaller ones.
fn largest(mut needs: Vec<Need>) -> Vec<Need> {
    needs.sort_by_key(|need| (need.codec.as_str(), need.depth, std::cmp::Reverse(need.class)));
    needs.dedup_by_key(|need| (need.codec, need.depth));
    needs
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { width, height } = CLASSES[self.class];
        write!(f, "{} {} bit up to {width}x{height}", self.codec.as_str(), self.depth)
    }
}

/// What hardware a worker may use, by `HWACCEL` and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hardware {
    /// None, by order: software does all, whatever presets say.
    Never,
    /// None is there.
    Absent,
    /// This engine's.
    Present(EngineKind),
}

/// What a GPU does besides encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CudaFacts {
    /// The GPU's name.
    pub device: String,
    /// Codecs that it decodes, with bits of a sample, and scales then.
    pub decodes: Vec<(String, u32)>,
    /// Whether `bwdif_cuda` works.
    pub bwdif: bool,
}

impl CudaFacts {
    /// Whether the GPU can decode such pictures: a codec and depth that were proven, in 4:2:0.
    fn decodes(&self, coded: &Coded) -> bool {
        let chroma = ["yuv420p", "yuvj420p", "yuv420p10le", "nv12", "p010le"].contains(&coded.pixel_format.as_str());
        chroma && self.decodes.iter().any(|(codec, depth)| *codec == coded.codec && *depth == coded.depth)
    }
}

/// A proof that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The engine.
    pub engine: EngineKind,
    /// What it was asked.
    pub need: Need,
    /// What it said.
    pub why: String,
}

/// All that is proven of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What hardware may be used.
    pub hardware: Hardware,
    /// The media program and its version, e.g. `ffmpeg 5.1.9`.
    pub program: String,
    /// What is encoded, by which engine, at which speed.
    pub encodes: Vec<Capability>,
    /// What is not.
    pub refusals: Vec<Refusal>,
    /// What a GPU decodes and scales.
    pub cuda: Option<CudaFacts>,
}

impl Facts {
    /// Whether `engine` was proven to meet `need`.
    pub fn meets(&self, engine: EngineKind, need: Need) -> bool {
        let Size { width, height } = CLASSES[need.class];
        let same = |c: &&Capability| (c.engine == engine.name(), c.codec, c.depth) == (true, need.codec, need.depth);
        self.encodes.iter().filter(same).any(|c| c.width >= width && c.height >= height)
    }

    /// Whether it is known that `engine` does not meet `need`.
    pub fn refuses(&self, engine: EngineKind, need: Need) -> bool {
        self.refusals.iter().any(|r| r.engine == engine && same_but_larger(need, r.need))
    }

    /// The engine that meets all needs, as the preset's policy allows.
    ///
    /// # Errors
    /// `no_capability` with what is missing.
    pub fn engine_for(&self, needs: &[Need], fallback: Fallback) -> Result<EngineKind, Failure> {
        let lacks = |engine: EngineKind| needs.iter().find(move |need| !self.meets(engine, **need));
        let hardware_lacks = match self.hardware {
            Hardware::Present(engine) => match lacks(engine) {
                None => return Ok(engine),
                Some(need) => format!("the {} engine here does not encode {need}", engine.name()),
            },
            Hardware::Absent => "this node has no hardware that encodes".to_owned(),
            Hardware::Never => String::new(),
        };
        if self.hardware != Hardware::Never && fallback == Fallback::Forbid {
            let message = format!("{hardware_lacks}, and the preset forbids software");
            return Err(Failure::new(ErrorKind::NoCapability, message)
                .hint("serve the preset on a node whose hardware can, or set fallback = \"allow\" in it"));
        }
        lacks(EngineKind::Software).map_or(Ok(EngineKind::Software), |need| Err(self.software_lacks(*need)))
    }

    /// Software, for a plan that hardware meets but for things that are no encoding.
    fn software_instead(&self, needs: &[Need], fallback: Fallback, what: &str) -> Result<EngineKind, Failure> {
        if fallback == Fallback::Forbid {
            let message = format!("the hardware here does not {what}, and the preset forbids software");
            return Err(Failure::new(ErrorKind::NoCapability, message)
                .hint("leave that out of the preset, or set fallback = \"allow\" in it"));
        }
        // Where hardware does, software has not been proven; that it fails is known only of what was tried.
        let lacking = needs.iter().find(|need| self.refuses(EngineKind::Software, **need));
        lacking.map_or(Ok(EngineKind::Software), |need| Err(self.software_lacks(*need)))
    }

    fn software_lacks(&self, need: Need) -> Failure {
        let why = self.refusals.iter().find(|r| r.engine == EngineKind::Software && r.need == need);
        let why = why.map(|refusal| format!(": {}", refusal.why)).unwrap_or_default();
        Failure::new(ErrorKind::NoCapability, format!("this node's {} does not encode {need}{why}", self.program))
            .hint(format!("install an ffmpeg with {}, or serve the preset on a node that has one", library(need.codec)))
    }

    /// What makes one plan, and what the report should say of it.
    ///
    /// # Errors
    /// `no_capability` with what is missing.
    pub fn choose(
        &self,
        plan: &Plan,
        fallback: Fallback,
        preset: NvencPreset,
    ) -> Result<(Maker, Vec<String>), Failure> {
        self.choose_but(plan, fallback, preset, &[])
    }

    /// The same where the source is live.
    ///
    /// # Errors
    /// `no_capability` with what is missing.
    pub fn choose_live(
        &self,
        plan: &Plan,
        fallback: Fallback,
        preset: NvencPreset,
    ) -> Result<(Maker, Vec<String>), Failure> {
        self.choose_but(plan, fallback, preset, &["read a live source"])
    }

    /// What a Jetson's engine does not do is in the plan, and in `besides`.
    fn choose_but(
        &self,
        plan: &Plan,
        fallback: Fallback,
        preset: NvencPreset,
        besides: &[&'static str],
    ) -> Result<(Maker, Vec<String>), Failure> {
        let needs = Need::of_plan(plan);
        let mut engine = self.engine_for(&needs, fallback)?;
        let unfit = if engine == EngineKind::Jetson { [besides, &jetson::unfit(plan)].concat() } else { Vec::new() };
        if !unfit.is_empty() {
            engine = self.software_instead(&needs, fallback, &unfit.join(", "))?;
        }
        let cuda = self.cuda.as_ref().filter(|_| engine != EngineKind::Jetson);
        let decodes = cuda.is_some_and(|cuda| cuda.decodes(&plan.picture.coded));
        let used = cuda.filter(|_| decodes || engine == EngineKind::Nvenc);
        let mut changes = Vec::new();
        if let (Hardware::Present(hardware), EngineKind::Software) = (self.hardware, engine) {
            let lacking = needs.iter().find(|need| !self.meets(hardware, **need));
            let lacking = lacking.map_or_else(|| unfit.join(", "), |need| format!("encode {need}"));
            changes.push(format!("encoded in software: {} does not {lacking}", hardware.name()));
        }
        if used.is_some() {
            let reasons = nvenc::in_memory(plan);
            changes.extend((!reasons.is_empty()).then(|| format!("filtered outside the GPU: {}", reasons.join(", "))));
            changes.extend((!decodes).then(|| format!("decoded in software: the GPU does not decode {}", coded(plan))));
        }
        let name = self.name(engine, used, decodes);
        let cuda = used.map(|cuda| Cuda { decodes, bwdif: cuda.bwdif });
        Ok((Maker { engine, cuda, preset, name }, changes))
    }

    fn name(&self, engine: EngineKind, cuda: Option<&CudaFacts>, decodes: bool) -> String {
        let program = &self.program;
        match (engine, cuda) {
            (EngineKind::Software, Some(cuda)) if decodes => {
                format!("software with cuda decode ({program}, {})", cuda.device)
            }
            (EngineKind::Nvenc, Some(cuda)) => format!("nvenc ({program}, {})", cuda.device),
            _ => format!("{} ({program})", engine.name()),
        }
    }

    /// The engines that were proven, each in words.
    pub fn engines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Hardware::Present(engine) = self.hardware {
            let encodes = self.encodes.iter().any(|c| c.engine == engine.name());
            if encodes || self.cuda.is_some() {
                let none = if encodes { "" } else { " without encoders: decodes and scales only" };
                lines.push(format!("{}{none}", self.name(engine, self.cuda.as_ref(), true)));
            }
        }
        if self.encodes.iter().any(|c| c.engine == EngineKind::Software.name()) {
            lines.push(self.name(EngineKind::Software, None, false));
        }
        lines
    }
}

/// Whether `need` is `than` or a larger one of the same kind: what cannot do the one cannot do the other.
fn same_but_larger(need: Need, than: Need) -> bool {
    (need.codec, need.depth) == (than.codec, than.depth) && need.class >= than.class
}

fn coded(plan: &Plan) -> String {
    let Coded { codec, pixel_format, .. } = &plan.picture.coded;
    format!("{codec} {pixel_format}")
}

/// The library or encoder that ffmpeg needs for a codec in software.
pub fn library(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "libx264",
        VideoCodec::Hevc => "libx265",
        VideoCodec::Av1 => "libsvtav1",
        VideoCodec::Prores => "prores_ks",
        VideoCodec::Dnxhr => "dnxhd",
    }
}

#[cfg(test)]
pub(crate) mod tests;
