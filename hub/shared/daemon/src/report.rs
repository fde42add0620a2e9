//! How an error is told to a person: `error:` with its causes on one line, then what to do on `hint:` lines.

use std::{error::Error, fmt};

use reelmill_api::Failure;

/// An error of any type with a hint for the person who reads it. It shows and causes what the error shows and causes,
/// and the hint is found by [`report`] wherever it stands in a chain of causes.
#[derive(Debug)]
pub struct Hinted {
    error: Box<dyn Error + Send + Sync>,
    hint: String,
}

impl Hinted {
    /// An error, or a message, with what to do about it; both lower case, without a full stop.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>, hint: impl Into<String>) -> Self {
        Self { error: error.into(), hint: hint.into() }
    }

    /// What to do.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Puts a hint on the error of a result. On an `anyhow::Error` that is itself a bare [`Hinted`] it replaces the hint,
/// because anyhow hides the type; give it a context between the two to keep both.
pub trait WithHint<T> {
    /// The same result; an error gets this hint.
    ///
    /// # Errors
    /// The error itself, with the hint.
    fn hint(self, hint: impl Into<String>) -> Result<T, Hinted>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> WithHint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, Hinted> {
        self.map_err(|e| Hinted::new(e, hint))
    }
}

/// Tells an error on standard error. An `anyhow::Error` is given as `report(&*error)`.
pub fn report(error: &(dyn Error + 'static)) {
    eprintln!("{}", render(error));
}

/// The text of [`report`]: `error: ` and the causes joined by `: `, then a `hint: ` line for each hint on the way.
/// A cause that its effect has already told is not told twice.
pub fn render(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut hints = hints_of(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        hints.extend(hints_of(cause));
        next = cause.source();
    }
    let mut lines = vec![format!("error: {}", visible(&told))];
    for hint in hints {
        let line = format!("hint: {}", visible(&hint));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Text that others may have written, made fit for a terminal and a log: control characters are shown as escapes and a
/// new line is indented, so that nobody can forge a line or drive the terminal.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' => shown.push_str("\n    "),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

fn hints_of(error: &(dyn Error + 'static)) -> Vec<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        let inner: &(dyn Error + 'static) = &*hinted.error;
        let mut hints = vec![hinted.hint.clone()];
        hints.extend(hints_of(inner));
        return hints;
    }
    error.downcast_ref::<Failure>().and_then(|f| f.hint.clone()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use reelmill_api::ErrorKind;

    use super::*;

    fn check(error: &(dyn Error + 'static), want: &str) {
        assert_eq!(render(error), want);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot lease")]
    struct Lease(#[source] Hinted);

    #[test]
    fn tells_causes_on_one_line_and_hints_below() {
        let refused = || std::io::Error::other("connection refused");
        check(&refused(), "error: connection refused");
        check(&Hinted::new("no disk", "free some space"), "error: no disk\nhint: free some space");
        check(
            &Lease(Hinted::new(refused(), "is the queue running?")),
            "error: cannot lease: connection refused\nhint: is the queue running?",
        );
    }

    #[test]
    fn finds_hints_below_the_contexts_of_anyhow() {
        let result: Result<(), std::io::Error> = Err(std::io::Error::other("connection refused"));
        let error = result.hint("start it").context("cannot reach hub:5672").hint("or give another").context("start");
        check(
            &*error.expect_err("an error"),
            "error: start: cannot reach hub:5672: connection refused\nhint: or give another\nhint: start it",
        );
    }

    #[test]
    fn takes_the_hint_of_a_failure() {
        let failure = Failure::new(ErrorKind::BadSource, "a.mp4 is empty").hint("upload it again");
        let error = anyhow::Error::from(failure).context("job 7");
        check(&*error, "error: job 7: a.mp4 is empty\nhint: upload it again");
    }

    #[test]
    fn a_message_cannot_forge_a_line_or_drive_the_terminal() {
        check(&Hinted::new("\u{1b}[2J\nerror: b\n", "c\rd"), "error: \\u{1b}[2J\n    error: b\nhint: c\\rd");
    }

    #[test]
    fn tells_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read a.toml: {0}")]
        struct Read(#[source] std::io::Error);
        check(&Read(std::io::Error::other("not found")), "error: cannot read a.toml: not found");
        let twice = Hinted::new(Hinted::new("x", "same"), "same");
        check(&twice, "error: x\nhint: same");
    }
}
