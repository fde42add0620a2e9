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
    /// Its subtitle tracks in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subtitles: Vec<SubtitleFacts>,
    /// The time code of its first frame, e.g. `01:00:00:00`, with `;` before the frames where some are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timecode: Option<String>,
    /// Streams of other kinds, in words, e.g. `cover art (mjpeg)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

/// One subtitle track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitleFacts {
    /// The stream's index in the file.
    pub index: u32,
    /// Its codec, e.g. `subrip`.
    pub codec: String,
    /// Whether it is text; pictures of text cannot become text.
    pub text: bool,
    /// Its language, BCP 47 or ISO 639-2 as the file has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether it is for those parts only that everyone needs, such as foreign dialogue.
    #[serde(default)]
    pub forced: bool,
    /// Whether it also tells sounds, for those who cannot hear them.
    #[serde(default)]
    pub hearing_impaired: bool,
}

/// How the lines of a frame were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// All at once.
    #[default]
    Progressive,
    /// Every other line at one moment, the rest at the next.
    Interlaced,
    /// Film at 24 frames per second spread over the fields of 30 (3:2 pulldown).
    Telecined,
}

/// Metadata of a high dynamic range (SMPTE ST 2086, CTA-861.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HdrMetadata {
    /// The mastering display: primaries and white point as x and y in units of 0.00002, luminance in units of 0.0001 cd/m2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mastering: Option<Mastering>,
    /// Brightest pixel, cd/m2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cll: Option<u32>,
    /// Brightest frame on average, cd/m2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fall: Option<u32>,
}

/// A mastering display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mastering {
    /// Red, green and blue: x and y.
    pub primaries: [(u32, u32); 3],
    /// White: x and y.
    pub white: (u32, u32),
    /// Most luminance.
    pub max_luminance: u32,
    /// Least luminance.
    pub min_luminance: u32,
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
    /// How the lines of a frame were taken.
    #[serde(default)]
    pub fields: Fields,
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
    /// Metadata of a high dynamic range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<HdrMetadata>,
    /// The profile of Dolby Vision, where it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dolby_vision_profile: Option<u32>,
}

impl VideoFacts {
    /// Bits of a sample, by the pixel format's name: its digits after `p` (`yuv420p10le`), 8 where there are none.
    pub fn bit_depth(&self) -> u32 {
        let name = self.pixel_format.trim_end_matches("le").trim_end_matches("be");
        let semi_planar = name.strip_prefix('p').filter(|rest| rest.len() == 3).and_then(|rest| rest.get(1..));
        let planar = name.rsplit_once('p').map(|(_, bits)| bits);
        let bits = semi_planar.or(planar).and_then(|bits| bits.parse().ok());
        bits.filter(|bits| (9..=16).contains(bits)).unwrap_or(8)
    }
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
    /// Where the channels are heard, by ffmpeg's name, e.g. `5.1(side)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
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

    #[test]
    fn reads_the_depth_in_a_pixel_formats_name() {
        let json = r#"{"index":0,"codec":"x","width":2,"height":2,"sample_aspect":"1/1","rotation":"none","frame_rate":"25/1",
            "constant_rate":true,"starts_at_seconds":0.0,"colour":{},"pixel_format":"yuv420p"}"#;
        let mut video: VideoFacts = serde_json::from_str(json).expect("facts");
        let mut depth = |format: &str| {
            video.pixel_format = format.to_owned();
            video.bit_depth()
        };
        let formats =
            ["yuv420p", "yuv420p10le", "yuv422p12be", "p010le", "yuvj444p", "nv12", "gbrp10le", "gray", "yuv444p16le"];
        assert_eq!(formats.map(&mut depth), [8, 10, 12, 10, 8, 8, 10, 8, 16]);
    }
}
