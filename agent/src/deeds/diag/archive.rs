//! A tar archive in zstd, in memory, which never becomes larger than its limit.

use std::io::{self, Write as _};

use zstd::zstd_safe::compress_bound;

/// Halfway between speed and size: a node that is unwell has no time for more.
const LEVEL: i32 = 3;
/// A header, and what fills a file up to whole blocks.
const AROUND: usize = 1024;
/// Two empty blocks and the end of the compressed stream.
const END: usize = 4096;

/// An archive that is being made.
pub(super) struct Archive {
    tar: tar::Builder<zstd::Encoder<'static, Vec<u8>>>,
    folder: String,
    limit: usize,
    unix_seconds: u64,
}

impl Archive {
    /// An empty archive of at most `limit` bytes; all its files lie in `folder`.
    pub(super) fn new(folder: String, limit: usize, unix_seconds: u64) -> io::Result<Self> {
        let tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
        Ok(Self { tar, folder, limit, unix_seconds })
    }

    /// Adds a file, unless it might not fit, with `spare` bytes for what follows; whether it was added.
    pub(super) fn add(&mut self, name: &str, content: &[u8], spare: usize) -> io::Result<bool> {
        // Only what was compressed is counted.
        self.tar.get_mut().flush()?;
        let most = self.tar.get_ref().get_ref().len() + compress_bound(content.len() + AROUND) + spare + END;
        if most > self.limit {
            return Ok(false);
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.unix_seconds);
        self.tar.append_data(&mut header, format!("{}/{name}", self.folder), content)?;
        Ok(true)
    }

    /// The whole of it.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.tar.into_inner()?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that nothing makes smaller.
    fn noise(seed: u64, n: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn it_takes_what_fits_and_never_grows_over_its_limit() {
        const LIMIT: usize = 100_000;
        let mut archive = Archive::new("a".to_owned(), LIMIT, 0).expect("an archive");
        let mut taken = 0;
        while archive.add(&format!("{taken}"), &noise(taken, 10_000), 0).expect("memory") {
            taken += 1;
        }
        assert_eq!(taken, 9);
        assert!(!archive.add("large", &noise(9, 90_000), 0).expect("memory"));
        assert!(archive.add("text", &[b'a'; 1000], 0).expect("memory"), "a small one still fits");
        assert!(!archive.add("text", &[b'a'; 1000], 10_000).expect("memory"), "but not with something after it");
        let bytes = archive.finish().expect("memory");
        assert!(bytes.len() <= LIMIT, "{}", bytes.len());
        let names: Vec<_> = tar::Archive::new(zstd::Decoder::new(&bytes[..]).expect("zstd"))
            .entries()
            .expect("tar")
            .map(|entry| entry.expect("whole").path().expect("a name").display().to_string())
            .collect();
        assert_eq!(names.len(), 10);
        assert_eq!((names[0].as_str(), names[9].as_str()), ("a/0", "a/text"));
    }
}
