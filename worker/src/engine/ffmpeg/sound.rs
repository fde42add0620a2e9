//! Sound: ffmpeg's own AAC encoder, or PCM.

use reelmill_api::preset::AudioCodec;

use super::{strings, without_lead};
use crate::plan::{AudioPlan, Plan};

/// One track as its only sound: `index` is its place among the output's audio tracks.
pub(super) fn audio(plan: &Plan, audio: &AudioPlan, index: usize) -> Vec<String> {
    let mut args = vec!["-map".to_owned(), format!("0:{}", audio.stream)];
    args.extend([format!("-filter:a:{index}"), filters(plan, audio)]);
    args.extend(match audio.codec {
        AudioCodec::Aac => strings(&format!("-c:a:{index} aac -b:a:{index} {}", audio.bitrate_bps)),
        AudioCodec::Pcm => strings(&format!("-c:a:{index} pcm_s24le")),
    });
    args.extend(strings(&format!("-ar:a:{index} {} -ac:a:{index} {}", audio.sample_rate, audio.channels)));
    args
}

/// Silence where the track starts late or has holes, so that sound stays with the picture; what is before 0 is cut.
fn filters(plan: &Plan, audio: &AudioPlan) -> String {
    let mut filters = Vec::from_iter(without_lead("asetpts", plan));
    let rate = audio.sample_rate;
    filters.push(format!("aresample={rate}:async=1:first_pts=0"));
    if let Some(lufs) = audio.loudness_lufs {
        // One pass (EBU R 128 with a true peak of -1.5 dB); it works at 192 kHz inside, so the rate is set back.
        filters.push(format!("loudnorm=I={lufs}:TP=-1.5:LRA=11,aresample={rate}"));
    }
    filters.join(",")
}
