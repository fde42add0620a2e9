//! An image as it lies on this machine: plain, or packed by zstd and unpacked on the way.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileExt as _, FileTypeExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use reelmill_daemon::report::Hinted;

use super::{
    gpt::Table,
    medium::{Medium as _, Window},
};

/// Begins a file that zstd has packed.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Enough of an image's beginning to hold its partition table.
const HEAD: usize = 1024 * 1024 + 32 * 1024;
/// The furthest end of a boot partition in a packed image, of which all before that is unpacked to look at it.
const MOST_UNPACKED: u64 = 16 << 30;
/// A piece of what is unpacked; one of zeros takes no room.
const PIECE: usize = 64 * 1024;

/// An image.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its length as it lies there, in bytes.
    pub(crate) length: u64,
    /// Whether it is packed.
    pub(crate) packed: bool,
    /// Whether it is a device.
    pub(crate) device: bool,
    file: File,
}

impl Source {
    /// The image at a path.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Self::from(path, File::open(path))
    }

    /// The image at a path, to be written too, by nobody else at the same time.
    pub(crate) fn open_to_write(path: &Path) -> anyhow::Result<Self> {
        let device = path.metadata().is_ok_and(|meta| meta.file_type().is_block_device());
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if device {
            // The kernel refuses a device that is mounted.
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, exclusive());
        }
        let source = Self::from(path, options.open(path))?;
        let lock = rustix::fs::flock(&source.file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        lock.with_context(|| format!("cannot lock {}: another program writes it", path.display()))?;
        Ok(source)
    }

    fn from(path: &Path, opened: io::Result<File>) -> anyhow::Result<Self> {
        let cannot = || format!("cannot open {}", path.display());
        let mut file = opened.with_context(cannot)?;
        let meta = file.metadata().with_context(cannot)?;
        if meta.is_dir() {
            anyhow::bail!("cannot open {}: it is a folder", path.display());
        }
        let length = file.seek(SeekFrom::End(0)).with_context(cannot)?;
        let mut magic = [0; 4];
        let packed = length >= 4 && file.read_exact_at(&mut magic, 0).map(|()| magic == ZSTD).with_context(cannot)?;
        Ok(Self { path: path.to_owned(), length, packed, device: meta.file_type().is_block_device(), file })
    }

    /// The image's file, of one that is not packed.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The image's bytes in their order, and how many of the file's own were read so far.
    pub(crate) fn stream(&self) -> io::Result<(Box<dyn Read>, Arc<AtomicU64>)> {
        let read = Arc::new(AtomicU64::new(0));
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(0))?;
        let counted = Counted { file, read: Arc::clone(&read) };
        let stream: Box<dyn Read> =
            if self.packed { Box::new(zstd::Decoder::new(counted)?) } else { Box::new(counted) };
        Ok((stream, read))
    }

    /// The partition table, as far as an image has one that can be read.
    pub(crate) fn table(&self) -> anyhow::Result<Table> {
        let table = if self.packed {
            let mut head = vec![0; HEAD];
            let (mut stream, _) = self.stream().with_context(|| self.cannot("read"))?;
            let length = fill(&mut stream, &mut head).with_context(|| self.cannot("unpack"))?;
            Table::read(&head[..length])
        } else {
            Table::read(&self.whole()?)
        };
        table.with_context(|| self.cannot("use"))
    }

    /// All of an image that is not packed; of a packed one the first `length` bytes, unpacked into a file that has no name.
    pub(crate) fn unpacked(&self, length: u64) -> anyhow::Result<Option<File>> {
        if !self.packed {
            return Ok(None);
        }
        if length > MOST_UNPACKED {
            anyhow::bail!("{}: its boot partition lies behind {} GB", self.cannot("use"), MOST_UNPACKED >> 30);
        }
        let file = tempfile::tempfile().context("cannot make a file to unpack into")?;
        let (stream, _) = self.stream().with_context(|| self.cannot("read"))?;
        unpack(stream.take(length), &file).with_context(|| self.cannot("unpack"))?;
        Ok(Some(file))
    }

    /// A window to all of it.
    pub(crate) fn whole(&self) -> anyhow::Result<Window<'_>> {
        Window::whole(&self.file).with_context(|| self.cannot("read"))
    }

    /// A sentence's beginning.
    pub(crate) fn cannot(&self, what: &str) -> String {
        format!("cannot {what} the image {}", self.path.display())
    }
}

/// `O_EXCL` without `O_CREAT`: for a device, that it is not in use.
pub(crate) fn exclusive() -> i32 {
    i32::try_from(rustix::fs::OFlags::EXCL.bits()).expect("a flag of this system")
}

/// Writes a stream into an empty file; pieces of zeros become holes.
pub(crate) fn unpack(mut stream: impl Read, mut file: &File) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let filled = fill(&mut stream, &mut piece)?;
        if filled == 0 {
            break;
        }
        length += filled as u64;
        if piece[..filled].iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(filled).expect("a small number")))?;
        } else {
            file.write_all(&piece[..filled])?;
        }
    }
    file.set_len(length)?;
    Ok(length)
}

/// Reads until the buffer is full or the stream at its end.
pub(crate) fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// A file that tells how much of it was read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Where an image's boot partition lies, or why it cannot be configured.
pub(crate) fn esp(source: &Source, table: &Table) -> anyhow::Result<(u64, u64)> {
    let esp = table.esp().map(|esp| (esp.start, esp.length));
    let hint = "is this an image of Reelmill? see `reelmill image inspect`";
    esp.ok_or_else(|| Hinted::new(format!("{}: it has no EFI system partition", source.cannot("use")), hint).into())
}

/// Says that an image is shorter than its table.
pub(crate) fn whole_length(source: &Source, table: &Table) -> anyhow::Result<()> {
    let needed = table.ends();
    if !source.packed && source.whole()?.len() < needed {
        let hint = "was it copied or downloaded to its end?";
        let error =
            format!("{}: it is {} bytes long, and its partitions end at {needed}", source.cannot("use"), source.length);
        return Err(Hinted::new(error, hint).into());
    }
    Ok(())
}
