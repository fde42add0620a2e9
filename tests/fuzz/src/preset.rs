//! A preset's TOML: a recipe that any source can be planned with, or what is wrong with it, with file, line and column.

use std::sync::LazyLock;

use reelmill_api::{MediaFacts, Preset};
use reelmill_worker::{plan, probe::parse::media_facts};

use crate::is_sentence;

/// What ffprobe said of real sources.
const PROBES: &[&[u8]] = &[
    include_bytes!("../../../worker/tests/probes/bbb-5s.json"),
    include_bytes!("../../../worker/tests/probes/turned.json"),
];

static SOURCES: LazyLock<Vec<MediaFacts>> =
    LazyLock::new(|| PROBES.iter().map(|json| media_facts(json, 1).expect("facts of a real source")).collect());

/// Asks it of any bytes.
pub fn any_bytes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Preset::from_toml("f.toml", &text) {
        Ok(preset) => accepted(&preset),
        Err(why) => refused(&text, &why),
    }
}

fn accepted(preset: &Preset) {
    let again = toml::to_string(preset).expect("a preset is written");
    assert_eq!(Preset::from_toml("again.toml", &again).as_ref(), Ok(preset), "{again}");
    for source in SOURCES.iter() {
        if let Err(failure) = plan::plan(preset, source) {
            is_sentence(&failure.message);
        }
    }
}

fn refused(text: &str, why: &str) {
    let mut parts = why.splitn(4, ':');
    assert_eq!(parts.next(), Some("f.toml"), "{why}");
    let mut number = || parts.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
    let (line, column) = (number(), number());
    let lines: Vec<_> = text.split('\n').collect();
    let there = lines.get(line.wrapping_sub(1)).unwrap_or_else(|| panic!("there is no line {line}: {why}"));
    assert!((1..=there.chars().count() + 1).contains(&column), "there is no column {column}: {why}");
    is_sentence(parts.next().unwrap_or_default());
}
