//! What must hold of every parser of outside text, for any bytes: it never panics, what it refuses it refuses with a
//! sentence, and what it accepts can be relied on. The ordinary tests mutate real outputs and ask these questions in
//! seconds; the fuzz targets in `targets` ask them for as long as one likes (`cargo xtask fuzz`).

pub mod boxes;
pub mod message;
pub mod movie;
pub mod playlist;
pub mod preset;
pub mod probe;
pub mod tegrastats;

/// A question to a parser: panics where the answer is wrong.
pub type Question = fn(&[u8]);

/// All of them, by the name of the fuzz target and of its folder of seeds.
pub const QUESTIONS: &[(&str, Question)] = &[
    ("boxes", boxes::any_bytes),
    ("message", message::any_bytes),
    ("movie", movie::any_bytes),
    ("playlist", playlist::any_bytes),
    ("preset", preset::any_bytes),
    ("probe", probe::any_bytes),
    ("tegrastats", tegrastats::any_bytes),
];

/// A refusal that a person can read, in a terminal as well.
fn is_sentence(why: &str) {
    assert!(why.trim().len() > 3, "a refusal without a reason: {why:?}");
    assert!(!why.contains(|c: char| c.is_control() && c != '\n'), "a refusal that a terminal would obey: {why:?}");
}
