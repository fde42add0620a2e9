//! The exposition format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

use reelmill_api::metrics::Metric;

/// A label's name and value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// Text in the making.
pub(super) struct Text {
    text: String,
}

impl Text {
    pub(super) fn new() -> Self {
        // A board's text has about 12 KB; growing would copy it five times.
        Self { text: String::with_capacity(16 * 1024) }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// A family with a series for each of `items` that has a value; nothing at all where none has.
    pub(super) fn family<'a, T, const N: usize>(
        &mut self,
        metric: Metric,
        items: impl IntoIterator<Item = T>,
        series: impl Fn(T) -> Option<(f64, [Label<'a>; N])>,
    ) {
        let mut told = false;
        for (value, labels) in items.into_iter().filter_map(series) {
            if !told {
                self.head(metric);
                told = true;
            }
            self.line(metric, value, &labels);
        }
    }

    /// A family of one series without labels.
    pub(super) fn single(&mut self, metric: Metric, value: Option<f64>) {
        self.family(metric, value, |value| Some((value, [])));
    }

    fn head(&mut self, Metric { name, kind, help }: Metric) {
        self.put(format_args!("# HELP {name} {help}.\n# TYPE {name} {}\n", kind.as_str()));
    }

    fn line(&mut self, metric: Metric, value: f64, labels: &[Label<'_>]) {
        self.text.push_str(metric.name);
        for (at, (name, label)) in labels.iter().enumerate() {
            self.put(format_args!("{}{name}=\"", if at == 0 { '{' } else { ',' }));
            self.escaped(label);
            self.text.push('"');
        }
        self.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn escaped(&mut self, label: &str) {
        for c in label.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
    }

    fn put(&mut self, what: impl Display) {
        write!(self.text, "{what}").expect("a string takes all that is written to it");
    }
}

/// 1 for what holds, 0 for what does not.
pub(super) fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// A count; above 2^53 the last digits are lost, which no metric here comes near.
#[allow(clippy::cast_precision_loss, reason = "said above")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

/// A percentage as a part of one, without the digits that only binary fractions have.
pub(super) fn ratio(percent: f64) -> f64 {
    (percent * 100.0).round() / 10_000.0
}

/// Thousandths as whole ones.
pub(super) fn thousandths(number: u64) -> f64 {
    count(number) / 1000.0
}

/// Megahertz as hertz.
pub(super) fn hertz(mhz: u32) -> f64 {
    f64::from(mhz) * 1e6
}
