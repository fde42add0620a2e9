//! The ways in which the child ends, as exit codes. The reason is a sentence on its standard error.

use std::fmt;

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All frames were written.
    Done,
    /// The source cannot be decoded, whatever machine tries.
    BadSource,
    /// Encoder, decoder or memory are taken by others just now.
    Busy,
    /// An element or a plug-in is not on this machine.
    Missing,
    /// What read the frames is gone.
    ReaderGone,
    /// The source could not be read: whoever serves it knows why.
    SourceUnread,
    /// Anything else.
    Bug,
}

const ALL: [Ending; 7] = [
    Ending::Done,
    Ending::BadSource,
    Ending::Busy,
    Ending::Missing,
    Ending::ReaderGone,
    Ending::SourceUnread,
    Ending::Bug,
];

impl Ending {
    /// Its exit code. Those of the shell and of Rust's panics mean something else.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::BadSource => 10,
            Self::Busy => 11,
            Self::Missing => 12,
            Self::ReaderGone => 13,
            Self::SourceUnread => 14,
            Self::Bug => 70,
        }
    }

    /// The ending of that exit code.
    pub fn of_code(code: i32) -> Option<Self> {
        ALL.into_iter().find(|ending| i32::from(ending.code()) == code)
    }
}

/// Why the child gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What kind of end it is.
    pub ending: Ending,
    /// The reason, a sentence.
    pub reason: String,
}

impl Complaint {
    /// A complaint.
    pub fn new(ending: Ending, reason: impl Into<String>) -> Self {
        Self { ending, reason: reason.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What drivers say when an engine or memory is taken, in no error domain of their own. The first is L4T's encoder beyond
/// its sessions: `Device '/dev/v4l2-nvenc' failed during initialization`, with `S_FMT failed` in the details.
const BUSY: &[&str] = &[
    "failed during initialization",
    "S_FMT failed",
    "REQBUFS failed",
    "Failed to allocate required memory",
    "Cannot allocate memory",
    "out of memory",
    "NvBufSurfaceCreate",
    "Device or resource busy",
];

/// Whether words of GStreamer or a driver say that something is taken, not broken.
pub fn means_busy(words: &str) -> bool {
    let words = words.to_lowercase();
    BUSY.iter().any(|said| words.contains(&said.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_told_apart() {
        for ending in ALL {
            assert_eq!(Ending::of_code(ending.code().into()), Some(ending));
        }
        assert_eq!(Ending::of_code(1), None);
        assert_eq!(Ending::of_code(101), None);
    }

    #[test]
    fn a_taken_engine_is_no_broken_one() {
        assert!(means_busy("Device '/dev/v4l2-nvenc' failed during initialization: Call to S_FMT failed for YM12"));
        assert!(means_busy("ENC_CTX(0x1) Error in initializing: Out of memory"));
        assert!(!means_busy("Internal data stream error: streaming stopped, reason not-negotiated (-4)"));
    }
}
