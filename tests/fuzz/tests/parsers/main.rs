//! Real outputs, damaged: what the fuzz targets ask for hours, asked in seconds.

mod json;
mod seeds;
mod text;

use proptest::prelude::*;
use reelmill_fuzz::{QUESTIONS, Question};

use crate::{json::changed_json, seeds::seeds, text::changed_text};

fn question(name: &str) -> Question {
    QUESTIONS.iter().find(|(n, _)| *n == name).map(|(_, ask)| *ask).expect("it is in the list")
}

#[test]
fn every_seed_is_answered_and_every_question_has_seeds() {
    for (name, ask) in QUESTIONS {
        let seeds = seeds(name);
        assert!(seeds.len() > 1, "{name} has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| ask(seed));
    }
}

/// Bytes changed, a piece cut out or put in twice, the end cut off.
fn damaged(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seeds = seeds(name);
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    let piece = (any::<prop::sample::Index>(), 0_usize..64, 0_usize..3);
    (prop::sample::select(seeds), places, piece).prop_map(|(mut bytes, places, (at, length, times))| {
        if bytes.is_empty() {
            return bytes;
        }
        for (at, value) in places {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let from = at.index(bytes.len());
        let to = (from + length).min(bytes.len());
        let piece = bytes[from..to].repeat(times);
        bytes.splice(from..to, piece);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn damaged_boxes(bytes in damaged("boxes")) {
        question("boxes")(&bytes);
    }

    #[test]
    fn damaged_messages(bytes in damaged("message")) {
        question("message")(&bytes);
    }

    #[test]
    fn damaged_movies(bytes in damaged("movie")) {
        question("movie")(&bytes);
    }

    #[test]
    fn damaged_playlists(bytes in damaged("playlist")) {
        question("playlist")(&bytes);
    }

    #[test]
    fn damaged_presets(bytes in damaged("preset")) {
        question("preset")(&bytes);
    }

    #[test]
    fn damaged_answers_of_ffprobe(bytes in damaged("probe")) {
        question("probe")(&bytes);
    }

    #[test]
    fn damaged_lines_of_tegrastats(bytes in damaged("tegrastats")) {
        question("tegrastats")(&bytes);
    }

    #[test]
    fn other_values_in_ffprobes_answer(bytes in changed_json(seeds("probe"))) {
        question("probe")(&bytes);
    }

    #[test]
    fn other_values_in_a_message(bytes in changed_json(seeds("message"))) {
        question("message")(&bytes);
    }

    #[test]
    fn other_lines_and_values_in_a_preset(bytes in changed_text(seeds("preset"))) {
        question("preset")(&bytes);
    }

    #[test]
    fn other_lines_of_tegrastats(bytes in changed_text(seeds("tegrastats"))) {
        question("tegrastats")(&bytes);
    }

    #[test]
    fn other_lines_in_a_playlist(bytes in changed_text(seeds("playlist"))) {
        question("playlist")(&bytes);
    }
}
