//! The FAT file system of a boot partition: files are read from it, and one folder in its root is replaced in one step.
//!
//! It is our own because that one step needs to know the sector that holds a folder's entry, which libraries hide; and what
//! is read may be anything: no number is believed before it was compared with the volume's size, no chain is followed
//! further than there are clusters.

mod entry;
mod put;

use super::medium::{Medium, Patch, number};
pub(crate) use entry::Entry;
pub(crate) use put::{NewFile, Steps};

/// The longest table of clusters that is read: enough for far more than a boot partition.
const MOST_TABLE: u64 = 64 * 1024 * 1024;
/// The longest folder, in bytes: the format's own limit.
const MOST_FOLDER: u64 = 65536 * 32;

/// Why a file system cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FatError {
    #[error("it holds no FAT file system")]
    None,
    #[error("its FAT file system is damaged: {0}")]
    Damaged(&'static str),
    #[error("its FAT file system has no room left")]
    Full,
    #[error("{0} is a file there, not a folder")]
    NoFolder(String),
    #[error("{0} is longer than the {1} bytes that are read of such a file")]
    TooLong(String, u64),
    #[error("cannot read its FAT file system")]
    Unread(#[from] std::io::Error),
}

use FatError::Damaged;

/// How wide the numbers of clusters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

/// Where things lie, in bytes from the volume's start.
#[derive(Clone, Debug)]
struct Shape {
    kind: Kind,
    sector: u64,
    cluster: u64,
    tables: u64,
    table_length: u64,
    copies: u64,
    root: Root,
    data: u64,
    clusters: u32,
    info: Option<u64>,
}

/// Where the root folder lies.
#[derive(Clone, Copy, Debug)]
enum Root {
    Fixed(u64, u64),
    Chain(u32),
}

/// A FAT file system.
pub(crate) struct Volume<'a, M: ?Sized> {
    medium: &'a M,
    shape: Shape,
    table: Vec<u8>,
}

/// A folder's bytes, and where each cluster-sized piece of them lies.
struct Folder {
    bytes: Vec<u8>,
    pieces: Vec<u64>,
    piece: u64,
}

impl Folder {
    /// Where on the volume the byte at an index lies.
    fn at(&self, index: usize) -> u64 {
        let index = index as u64;
        self.pieces[usize::try_from(index / self.piece).expect("within the folder")] + index % self.piece
    }
}

impl<'a, M: Medium + ?Sized> Volume<'a, M> {
    /// The file system on a medium.
    pub(crate) fn read(medium: &'a M) -> Result<Self, FatError> {
        if medium.len() < 512 {
            return Err(FatError::None);
        }
        let shape = shape(&medium.bytes(0, 512)?, medium.len())?;
        let length = usize::try_from(shape.table_length).expect("its size is limited");
        let table = medium.bytes(shape.tables, length)?;
        Ok(Self { medium, shape, table })
    }

    /// How wide the numbers of its clusters are.
    pub(crate) fn kind(&self) -> Kind {
        self.shape.kind
    }

    /// What is in a folder, by its path from the root; nothing where there is no such folder.
    pub(crate) fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FatError> {
        let mut entries = entry::entries(&self.root()?.bytes);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match entries.iter().find(|entry| entry.is(name)) {
                None => return Ok(None),
                Some(folder) if !folder.folder => return Err(FatError::NoFolder(path.to_owned())),
                Some(folder) => entries = entry::entries(&self.folder(folder.cluster)?.bytes),
            }
        }
        Ok(Some(entries))
    }

    /// A file's bytes, by its path from the root, `None` where there is none.
    pub(crate) fn file(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, FatError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entries = self.list(folder)?.unwrap_or_default();
        let Some(file) = entries.iter().find(|entry| entry.is(name) && !entry.folder) else { return Ok(None) };
        let length = u64::from(file.length);
        if length > most {
            return Err(FatError::TooLong(path.to_owned(), most));
        }
        let mut bytes = Vec::new();
        if length > 0 {
            let chain = self.chain(file.cluster, length.div_ceil(self.shape.cluster))?;
            for cluster in chain {
                bytes.extend(self.cluster(cluster)?);
            }
        }
        if (bytes.len() as u64) < length {
            return Err(Damaged("a file is longer than its clusters"));
        }
        bytes.truncate(usize::try_from(length).expect("it was just read"));
        Ok(Some(bytes))
    }

    fn root(&self) -> Result<Folder, FatError> {
        match self.shape.root {
            Root::Fixed(at, length) => {
                let bytes = self.medium.bytes(at, usize::try_from(length).expect("65536 entries at most"))?;
                Ok(Folder { bytes, pieces: vec![at], piece: length.max(1) })
            }
            Root::Chain(first) => self.folder(first),
        }
    }

    fn folder(&self, first: u32) -> Result<Folder, FatError> {
        let most = MOST_FOLDER.div_ceil(self.shape.cluster);
        let chain = self.chain(first, most + 1)?;
        if chain.len() as u64 > most {
            return Err(Damaged("a folder is endless"));
        }
        let mut bytes = Vec::new();
        for cluster in &chain {
            bytes.extend(self.cluster(*cluster)?);
        }
        let pieces = chain.iter().map(|cluster| self.shape.place(*cluster)).collect();
        Ok(Folder { bytes, pieces, piece: self.shape.cluster })
    }

    fn cluster(&self, cluster: u32) -> Result<Vec<u8>, FatError> {
        let length = usize::try_from(self.shape.cluster).expect("128 sectors at most");
        Ok(self.medium.bytes(self.shape.place(cluster), length)?)
    }

    /// The clusters from `first` on, at most so many.
    fn chain(&self, first: u32, most: u64) -> Result<Vec<u32>, FatError> {
        let mut chain = Vec::new();
        let mut next = first;
        while (chain.len() as u64) < most {
            if !self.shape.has(next) {
                return Err(Damaged("a chain of clusters leaves the volume"));
            }
            if chain.len() as u64 > u64::from(self.shape.clusters) {
                return Err(Damaged("a chain of clusters goes in a circle"));
            }
            chain.push(next);
            next = get(&self.table, self.shape.kind, next);
            if next >= self.shape.kind.end() {
                break;
            }
        }
        Ok(chain)
    }
}

impl Kind {
    /// From this number on, a cluster is the last of its chain.
    fn end(self) -> u32 {
        match self {
            Self::Fat12 => 0xff8,
            Self::Fat16 => 0xfff8,
            Self::Fat32 => 0x0fff_fff8,
        }
    }

    /// What is written for the last cluster of a chain.
    fn last(self) -> u32 {
        self.end() | 7
    }
}

impl Shape {
    fn has(&self, cluster: u32) -> bool {
        (2..self.clusters + 2).contains(&cluster)
    }

    fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster - 2) * self.cluster
    }
}

/// The shape that a boot sector tells of, on a medium of that length.
fn shape(boot: &[u8], length: u64) -> Result<Shape, FatError> {
    let sector = number::<2>(boot, 11);
    let per_cluster = number::<1>(boot, 13);
    let jump = boot[0] == 0xeb || boot[0] == 0xe9;
    if boot[510..512] != [0x55, 0xaa] || !jump || !matches!(sector, 512 | 1024 | 2048 | 4096) {
        return Err(FatError::None);
    }
    let (reserved, copies) = (number::<2>(boot, 14), number::<1>(boot, 16));
    if !per_cluster.is_power_of_two() || reserved == 0 || !(1..=2).contains(&copies) {
        return Err(Damaged("its boot sector has impossible numbers"));
    }
    let either = |short: u64, long: u64| if short == 0 { long } else { short };
    let short_table = number::<2>(boot, 22);
    let sectors = either(number::<2>(boot, 19), number::<4>(boot, 32));
    let table_length = either(short_table, number::<4>(boot, 36)) * sector;
    let cluster = per_cluster * sector;
    let root_length = (number::<2>(boot, 17) * 32).next_multiple_of(sector);
    let tables = reserved * sector;
    let root_at = tables + copies * table_length;
    let data = root_at + root_length;
    let end = sectors * sector;
    if end > length || data >= end || table_length == 0 || table_length > MOST_TABLE {
        return Err(Damaged("it is not as long as its boot sector says"));
    }
    let count = (end - data) / cluster;
    let kind = match count {
        _ if short_table == 0 => Kind::Fat32,
        ..4085 => Kind::Fat12,
        _ => Kind::Fat16,
    };
    let bits = match kind {
        Kind::Fat12 => 12,
        Kind::Fat16 => 16,
        Kind::Fat32 => 32,
    };
    let most = (table_length * 8 / bits).saturating_sub(2).min(u64::from(kind.end()) - 2);
    let clusters = u32::try_from(count.min(most)).expect("28 bits at most");
    let (root, info) = match kind {
        Kind::Fat32 => {
            if number::<2>(boot, 40) & 0x80 != 0 {
                return Err(Damaged("only one of its tables is in use"));
            }
            let info = Some(number::<2>(boot, 48)).filter(|info| (1..reserved).contains(info));
            let first = u32::try_from(number::<4>(boot, 44)).expect("32 bits");
            (Root::Chain(first), info.map(|info| info * sector))
        }
        Kind::Fat12 | Kind::Fat16 => (Root::Fixed(root_at, root_length), None),
    };
    Ok(Shape { kind, sector, cluster, tables, table_length, copies, root, data, clusters, info })
}

/// What a table says of a cluster that it has.
fn get(table: &[u8], kind: Kind, cluster: u32) -> u32 {
    let at = cluster as usize;
    let value = match kind {
        Kind::Fat12 => number::<2>(table, at + at / 2) >> (at % 2 * 4) & 0xfff,
        Kind::Fat16 => number::<2>(table, at * 2),
        Kind::Fat32 => number::<4>(table, at * 4) & 0x0fff_ffff,
    };
    u32::try_from(value).expect("28 bits at most")
}

/// Says another thing of it.
fn set(table: &mut [u8], kind: Kind, cluster: u32, value: u32) {
    let at = cluster as usize;
    match kind {
        Kind::Fat12 => {
            let (from, shift) = (at + at / 2, at % 2 * 4);
            let old = u16::from_le_bytes([table[from], table[from + 1]]);
            let value = u16::try_from(value & 0xfff).expect("12 bits");
            let new = old & !(0xfff << shift) | value << shift;
            table[from..from + 2].copy_from_slice(&new.to_le_bytes());
        }
        Kind::Fat16 => {
            let value = u16::try_from(value & 0xffff).expect("16 bits");
            table[at * 2..at * 2 + 2].copy_from_slice(&value.to_le_bytes());
        }
        Kind::Fat32 => {
            let old = u32::try_from(number::<4>(table, at * 4)).expect("32 bits");
            let new = old & 0xf000_0000 | value;
            table[at * 4..at * 4 + 4].copy_from_slice(&new.to_le_bytes());
        }
    }
}

/// The sectors in which two tables differ, as patches to all copies.
fn changes(shape: &Shape, old: &[u8], new: &[u8]) -> Vec<Patch> {
    let size = usize::try_from(shape.sector).expect("a few thousand");
    let sectors = old.chunks(size).zip(new.chunks(size)).enumerate().filter(|(_, (old, new))| old != new);
    let patches = sectors.flat_map(|(index, (_, new))| {
        let place = move |copy| shape.tables + copy * shape.table_length + index as u64 * shape.sector;
        (0..shape.copies).map(move |copy| Patch { at: place(copy), bytes: new.to_vec() })
    });
    patches.collect()
}

#[cfg(test)]
mod tests;
