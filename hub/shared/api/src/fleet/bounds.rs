//! Numbers and texts with bounds: parsed once, never wrong afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole number between two bounds, both of them allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Bounded<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Bounded<LEAST, MOST> {
    /// A number that is known when this is compiled; one out of bounds does not compile in a `const`.
    pub const fn of(number: u32) -> Self {
        assert!(LEAST <= number && number <= MOST, "the number is out of its bounds");
        Self(number)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Bounded<LEAST, MOST> {
    type Error = String;

    fn try_from(n: u32) -> Result<Self, Self::Error> {
        if (LEAST..=MOST).contains(&n) { Ok(Self(n)) } else { Err(format!("{n} is not between {LEAST} and {MOST}")) }
    }
}

impl<const LEAST: u32, const MOST: u32> From<Bounded<LEAST, MOST>> for u32 {
    fn from(n: Bounded<LEAST, MOST>) -> Self {
        n.0
    }
}

/// Seconds, from 1 to a bound.
pub type Seconds<const MOST: u32> = Bounded<1, MOST>;

/// A text for people, of at most so many characters and without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MOST: usize>(String);

impl<const MOST: usize> Text<MOST> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of a text as fits, with control characters shown and not obeyed.
    pub fn cut(text: &str) -> Self {
        Self(text.chars().take(MOST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect())
    }
}

impl<const MOST: usize> TryFrom<String> for Text<MOST> {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        if s.chars().count() > MOST {
            return Err(format!("a text of {} characters is longer than {MOST}", s.chars().count()));
        }
        if s.contains(char::is_control) { Err("a text has a control character".to_owned()) } else { Ok(Self(s)) }
    }
}

impl<const MOST: usize> std::str::FromStr for Text<MOST> {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.to_owned().try_into()
    }
}

impl<const MOST: usize> From<Text<MOST>> for String {
    fn from(t: Text<MOST>) -> Self {
        t.0
    }
}

impl<const MOST: usize> fmt::Display for Text<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        type Lines = Bounded<1, 500>;
        assert_eq!(Lines::try_from(500).map(Lines::get), Ok(500));
        assert_eq!(Lines::try_from(0), Err("0 is not between 1 and 500".to_owned()));
        assert!(Lines::try_from(501).is_err());
        assert!("\u{e9}\u{e9}".parse::<Text<2>>().is_ok());
        assert_eq!("abc".parse::<Text<2>>(), Err("a text of 3 characters is longer than 2".to_owned()));
        assert_eq!("a\n".parse::<Text<9>>(), Err("a text has a control character".to_owned()));
        assert_eq!(Text::<3>::cut("a\u{1b}bcd").as_str(), "a\u{fffd}b");
    }
}
