//! The plan of one session: that of a ladder, held to the renditions that the output has since its first session.

use reelmill_api::{
    ErrorKind, Failure, MediaFacts, Preset,
    preset::{self, LadderRecipe, LiveRecipe},
    rendition::Track,
};

use super::state::Made;
use crate::plan::{self, LadderPlan, Placement, Plan, Product, Size, VideoPlan};

/// How far two shapes may be apart that count as the same.
const SAME_SHAPE: f64 = 0.02;

/// What to make of a source, and its ladder once more. `known`: the renditions that the output has; none at first.
///
/// # Errors
/// If the source cannot become these renditions.
pub(super) fn plan(preset: &Preset, recipe: &LiveRecipe, media: &MediaFacts, known: &[Made]) -> Result<Plan, Failure> {
    let LiveRecipe { segment_seconds, rungs, window: _ } = recipe.clone();
    let ladder = LadderRecipe { segment_seconds, rungs, subtitles: false, storyboard: None };
    let preset = Preset { product: preset::Product::Ladder(ladder), ..preset.clone() };
    let mut plan = plan::plan(&preset, media)?;
    if let (Product::Ladder(ladder), false) = (&mut plan.product, known.is_empty()) {
        hold(ladder, recipe, known)?;
    }
    Ok(plan)
}

/// Gives the ladder the renditions that viewers have playlists of.
fn hold(ladder: &mut LadderPlan, recipe: &LiveRecipe, known: &[Made]) -> Result<(), Failure> {
    let planned = std::mem::take(&mut ladder.videos);
    for made in known {
        match &made.rendition.track {
            Track::Video { width, height, .. } => {
                let size = Size { width: *width, height: *height };
                ladder.videos.push(held(&planned, recipe, &made.rendition.name, size)?);
            }
            _ if ladder.audios.iter().any(|audio| audio.name == made.rendition.name) => {}
            _ => {
                let message = format!("the source came back without the sound of {}", made.rendition.name);
                return Err(Failure::new(ErrorKind::BadSource, message).hint("viewers have it: send it again"));
            }
        }
    }
    ladder.audios.retain(|audio| known.iter().any(|made| made.rendition.name == audio.name));
    Ok(())
}

fn held(planned: &[VideoPlan], recipe: &LiveRecipe, name: &str, size: Size) -> Result<VideoPlan, Failure> {
    let largest = planned.first();
    let base = planned.iter().find(|video| video.name == name).or(largest);
    let base = base.ok_or_else(|| Failure::new(ErrorKind::Bug, "a ladder was planned without pictures"))?;
    let rung = recipe.rungs.rungs().iter().find(|rung| rung.name.as_str() == name);
    let rate = rung.map(|rung| plan::RatePlan { crf: rung.crf.get(), max_bps: Some(rung.max_bps.get()) });
    let shape = |size: Size| f64::from(size.width) / f64::from(size.height);
    let placement = if (shape(base.size) / shape(size) - 1.0).abs() <= SAME_SHAPE {
        Placement::Whole
    } else {
        Placement::OverBlur(inside(base.size, size))
    };
    Ok(VideoPlan { name: name.to_owned(), size, placement, rate: rate.or(base.rate), ..base.clone() })
}

/// The largest even size of one shape that fits into a frame.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive sizes far below u32::MAX")]
fn inside(shape: Size, frame: Size) -> Size {
    let (width, height) = (f64::from(shape.width), f64::from(shape.height));
    let scale = (f64::from(frame.width) / width).min(f64::from(frame.height) / height);
    let even = |side: f64| ((side * scale / 2.0).round() as u32).max(1) * 2;
    Size { width: even(width).min(frame.width), height: even(height).min(frame.height) }
}

/// The renditions that a plan makes, before anything of them is made, with what their encoders allow. Their codecs are told
/// by the first bytes.
pub(super) fn renditions(plan: &Plan) -> Vec<Made> {
    let Product::Ladder(ladder) = &plan.product else { return Vec::new() };
    let videos = ladder.videos.iter().map(|video| {
        let track = Track::Video {
            width: video.size.width,
            height: video.size.height,
            frame_rate: plan.grid.frame_rate,
            dynamic_range: Default::default(),
        };
        let max = video.rate.and_then(|rate| rate.max_bps).unwrap_or(0);
        Made::nothing_yet(&video.name, track, max.into())
    });
    let audios = ladder.audios.iter().map(|audio| {
        let track = Track::Audio {
            channels: audio.channels,
            sample_rate: audio.sample_rate,
            language: audio.language.clone(),
            surround: audio.surround,
        };
        Made::nothing_yet(&audio.name, track, audio.bitrate_bps.into())
    });
    videos.chain(audios).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use reelmill_api::preset::Presets;

    use super::*;
    use crate::plan::tests::source;

    fn planned(media: &MediaFacts, known: &[Made]) -> Result<Plan, Failure> {
        let presets = Presets::built_in();
        let preset = presets.get(&"live-hls".parse().expect("a name")).expect("it comes with us");
        planned_by(preset, media, known)
    }

    fn planned_by(preset: &Preset, media: &MediaFacts, known: &[Made]) -> Result<Plan, Failure> {
        let preset::Product::Live(recipe) = &preset.product else { panic!("it is live") };
        plan(preset, recipe, media, known)
    }

    /// What the first session of a live source makes.
    pub(crate) fn first_plan(preset: &Preset, media: &MediaFacts) -> Plan {
        planned_by(preset, media, &[]).expect("a plan")
    }

    fn shapes(plan: &Plan) -> Vec<(String, u32, u32, bool)> {
        let whole = |v: &VideoPlan| v.placement == Placement::Whole;
        plan.videos().iter().map(|v| (v.name.clone(), v.size.width, v.size.height, whole(v))).collect()
    }

    #[test]
    fn a_source_that_comes_back_otherwise_becomes_what_viewers_know() {
        let first = planned(&source(1280, 720, "25/1"), &[]).expect("a plan");
        let known = renditions(&first);
        let want = |whole| vec![("720p".to_owned(), 1280, 720, whole), ("360p".to_owned(), 640, 360, whole)];
        assert_eq!(shapes(&first), want(true));
        assert_eq!(shapes(&planned(&source(640, 360, "30/1"), &known).expect("a plan")), want(true));
        assert_eq!(shapes(&planned(&source(720, 1280, "25/1"), &known).expect("a plan")), want(false));
    }

    #[test]
    fn a_source_without_the_sound_that_viewers_know_has_to_come_again() {
        let with = source(1280, 720, "25/1");
        let without = MediaFacts { audio: Vec::new(), ..with.clone() };
        let known = renditions(&planned(&with, &[]).expect("a plan"));
        let failure = planned(&without, &known).expect_err("no sound");
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (ErrorKind::BadSource, "the source came back without the sound of audio")
        );
        let silent = renditions(&planned(&without, &[]).expect("a plan"));
        assert_eq!(renditions(&planned(&with, &silent).expect("a plan")), silent);
    }
}
