//! Lines of tegrastats: whatever a board prints, each word of it is told, or kept as unknown.

use reelmill_agent::sensors::tegrastats::{Sample, parse};

use crate::is_sentence;

/// Asks it of any bytes, line by line.
pub fn any_bytes(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        match parse(line) {
            Ok(sample) => any_sample(line, &sample),
            Err(why) => is_sentence(&why.to_string()),
        }
    }
}

fn any_sample(line: &str, sample: &Sample) {
    let celsius = sample.temperatures.iter().flat_map(|t| [Some(t.celsius), t.peak_celsius]).flatten();
    assert!(celsius.into_iter().all(f64::is_finite), "{line:?}");
    // Names become labels of metrics.
    let rails = sample.rails.iter().map(|rail| &rail.name);
    let engines = sample.engines.iter().map(|engine| &engine.name);
    let mut names = rails.chain(engines).chain(sample.temperatures.iter().map(|t| &t.name));
    assert!(names.all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))), "{line:?}");
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let kept = sample.unknown.iter().chain(&sample.ignored).flat_map(|kept| kept.split(' '));
    assert!(kept.clone().all(|word| words.contains(&word)), "{line:?}");
    assert!(kept.count() <= words.len(), "a word was kept twice: {line:?}");
    // It is printed as JSON.
    serde_json::to_string(sample).expect("a sample is written");
}
