//! What a node can encode and decode, as proven, and what that means for a preset and for a plan. Pure.

use std::num::NonZeroU32;

use reelmill_api::{
    Capability, ErrorKind, Failure, Needs, Preset,
    need::{self, Need},
    preset::{Fallback, VideoCodec},
};
use serde::{Deserialize, Serialize};

use super::{EngineKind, jetson, nvenc};
use crate::{
    config::NvencPreset,
    plan::{Coded, Cuda, Maker, Plan, Size},
};

/// Sizes up to which encoders are proven.
pub const CLASSES: [Size; 3] = [size(0), size(1), size(2)];

const fn size(class: usize) -> Size {
    let (width, height) = need::CLASSES[class];
    Size { width, height }
}

/// What a plan needs.
pub fn needs_of(plan: &Plan) -> Vec<Need> {
    let videos = plan.videos();
    need::largest(videos.iter().map(|v| Need::new(v.codec, v.depth, v.size.width, v.size.height)).collect())
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
    /// Whether it may be otherwise another time: the machine was short of time, memory or encoders. The next worker asks again.
    pub passing: bool,
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
    /// Encoder sessions that a GPU's driver gives, where its owner says so.
    #[serde(skip)]
    pub sessions: Option<NonZeroU32>,
}

impl Facts {
    /// Whether a node with these facts serves a preset, which may need that much.
    ///
    /// # Errors
    /// `no_capability` with what is missing.
    pub fn serve(&self, preset: &Preset, needs: &[Need]) -> Result<EngineKind, Failure> {
        let engine = self.engine_for(needs, preset.fallback)?;
        match self.too_many(engine, preset.product.renditions()) {
            Some(why) if preset.fallback == Fallback::Forbid => self.software_instead(needs, preset.fallback, &why),
            _ => Ok(engine),
        }
    }

    /// Why an engine does not make so many renditions at once, if it does not.
    fn too_many(&self, engine: EngineKind, renditions: usize) -> Option<String> {
        let limit = self.sessions.filter(|_| engine == EngineKind::Nvenc)?;
        let too_many = renditions > limit.get() as usize;
        too_many.then(|| format!("encode {renditions} renditions at once, in {limit} encoder sessions"))
    }

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
            let met = |need: &Need| matches!(self.hardware, Hardware::Present(engine) if self.meets(engine, *need));
            let missing = needs.iter().copied().filter(|need| !met(need)).collect();
            return Err(Failure::new(ErrorKind::NoCapability, message)
                .hint("serve the preset on a node whose hardware can, or set fallback = \"allow\" in it")
                .missing(Needs::new(true, missing)));
        }
        let missing: Vec<_> = needs.iter().copied().filter(|need| !self.meets(EngineKind::Software, *need)).collect();
        let Some(first) = missing.first().copied() else { return Ok(EngineKind::Software) };
        Err(self.software_lacks(first).missing(Needs::new(false, missing)))
    }

    /// Whether a node with these facts may have what is needed: it has, or it is not known yet that it has not.
    pub fn may_have(&self, needs: &Needs) -> bool {
        let may = |engine: EngineKind| needs.all().iter().all(|need| !self.refuses(engine, *need));
        let hardware = matches!(self.hardware, Hardware::Present(engine) if may(engine));
        // By order, software does what hardware is asked for.
        let software = (!needs.hardware() || self.hardware == Hardware::Never) && may(EngineKind::Software);
        hardware || software
    }

    /// Software, for a plan that hardware meets but for things that are no encoding.
    fn software_instead(&self, needs: &[Need], fallback: Fallback, what: &str) -> Result<EngineKind, Failure> {
        if fallback == Fallback::Forbid {
            let message = format!("the hardware here does not {what}, and the preset forbids software");
            return Err(Failure::new(ErrorKind::NoCapability, message)
                .hint("leave that out of the preset, or set fallback = \"allow\" in it")
                .missing(Needs::new(true, needs.to_vec())));
        }
        // Where hardware does, software has not been proven; that it fails is known only of what was tried.
        let lacking = needs.iter().find(|need| self.refuses(EngineKind::Software, **need));
        lacking.map_or(Ok(EngineKind::Software), |need| {
            Err(self.software_lacks(*need).missing(Needs::new(false, vec![*need])))
        })
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
        let needs = needs_of(plan);
        let mut engine = self.engine_for(&needs, fallback)?;
        let unfit = if engine == EngineKind::Jetson { [besides, &jetson::unfit(plan)].concat() } else { Vec::new() };
        let too_many = self.too_many(engine, plan.videos().len());
        let unfit = unfit.into_iter().map(str::to_owned).chain(too_many).collect::<Vec<_>>().join(", ");
        if !unfit.is_empty() {
            engine = self.software_instead(&needs, fallback, &unfit)?;
        }
        let cuda = self.cuda.as_ref().filter(|_| engine != EngineKind::Jetson);
        let decodes = cuda.is_some_and(|cuda| cuda.decodes(&plan.picture.coded));
        let used = cuda.filter(|_| decodes || engine == EngineKind::Nvenc);
        let mut changes = Vec::new();
        if let (Hardware::Present(hardware), EngineKind::Software) = (self.hardware, engine) {
            let lacking = needs.iter().find(|need| !self.meets(hardware, **need));
            let lacking = lacking.map_or_else(|| unfit.clone(), |need| format!("encode {need}"));
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
