//! The bytes that wait in memory between a store and whoever reads or writes, counted to the last one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

/// How many bytes wait now, and how many ever did at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    /// Bytes that wait now.
    pub(crate) fn now(&self) -> usize {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The most that ever waited at once.
    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }
}

/// A buffer of a fixed size whose memory is counted until its last slice is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    data: Vec<u8>,
    limit: usize,
    counted: usize,
    gauge: Gauge,
}

/// The first allocation of a buffer: most segments are larger, most playlists smaller.
const SMALLEST: usize = 64 * 1024;

impl Buffer {
    /// An empty buffer that holds up to `limit` bytes and grows to that.
    pub(crate) fn growing(limit: usize, gauge: &Gauge) -> Self {
        Self { data: Vec::new(), limit, counted: 0, gauge: gauge.clone() }
    }

    /// An empty buffer with room for `limit` bytes from the start.
    pub(crate) fn of(limit: usize, gauge: &Gauge) -> Self {
        let mut buffer = Self::growing(limit, gauge);
        buffer.reserve(limit);
        buffer
    }

    /// Takes as much of `chunk` as fits.
    pub(crate) fn fill(&mut self, chunk: &mut Bytes) {
        let taken = chunk.split_to(chunk.len().min(self.room()));
        self.reserve(taken.len());
        self.data.extend_from_slice(&taken);
    }

    /// All of its room as zeros, to be read into.
    pub(crate) fn filled(&mut self) -> &mut [u8] {
        self.reserve(self.room());
        self.data.resize(self.limit, 0);
        &mut self.data
    }

    /// How many bytes it holds.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// How many more bytes fit.
    pub(crate) fn room(&self) -> usize {
        self.limit - self.data.len()
    }

    /// The content, for as long as anybody holds a slice of it.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.data.len() + more;
        if needed > self.data.capacity() {
            let target = needed.max(self.data.capacity() * 2).max(SMALLEST).min(self.limit);
            self.data.reserve_exact(target - self.data.len());
            self.count();
        }
    }

    fn count(&mut self) {
        let more = self.data.capacity() - self.counted;
        self.counted = self.data.capacity();
        let now = self.gauge.0.now.fetch_add(more, Ordering::Relaxed) + more;
        self.gauge.0.peak.fetch_max(now, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.gauge.0.now.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_its_memory_until_the_last_slice_is_gone() {
        let gauge = Gauge::default();
        let mut buffer = Buffer::growing(1_000_000, &gauge);
        assert_eq!(gauge.now(), 0);
        let mut chunk = Bytes::from(vec![7; 1_500_000]);
        buffer.fill(&mut chunk);
        assert_eq!((buffer.len(), buffer.room(), chunk.len()), (1_000_000, 0, 500_000));
        assert_eq!(gauge.now(), 1_000_000);
        let mut whole = buffer.freeze();
        let slice = whole.split_to(10);
        drop(whole);
        assert_eq!(gauge.now(), 1_000_000);
        drop(slice);
        assert_eq!((gauge.now(), gauge.peak()), (0, 1_000_000));
    }

    #[test]
    fn grows_without_ever_passing_its_limit() {
        let gauge = Gauge::default();
        let mut buffer = Buffer::growing(300_000, &gauge);
        for _ in 0..30 {
            buffer.fill(&mut Bytes::from_static(&[1; 10_000]));
        }
        assert_eq!((buffer.len(), gauge.peak()), (300_000, 300_000));
    }
}
