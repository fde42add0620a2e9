//! Names that presets use: of themselves, and of what they make.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A preset's name: 1 to 40 lower-case letters, digits and hyphens, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresetName(String);

/// Text that cannot name a preset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot name a preset: use up to 40 lower-case letters, digits and hyphens, starting with a letter")]
pub struct BadPresetName(String);

impl PresetName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PresetName {
    type Err = BadPresetName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = (1..=40).contains(&s.len())
            && s.starts_with(|c: char| c.is_ascii_lowercase())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(s.to_owned())) } else { Err(BadPresetName(s.to_owned())) }
    }
}

impl TryFrom<String> for PresetName {
    type Error = BadPresetName;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<PresetName> for String {
    fn from(n: PresetName) -> Self {
        n.0
    }
}

/// How the names of what is made besides begin.
const RESERVED: [&str; 3] = ["audio", "text", "storyboard"];

/// The name of something that a preset makes, a rung or a file: 1 to 20 lower-case letters, digits and hyphens. What
/// begins with `audio`, `text` or `storyboard` is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputName(String);

impl OutputName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for OutputName {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let ok = (1..=20).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !RESERVED.iter().any(|taken| s.starts_with(taken));
        if ok {
            Ok(Self(s))
        } else {
            Err(format!(
                "`{s}` cannot name a rung or a file: use up to 20 lower-case letters, digits and hyphens, not starting with \
                 `audio`, `text` or `storyboard`"
            ))
        }
    }
}

impl From<OutputName> for String {
    fn from(n: OutputName) -> Self {
        n.0
    }
}
