//! Sound: every track of the source, in the channels that the preset wants.

use reelmill_api::{media::AudioFacts, preset::AudioRecipe};

use super::{AudioPlan, ladder::Source};

/// The names of audio renditions and folders begin so.
const NAME: &str = "audio";

pub(super) fn plan(source: &Source<'_>, changes: &mut Vec<String>) -> Vec<AudioPlan> {
    let mut plans = Vec::new();
    for (n, track) in source.media.audio.iter().enumerate() {
        let name = if n == 0 { NAME.to_owned() } else { format!("{NAME}-{}", n + 1) };
        if track.starts_at_seconds > 0.05 {
            changes
                .push(format!("{name}: started {:.2} s late: kept, with silence before it", track.starts_at_seconds));
        }
        plans.extend(renditions(source, track, &name, changes));
    }
    plans
}

/// A track in the channels that everyone can hear, and with all of them beside it if the preset says so.
fn renditions(source: &Source<'_>, track: &AudioFacts, name: &str, changes: &mut Vec<String>) -> Vec<AudioPlan> {
    let recipe = &source.preset.audio;
    let all = track.channels.clamp(1, MOST_CHANNELS);
    let channels = recipe.channels.map_or(all, |most| all.min(most.get()));
    let mut plans = vec![one(source, track, name.to_owned(), channels)];
    let beside = recipe.surround_bps.filter(|_| all > channels);
    if let Some(bitrate) = beside {
        let wide = one(source, track, format!("{name}-surround"), all);
        plans.push(AudioPlan { bitrate_bps: bitrate.get(), surround: true, ..wide });
    } else if channels < track.channels {
        changes.push(format!("{name}: {} channels mixed down to {channels}", track.channels));
    }
    if let Some(loudness) = recipe.loudness_lufs {
        changes.push(format!("{name}: loudness brought to {:.1} LUFS", loudness.get()));
    }
    plans
}

/// AAC and PCM both go up to 7.1 here.
const MOST_CHANNELS: u32 = 8;

fn one(source: &Source<'_>, track: &AudioFacts, name: String, channels: u32) -> AudioPlan {
    let recipe: &AudioRecipe = &source.preset.audio;
    AudioPlan {
        name,
        stream: track.index,
        codec: recipe.codec,
        bitrate_bps: recipe.bitrate_bps.get(),
        sample_rate: recipe.sample_rate.get(),
        channels,
        surround: false,
        loudness_lufs: recipe.loudness_lufs.map(|l| l.get()),
        language: track.language.clone(),
        ends_at_ms: ends_at_ms(track, source.lead_micros),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn ends_at_ms(track: &AudioFacts, lead_micros: u32) -> Option<u64> {
    let lasts = track.duration_seconds.filter(|d| *d > 0.0)?;
    Some(((track.starts_at_seconds + lasts) * 1e3 - f64::from(lead_micros) / 1e3) as u64)
}
