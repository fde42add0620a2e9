//! What a probe found out about a source.

use serde::{Deserialize, Serialize};

use crate::Rational;

/// A source as far as planning needs to know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaFacts {
    /// The container's name as ffprobe gives it, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Its length in seconds as declared; absent where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its first moving-picture track (cover art does not count).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoFacts>,
    /// Its audio tracks in order.
    pub audio: Vec<AudioFacts>,
}

/// One video track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// The stream's index in the file.
    pub index: u32,
    /// Its codec, e.g. `h264`.
    pub codec: String,
    /// Coded width in samples.
    pub width: u32,
    /// Coded height in samples.
    pub height: u32,
    /// Width of a sample divided by its height.
    pub sample_aspect: Rational,
    /// Clockwise turn that makes the picture upright.
    pub rotation: Rotation,
    /// Average frames per second.
    pub frame_rate: Rational,
    /// Whether the frames are evenly spaced, as far as the container tells.
    pub constant_rate: bool,
    /// Whether frames hold two fields.
    pub interlaced: bool,
    /// Its length in seconds as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Its number of frames where the container says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// Seconds from the start of the file to its first frame.
    pub starts_at_seconds: f64,
    /// Colour tags, `None` where the source does not say.
    pub colour: Colour,
    /// The pixel format, e.g. `yuv420p10le`.
    pub pixel_format: String,
}

/// Colour tags by ffmpeg's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// Primaries, e.g. `bt709`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primaries: Option<String>,
    /// Transfer characteristics, e.g. `bt709`, `smpte2084`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// Matrix coefficients, e.g. `bt709`, `bt2020nc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<String>,
    /// `tv` or `pc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
}

impl Colour {
    /// Whether the transfer curve is one of the two high-dynamic-range ones (PQ, HLG).
    pub fn is_hdr(&self) -> bool {
        matches!(self.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"))
    }
}

/// A quarter turn, clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// Upright already.
    #[default]
    None,
    /// A quarter turn clockwise.
    Cw90,
    /// Upside down.
    Half,
    /// A quarter turn counter-clockwise.
    Ccw90,
}

impl Rotation {
    /// The nearest quarter turn to so many degrees clockwise.
    pub fn from_degrees_clockwise(degrees: f64) -> Self {
        match degrees.rem_euclid(360.0) {
            d if !(45.0..315.0).contains(&d) => Self::None,
            d if d < 135.0 => Self::Cw90,
            d if d < 225.0 => Self::Half,
            _ => Self::Ccw90,
        }
    }

    /// Whether width and height change places.
    pub fn swaps_sides(self) -> bool {
        matches!(self, Self::Cw90 | Self::Ccw90)
    }

    /// Degrees clockwise.
    pub fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Cw90 => 90,
            Self::Half => 180,
            Self::Ccw90 => 270,
        }
    }
}

/// One audio track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioFacts {
    /// The stream's index in the file.
    pub index: u32,
    /// Its codec, e.g. `aac`.
    pub codec: String,
    /// Channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Its language, BCP 47 or ISO 639-2 as the file has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its length in seconds as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Seconds from the start of the file to its first sample.
    pub starts_at_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_quarter_turns() {
        let turns =
            [0.0, 90.0, -90.0, 180.0, 270.0, 359.0, 450.0].map(|d| Rotation::from_degrees_clockwise(d).degrees());
        assert_eq!(turns, [0, 90, 270, 180, 270, 0, 90]);
    }
}
