//! The last words of a program: the `error:` and `hint:` lines that every program of Reelmill ends with when it fails,
//! told apart from its log.

use reelmill_daemon::report::visible;

/// Why a program ended, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// What went wrong.
    pub(crate) error: String,
    /// What to do, one sentence each.
    pub(crate) hints: Vec<String>,
}

/// Takes the lines of a program's standard error as they come.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    kept: Vec<String>,
}

impl Listener {
    /// Takes a line and gives those that are log and can be shown now. An error is kept back, for it may be the end.
    pub(crate) fn hear(&mut self, line: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(line);
        let continues = !self.kept.is_empty() && (text.starts_with("    ") || text.starts_with("hint: "));
        // Spaces at the start are kept: they mark a line that belongs to the one before.
        let text = visible(&text);
        if continues {
            self.kept.push(text);
            return Vec::new();
        }
        let mut shown = std::mem::take(&mut self.kept);
        if text.starts_with("error: ") {
            self.kept.push(text);
        } else {
            shown.push(text);
        }
        shown
    }

    /// What was kept back at the end.
    pub(crate) fn last_words(self) -> Option<LastWords> {
        let mut lines = self.kept.into_iter();
        let error = lines.next()?.strip_prefix("error: ")?.to_owned();
        let mut words = LastWords { error, hints: Vec::new() };
        for line in lines {
            match (line.strip_prefix("hint: "), words.hints.last_mut()) {
                (Some(hint), _) => words.hints.push(hint.to_owned()),
                (None, Some(hint)) => *hint = format!("{hint}\n{}", line.trim_start()),
                (None, None) => words.error = format!("{}\n{}", words.error, line.trim_start()),
            }
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str, shown: &[&str], last: Option<(&str, &[&str])>) {
        let mut listener = Listener::default();
        let got: Vec<String> = lines.lines().flat_map(|line| listener.hear(line.as_bytes())).collect();
        assert_eq!(got, shown, "{lines}");
        let want = last.map(|(error, hints)| LastWords {
            error: error.to_owned(),
            hints: hints.iter().map(|&hint| hint.to_owned()).collect(),
        });
        assert_eq!(listener.last_words(), want, "{lines}");
    }

    #[test]
    fn tells_the_last_error_from_the_log() {
        check("", &[], None);
        check("2030 WARN  w busy", &["2030 WARN  w busy"], None);
        check(
            "a\nerror: no disk\nhint: free some\nhint: or more",
            &["a"],
            Some(("no disk", &["free some", "or more"])),
        );
        check("error: 2 mistakes\n      A\n      B\nhint: x", &[], Some(("2 mistakes\nA\nB", &["x"])));
        check("error: passed\nhint: x\nb", &["error: passed", "hint: x", "b"], None);
        check("error: one\nerror: two", &["error: one"], Some(("two", &[])));
        check("hint: alone\n    x", &["hint: alone", "    x"], None);
        check("error: \u{1b}[2J", &[], Some(("\\u{1b}[2J", &[])));
    }
}
