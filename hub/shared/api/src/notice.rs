//! What all workers of a farm must know at once, whatever they are doing: short texts that lie beside the queue.

use std::{fmt, str::FromStr};

use crate::{JobId, Lane};

/// Something that every worker heeds until it is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Notice {
    /// Nothing is leased from this lane. What is in work goes on.
    Paused(Lane),
    /// Nobody works on this job any more. Forgotten after some days, since no job waits for so long.
    Canceled(JobId),
}

/// Text that is no notice.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no notice that is known here")]
pub struct UnknownNotice(String);

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(lane) => write!(f, "paused-{lane}"),
            Self::Canceled(job) => write!(f, "canceled-{job}"),
        }
    }
}

impl FromStr for Notice {
    type Err = UnknownNotice;

    fn from_str(text: &str) -> Result<Self, UnknownNotice> {
        let unknown = || UnknownNotice(text.to_owned());
        match text.split_once('-') {
            Some(("paused", lane)) => lane.parse().map(Self::Paused).map_err(|_| unknown()),
            Some(("canceled", job)) => job.parse().map(Self::Canceled).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        for text in ["paused-reelmill-hls-ladder", "canceled-01a206cf-9121-70c3-9289-26e6c7459152"] {
            assert_eq!(text.parse::<Notice>().expect(text).to_string(), text);
        }
        for text in ["", "paused", "paused-", "paused-a b", "canceled-7", "closed-q", "Paused-q"] {
            assert_eq!(text.parse::<Notice>().expect_err(text), UnknownNotice(text.to_owned()));
        }
    }
}
