//! Single files: pictures and sound together, in the frame that the preset wants.

use reelmill_api::preset::{FileRecipe, VideoCodec};

use super::{
    FilePlan, Grid, RatePlan, VideoPlan, audio, colour,
    geometry::{self, Upright},
    ladder::Source,
    timecode,
};

pub(super) fn plan(
    source: &Source<'_>,
    recipes: &[FileRecipe],
    grid: &Grid,
    shown: Upright,
    changes: &mut Vec<String>,
) -> Vec<FilePlan> {
    let audios = audio::plan(source, changes);
    let timecode = time_code(source, grid, changes);
    let files = recipes.iter().map(|recipe| FilePlan {
        container: recipe.container,
        video: video(source, recipe, grid, shown),
        audios: audios.clone(),
        timecode: timecode.clone(),
    });
    files.collect()
}

/// The source's time code, if it counts the frames of the files.
fn time_code(source: &Source<'_>, grid: &Grid, changes: &mut Vec<String>) -> Option<String> {
    let text = source.media.timecode.as_ref()?;
    let Some(why) = timecode::unfit(text, source.video.frame_rate, grid.frame_rate) else { return Some(text.clone()) };
    changes.push(format!("time code {text} left out: {why}"));
    None
}

fn video(source: &Source<'_>, recipe: &FileRecipe, grid: &Grid, shown: Upright) -> VideoPlan {
    let wished = &source.preset.video;
    let codec = recipe.codec.unwrap_or(wished.codec);
    let hdr = colour::keeps(source.video, source.preset, codec);
    let (size, placement) = geometry::fit_frame(recipe.frame, shown);
    VideoPlan {
        name: recipe.name.to_string(),
        size,
        placement,
        codec,
        depth: colour::depth(source.video, codec, hdr),
        hdr,
        effort: wished.effort,
        rate: recipe.crf.map(|crf| RatePlan { crf: crf.get(), max_bps: recipe.max_bps.map(std::num::NonZeroU32::get) }),
        gop: keyframes(codec, recipe, grid),
    }
}

/// Frames from one keyframe to the next: never further apart in time than the preset says.
fn keyframes(codec: VideoCodec, recipe: &FileRecipe, grid: &Grid) -> u32 {
    if codec.is_mezzanine() {
        return 1;
    }
    let frames = grid.frame_rate.as_f64() * f64::from(recipe.keyframe_seconds.get());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "10 s of a rate that a preset allows")]
    let whole = (frames + 1e-6).floor() as u32;
    whole.max(1)
}
