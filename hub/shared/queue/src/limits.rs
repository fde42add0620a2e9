//! What servers cannot do that others can. A driver says so here, and the tests of all drivers hold it to the rest.

use std::time::Duration;

/// What a caller of a queue must know of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether a receipt serves on every connection, and a lease outlives the connection that took it. Otherwise the
    /// lease ends with the connection, and a new one's calls are told that it was lost.
    pub receipts_travel: bool,
    /// The finest difference in time that is kept; leases and delays are rounded up to it.
    pub tick: Duration,
    /// How long after a lease's end another may have to wait for the message, where its holder stands still or is gone.
    pub grace: Duration,
    /// For how long the server leaves a message to one holder, as far as the driver must reckon with that. A longer job keeps its
    /// message all the same, which the driver sees to.
    pub longest_hold: Option<Duration>,
    /// The longest delay; a longer one is cut to it.
    pub longest_delay: Duration,
    /// The largest body, in bytes.
    pub largest_body: usize,
    /// Whether messages of one priority come in the order in which they were published, and one that is given back comes
    /// at its old place.
    pub keeps_order: bool,
    /// Whether [`crate::Depth::leased`] is told.
    pub counts_leased: bool,
    /// Whether [`crate::Depth::oldest_ready`] is told.
    pub tells_age: bool,
    /// Whether a dedupe key is remembered for all; otherwise only by the connection that published with it.
    pub dedupes_for_all: bool,
    /// Whether a settlement that is cut short can leave a message twice, under one name: as it was, and as it was to be.
    pub may_double: bool,
    /// Who can read events.
    pub readers: Readers,
}

/// Who can read events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everyone, from where they like.
    Many,
    /// Whoever comes first: an event that was read is gone.
    One,
}

impl Limits {
    /// A server without limits.
    pub const NONE: Self = Self {
        receipts_travel: true,
        tick: Duration::from_millis(1),
        grace: Duration::ZERO,
        longest_hold: None,
        longest_delay: Duration::MAX,
        largest_body: usize::MAX,
        keeps_order: true,
        counts_leased: true,
        tells_age: true,
        dedupes_for_all: true,
        may_double: false,
        readers: Readers::Many,
    };
}
