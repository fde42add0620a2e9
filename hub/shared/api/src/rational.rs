//! Exact fractions for frame rates and aspect ratios, written `30000/1001` on the wire.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A positive fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rational {
    num: u32,
    den: u32,
}

/// Text that is no positive fraction.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a positive fraction such as 25/1 or 30000/1001")]
pub struct NotARational(String);

impl Rational {
    /// The fraction `num/den` in lowest terms; `None` if either is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let g = gcd(num, den);
        Some(Self { num: num / g, den: den / g })
    }

    /// A whole number; `None` if it is zero.
    pub fn whole(n: u32) -> Option<Self> {
        Self::new(n, 1)
    }

    /// The numerator.
    pub fn num(self) -> u32 {
        self.num
    }

    /// The denominator.
    pub fn den(self) -> u32 {
        self.den
    }

    /// The nearest floating-point value.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// One divided by this fraction.
    pub fn inverse(self) -> Self {
        Self { num: self.den, den: self.num }
    }

    /// Half of this fraction.
    pub fn half(self) -> Self {
        if self.num.is_multiple_of(2) {
            Self { num: self.num / 2, den: self.den }
        } else {
            Self { num: self.num, den: self.den.saturating_mul(2) }
        }
    }

    /// This fraction times a whole number of seconds or frames, rounded to the nearest whole number.
    pub fn times_rounded(self, seconds_milli: u64) -> u64 {
        let num = u64::from(self.num) * seconds_milli;
        let den = u64::from(self.den) * 1000;
        (num + den / 2) / den
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rational {
    type Err = NotARational;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parsed = match s.split_once(['/', ':']) {
            Some((n, d)) => n.trim().parse().ok().zip(d.trim().parse().ok()),
            None => s.trim().parse().ok().map(|n| (n, 1)),
        };
        parsed.and_then(|(n, d)| Self::new(n, d)).ok_or_else(|| NotARational(s.to_owned()))
    }
}

impl TryFrom<String> for Rational {
    type Error = NotARational;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Rational> for String {
    fn from(r: Rational) -> Self {
        r.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ffprobe_prints_and_refuses_the_rest() {
        assert_eq!("30000/1001".parse::<Rational>().ok(), Rational::new(30000, 1001));
        assert_eq!("50/2".parse::<Rational>().map(|r| r.to_string()).as_deref(), Ok("25/1"));
        assert_eq!("4:3".parse::<Rational>().ok(), Rational::new(4, 3));
        for bad in ["0/0", "0/1", "25/0", "", "-1/2", "a/b", "1/2/3"] {
            assert!(bad.parse::<Rational>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_frames_in_a_segment_to_the_nearest() {
        let frames = |fps: &str| fps.parse::<Rational>().expect("a literal").times_rounded(4000);
        assert_eq!([frames("25"), frames("30000/1001"), frames("24000/1001"), frames("60")], [100, 120, 96, 240]);
    }
}
