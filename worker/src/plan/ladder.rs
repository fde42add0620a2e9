//! Ladders: a rendition for each rung that the source fills, and for each track of sound and text.

use reelmill_api::{
    MediaFacts, Preset,
    media::VideoFacts,
    preset::{LadderRecipe, Rung, Storyboard},
};

use super::{
    Grid, LadderPlan, RatePlan, Size, StoryboardPlan, TextPlan, VideoPlan, audio, colour,
    geometry::{self, Placement, Upright},
};

/// What every product is planned from.
pub(super) struct Source<'a> {
    pub(super) preset: &'a Preset,
    pub(super) media: &'a MediaFacts,
    pub(super) video: &'a VideoFacts,
    pub(super) lead_micros: u32,
}

pub(super) fn plan(
    source: &Source<'_>,
    recipe: &LadderRecipe,
    grid: &Grid,
    shown: Upright,
    changes: &mut Vec<String>,
) -> LadderPlan {
    let rungs = geometry::fit_ladder(recipe.rungs.rungs(), shown, changes);
    LadderPlan {
        videos: rungs.into_iter().map(|(rung, size)| video(source, rung, size, grid.gop)).collect(),
        audios: audio::plan(source, changes),
        texts: texts(source, recipe, changes),
        storyboard: recipe.storyboard.as_ref().map(|wished| storyboard(wished, grid, shown)),
    }
}

fn video(source: &Source<'_>, rung: &Rung, size: Size, gop: u32) -> VideoPlan {
    let recipe = &source.preset.video;
    let codec = rung.codec.unwrap_or(recipe.codec);
    let hdr = colour::keeps(source.video, source.preset, codec);
    VideoPlan {
        name: rung.name.to_string(),
        size,
        placement: Placement::Whole,
        codec,
        depth: colour::depth(source.video, codec, hdr),
        hdr,
        effort: recipe.effort,
        rate: Some(RatePlan { crf: rung.crf.get(), max_bps: Some(rung.max_bps.get()) }),
        gop,
    }
}

fn texts(source: &Source<'_>, recipe: &LadderRecipe, changes: &mut Vec<String>) -> Vec<TextPlan> {
    let mut plans: Vec<TextPlan> = Vec::new();
    for track in source.media.subtitles.iter().filter(|_| recipe.subtitles) {
        if !track.text {
            changes.push(format!("left out: subtitles that are pictures ({})", track.codec));
            continue;
        }
        let name = if plans.is_empty() { "text".to_owned() } else { format!("text-{}", plans.len() + 1) };
        plans.push(TextPlan {
            name,
            stream: track.index,
            language: track.language.clone(),
            forced: track.forced,
            hearing_impaired: track.hearing_impaired,
        });
    }
    plans
}

fn storyboard(wished: &Storyboard, grid: &Grid, shown: Upright) -> StoryboardPlan {
    let every = grid.frame_rate.times_rounded(u64::from(wished.every_seconds.get()) * 1000);
    StoryboardPlan {
        every_frames: u32::try_from(every).expect("at most 10 s of a rate that a preset allows").max(1),
        tile: shown.with_long_side(wished.long_side.get()),
        columns: wished.columns.get(),
        rows: wished.rows.get(),
    }
}
