//! Metadata of a high dynamic range in side data.

use reelmill_api::{
    Rational,
    media::{HdrMetadata, Mastering},
};

use super::document::SideData;

/// Chromaticities are counted in 0.00002 and luminances in 0.0001 cd/m2 (SMPTE ST 2086).
const PER_CHROMATICITY: f64 = 50_000.0;
const PER_CANDELA: f64 = 10_000.0;

/// Mastering display and light levels, if there is either.
pub(super) fn hdr(side: &[&SideData]) -> Option<HdrMetadata> {
    let metadata = HdrMetadata {
        mastering: side.iter().find_map(|d| mastering(d)),
        max_cll: side.iter().find_map(|d| d.max_content),
        max_fall: side.iter().find_map(|d| d.max_average),
    };
    (metadata != HdrMetadata::default()).then_some(metadata)
}

fn mastering(data: &SideData) -> Option<Mastering> {
    let point =
        |x: &Option<String>, y: &Option<String>| Some((units(x, PER_CHROMATICITY)?, units(y, PER_CHROMATICITY)?));
    Some(Mastering {
        primaries: [
            point(&data.red_x, &data.red_y)?,
            point(&data.green_x, &data.green_y)?,
            point(&data.blue_x, &data.blue_y)?,
        ],
        white: point(&data.white_point_x, &data.white_point_y)?,
        max_luminance: units(&data.max_luminance, PER_CANDELA)?,
        min_luminance: units(&data.min_luminance, PER_CANDELA)?,
    })
}

/// A fraction such as `34000/50000`, counted in parts of `per`. A value of nothing is a true one.
fn units(text: &Option<String>, per: f64) -> Option<u32> {
    let text = text.as_deref()?;
    if text.starts_with("0/") {
        return Some(0);
    }
    let value = text.parse::<Rational>().ok()?.as_f64() * per;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
    Some(value.round() as u32)
}
