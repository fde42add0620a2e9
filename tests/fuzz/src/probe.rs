//! ffprobe's answer: facts that every preset can be planned with, or why there are none.

use std::sync::LazyLock;

use reelmill_api::{
    MediaFacts,
    media::{AudioFacts, VideoFacts},
    preset::Presets,
};
use reelmill_worker::{plan, probe::parse::media_facts};

use crate::is_sentence;

static PRESETS: LazyLock<Presets> = LazyLock::new(Presets::built_in);

/// Asks it of any bytes.
pub fn any_bytes(json: &[u8]) {
    match media_facts(json, 1) {
        Ok(facts) => any_facts(&facts),
        Err(why) => is_sentence(&why),
    }
}

fn any_facts(facts: &MediaFacts) {
    assert!(facts.video.is_some() || !facts.audio.is_empty(), "{facts:?}");
    assert!(facts.duration_seconds.is_none_or(lasts), "{facts:?}");
    facts.video.iter().for_each(any_video);
    facts.audio.iter().for_each(any_audio);
    // The report holds them as JSON.
    let text = serde_json::to_string(facts).expect("facts are written");
    serde_json::from_str::<MediaFacts>(&text).expect("facts are read again");
    for preset in PRESETS.iter() {
        if let Err(failure) = plan::plan(preset, facts) {
            is_sentence(&failure.message);
        }
    }
}

fn any_video(video: &VideoFacts) {
    assert!((1..=16_384).contains(&video.width) && (1..=16_384).contains(&video.height), "{video:?}");
    assert!((0.09..=1000.1).contains(&video.frame_rate.as_f64()), "{video:?}");
    assert!((0.09..=10.1).contains(&video.sample_aspect.as_f64()), "{video:?}");
    assert!(video.duration_seconds.is_none_or(lasts) && video.frames != Some(0), "{video:?}");
    assert!(video.starts_at_seconds.is_finite(), "{video:?}");
    let colour = &video.colour;
    let tags = [&colour.primaries, &colour.transfer, &colour.matrix, &colour.range].into_iter().flatten();
    // These become a part of a command line and of a filter graph.
    assert!(tags.chain([&video.codec, &video.pixel_format]).all(|name| is_word(name)), "{video:?}");
}

fn any_audio(audio: &AudioFacts) {
    assert!(audio.channels > 0 && audio.sample_rate > 0, "{audio:?}");
    assert!(audio.duration_seconds.is_none_or(f64::is_finite) && audio.starts_at_seconds.is_finite(), "{audio:?}");
    let plain = |tag: &String| tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    assert!(audio.language.as_ref().is_none_or(plain), "{audio:?}");
    assert!(is_word(&audio.codec) && audio.layout.as_deref().is_none_or(is_word), "{audio:?}");
}

fn lasts(seconds: f64) -> bool {
    seconds.is_finite() && seconds > 0.0
}

/// Nothing that could end an option of a filter, a quoted text or a line.
fn is_word(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.+() ".contains(&b))
}
