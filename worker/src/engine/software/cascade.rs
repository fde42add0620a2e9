//! Which rendition another is scaled from: a larger one that was scaled already is nearer than the source, and cheaper.

use super::graph::pixel_format;
use crate::plan::{Placement, VideoPlan};

/// A picture is scaled from one that is at least so many times as wide and high. Nearer sizes (480 lines from 720 are 1.5,
/// 360 from 480 only 1.33) would be softened twice by almost the same filter.
const TIMES: f64 = 1.4;

/// The smallest of `videos` that `video` may be scaled from, if there is one; else it is scaled from the source.
pub(super) fn parent<'a>(video: &VideoPlan, videos: &[&'a VideoPlan]) -> Option<&'a VideoPlan> {
    let fits = |other: &&&VideoPlan| {
        let times = |mine: u32, theirs: u32| f64::from(theirs) >= f64::from(mine) * TIMES;
        other.placement == Placement::Whole
            && video.placement == Placement::Whole
            && other.hdr == video.hdr
            && pixel_format(other) == pixel_format(video)
            && times(video.size.width, other.size.width)
            && times(video.size.height, other.size.height)
    };
    videos.iter().filter(fits).min_by_key(|other| other.size.width).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        plan,
        tests::{hls_ladder, source},
    };

    #[test]
    fn each_is_scaled_from_the_nearest_that_is_large_enough() {
        let plan = plan(&hls_ladder(), &source(1920, 1080, "25/1")).expect("a plan");
        let videos = plan.videos();
        let of: Vec<_> = videos.iter().map(|v| parent(v, &videos).map(|p| p.name.as_str())).collect();
        assert_eq!(of, [None, Some("1080p"), Some("720p"), Some("720p")]);
    }

    #[test]
    fn nothing_is_scaled_from_another_range_or_shape() {
        let plan = plan(&hls_ladder(), &source(1920, 1080, "25/1")).expect("a plan");
        let mut large = plan.videos()[0].clone();
        let small = plan.videos()[3].clone();
        assert!(parent(&small, &[&large]).is_some());
        large.hdr = true;
        assert!(parent(&small, &[&large]).is_none());
        large.hdr = false;
        large.placement = Placement::OverBlur(large.size);
        assert!(parent(&small, &[&large]).is_none());
    }
}
