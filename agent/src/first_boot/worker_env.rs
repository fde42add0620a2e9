//! The worker's settings from outside: lines `NAME=value`, which are written anew so that systemd reads each as it was meant.

use std::fmt::Write as _;

use reelmill_api::enrol::given;

/// The same settings as systemd's `EnvironmentFile=` reads them.
///
/// # Errors
/// Which line is none, and why; never what stands there.
pub fn rewritten(text: &str) -> Result<String, String> {
    let mut kept = String::new();
    for (name, value) in given::settings(text)? {
        writeln!(kept, "{name}=\"{}\"", escaped(value)).expect("a text grows");
    }
    Ok(kept)
}

/// As it stands between double quotes there.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_as_they_were_meant() {
        let text = "# the farm's\n\nQUEUE_URL=redis://:p%40ss@hub:6379\n AWS_SECRET_ACCESS_KEY = 'no'\n";
        assert_eq!(
            rewritten(text),
            Err("line 4: before the first `=` must be a name of capital letters, digits and `_`".to_owned())
        );
        let text = "QUEUE_URL=redis://:p%40ss@hub:6379\nAWS_SECRET_ACCESS_KEY='a b$c\\d\"e'\nPRESET=\"x,y\"\nTAGS=\n";
        assert_eq!(
            rewritten(text).as_deref(),
            Ok(
                "QUEUE_URL=\"redis://:p%40ss@hub:6379\"\nAWS_SECRET_ACCESS_KEY=\"a b\\$c\\\\d\\\"e\"\nPRESET=\"x,y\"\nTAGS=\"\"\n"
            )
        );
        assert_eq!(rewritten(""), Ok(String::new()));
    }

    #[test]
    fn a_line_that_is_no_setting_is_told_without_its_value() {
        let table = [
            ("A=1\nhunter2", "line 2: it is no NAME=value"),
            ("lower=hunter2", "line 1: before the first `=` must be a name of capital letters, digits and `_`"),
            ("export A=hunter2", "line 1: before the first `=` must be a name of capital letters, digits and `_`"),
            ("LD_PRELOAD=hunter2", "line 1: LD_PRELOAD is no setting of a worker"),
            ("PATH=hunter2", "line 1: PATH is no setting of a worker"),
            ("A=hunt\u{1b}er2", "line 1: the value of A has a character that cannot be seen"),
            ("A=1\n\nA=2", "line 3: A stands there a second time"),
        ];
        for (text, want) in table {
            assert_eq!(rewritten(text), Err(want.to_owned()), "{text}");
        }
    }
}
