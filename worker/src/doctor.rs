//! `reelmill-worker doctor`: what this machine can do and what is missing, with the command that would fix it.

mod examine;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use crate::config::Config;

/// How one thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It works.
    Ok,
    /// It works less well than it could, or is not needed by all.
    Warn,
    /// It is needed and is not there.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it was found.
    pub state: State,
    /// What it is.
    pub what: String,
    /// What was found.
    pub fact: String,
    /// What would fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Whether a worker can work here.
    pub works: bool,
    /// What was looked at, in order.
    pub findings: Vec<Finding>,
}

impl Finding {
    fn ok(what: impl Into<String>, fact: impl Into<String>) -> Self {
        Self { state: State::Ok, what: what.into(), fact: fact.into(), fix: None }
    }

    fn warn(what: impl Into<String>, fact: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Warn, what: what.into(), fact: fact.into(), fix: Some(fix.into()) }
    }

    fn missing(what: impl Into<String>, fact: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Missing, what: what.into(), fact: fact.into(), fix: Some(fix.into()) }
    }
}

impl Diagnosis {
    fn of(findings: Vec<Finding>) -> Self {
        Self { works: findings.iter().all(|finding| finding.state != State::Missing), findings }
    }
}

/// Looks at everything that the configuration needs, or at `encoders` alone.
pub async fn diagnose(config: &Config, encoders: bool) -> Diagnosis {
    let mut findings = examine::encoders(config).await;
    if !encoders {
        findings.extend(examine::outside(config).await);
    }
    Diagnosis::of(findings)
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { state, what, fact, fix } in &self.findings {
            let state = match state {
                State::Ok => "ok",
                State::Warn => "warn",
                State::Missing => "missing",
            };
            writeln!(f, "{state:<8}{what}: {fact}")?;
            if let Some(fix) = fix {
                writeln!(f, "        fix: {fix}")?;
            }
        }
        f.write_str(if self.works { "this machine can work\n" } else { "this machine cannot work yet\n" })
    }
}
