//! The names of codecs in playlists and manifests (RFC 6381), from their decoder configuration.

use mp4_atom::{Av1c, Hvcc};

/// ISO/IEC 14496-15, annex E.3: profile, compatibility flags in reverse bit order, tier and level, and the constraint
/// bytes up to the last that is not zero.
pub(crate) fn hevc(config: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(config.general_profile_space & 3)];
    let compatibility = u32::from_be_bytes(config.general_profile_compatibility_flags).reverse_bits();
    let tier = if config.general_tier_flag { 'H' } else { 'L' };
    let bytes = &config.general_constraint_indicator_flags;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let constraints: String = bytes[..used].iter().map(|byte| format!(".{byte:X}")).collect();
    format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{}{constraints}",
        config.general_profile_idc, config.general_level_idc
    )
}

/// AV1 Codec ISO Media File Format Binding, section 5: profile, level and tier, bits of a sample.
pub(crate) fn av1(config: &Av1c) -> String {
    let tier = if config.seq_tier_0 { 'H' } else { 'M' };
    let depth = match (config.high_bitdepth, config.twelve_bit) {
        (true, true) => 12,
        (true, false) => 10,
        (false, _) => 8,
    };
    format!("av01.{}.{:02}{tier}.{depth:02}", config.seq_profile, config.seq_level_idx_0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hevc_main_is_named_as_players_expect() {
        let config = Hvcc {
            general_profile_idc: 1,
            general_profile_compatibility_flags: [0x60, 0, 0, 0],
            general_constraint_indicator_flags: [0x90, 0, 0, 0, 0, 0],
            general_level_idc: 93,
            ..Hvcc::new()
        };
        assert_eq!(hevc(&config), "hvc1.1.6.L93.90");
        let config = Hvcc {
            general_profile_idc: 2,
            general_profile_compatibility_flags: [0x20, 0, 0, 0],
            general_constraint_indicator_flags: [0; 6],
            general_tier_flag: true,
            ..config
        };
        assert_eq!(hevc(&config), "hvc1.2.4.H93");
    }

    #[test]
    fn av1_says_level_tier_and_depth() {
        let config = Av1c { seq_level_idx_0: 4, ..Av1c::default() };
        assert_eq!(av1(&config), "av01.0.04M.08");
        assert_eq!(av1(&Av1c { high_bitdepth: true, seq_tier_0: true, ..config }), "av01.0.04H.10");
    }
}
