//! What makes a plan: an engine, and how a GPU helps it.

use serde::{Deserialize, Serialize};

use crate::config::NvencPreset;

/// What turns frames into renditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// ffmpeg with x264, x265, SVT-AV1, ProRes and DNxHD.
    #[default]
    Software,
    /// ffmpeg with cuda decode, scale_cuda and NVENC.
    Nvenc,
    /// GStreamer with the L4T elements.
    Jetson,
}

impl EngineKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Nvenc => "nvenc",
            Self::Jetson => "jetson",
        }
    }
}

/// How a GPU decodes and scales for one plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuda {
    /// Whether NVDEC reads the source; else software does.
    pub decodes: bool,
    /// Whether this ffmpeg has `bwdif_cuda` (from 6.1 on), which sees motion better than `yadif_cuda`.
    pub bwdif: bool,
}

/// What makes a plan. Planning leaves it at software; what is proven of the node decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// The engine.
    pub engine: EngineKind,
    /// How a GPU decodes and scales, if one does.
    pub cuda: Option<Cuda>,
    /// The effort of NVENC.
    pub preset: NvencPreset,
    /// Its name and program for the report, e.g. `software with cuda decode (ffmpeg 9.0.2, NVIDIA H200)`.
    pub name: String,
}
