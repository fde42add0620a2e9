//! Exit codes of the command line; 2, for wrong usage, is told by clap.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Anything that is neither a wrong command line (2, told by clap) nor a bad source.
pub(crate) const FAILED: u8 = 1;
/// The source was refused: trying again changes nothing.
pub(crate) const REFUSED: u8 = 3;
