//! The terminal: progress and notes on standard error, results on standard output.

use std::{
    error::Error,
    io::{IsTerminal, Write},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reelmill_api::Progress;

use crate::{pace::Pace, render};

/// Standard error, with a bar where it is a terminal. Clones share the bar.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
}

impl Screen {
    /// The screen of this process.
    pub(crate) fn stderr() -> Self {
        let bar =
            std::io::stderr().is_terminal().then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        Self { bar }
    }

    /// Writes a line, above the bar if there is one.
    pub(crate) fn note(&self, line: &str) {
        // A closed standard error is no reason to stop.
        let write = || drop(writeln!(std::io::stderr(), "{line}"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Tells an error and its hints.
    pub(crate) fn error(&self, error: &(dyn Error + 'static)) {
        self.note(&reelmill_daemon::report::render(error));
    }

    /// Begins to show progress under that heading.
    pub(crate) fn meter(&self, heading: &str) -> Meter {
        self.note(heading);
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a constant template"));
            bar.set_message("looking at the source");
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
        }
        Meter { screen: self.clone(), pace: Pace::default(), start: Instant::now(), widest: 0 }
    }

    /// Begins to show how far so many bytes have come.
    pub(crate) fn gauge(&self, what: &'static str, total: u64) -> Gauge {
        if let Some(bar) = &self.bar {
            bar.reset();
            let look = format!("{what} [{{wide_bar}}] {{bytes}} of {{total_bytes}}  {{bytes_per_sec}}  {{eta}}");
            bar.set_style(ProgressStyle::with_template(&look).expect("a constant template").progress_chars("=> "));
            bar.set_length(total);
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Gauge { screen: self.clone(), what, total, start: Instant::now(), pace: Pace::default().into() }
    }
}

/// How far bytes have come, on the screen until it is dropped.
pub(crate) struct Gauge {
    screen: Screen,
    what: &'static str,
    total: u64,
    start: Instant,
    pace: std::cell::RefCell<Pace>,
}

impl Gauge {
    /// Shows how many of the bytes are done.
    pub(crate) fn show(&self, done: u64) {
        match &self.screen.bar {
            Some(bar) => bar.set_position(done),
            None => {
                #[allow(clippy::cast_precision_loss, reason = "whole percents are shown")]
                let part = (self.total > 0).then(|| done as f64 / self.total as f64);
                if self.pace.borrow_mut().due(self.start.elapsed(), part) {
                    self.screen.note(&format!("{} {:3.0} %", self.what, part.unwrap_or(1.0) * 100.0));
                }
            }
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Some(bar) = &self.screen.bar {
            bar.finish_and_clear();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

/// Writes to standard output; that it was closed is no reason to stop.
pub(crate) fn print(text: &str) {
    write(text.as_bytes());
}

/// The same with bytes that may be no text.
pub(crate) fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// A value as one line of JSON.
pub(crate) fn json_line<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what the API shows holds only text, numbers and lists") + "\n"
}

/// A job's progress on the screen, until it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    screen: Screen,
    pace: Pace,
    start: Instant,
    widest: usize,
}

impl Meter {
    /// Shows where the job is now.
    pub(crate) fn show(&mut self, progress: &Progress) {
        let line = render::progress(progress);
        match &self.screen.bar {
            Some(bar) => {
                // The bar takes what the text leaves, and would jump with it.
                self.widest = self.widest.max(line.chars().count());
                draw(bar, progress, format!("{line:<0$}", self.widest));
            }
            None if self.pace.due(self.start.elapsed(), progress.fraction()) => self.screen.note(&line),
            None => {}
        }
    }
}

fn draw(bar: &ProgressBar, progress: &Progress, line: String) {
    if progress.frames_expected > 0 && bar.length() != Some(progress.frames_expected) {
        bar.set_length(progress.frames_expected);
        bar.set_style(
            ProgressStyle::with_template("{spinner} [{wide_bar}] {msg}")
                .expect("a constant template")
                .progress_chars("=> "),
        );
    }
    bar.set_position(progress.frame);
    bar.set_message(line);
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.screen.bar {
            bar.finish_and_clear();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}
