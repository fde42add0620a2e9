//! The plan: a pure function from a preset and a source's facts to everything that an engine must make and that the
//! verification will check.

mod audio;
mod colour;
mod files;
mod filters;
mod geometry;
pub(crate) mod grid;
mod ladder;
mod maker;
pub mod timecode;
pub mod weight;

use reelmill_api::{
    ErrorKind, Failure, MediaFacts, Preset, Rational, layout,
    media::{Colour, Fields, HdrMetadata, Rotation, VideoFacts},
    preset::{self, AudioCodec, Container, Damage, Effort, Filter, VideoCodec, VmafFloor},
};

pub use geometry::{Placement, Size};
pub use grid::{Expected, Grid};
pub use maker::{Cuda, EngineKind, Maker};

/// What an engine makes of one source, in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How much of the source is left out because it comes before the first picture, microseconds.
    pub lead_micros: u32,
    /// When the first picture is shown on the grid, microseconds.
    pub begins_micros: u64,
    /// The source's video track and what is done to it before the renditions part.
    pub picture: Picture,
    /// The frame grid that all pictures share.
    pub grid: Grid,
    /// How long the longest track of the source is by what it declares.
    pub declared_seconds: Option<f64>,
    /// What is made.
    pub product: Product,
    /// The least VMAF of each sampled segment of the largest rendition, where it is to be measured.
    pub vmaf_min: Option<u32>,
    /// What becomes of a source that is damaged in the middle.
    pub damage: Damage,
    /// Whether its container is one that is recorded from a running stream, and so may end in the middle of a picture.
    pub ragged_ends: bool,
    /// What makes it.
    pub maker: Maker,
    /// What is done to the source, in plain words for the report.
    pub changes: Vec<String>,
}

/// What is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Product {
    /// A ladder in segments.
    Ladder(LadderPlan),
    /// Single files; at least one.
    Files(Vec<FilePlan>),
}

/// A ladder: each track a rendition of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderPlan {
    /// Video renditions, largest first; at least one.
    pub videos: Vec<VideoPlan>,
    /// Audio renditions in the source's order; may be none.
    pub audios: Vec<AudioPlan>,
    /// WebVTT renditions in the source's order; may be none.
    pub texts: Vec<TextPlan>,
    /// Small pictures for seeking.
    pub storyboard: Option<StoryboardPlan>,
}

/// A single file.
#[derive(Clone, Debug, PartialEq)]
pub struct FilePlan {
    /// Its container.
    pub container: Container,
    /// Its pictures; their name is the file's, without ending.
    pub video: VideoPlan,
    /// Its sound, a track each.
    pub audios: Vec<AudioPlan>,
    /// The time code of its first frame.
    pub timecode: Option<String>,
}

/// What is done to the picture once, before the renditions part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The source's stream index.
    pub stream: u32,
    /// What a decoder is given.
    pub coded: Coded,
    /// How the lines of a frame were taken.
    pub fields: Fields,
    /// The turn that makes it upright.
    pub rotation: Rotation,
    /// The size of the upright picture in square pixels, before filters.
    pub size: Size,
    /// Extra filters, in order.
    pub filters: Vec<Filter>,
    /// The colours of renditions with a standard dynamic range.
    pub colour: Colour,
    /// Whether the source's samples are red, green and blue.
    pub rgb: bool,
    /// The source's high dynamic range, if it has one.
    pub hdr: Option<HdrSource>,
}

/// The pictures of a source as they are coded, by which it is known what can decode them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Their codec, by ffmpeg's name.
    pub codec: String,
    /// Their pixel format, by ffmpeg's name.
    pub pixel_format: String,
    /// Bits of a sample.
    pub depth: u32,
    /// Their size in samples.
    pub size: Size,
    /// Whether samples use all values.
    pub full_range: bool,
}

impl Coded {
    fn of(video: &VideoFacts) -> Self {
        Self {
            codec: video.codec.clone(),
            pixel_format: video.pixel_format.clone(),
            depth: video.bit_depth(),
            size: Size { width: video.width, height: video.height },
            full_range: video.colour.range.as_deref() == Some("pc") || video.pixel_format.starts_with("yuvj"),
        }
    }
}

/// The colours of a source with a high dynamic range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HdrSource {
    /// Its tags; what the source leaves open is what its transfer curve goes with as a rule.
    pub colour: Colour,
    /// Its metadata.
    pub metadata: HdrMetadata,
}

/// One video rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoPlan {
    /// Its name and folder.
    pub name: String,
    /// Its size in square pixels.
    pub size: Size,
    /// How pictures lie in it.
    pub placement: Placement,
    /// Its codec.
    pub codec: VideoCodec,
    /// Bits of a sample: 8 or 10.
    pub depth: u32,
    /// Whether a high dynamic range is kept.
    pub hdr: bool,
    /// The work of a software encoder.
    pub effort: Effort,
    /// Its rate control; absent for codecs whose rate follows from the size.
    pub rate: Option<RatePlan>,
    /// Frames from one keyframe to the next.
    pub gop: u32,
}

/// Capped constant quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePlan {
    /// Constant rate factor, on the encoder's own scale.
    pub crf: u8,
    /// Highest rate, bits per second.
    pub max_bps: Option<u32>,
}

/// One audio rendition.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioPlan {
    /// Its name and folder.
    pub name: String,
    /// The source's stream index.
    pub stream: u32,
    /// Its codec.
    pub codec: AudioCodec,
    /// Bits per second.
    pub bitrate_bps: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Whether it is the second one of its track, with all channels.
    pub surround: bool,
    /// The loudness that it is brought to, LUFS.
    pub loudness_lufs: Option<f64>,
    /// Language, where the source says.
    pub language: Option<String>,
    /// Milliseconds from the first picture to the end of its sound, where the source says.
    pub ends_at_ms: Option<u64>,
}

/// One WebVTT rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPlan {
    /// Its name and folder.
    pub name: String,
    /// The source's stream index.
    pub stream: u32,
    /// Language, where the source says.
    pub language: Option<String>,
    /// Whether it is for those parts only that everyone needs.
    pub forced: bool,
    /// Whether it also tells sounds.
    pub hearing_impaired: bool,
}

/// Sheets of small pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoryboardPlan {
    /// Frames of the grid from one picture to the next.
    pub every_frames: u32,
    /// The size of each.
    pub tile: Size,
    /// Pictures in a row of a sheet.
    pub columns: u32,
    /// Rows of a sheet.
    pub rows: u32,
}

impl LadderPlan {
    /// The folders that the engine writes, video first.
    pub fn rendition_names(&self) -> impl Iterator<Item = &str> {
        self.videos.iter().map(|v| v.name.as_str()).chain(self.audios.iter().map(|a| a.name.as_str()))
    }
}

impl FilePlan {
    /// Its name with the container's ending.
    pub fn file_name(&self) -> String {
        layout::single_file(&self.video.name, self.container)
    }
}

impl Plan {
    /// All video renditions, of whatever product.
    pub fn videos(&self) -> Vec<&VideoPlan> {
        match &self.product {
            Product::Ladder(ladder) => ladder.videos.iter().collect(),
            Product::Files(files) => files.iter().map(|file| &file.video).collect(),
        }
    }

    /// The colours of one of its renditions.
    pub fn colour_of(&self, video: &VideoPlan) -> &Colour {
        let hdr = self.picture.hdr.as_ref().filter(|_| video.hdr);
        hdr.map_or(&self.picture.colour, |hdr| &hdr.colour)
    }
}

/// Plans what `preset` makes of a source.
///
/// # Errors
/// `bad_source` if the source lacks what the preset needs, `bad_request` if the preset is for another kind of source.
pub fn plan(preset: &Preset, media: &MediaFacts) -> Result<Plan, Failure> {
    let video = media.video.as_ref().ok_or_else(|| no_video(preset, media))?;
    refuse(video)?;
    let mut changes = picture_changes(video);
    changes.extend(preset.filters.iter().map(filters::told));
    changes.extend(media.others.iter().map(|what| format!("left out: {what}")));
    let lead_micros = lead_micros(video);
    if lead_micros > 0 && !media.audio.is_empty() {
        changes.push(format!("sound before the first picture cut: {} ms", lead_micros.div_ceil(1000)));
    }
    let source = ladder::Source { preset, media, video, lead_micros };
    let grid = grid::grid(&source, &mut changes);
    let upright = geometry::upright(video);
    let picture = Picture {
        stream: video.index,
        coded: Coded::of(video),
        fields: video.fields,
        rotation: video.rotation,
        size: upright.even(),
        filters: preset.filters.clone(),
        colour: colour::standard(video),
        rgb: colour::is_rgb(video),
        hdr: colour::high(video),
    };
    let shown = upright.after(&preset.filters)?;
    let product = match &preset.product {
        preset::Product::Ladder(recipe) => Product::Ladder(ladder::plan(&source, recipe, &grid, shown, &mut changes)),
        preset::Product::Files(recipes) => Product::Files(files::plan(&source, recipes, &grid, shown, &mut changes)),
        preset::Product::Live(_) => return Err(live_only(preset)),
    };
    let mut plan = Plan {
        lead_micros,
        begins_micros: begins_micros(video, lead_micros),
        picture,
        grid,
        declared_seconds: grid::declared(media),
        product,
        vmaf_min: preset.video.vmaf_min.map(VmafFloor::get),
        damage: preset.damage,
        maker: Maker::default(),
        ragged_ends: has_ragged_ends(media),
        changes,
    };
    plan.changes.extend(colour::changes(&plan));
    Ok(plan)
}

fn has_ragged_ends(media: &MediaFacts) -> bool {
    matches!(media.container.as_str(), "mpegts" | "mpeg")
}

/// The longest sound before the first picture that is cut. An AAC encoder's priming is up to 46 ms (1024 samples at
/// 22 050 Hz), which Matroska and MPEG-TS show as sound that comes early. The pictures would lie beside the frame grid
/// otherwise, moved by up to half a frame, and with the first one doubled.
const LONGEST_LEAD_MICROS: u32 = 50_000;

fn lead_micros(video: &VideoFacts) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    let micros = (video.starts_at_seconds * 1e6).round() as u32;
    if micros <= LONGEST_LEAD_MICROS { micros } else { 0 }
}

/// What came before it is filled with it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn begins_micros(video: &VideoFacts, lead_micros: u32) -> u64 {
    ((video.starts_at_seconds * 1e6).round() as u64).saturating_sub(lead_micros.into())
}

fn no_video(preset: &Preset, media: &MediaFacts) -> Failure {
    let has = if media.audio.is_empty() { "no audio either" } else { "only audio" };
    let message = format!("it has no video track ({has}), and preset {} makes video", preset.name);
    Failure::new(ErrorKind::BadSource, message).hint("choose a source with moving pictures")
}

fn live_only(preset: &Preset) -> Failure {
    Failure::new(ErrorKind::BadRequest, format!("preset {} is for live sources, and this one is a file", preset.name))
        .hint("choose hls-ladder for files, or give an srt://, rtmp:// or rtsp:// address as input")
}

/// Dolby Vision profile 5 has colours of its own (IPTPQc2) and no layer that other decoders understand: shown as anything
/// else it is green and purple.
fn refuse(video: &VideoFacts) -> Result<(), Failure> {
    if video.dolby_vision_profile != Some(5) {
        return Ok(());
    }
    let message = "it is Dolby Vision profile 5, whose colours only Dolby's own decoders can show";
    Err(Failure::new(ErrorKind::BadSource, message)
        .hint("export it as HDR10, HLG or Dolby Vision profile 8 and submit that"))
}

fn picture_changes(video: &VideoFacts) -> Vec<String> {
    let mut changes = Vec::new();
    if video.fields == Fields::Interlaced {
        changes.push("deinterlaced".to_owned());
    }
    if video.rotation != Rotation::None {
        changes.push(format!("rotated {}", video.rotation.degrees()));
    }
    if Some(video.sample_aspect) != Rational::whole(1) {
        changes.push(format!("made pixels square: they were {}", video.sample_aspect));
    }
    if video.colour.range.as_deref() == Some("pc") {
        changes.push("full range made video range".to_owned());
    }
    changes
}

#[cfg(test)]
pub(crate) mod tests;
