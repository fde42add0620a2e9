//! The GUID partition table: read with its checksums, and moved to the end of a device that is longer than the image. What
//! is read may be anything, so every number is looked at before it is used.

use std::fmt;

use super::medium::{Medium, Patch, number};

/// The type of an EFI system partition.
pub(crate) const ESP: Guid = Guid(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);

/// Types by their names in the Discoverable Partitions Specification.
const KINDS: [(Guid, &str); 10] = [
    (ESP, "EFI system"),
    (Guid(0xbc13_c2ff_59e6_4262_a352_b275_fd6f_7172), "extended boot loader"),
    (Guid(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709), "root, x86-64"),
    (Guid(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae), "root, arm64"),
    (Guid(0x8484_680c_9521_48c6_9c11_b072_0656_f69e), "usr, x86-64"),
    (Guid(0xb0e0_1050_ee5f_4390_949a_9101_b171_04e9), "usr, arm64"),
    (Guid(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4), "Linux"),
    (Guid(0x0657_fd6d_a4ab_43c4_84e5_0933_c84b_4f4f), "swap"),
    (Guid(0x4d21_b016_b534_45c2_a9fb_5c16_e091_fd2d), "var"),
    (Guid(0xebd0_a0a2_b9e5_4433_87c0_68b6_b726_99c7), "basic data"),
];

/// The sizes of sectors that tables are written for.
const SECTORS: [u64; 2] = [512, 4096];
/// The most bytes that a table's entries may take.
const MOST: u64 = 1024 * 1024;

/// A globally unique identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guid(u128);

impl Guid {
    /// The first three parts are written with their lowest byte first.
    fn read(bytes: &[u8]) -> Self {
        let head = number::<4>(bytes, 0) << 32 | number::<2>(bytes, 4) << 16 | number::<2>(bytes, 6);
        let tail = bytes[8..16].iter().fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
        Self(u128::from(head) << 64 | u128::from(tail))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Its place in the table, from 1.
    pub(crate) number: usize,
    /// What it is for.
    pub(crate) kind: Guid,
    /// Its label.
    pub(crate) label: String,
    /// Where it begins, in bytes.
    pub(crate) start: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
}

impl Partition {
    /// What it is for, in words where they are known.
    pub(crate) fn kind_name(&self) -> String {
        let known = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        known.map_or_else(|| self.kind.to_string(), |(_, name)| (*name).to_owned())
    }
}

/// A partition table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The size of a sector in bytes.
    pub(crate) sector: u64,
    /// The name of the disk.
    pub(crate) disk: Guid,
    /// What it is divided into.
    pub(crate) partitions: Vec<Partition>,
    header: Vec<u8>,
    entries: Vec<u8>,
}

/// Why a medium has no partition table that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("it has no GUID partition table")]
    None,
    #[error("its partition table is damaged: {0}")]
    Damaged(&'static str),
    #[error("cannot read its partition table")]
    Unread(#[from] std::io::Error),
}

impl Table {
    /// The table at the beginning of a medium.
    pub(crate) fn read<M: Medium + ?Sized>(medium: &M) -> Result<Self, TableError> {
        for sector in SECTORS {
            if medium.len() < 2 * sector {
                continue;
            }
            let header = medium.bytes(sector, usize::try_from(sector).expect("a few thousand"))?;
            if header.starts_with(b"EFI PART") {
                return Self::parse(medium, sector, header);
            }
        }
        Err(TableError::None)
    }

    fn parse<M: Medium + ?Sized>(medium: &M, sector: u64, header: Vec<u8>) -> Result<Self, TableError> {
        let damaged = |what| Err(TableError::Damaged(what));
        let size = usize::try_from(number::<4>(&header, 12)).unwrap_or(usize::MAX);
        if !(92..=header.len()).contains(&size) {
            return damaged("its header has an impossible size");
        }
        if header_sum(&header, size) != number::<4>(&header, 16) {
            return damaged("the checksum of its header is wrong");
        }
        let (count, each) = (number::<4>(&header, 80), number::<4>(&header, 84));
        if each < 128 || !each.is_multiple_of(8) || count == 0 || count.saturating_mul(each) > MOST {
            return damaged("its entries have an impossible size");
        }
        let at = number::<8>(&header, 72).checked_mul(sector);
        let at = at.ok_or(TableError::Damaged("its entries lie nowhere"))?;
        let length = usize::try_from(count * each).expect("a million at most");
        let entries = medium.bytes(at, length)?;
        if u64::from(crc32fast::hash(&entries)) != number::<4>(&header, 88) {
            return damaged("the checksum of its entries is wrong");
        }
        let each = usize::try_from(each).expect("a million at most");
        let used =
            entries.chunks_exact(each).enumerate().filter(|(_, entry)| entry[..16].iter().any(|byte| *byte != 0));
        let partitions = used.map(|(index, entry)| partition(index + 1, entry, sector)).collect::<Option<_>>();
        let partitions = partitions.ok_or(TableError::Damaged("a partition has no length"))?;
        let disk = Guid::read(&header[56..72]);
        Ok(Self { sector, disk, partitions, header, entries })
    }

    /// How long the medium is that it was made for, in bytes.
    pub(crate) fn length(&self) -> Option<u64> {
        number::<8>(&self.header, 32).checked_add(1)?.checked_mul(self.sector)
    }

    /// Where the last partition ends.
    pub(crate) fn ends(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.start + partition.length).max().unwrap_or(0)
    }

    /// How long a device must be: all partitions and the copy of the table fit on it.
    pub(crate) fn needs(&self) -> u64 {
        self.ends().saturating_add(self.tail())
    }

    /// The length of the copy at the end.
    fn tail(&self) -> u64 {
        (self.entries.len() as u64).next_multiple_of(self.sector) + self.sector
    }

    /// Zeros for the copy at the end of the image, where that is behind all partitions.
    pub(crate) fn copy(&self) -> Option<Patch> {
        let at = self.length()?.checked_sub(self.tail()).filter(|at| *at >= self.ends())?;
        Some(Patch { at, bytes: vec![0; usize::try_from(self.tail()).ok()?] })
    }

    /// The EFI system partition.
    pub(crate) fn esp(&self) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.kind == ESP)
    }

    /// What must be written so that the table fits a device of that length: the first patches belong to its beginning,
    /// the last one is the copy at its end. Nothing where the table's form is unusual.
    pub(crate) fn fit(&self, device: u64, head: &[u8]) -> Option<(Vec<Patch>, Patch)> {
        let last = (device / self.sector).checked_sub(1)?;
        let width = (self.entries.len() as u64).div_ceil(self.sector);
        let backup = last.checked_sub(width)?;
        let first_usable = number::<8>(&self.header, 40);
        if number::<8>(&self.header, 24) != 1 || first_usable >= backup || self.ends() > backup * self.sector {
            return None;
        }
        let mut primary = self.header.clone();
        primary[32..40].copy_from_slice(&last.to_le_bytes());
        primary[48..56].copy_from_slice(&(backup - 1).to_le_bytes());
        let mut secondary = primary.clone();
        secondary[24..32].copy_from_slice(&last.to_le_bytes());
        secondary[32..40].copy_from_slice(&1_u64.to_le_bytes());
        secondary[72..80].copy_from_slice(&backup.to_le_bytes());
        [&mut primary, &mut secondary].into_iter().for_each(|header| seal(header));
        let mut copy = self.entries.clone();
        copy.resize(usize::try_from(width * self.sector).ok()?, 0);
        copy.append(&mut secondary);
        let mut patches = vec![Patch { at: self.sector, bytes: primary }];
        patches.extend(protective(head, last));
        Some((patches, Patch { at: backup * self.sector, bytes: copy }))
    }
}

/// The length in the boot record that keeps older programs from the disk.
fn protective(head: &[u8], last: u64) -> Option<Patch> {
    let entry = head.get(446..462)?;
    let ours = entry[4] == 0xee && head.get(510..512)? == [0x55, 0xaa] && number::<4>(entry, 8) == 1;
    let length = u32::try_from(last).unwrap_or(u32::MAX);
    ours.then(|| Patch { at: 446 + 12, bytes: length.to_le_bytes().to_vec() })
}

fn partition(number_: usize, entry: &[u8], sector: u64) -> Option<Partition> {
    let (first, last) = (number::<8>(entry, 32), number::<8>(entry, 40));
    let length = last.checked_sub(first)?.checked_add(1)?.checked_mul(sector)?;
    let start = first.checked_mul(sector)?;
    start.checked_add(length)?;
    let units: Vec<u16> = entry[56..128].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    let label = String::from_utf16_lossy(units.split(|unit| *unit == 0).next().unwrap_or_default());
    Some(Partition { number: number_, kind: Guid::read(&entry[..16]), label, start, length })
}

/// The checksum of a header, which is zero while it is made.
fn header_sum(header: &[u8], size: usize) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    [&header[..16], &[0; 4], &header[20..size]].into_iter().for_each(|part| hasher.update(part));
    u64::from(hasher.finalize())
}

fn seal(header: &mut [u8]) {
    let size = usize::try_from(number::<4>(header, 12)).expect("it was read before");
    let sum = u32::try_from(header_sum(header, size)).expect("32 bits");
    header[16..20].copy_from_slice(&sum.to_le_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A medium of that length with a table for sectors of that size, and one partition on it. It is full of junk.
    pub(crate) fn medium(sector: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0xa5; length];
        bytes[..sector].fill(0);
        let last = (bytes.len() / sector - 1) as u64;
        let mut entry = vec![0; 128 * 128];
        entry[..16].copy_from_slice(&[
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
        ]);
        entry[32..40].copy_from_slice(&40_u64.to_le_bytes());
        entry[40..48].copy_from_slice(&99_u64.to_le_bytes());
        "esp"
            .encode_utf16()
            .enumerate()
            .for_each(|(i, unit)| entry[56 + 2 * i..58 + 2 * i].copy_from_slice(&unit.to_le_bytes()));
        let mut header = vec![0; sector];
        header[..8].copy_from_slice(b"EFI PART");
        let numbers: [(usize, u64); 5] = [(24, 1), (32, last), (40, 34), (48, last - 33), (72, 2)];
        numbers.iter().for_each(|(at, value)| header[*at..at + 8].copy_from_slice(&value.to_le_bytes()));
        let shorts = [(8, 0x10000), (12, 92), (80, 128), (84, 128), (88, crc32fast::hash(&entry))];
        shorts.iter().for_each(|(at, value)| header[*at..at + 4].copy_from_slice(&value.to_le_bytes()));
        seal(&mut header);
        bytes[2 * sector..2 * sector + entry.len()].copy_from_slice(&entry);
        bytes[sector..2 * sector].copy_from_slice(&header);
        bytes[446 + 4] = 0xee;
        bytes[446 + 8] = 1;
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    #[test]
    fn a_table_is_read_for_both_sizes_of_sectors() {
        for sector in [512, 4096] {
            let table = Table::read(&*medium(sector, 1 << 20)).expect("a table");
            let sector = sector as u64;
            let esp =
                Partition { number: 1, kind: ESP, label: "esp".to_owned(), start: 40 * sector, length: 60 * sector };
            assert_eq!((table.esp(), table.length(), table.sector), (Some(&esp), Some(1 << 20), sector));
            assert_eq!(ESP.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        }
    }

    #[test]
    fn it_is_moved_to_the_end_of_a_longer_device() {
        for sector in [512, 4096_usize] {
            let mut bytes = medium(sector, 1 << 20);
            let table = Table::read(&*bytes).expect("a table");
            bytes.resize(3 << 20, 0);
            let (patches, last) = table.fit(3 << 20, &bytes).expect("it fits");
            patches.iter().chain([&last]).for_each(|patch| patch.apply(0, &mut bytes));
            let moved = Table::read(&*bytes).expect("a table");
            assert_eq!((moved.length(), &moved.partitions), (Some(3 << 20), &table.partitions));
            assert_eq!(number::<4>(&bytes, 446 + 12), (3 << 20) / sector as u64 - 1);
            // The copy at the end is a table too, seen from there.
            let copy = &bytes[bytes.len() - sector..];
            assert_eq!((number::<8>(copy, 24) + 1, number::<8>(copy, 32)), ((3 << 20) / sector as u64, 1));
            assert_eq!(header_sum(copy, 92), number::<4>(copy, 16));
            let entries = usize::try_from(number::<8>(copy, 72)).expect("small") * sector;
            assert_eq!(u64::from(crc32fast::hash(&bytes[entries..entries + 128 * 128])), number::<4>(copy, 88));
            assert!(table.fit(100 * sector as u64, &bytes).is_none(), "too short");
        }
    }

    #[test]
    fn a_damaged_table_is_told_as_such() {
        let check = |at: usize, want: &str| {
            let mut bytes = medium(512, 1 << 20);
            bytes[at] ^= 1;
            assert_eq!(Table::read(&*bytes).expect_err(want).to_string(), want);
        };
        check(512, "it has no GUID partition table");
        check(512 + 60, "its partition table is damaged: the checksum of its header is wrong");
        check(512 + 15, "its partition table is damaged: its header has an impossible size");
        check(1024 + 33, "its partition table is damaged: the checksum of its entries is wrong");
        assert_eq!(Table::read(&[0; 100][..]).expect_err("nothing").to_string(), "it has no GUID partition table");
    }

    proptest! {
        #[test]
        fn no_header_whatever_it_says_does_harm(sums: bool, hits in prop::collection::vec((0..92_usize, any::<u8>()), 1..8)) {
            let mut bytes = medium(512, 1 << 20);
            hits.iter().for_each(|(at, byte)| bytes[512 + at] = *byte);
            let size = usize::try_from(number::<4>(&bytes, 512 + 12)).expect("32 bits");
            if sums && (92..=512).contains(&size) {
                seal(&mut bytes[512..1024]);
            }
            if let Ok(table) = Table::read(&*bytes) {
                let _ = (table.length(), table.copy(), table.needs(), table.fit(1 << 30, &bytes));
            }
        }
    }
}
