//! Metadata of a high dynamic range in the encoders' words: the mastering display and the light levels.

use reelmill_api::media::HdrMetadata;

use crate::plan::HdrSource;

/// x265 counts as the metadata does: 0.00002 and 0.0001 cd/m2. `hdr10-opt` spreads bits by PQ's curve, and is of no use to
/// another.
pub(super) fn x265(hdr: &HdrSource) -> String {
    let mut params = if hdr.colour.transfer.as_deref() == Some("smpte2084") { ":hdr10-opt=1" } else { "" }.to_owned();
    if let Some(m) = &hdr.metadata.mastering {
        let [red, green, blue] = m.primaries;
        let point = |(x, y): (u32, u32)| format!("({x},{y})");
        params += &format!(
            ":master-display=G{}B{}R{}WP{}L({},{})",
            point(green),
            point(blue),
            point(red),
            point(m.white),
            m.max_luminance,
            m.min_luminance
        );
    }
    params + &light(&hdr.metadata, ":max-cll=")
}

/// SVT-AV1 wants the same in whole units.
pub(super) fn svt_av1(metadata: &HdrMetadata) -> String {
    let mut params = String::new();
    if let Some(m) = &metadata.mastering {
        let [red, green, blue] = m.primaries;
        let point = |(x, y): (u32, u32)| format!("({:.5},{:.5})", f64::from(x) / 50_000.0, f64::from(y) / 50_000.0);
        let luminance = |n: u32| f64::from(n) / 10_000.0;
        params += &format!(
            ":mastering-display=G{}B{}R{}WP{}L({:.4},{:.4})",
            point(green),
            point(blue),
            point(red),
            point(m.white),
            luminance(m.max_luminance),
            luminance(m.min_luminance)
        );
    }
    params + &light(metadata, ":content-light=")
}

fn light(metadata: &HdrMetadata, option: &str) -> String {
    let Some(brightest) = metadata.max_cll else { return String::new() };
    format!("{option}{brightest},{}", metadata.max_fall.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use reelmill_api::media::{Colour, Mastering};

    use super::*;

    /// Display P3 as Apple masters on it, and its light levels.
    fn source(transfer: &str) -> HdrSource {
        let mastering = Mastering {
            primaries: [(34_000, 16_000), (13_250, 34_500), (7_500, 3_000)],
            white: (15_635, 16_450),
            max_luminance: 10_000_000,
            min_luminance: 50,
        };
        HdrSource {
            colour: Colour { transfer: Some(transfer.to_owned()), ..Colour::default() },
            metadata: HdrMetadata { mastering: Some(mastering), max_cll: Some(1000), max_fall: Some(400) },
        }
    }

    #[test]
    fn each_encoder_is_told_in_its_own_units() {
        assert_eq!(
            x265(&source("smpte2084")),
            ":hdr10-opt=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
        );
        assert_eq!(
            svt_av1(&source("smpte2084").metadata),
            ":mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050)\
             :content-light=1000,400"
        );
    }

    #[test]
    fn what_a_source_does_not_say_is_not_made_up() {
        let bare = HdrSource { metadata: HdrMetadata::default(), ..source("arib-std-b67") };
        assert_eq!((x265(&bare), svt_av1(&bare.metadata)), (String::new(), String::new()));
    }
}
