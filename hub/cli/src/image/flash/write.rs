//! Writing a device so that it is either whole or says that it is not.
//!
//! First a text takes the place of the partition table. Then all but the first mebibyte is written and read back, past the
//! kernel's memory. Only then comes the first mebibyte, with the table.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use reelmill_daemon::report::Hinted;
use sha2::{Digest as _, Sha256};

use super::super::{gpt::Table, medium::Patch, size::size, source};
use crate::screen::Screen;

/// What a device begins with until it is whole.
pub(super) const MARK: &str = "reelmill image flash did not end here: this device holds no system; flash it again\n";
/// So much of the beginning is written last.
const HEAD: usize = 1024 * 1024;
/// A piece that is written at once.
const PIECE: usize = 4 * 1024 * 1024;
/// What memory must be aligned to, to go past the kernel's own.
const ALIGN: usize = 4096;

/// What is written where.
pub(super) struct Work<'a> {
    /// The image's partition table.
    pub(super) table: &'a Table,
    /// What is different from the image.
    pub(super) patches: Vec<Patch>,
    /// The image.
    pub(super) from: &'a Path,
    /// The device.
    pub(super) to: &'a Path,
    /// Its length.
    pub(super) length: u64,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Written {
    /// The image's length, unpacked.
    pub(super) bytes: u64,
    /// How long writing took.
    pub(super) writing: Duration,
    /// How long reading took.
    pub(super) reading: Duration,
}

/// A device: places and lengths are multiples of its sectors, and memory is aligned.
pub(super) trait Device {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

impl Device for File {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Memory that begins at a multiple of [`ALIGN`].
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start }
    }

    fn of(bytes: &[u8]) -> Self {
        let mut aligned = Self::new(bytes.len());
        aligned.get(bytes.len()).copy_from_slice(bytes);
        aligned
    }

    fn get(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + length]
    }
}

/// What must be found when the device is read.
struct Piece {
    at: u64,
    length: usize,
    digest: [u8; 32],
}

impl Piece {
    fn of(at: u64, bytes: &[u8]) -> Self {
        Self { at, length: bytes.len(), digest: Sha256::digest(bytes).into() }
    }
}

/// Writes the image that `stream` brings; `read` says how much of its file's `total` bytes was read.
pub(super) fn write(
    work: &Work<'_>,
    stream: &mut dyn Read,
    device: &dyn Device,
    read: &dyn Fn() -> u64,
    total: u64,
    screen: &Screen,
) -> anyhow::Result<Written> {
    let begun = Instant::now();
    let gauge = screen.gauge("writing", total);
    work.put(device, 0, &mark(HEAD))?;
    work.sync(device)?;
    let mut pass =
        Pass { work, device, buffer: Aligned::new(PIECE), end: End::default(), pieces: Vec::new(), bytes: 0 };
    while pass.piece(stream)? {
        gauge.show(read());
    }
    pass.close()?;
    drop(gauge);
    let writing = begun.elapsed();
    pass.verify(screen)?;
    pass.begin()?;
    Ok(Written { bytes: pass.bytes, writing, reading: begun.elapsed() - writing })
}

/// The way over the device, from its first piece to its last, and then back to its beginning.
struct Pass<'a> {
    work: &'a Work<'a>,
    device: &'a dyn Device,
    buffer: Aligned,
    end: End,
    pieces: Vec<Piece>,
    bytes: u64,
}

impl Pass<'_> {
    /// Writes the next piece of the image; whether there may be one more.
    fn piece(&mut self, mut stream: &mut dyn Read) -> anyhow::Result<bool> {
        let (work, at) = (self.work, self.bytes);
        let filled = source::fill(&mut stream, self.buffer.get(PIECE))
            .with_context(|| format!("cannot read the image {}", work.from.display()))?;
        if filled == 0 {
            return Ok(false);
        }
        if at + filled as u64 > work.length {
            bail!("{} is too small for the image, which is longer than its partitions", work.to.display());
        }
        let length = filled.next_multiple_of(usize::try_from(work.table.sector).expect("a few thousand"));
        let piece = self.buffer.get(length);
        piece[filled..].fill(0);
        if at == 0 {
            self.end = work.end(piece);
        }
        work.patches.iter().chain(&self.end.patches).for_each(|patch| patch.apply(at, piece));
        if at == 0 {
            self.end.head = piece[..HEAD.min(length)].to_vec();
            piece[..self.end.head.len()].copy_from_slice(&mark(self.end.head.len()));
        }
        work.put_aligned(self.device, at, piece)?;
        self.pieces.push(Piece::of(at, piece));
        self.bytes += filled as u64;
        Ok(filled == PIECE)
    }

    /// Writes the device's end.
    fn close(&mut self) -> anyhow::Result<()> {
        self.work.whole(self.bytes)?;
        if let Some(last) = &self.end.last {
            self.work.put(self.device, last.at, &last.bytes)?;
            self.pieces.push(Piece::of(last.at, &last.bytes));
        }
        self.work.sync(self.device)
    }

    /// Reads all that was written.
    fn verify(&mut self, screen: &Screen) -> anyhow::Result<()> {
        let gauge = screen.gauge("reading back", self.bytes);
        for piece in &self.pieces {
            self.work.check(self.device, piece, &mut self.buffer)?;
            gauge.show(self.bytes.min(piece.at + piece.length as u64));
        }
        Ok(())
    }

    /// Writes the beginning, by which the device becomes a system.
    fn begin(&mut self) -> anyhow::Result<()> {
        let head = &self.end.head;
        self.work.put(self.device, 0, head)?;
        self.work.sync(self.device)?;
        self.work.check(self.device, &Piece::of(0, head), &mut self.buffer)
    }
}

/// How the device ends, and what it begins with when it is whole.
#[derive(Default)]
struct End {
    head: Vec<u8>,
    patches: Vec<Patch>,
    last: Option<Patch>,
}

impl Work<'_> {
    /// The table at the device's own end instead of the image's.
    fn end(&self, first: &[u8]) -> End {
        let Some((mut patches, last)) = self.table.fit(self.length, first) else { return End::default() };
        patches.extend(self.table.copy().filter(|copy| copy.at + copy.bytes.len() as u64 <= last.at));
        patches.push(last.clone());
        End { head: Vec::new(), patches, last: Some(last) }
    }

    /// Refuses an image that ended too early.
    fn whole(&self, bytes: u64) -> anyhow::Result<()> {
        let needed = self.table.ends();
        if bytes < needed {
            let error =
                format!("the image {} ends after {bytes} bytes, and its partitions at {needed}", self.from.display());
            return Err(Hinted::new(error, "was it copied or downloaded to its end?").into());
        }
        Ok(())
    }

    fn put(&self, device: &dyn Device, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
        self.put_aligned(device, at, Aligned::of(bytes).get(bytes.len()))
    }

    fn put_aligned(&self, device: &dyn Device, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
        device.write_at(at, bytes).with_context(|| format!("cannot write {} at {}", self.to.display(), size(at)))
    }

    fn sync(&self, device: &dyn Device) -> anyhow::Result<()> {
        device.sync().with_context(|| format!("cannot write {} to its end", self.to.display()))
    }

    fn check(&self, device: &dyn Device, piece: &Piece, buffer: &mut Aligned) -> anyhow::Result<()> {
        let hint =
            "the medium or its reader is faulty, or smaller than it says: try another; this one holds no system now";
        let found = buffer.get(piece.length);
        let told = format!("{} at {}", self.to.display(), size(piece.at));
        device.read_at(piece.at, found).map_err(|e| Hinted::new(format!("cannot read back {told}: {e}"), hint))?;
        if <[u8; 32]>::from(Sha256::digest(&*found)) != piece.digest {
            return Err(Hinted::new(format!("what was read back from {told} is not what was written"), hint).into());
        }
        Ok(())
    }
}

/// A beginning that firmware takes for no system, and a person who looks for what it is.
fn mark(length: usize) -> Vec<u8> {
    let mut head = vec![0; length];
    head[..MARK.len()].copy_from_slice(MARK.as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use reelmill_daemon::report::render;

    use super::*;

    /// A medium in memory. It forgets what is written from some place on, as one does that is smaller than it says, or does
    /// not take what is written after so many writes.
    struct Faulty {
        bytes: RefCell<Vec<u8>>,
        forgets: u64,
        writes: RefCell<u32>,
    }

    impl Device for Faulty {
        fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let mut left = self.writes.borrow_mut();
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("unplugged"))?;
            let patch = Patch { at, bytes: bytes.to_vec() };
            let kept = usize::try_from(self.forgets).expect("small");
            patch.apply(0, &mut self.bytes.borrow_mut()[..kept]);
            Ok(())
        }

        fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            let at = usize::try_from(at).expect("small");
            bytes.copy_from_slice(&self.bytes.borrow()[at..at + bytes.len()]);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const LENGTH: usize = 24 << 20;

    /// An image of 10 MiB, written to a device of 24; what is told, and what the device begins with.
    fn check(forgets: usize, writes: u32) -> (String, Vec<u8>) {
        let image = crate::image::gpt::tests::medium(512, 10 << 20);
        let table = Table::read(&*image).expect("a table");
        let device = Faulty { bytes: vec![0; LENGTH].into(), forgets: forgets as u64, writes: writes.into() };
        let (from, to) = (Path::new("node.raw"), Path::new("/dev/sdb"));
        let work = Work { table: &table, patches: Vec::new(), from, to, length: LENGTH as u64 };
        let done = write(&work, &mut &*image, &device, &|| 0, 1, &Screen::stderr());
        let told = done.map_or_else(|e| render(&*e), |written| format!("{} bytes", written.bytes));
        let begins = device.bytes.borrow()[..MARK.len()].to_vec();
        (told, begins)
    }

    #[test]
    fn a_medium_that_forgets_holds_no_system_in_the_end() {
        assert_eq!(check(LENGTH, 99).0, "10485760 bytes");
        assert_ne!(check(LENGTH, 99).1, MARK.as_bytes());
        let hint =
            "the medium or its reader is faulty, or smaller than it says: try another; this one holds no system now";
        for (forgets, at) in [(5 << 20, "4.2 MB"), (9 << 20, "8.4 MB"), (20 << 20, "25.1 MB")] {
            let want = format!("error: what was read back from /dev/sdb at {at} is not what was written\nhint: {hint}");
            assert_eq!(check(forgets, 99), (want, MARK.as_bytes().to_vec()), "{forgets}");
        }
    }

    #[test]
    fn wherever_it_is_unplugged_it_holds_no_system() {
        for (writes, at) in [(1, "0 bytes"), (2, "4.2 MB"), (3, "8.4 MB"), (4, "25.1 MB"), (5, "0 bytes")] {
            let want = format!("error: cannot write /dev/sdb at {at}: unplugged");
            assert_eq!(check(LENGTH, writes), (want, MARK.as_bytes().to_vec()), "{writes}");
        }
        assert_eq!(check(LENGTH, 6).0, "10485760 bytes");
    }
}
