//! What ffprobe prints, as far as it is read.

use serde::{Deserialize, Deserializer, de::Error};

#[derive(Deserialize)]
pub(super) struct Output {
    #[serde(default)]
    pub(super) streams: Vec<Stream>,
    #[serde(default)]
    pub(super) format: Format,
    #[serde(default)]
    pub(super) frames: Vec<Frame>,
}

#[derive(Default, Deserialize)]
pub(super) struct Format {
    #[serde(default)]
    pub(super) format_name: String,
    pub(super) duration: Option<String>,
    pub(super) start_time: Option<String>,
    #[serde(default)]
    pub(super) tags: Tags,
}

/// One of the first frames, decoded: some codecs carry there what containers do not repeat.
#[derive(Deserialize)]
pub(super) struct Frame {
    pub(super) stream_index: Option<u32>,
    #[serde(default)]
    pub(super) side_data_list: Vec<SideData>,
}

#[derive(Deserialize)]
pub(super) struct Stream {
    pub(super) index: u32,
    #[serde(default, deserialize_with = "name")]
    pub(super) codec_type: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) codec_name: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    #[serde(default, deserialize_with = "name")]
    pub(super) pix_fmt: Option<String>,
    pub(super) sample_aspect_ratio: Option<String>,
    pub(super) r_frame_rate: Option<String>,
    pub(super) avg_frame_rate: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) field_order: Option<String>,
    pub(super) duration: Option<String>,
    pub(super) nb_frames: Option<String>,
    pub(super) start_time: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) color_range: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) color_space: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) color_transfer: Option<String>,
    #[serde(default, deserialize_with = "name")]
    pub(super) color_primaries: Option<String>,
    pub(super) channels: Option<u32>,
    #[serde(default, deserialize_with = "name")]
    pub(super) channel_layout: Option<String>,
    pub(super) sample_rate: Option<String>,
    #[serde(default)]
    pub(super) disposition: Disposition,
    #[serde(default)]
    pub(super) tags: Tags,
    #[serde(default)]
    pub(super) side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
pub(super) struct Disposition {
    #[serde(default)]
    pub(super) attached_pic: u8,
    #[serde(default)]
    pub(super) forced: u8,
    #[serde(default)]
    pub(super) hearing_impaired: u8,
}

#[derive(Default, Deserialize)]
pub(super) struct Tags {
    pub(super) language: Option<String>,
    pub(super) timecode: Option<String>,
    #[serde(rename = "DURATION")]
    pub(super) duration: Option<String>,
}

/// All kinds of side data in one: each has some of these.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SideData {
    pub(super) rotation: Option<f64>,
    pub(super) dv_profile: Option<u32>,
    pub(super) max_content: Option<u32>,
    pub(super) max_average: Option<u32>,
    pub(super) red_x: Option<String>,
    pub(super) red_y: Option<String>,
    pub(super) green_x: Option<String>,
    pub(super) green_y: Option<String>,
    pub(super) blue_x: Option<String>,
    pub(super) blue_y: Option<String>,
    pub(super) white_point_x: Option<String>,
    pub(super) white_point_y: Option<String>,
    pub(super) max_luminance: Option<String>,
    pub(super) min_luminance: Option<String>,
}

/// ffprobe's own names of codecs, formats, colours and layouts. They go into filter graphs and playlists, and ffprobe has
/// read a hostile file: one that could end an option or a quoted text is none.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let given = Option::<String>::deserialize(from)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.+() ".contains(&b);
    match given {
        Some(name) if !name.bytes().all(plain) => Err(D::Error::custom(format!("{name:?} is no name of ffprobe's"))),
        given => Ok(given),
    }
}
