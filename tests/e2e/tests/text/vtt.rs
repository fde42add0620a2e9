//! WebVTT read strictly, by the tests' own reading.

/// One cue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// When it appears, seconds.
    pub(crate) start: f64,
    /// When it goes, seconds.
    pub(crate) end: f64,
    /// Its text as it stands in the file.
    pub(crate) text: String,
}

/// The cues below a file's head: each behind an empty line, its times, its text.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty());
    blocks.map(line).collect()
}

fn line(block: &str) -> Line {
    let (times, text) = block.split_once('\n').unwrap_or_else(|| panic!("no text below {block}"));
    let (start, end) = times.split_once(" --> ").unwrap_or_else(|| panic!("no times: {times}"));
    assert!(!text.contains("-->"), "{text}");
    Line { start: seconds(start), end: seconds(end), text: text.to_owned() }
}

fn seconds(text: &str) -> f64 {
    let parts: Vec<f64> =
        text.split(':').map(|part| part.parse().unwrap_or_else(|_| panic!("no time: {text}"))).collect();
    let [hours, minutes, seconds] = parts[..] else { panic!("no time: {text}") };
    (hours * 60.0 + minutes) * 60.0 + seconds
}
