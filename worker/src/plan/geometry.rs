//! Sizes: the upright source in square pixels, and what each rung of a ladder becomes for it.

use reelmill_api::{media::VideoFacts, preset::Rung};

use super::VideoPlan;

/// A picture's size in square pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The share of a rung that a source must fill to have it. Below it, the rung lies above the source; a little below the
/// full size (1270x714 is such a source) the rung is made at the source's own size.
const FILLS_RUNG: f64 = 0.9;

/// The source as it is meant to be seen, in square pixels: not rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Upright {
    width: f64,
    height: f64,
}

/// Stretches to square pixels, then turns.
pub(super) fn upright(video: &VideoFacts) -> Upright {
    let width = f64::from(video.width) * video.sample_aspect.as_f64();
    let height = f64::from(video.height);
    if video.rotation.swaps_sides() { Upright { width: height, height: width } } else { Upright { width, height } }
}

/// What each rung becomes: those above the source are dropped; if all are, the smallest is made at the source's size.
pub(super) fn fit_ladder(rungs: &[Rung], source: Upright, changes: &mut Vec<String>) -> Vec<VideoPlan> {
    let (kept, dropped): (Vec<_>, Vec<_>) = rungs.iter().partition(|r| 1.0 / scale_to(r, source) >= FILLS_RUNG);
    let kept = if kept.is_empty() { dropped.last().copied().into_iter().collect() } else { kept };
    for rung in dropped.iter().filter(|r| !kept.contains(r)) {
        changes.push(format!("dropped rung {}: above the source", rung.name));
    }
    kept.into_iter().map(|rung| fit(rung, source)).collect()
}

fn fit(rung: &Rung, source: Upright) -> VideoPlan {
    let scale = scale_to(rung, source).min(1.0);
    VideoPlan {
        name: rung.name.to_string(),
        size: Size { width: even(source.width, scale), height: even(source.height, scale) },
        crf: rung.crf.get(),
        max_bps: rung.max_bps.get(),
    }
}

/// The factor that fits the source into the rung's box, whichever way the picture stands.
fn scale_to(rung: &Rung, source: Upright) -> f64 {
    let (long, short) = (f64::from(rung.long_side.get()), f64::from(rung.short_side.get()));
    let (across, down) = if source.width >= source.height { (long, short) } else { (short, long) };
    (across / source.width).min(down / source.height)
}

/// 4:2:0 needs even sides: the nearest, and never more than the source has.
fn even(side: f64, scale: f64) -> u32 {
    let halves = if scale < 1.0 { (side * scale / 2.0).round() } else { (side / 2.0).floor() };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive size far below u32::MAX")]
    let halves = halves as u32;
    (halves * 2).max(2)
}
