//! Exit codes of the command line; 2, for wrong usage, is told by clap.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Anything that is neither a wrong command line (2, told by clap) nor a bad source.
pub(crate) const FAILED: u8 = 1;
/// The source, or a command, was refused: trying again changes nothing.
pub(crate) const REFUSED: u8 = 3;
/// Of a command to a node: it could not start in time, or a newer one took its place.
pub(crate) const TOO_LATE: u8 = 4;
/// Of a command to a node: called off.
pub(crate) const CANCELED: u8 = 5;
/// Of a command to a node: it took too long.
pub(crate) const TIMED_OUT: u8 = 6;
/// Of a command to a node: the new system was unwell, and the old one is back.
pub(crate) const ROLLED_BACK: u8 = 7;
/// Of a command to a node: it is followed no longer, and may still be done.
pub(crate) const LEFT: u8 = 8;
