//! Sizes: the upright source in square pixels, and what each rung or frame becomes for it.

use reelmill_api::{
    ErrorKind, Failure,
    media::VideoFacts,
    preset::{Filter, Fit, Frame, Rung, filter::Edges},
};

/// A picture's size in square pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// How pictures lie in a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// They fill it.
    Whole,
    /// Scaled to this size, of which the middle is shown.
    Cropped(Size),
    /// Scaled to this size and laid over an enlarged and blurred copy.
    OverBlur(Size),
}

/// The share of a rung that a source must fill to have it. Below it, the rung lies above the source; a little below the
/// full size (1270x714 is such a source) the rung is made at the source's own size.
const FILLS_RUNG: f64 = 0.9;
/// The least side that is left after cutting edges.
const LEAST_SIDE: f64 = 16.0;

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

impl Upright {
    /// The size to even numbers, which 4:2:0 needs.
    pub(super) fn even(self) -> Size {
        Size { width: even(self.width, 1.0), height: even(self.height, 1.0) }
    }

    /// The picture once its edges are cut or added.
    ///
    /// # Errors
    /// If nothing is left of it.
    pub(super) fn after(self, filters: &[Filter]) -> Result<Self, Failure> {
        let mut size = if filters.is_empty() { self } else { self.even().into() };
        for filter in filters {
            match filter {
                Filter::Crop(edges) => size = size.grown(edges, -1.0)?,
                Filter::Pad(edges) => size = size.grown(edges, 1.0)?,
                Filter::Denoise(_) | Filter::Sharpen(_) | Filter::Logo(_) | Filter::Lut(_) => {}
            }
        }
        Ok(size)
    }

    fn grown(self, edges: &Edges, sign: f64) -> Result<Self, Failure> {
        let sum = |a: reelmill_api::preset::filter::EdgePixels, b: reelmill_api::preset::filter::EdgePixels| {
            f64::from(a.get()) + f64::from(b.get())
        };
        let width = self.width + sign * sum(edges.left, edges.right);
        let height = self.height + sign * sum(edges.top, edges.bottom);
        if width >= LEAST_SIDE && height >= LEAST_SIDE {
            return Ok(Self { width, height });
        }
        let message = format!("the crop filter leaves nothing of a picture of {:.0}x{:.0}", self.width, self.height);
        Err(Failure::new(ErrorKind::BadRequest, message).hint("crop less, or submit another source"))
    }

    /// Its shape with a long side of so many pixels, or its own if that is less.
    pub(super) fn with_long_side(self, pixels: u32) -> Size {
        let scale = (f64::from(pixels) / self.width.max(self.height)).min(1.0);
        self.scaled(scale)
    }

    fn scaled(self, scale: f64) -> Size {
        Size { width: even(self.width, scale), height: even(self.height, scale) }
    }
}

impl From<Size> for Upright {
    fn from(size: Size) -> Self {
        Self { width: size.width.into(), height: size.height.into() }
    }
}

/// What each rung becomes: those above the source are dropped; if all are, the smallest is made at the source's size.
pub(super) fn fit_ladder<'a>(rungs: &'a [Rung], source: Upright, changes: &mut Vec<String>) -> Vec<(&'a Rung, Size)> {
    let (kept, dropped): (Vec<_>, Vec<_>) = rungs.iter().partition(|r| 1.0 / scale_to(r, source) >= FILLS_RUNG);
    let kept = if kept.is_empty() { dropped.last().copied().into_iter().collect() } else { kept };
    for rung in dropped.iter().filter(|r| !kept.contains(r)) {
        changes.push(format!("dropped rung {}: above the source", rung.name));
    }
    kept.into_iter().map(|rung| (rung, source.scaled(scale_to(rung, source).min(1.0)))).collect()
}

/// The factor that fits the source into the rung's box, whichever way the picture stands.
fn scale_to(rung: &Rung, source: Upright) -> f64 {
    let (long, short) = (f64::from(rung.long_side.get()), f64::from(rung.short_side.get()));
    let (across, down) = if source.width >= source.height { (long, short) } else { (short, long) };
    (across / source.width).min(down / source.height)
}

/// The size of a file's picture, and how the source lies in it.
pub(super) fn fit_frame(frame: Option<Frame>, source: Upright) -> (Size, Placement) {
    let Some(frame) = frame else { return (source.even(), Placement::Whole) };
    let size = Size { width: frame.width.get(), height: frame.height.get() };
    let (across, down) = (f64::from(size.width) / source.width, f64::from(size.height) / source.height);
    let inside = source.scaled(across.min(down));
    match frame.fit {
        Fit::Inside => (source.scaled(across.min(down).min(1.0)), Placement::Whole),
        _ if inside == size => (size, Placement::Whole),
        Fit::Crop => (size, Placement::Cropped(covering(source.scaled(across.max(down)), size))),
        Fit::Blur => (size, Placement::OverBlur(inside)),
    }
}

/// Rounding may leave a scaled picture short of the frame that it should fill.
fn covering(scaled: Size, frame: Size) -> Size {
    Size { width: scaled.width.max(frame.width), height: scaled.height.max(frame.height) }
}

/// 4:2:0 needs even sides: the nearest, and never more than the source has.
fn even(side: f64, scale: f64) -> u32 {
    let halves = if scale == 1.0 { (side / 2.0).floor() } else { (side * scale / 2.0).round() };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive size far below u32::MAX")]
    let halves = halves as u32;
    (halves * 2).max(2)
}
