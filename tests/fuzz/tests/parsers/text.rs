//! Text that keeps its form: lines left out, doubled and moved, values replaced.

use proptest::prelude::*;

/// What may stand behind a line's `=` or `:` instead.
const VALUES: &[&str] = &[
    "0",
    "-1",
    "1",
    "9",
    "10",
    "11",
    "51",
    "52",
    "255",
    "256",
    "4294967295",
    "4294967296",
    "1e99",
    "0x10",
    "\"\"",
    "\"h264\"",
    "\"hevc\"",
    "\"../x\"",
    "\"\u{1b}[2J\"",
    "'''",
    "[]",
    "{}",
    "[1",
    "true",
    "nan",
    "a1-00000007/x",
    "\u{feff}",
];

#[derive(Clone, Debug)]
enum Change {
    Drop,
    Double,
    MoveTo(prop::sample::Index),
    Value(&'static str),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Drop),
        Just(Change::Double),
        any::<prop::sample::Index>().prop_map(Change::MoveTo),
        prop::sample::select(VALUES).prop_map(Change::Value),
        prop::sample::select(VALUES).prop_map(Change::Value),
    ]
}

/// One of the seeds with some of its lines changed.
pub(crate) fn changed_text(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), change()), 1..6);
    (prop::sample::select(seeds), changes).prop_map(|(seed, changes)| {
        // A find need not be text.
        let text = String::from_utf8_lossy(&seed).into_owned();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (at, change) in changes {
            if !lines.is_empty() {
                let at = at.index(lines.len());
                apply(&mut lines, at, change);
            }
        }
        (lines.join("\n") + "\n").into_bytes()
    })
}

fn apply(lines: &mut Vec<String>, at: usize, change: Change) {
    match change {
        Change::Drop => drop(lines.remove(at)),
        Change::Double => lines.insert(at, lines[at].clone()),
        Change::MoveTo(to) => {
            let line = lines.remove(at);
            lines.insert(to.index(lines.len() + 1), line);
        }
        Change::Value(value) => {
            let key = lines[at].split_inclusive(['=', ':']).next().unwrap_or_default().to_owned();
            lines[at] = key + value;
        }
    }
}
