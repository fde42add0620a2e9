//! The log: journald when the service manager connected standard error to it, else text on standard error.

use std::{env, io::Write};

use ::log::{
    Level, LevelFilter, Log, Metadata, Record,
    kv::{Error, Key, Value, VisitSource},
};
use env_logger::{Builder, Logger};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::report::visible;

/// The variables that choose what is logged, first one wins: a level, or more in env_logger's syntax.
const LEVEL_VARIABLES: [&str; 2] = ["REELMILL_LOG", "RUST_LOG"];
/// What is logged when neither says.
const DEFAULT_LEVEL: LevelFilter = LevelFilter::Info;
/// The most that libraries log where only a level is given: some write whole requests, with their signatures.
const OF_OTHERS: LevelFilter = LevelFilter::Warn;
/// Clients that log each attempt to connect, or each refusal, as an error; the queue's driver says what is wrong, and the worker
/// says it once.
const SILENT: &str = "async_nats=off,lapin=off";

/// Starts the log of `program`. A second call changes nothing.
pub fn init(program: &'static str) {
    let given = LEVEL_VARIABLES.iter().find_map(|name| env::var(name).ok()).filter(|f| !f.is_empty());
    let text = Builder::new()
        .parse_filters(&filter(given))
        .format(move |out, record| {
            let time = out.timestamp_seconds();
            let style = out.default_level_style(record.level());
            let level = record.level();
            writeln!(out, "{time} {style}{level:<5}{style:#} {program} {}", line(record))
        })
        .build();
    let level = text.filter();
    let installed = match journal(program) {
        Some(journal) => ::log::set_boxed_logger(Box::new(Journal { filter: text, journal })),
        None => ::log::set_boxed_logger(Box::new(text)),
    };
    if installed.is_ok() {
        ::log::set_max_level(level);
    }
}

/// What was given; a level alone is that of our own crates, whose names begin alike.
fn filter(given: Option<String>) -> String {
    let given = given.unwrap_or_else(|| DEFAULT_LEVEL.to_string());
    match given.parse::<LevelFilter>() {
        Ok(level) => format!("{},{SILENT},reelmill={level}", level.min(OF_OTHERS)),
        Err(_) => given,
    }
}

fn journal(program: &str) -> Option<JournalLog> {
    if !connected_to_journal() {
        return None;
    }
    JournalLog::empty().ok().map(|journal| journal.with_syslog_identifier(program.to_owned()))
}

/// journald takes every record, so the text logger's filter stands before it.
struct Journal {
    filter: Logger,
    journal: JournalLog,
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.matches(record) {
            self.journal.log(record);
        }
    }

    fn flush(&self) {}
}

/// A record as one entry of text: the message, then its fields. What others wrote (a media program, a file's name)
/// can be in it, so control characters are made visible and a new line is indented: nobody can forge an entry or
/// drive the terminal.
fn line(record: &Record<'_>) -> String {
    let mut text = match record.level() {
        Level::Debug | Level::Trace => format!("{}: ", record.target()),
        _ => String::new(),
    };
    text.push_str(&visible(&record.args().to_string()));
    let mut fields = Fields(text);
    // Writing to a string cannot fail.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

struct Fields(String);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = visible(&value.to_string());
        self.0.push_str(&format!(" {key}={value}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::test_as_child;

    fn check(message: &str, want: &str) {
        let fields = [("file", "a\nb")];
        let text = line(&Record::builder().args(format_args!("{message}")).key_values(&fields).build());
        assert_eq!(text, want);
    }

    #[test]
    fn nobody_can_forge_an_entry_or_drive_the_terminal() {
        check("leased", "leased file=a\n    b");
        check("x\n2030-01-01 ERROR forged\n", "x\n    2030-01-01 ERROR forged file=a\n    b");
        check("\u{1b}[2Jgone\r", "\\u{1b}[2Jgone file=a\n    b");
    }

    /// What the child logs with these variables.
    fn log_of(variables: &[(&str, &str)]) -> Vec<String> {
        let mut child = test_as_child("log::tests::child_logs");
        child.env_remove("JOURNAL_STREAM").env_remove("RUST_LOG").env_remove("REELMILL_LOG");
        child.envs(variables.iter().copied());
        let output = child.output().expect("the child runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().filter_map(|l| l.split_once('Z').map(|(_, rest)| rest.trim().to_owned())).collect()
    }

    #[test]
    fn logs_text_at_the_level_that_was_asked_for() {
        let careful = "WARN  test careful job=7";
        let odd = "WARN  test odd";
        assert_eq!(log_of(&[]), [careful, "INFO  test leased", odd]);
        assert_eq!(log_of(&[("REELMILL_LOG", "warn")]), [careful, odd]);
        assert_eq!(log_of(&[("RUST_LOG", "error"), ("REELMILL_LOG", "warn")]), [careful, odd]);
        assert_eq!(log_of(&[("RUST_LOG", "error")]), Vec::<String>::new());
        let detail = "DEBUG test reelmill_daemon::log::tests: detail";
        assert_eq!(log_of(&[("RUST_LOG", "debug")]), [careful, "INFO  test leased", detail, odd]);
        assert_eq!(log_of(&[("RUST_LOG", "off,library=info")]), ["INFO  test a request with its signature", odd]);
    }

    #[test]
    fn a_journal_stream_that_is_not_stderr_is_not_used() {
        assert_eq!(log_of(&[("JOURNAL_STREAM", "1:1")]).len(), 3);
    }

    #[test]
    #[ignore = "started by the tests above"]
    fn child_logs() {
        if !crate::child::is_child() {
            return;
        }
        init("test");
        init("second");
        ::log::warn!(job = 7; "careful");
        ::log::info!("leased");
        ::log::debug!("detail");
        ::log::info!(target: "library", "a request with its signature");
        ::log::warn!(target: "library", "odd");
        ::log::error!(target: "async_nats::connector", "refused once more");
    }
}
