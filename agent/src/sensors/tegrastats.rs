//! What NVIDIA's `tegrastats` prints: one line of text a second, in the dialects of JetPack 4 to 7.2, as root or not.

pub mod listing;
mod parse;
pub mod source;
mod value;

use reelmill_api::snapshot::{Core, Engine, Rail, Temperature};
use serde::Serialize;

pub use self::parse::parse;

/// A line longer than this is none of tegrastats': its longest are a tenth of it.
pub const LONGEST_LINE: usize = 16 * 1024;

/// What one line says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// The board's local time, without a zone, as in `2026-05-09T18:42:06`; absent before JetPack 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_time: Option<String>,
    /// Main memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram: Option<Ram>,
    /// Swap; absent where none is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// The small memory inside the chip (TX1, Nano).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iram: Option<Iram>,
    /// Processors by their number.
    pub cores: Vec<Core>,
    /// The GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gr3d>,
    /// Engines, the memory's controller (`emc`) and the audio engine (`ape`) among them.
    pub engines: Vec<Engine>,
    /// The scheduler of the Denver cores (TX2, Xavier).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mts: Option<Mts>,
    /// Temperatures; of what has no power, none.
    pub temperatures: Vec<Temperature>,
    /// Power rails.
    pub rails: Vec<Rail>,
    /// Words that are known and say nothing: sensors without power, and one that always reads 100 degrees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Words that are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// Main memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// In use, caches not counted.
    pub used_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// How many blocks of the largest free size there are.
    pub largest_free_blocks: u32,
    /// The largest size of which a block is free.
    pub largest_free_block_bytes: u64,
}

/// Swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// Swapped out.
    pub used_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// Swapped out and still in memory.
    pub cached_bytes: u64,
}

/// The small memory inside the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Iram {
    /// In use.
    pub used_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// The largest block that is free.
    pub largest_free_block_bytes: u64,
}

/// The GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gr3d {
    /// How busy it is; absent on Thor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// The clock of each cluster; empty without root.
    pub mhz: Vec<u32>,
}

/// The scheduler of the Denver cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mts {
    /// Time in the foreground.
    pub foreground_percent: u32,
    /// Time in the background.
    pub background_percent: u32,
}

/// Text that is no line of tegrastats.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Neither memory nor processors, which every line has.
    #[error("it tells neither RAM nor CPU, so it is no line of tegrastats")]
    NotTegrastats,
    /// Too much text.
    #[error("it is longer than {LONGEST_LINE} bytes, so it is no line of tegrastats")]
    TooLong,
}

impl Sample {
    /// How many words were not known.
    pub fn unknown_tokens(&self) -> usize {
        self.unknown.len()
    }

    /// The engine of that name.
    pub fn engine(&self, name: &str) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.name == name)
    }
}
