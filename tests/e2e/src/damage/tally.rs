//! What became of damaged sources, counted.

use std::{collections::BTreeMap, fmt, time::Duration};

/// The ends of many sources.
#[derive(Debug, Default)]
pub struct Tally {
    /// Published whole, each rendition decoded to its last frame without a complaint.
    pub published: u64,
    /// Refused for good, by the sentence without its figures: how many, and one of them.
    pub refused: BTreeMap<String, (u64, String)>,
    /// Failed in a way that another attempt might mend, the same way.
    pub put_off: BTreeMap<String, (u64, String)>,
    /// How long the longest took, and which it was.
    pub longest: (Duration, String),
}

impl Tally {
    /// Sources that were refused for good.
    pub fn refusals(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    /// Sources that were put off.
    pub fn delays(&self) -> u64 {
        self.put_off.values().map(|(count, _)| count).sum()
    }

    pub(super) fn took(&mut self, name: &str, time: Duration) {
        if time > self.longest.0 {
            self.longest = (time, name.to_owned());
        }
    }

    pub(super) fn failed(&mut self, name: &str, message: &str, for_good: bool) {
        let kind = if for_good { &mut self.refused } else { &mut self.put_off };
        kind.entry(reason(message)).or_insert_with(|| (0, name.to_owned())).0 += 1;
    }
}

/// The sentence without the source's name, its figures, the names of files and what ffmpeg added.
fn reason(message: &str) -> String {
    let said = message.split_once(" as a source: ").map_or(message, |(_, said)| said);
    let said = said.strip_prefix("the source: ").unwrap_or(said);
    let words = said.split(' ').map(|word| if word.contains('/') { "FILE" } else { word });
    let said = words.collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    for c in said.split(": ").next().unwrap_or_default().chars() {
        match c {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            c => plain.push(c),
        }
    }
    plain.replace("#.#", "#").chars().take(100).collect()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "published whole: {}", self.published)?;
        writeln!(f, "refused for good: {}", self.refusals())?;
        by_reason(f, &self.refused)?;
        writeln!(f, "put off for another attempt: {}", self.delays())?;
        by_reason(f, &self.put_off)?;
        writeln!(f, "longest: {:.1} s ({})", self.longest.0.as_secs_f64(), self.longest.1)
    }
}

fn by_reason(f: &mut fmt::Formatter<'_>, reasons: &BTreeMap<String, (u64, String)>) -> fmt::Result {
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    reasons.iter().try_for_each(|(reason, (count, one))| writeln!(f, "  {count:6}  {reason} ({one})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_alike_but_for_their_figures() {
        let said = "cannot use s3://media/00017-a.mp4 as a source: it is damaged in 3 places at least: and more";
        assert_eq!(reason(said), "it is damaged in # places at least");
        assert_eq!(reason("it declares 16.0 s of video"), "it declares # s of video");
        assert_eq!(reason("broke off in the middle of a1-7f/audio/init.mp4"), "broke off in the middle of FILE");
    }
}
