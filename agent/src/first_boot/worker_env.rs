//! The worker's settings from outside: lines `NAME=value`, which are written anew so that systemd reads each as it was meant.

use std::fmt::Write as _;

/// What says how programs are run rather than what the worker does; systemd sets these, or the dynamic linker follows them.
const NOT_SETTINGS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// The same settings as systemd's `EnvironmentFile=` reads them.
///
/// # Errors
/// Which line is none, and why; never what stands there.
pub fn rewritten(text: &str) -> Result<String, String> {
    let mut names = Vec::new();
    let mut kept = String::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = setting(line).map_err(|why| format!("line {}: {why}", at + 1))?;
        if names.contains(&name) {
            return Err(format!("line {}: {name} stands there a second time", at + 1));
        }
        writeln!(kept, "{name}=\"{}\"", escaped(value)).expect("a text grows");
        names.push(name);
    }
    Ok(kept)
}

fn setting(line: &str) -> Result<(&str, &str), String> {
    let (name, value) = line.split_once('=').ok_or("it is no NAME=value")?;
    let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.bytes().all(known) {
        return Err("before the first `=` must be a name of capital letters, digits and `_`".to_owned());
    }
    if NOT_SETTINGS.contains(&name) || name.starts_with("LD_") || name.starts_with("GLIBC_") {
        return Err(format!("{name} is no setting of a worker"));
    }
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let value = quoted.unwrap_or(value);
    if value.chars().any(char::is_control) {
        return Err(format!("the value of {name} has a character that cannot be seen"));
    }
    Ok((name, value))
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
