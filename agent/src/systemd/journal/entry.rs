//! One entry of the journal, from a line of `journalctl --output=json`.

use serde::Serialize;
use serde_json::{Map, Value};

/// The fields that are asked for, beside the time, which always comes.
pub(super) const FIELDS: &[&str] = &["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "UNIT", "_SYSTEMD_UNIT", "_PID"];
/// The most of a message that is kept, bytes.
pub(super) const LONGEST: usize = 4096;

/// What was logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it came in, microseconds since 1970.
    pub unix_micros: u64,
    /// How grave it is.
    pub priority: Priority,
    /// The unit that it is about; of two, the one that systemd speaks of rather than systemd's own.
    pub unit: Option<String>,
    /// The name under which the program logs.
    pub identifier: Option<String>,
    /// The process.
    pub pid: Option<u32>,
    /// The message, cut to four kibibytes. Others wrote it: it may hold anything, also control characters.
    pub message: String,
}

/// How grave an entry is, as syslog counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// 0
    Emergency,
    /// 1
    Alert,
    /// 2
    Critical,
    /// 3
    Error,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

impl Priority {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// Its number, 0 the gravest.
    pub fn number(self) -> u8 {
        Self::ALL.iter().zip(0..).find_map(|(one, number)| (*one == self).then_some(number)).unwrap_or(7)
    }

    fn of(text: &str) -> Option<Self> {
        text.parse::<usize>().ok().and_then(|number| Self::ALL.get(number).copied())
    }
}

/// Why a line is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// It is no JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// It has no time.
    #[error("no time")]
    NoTime,
    /// It says nothing, or more than journalctl passes on.
    #[error("no message")]
    NoMessage,
}

/// The entries of an output; lines that are none are left out.
pub(super) fn parse_all(output: &[u8]) -> Vec<Entry> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| parse(line).ok()).collect()
}

/// The entry of one line.
///
/// # Errors
/// If it is none.
pub(super) fn parse(line: &[u8]) -> Result<Entry, BadEntry> {
    let fields: Map<String, Value> = serde_json::from_slice(line).map_err(|_| BadEntry::NotAnObject)?;
    let text = |name: &str| fields.get(name).and_then(text_of);
    let time = text("__REALTIME_TIMESTAMP").and_then(|t| t.parse().ok());
    Ok(Entry {
        unix_micros: time.ok_or(BadEntry::NoTime)?,
        // Programs that log without one mean it as an information.
        priority: text("PRIORITY").and_then(|p| Priority::of(&p)).unwrap_or(Priority::Info),
        unit: text("UNIT").or_else(|| text("_SYSTEMD_UNIT")),
        identifier: text("SYSLOG_IDENTIFIER"),
        pid: text("_PID").and_then(|pid| pid.parse().ok()),
        message: cut(text("MESSAGE").ok_or(BadEntry::NoMessage)?),
    })
}

/// A field's text. One that is no UTF-8 comes as a list of bytes, one that was given twice as a list of texts (the first
/// counts), and one that is too long as null.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => match parts.first()? {
            Value::Number(_) => {
                let bytes: Option<Vec<u8>> =
                    parts.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
                Some(String::from_utf8_lossy(&bytes?).into_owned())
            }
            Value::Array(_) | Value::String(_) => text_of(parts.first()?),
            _ => None,
        },
        _ => None,
    }
}

fn cut(mut message: String) -> String {
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, want: Result<(Priority, Option<&str>, &str), BadEntry>) {
        let got = parse(line.as_bytes());
        let got = got.as_ref().map(|e| (e.priority, e.unit.as_deref(), e.message.as_str())).map_err(|e| *e);
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn reads_what_a_program_logged() {
        let line = r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1763830000123456","__MONOTONIC_TIMESTAMP":"5",
            "_BOOT_ID":"x","PRIORITY":"3","SYSLOG_IDENTIFIER":"reelmill-worker","_PID":"812",
            "_SYSTEMD_UNIT":"reelmill-worker.service","MESSAGE":"cannot lease"}"#;
        let want = Entry {
            unix_micros: 1_763_830_000_123_456,
            priority: Priority::Error,
            unit: Some("reelmill-worker.service".to_owned()),
            identifier: Some("reelmill-worker".to_owned()),
            pid: Some(812),
            message: "cannot lease".to_owned(),
        };
        assert_eq!(parse(line.as_bytes()), Ok(want));
    }

    #[test]
    fn reads_each_way_in_which_journalctl_writes_a_field() {
        use Priority::{Info, Warning};
        check(
            r#"{"__REALTIME_TIMESTAMP":"1","PRIORITY":"4","_SYSTEMD_UNIT":"init.scope","UNIT":"reelmill-worker.service","MESSAGE":"Main process exited"}"#,
            Ok((Warning, Some("reelmill-worker.service"), "Main process exited")),
        );
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[102,255,111]}"#, Ok((Info, None, "f\u{fffd}o")));
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":["first","second"]}"#, Ok((Info, None, "first")));
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[[104,105],[106]]}"#, Ok((Info, None, "hi")));
        check(r#"{"__REALTIME_TIMESTAMP":"1","PRIORITY":"9","MESSAGE":""}"#, Ok((Info, None, "")));
    }

    #[test]
    fn says_what_is_no_entry() {
        check("", Err(BadEntry::NotAnObject));
        check("-- No entries --", Err(BadEntry::NotAnObject));
        check("[]", Err(BadEntry::NotAnObject));
        check(r#"{"MESSAGE":"x"}"#, Err(BadEntry::NoTime));
        check(r#"{"__REALTIME_TIMESTAMP":"-1","MESSAGE":"x"}"#, Err(BadEntry::NoTime));
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":null}"#, Err(BadEntry::NoMessage));
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[1,-1]}"#, Err(BadEntry::NoMessage));
        check(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[]}"#, Err(BadEntry::NoMessage));
    }

    #[test]
    fn a_line_that_was_cut_off_costs_only_itself() {
        let entry = r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"whole"}"#;
        let entries = parse_all(format!("{entry}\n\n{}", &entry[..20]).as_bytes());
        assert_eq!(entries.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["whole"]);
    }

    #[test]
    fn a_priority_has_its_number() {
        assert_eq!(Priority::ALL.map(Priority::number), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }

        #[test]
        fn never_panics_on_fields_of_any_kind(
            message in ".{0,60}",
            parts in proptest::collection::vec(any::<i32>(), 0..6),
            name in "MESSAGE|PRIORITY|_PID|UNIT|__REALTIME_TIMESTAMP",
        ) {
            let line = serde_json::json!({ "__REALTIME_TIMESTAMP": "7", "MESSAGE": message, (name): parts });
            let _ = parse(line.to_string().as_bytes());
        }

        #[test]
        fn keeps_every_message_that_is_not_too_long(message in ".{0,5000}") {
            let line = serde_json::json!({ "__REALTIME_TIMESTAMP": "7", "MESSAGE": message });
            let entry = parse(line.to_string().as_bytes()).expect("an entry");
            if message.len() <= LONGEST {
                prop_assert_eq!(entry.message, message);
            } else {
                let kept = entry.message.strip_suffix('…').expect("what is cut says so");
                prop_assert!(message.starts_with(kept) && kept.len() > LONGEST - 4 && kept.len() <= LONGEST);
            }
        }
    }
}
