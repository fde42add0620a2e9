//! A track's tables: how long, how large and where its samples are.

use std::ops::Range;

use super::{Child, NotAMovie, broken, find, need, u32_at, u64_at};

/// How large samples are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// All the same.
    Each {
        /// Bytes of one.
        bytes: u32,
        /// How many there are.
        count: u64,
    },
    /// Each its own.
    List(Vec<u32>),
}

impl Bytes {
    pub(super) fn read(stsz: &[u8], samples: u64) -> Result<Self, NotAMovie> {
        let (same, count) = (u32_at(stsz, 4)?, u32_at(stsz, 8)?);
        if u64::from(count) != samples {
            return Err(broken(format!("a track has times for {samples} samples and sizes for {count}")));
        }
        if same > 0 {
            return Ok(Self::Each { bytes: same, count: samples });
        }
        Ok(Self::List(numbers(stsz, 12, count)?))
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.of(0, u64::MAX)
    }

    /// The most that any run of so many samples has.
    pub fn most_in(&self, run: u64) -> u64 {
        let Self::List(sizes) = self else { return self.of(0, run) };
        let run = usize::try_from(run).unwrap_or(usize::MAX).clamp(1, sizes.len().max(1));
        let mut now: u64 = sizes.iter().take(run).map(|n| u64::from(*n)).sum();
        let mut most = now;
        for (gone, come) in sizes.iter().zip(sizes.iter().skip(run)) {
            now = now + u64::from(*come) - u64::from(*gone);
            most = most.max(now);
        }
        most
    }

    /// Those of `count` samples from `first` on.
    fn of(&self, first: u64, count: u64) -> u64 {
        match self {
            Self::Each { bytes, count: all } => u64::from(*bytes) * count.min(all.saturating_sub(first)),
            Self::List(sizes) => {
                let from = usize::try_from(first).unwrap_or(usize::MAX).min(sizes.len());
                let to = usize::try_from(first.saturating_add(count)).unwrap_or(usize::MAX).min(sizes.len());
                sizes[from..to].iter().map(|n| u64::from(*n)).sum()
            }
        }
    }
}

fn numbers(table: &[u8], at: usize, count: u32) -> Result<Vec<u32>, NotAMovie> {
    let bytes = (count as usize).checked_mul(4).and_then(|n| at.checked_add(n)).and_then(|end| table.get(at..end));
    let bytes = bytes.ok_or_else(|| broken("a table is cut"))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|four| u32::from_be_bytes(*four)).collect())
}

/// Count, length of all together, and of each if all last the same. The last one may last longer or shorter.
pub(super) fn times(stts: &[u8]) -> Result<(u64, u64, Option<u32>), NotAMovie> {
    let pairs = pairs(stts)?;
    let samples = pairs.iter().map(|(count, _)| u64::from(*count)).sum();
    let add = |sum: u64, (count, each): &(u32, u32)| sum.saturating_add(u64::from(*count) * u64::from(*each));
    let ticks = pairs.iter().fold(0, add);
    let mut each = pairs.iter().filter(|(count, _)| *count > 0).map(|(_, each)| *each);
    let first = each.next();
    let same = first.filter(|first| each.all(|other| other == *first));
    Ok((samples, ticks, same))
}

fn pairs(table: &[u8]) -> Result<Vec<(u32, u32)>, NotAMovie> {
    let count = u32_at(table, 4)?.checked_mul(2).ok_or_else(|| broken("a table is cut"))?;
    Ok(numbers(table, 8, count)?.as_chunks::<2>().0.iter().map(|[a, b]| (*a, *b)).collect())
}

/// How much later than decoded the first sample is shown.
pub(super) fn first_offset(ctts: &[u8]) -> Result<i64, NotAMovie> {
    Ok(pairs(ctts)?.first().map_or(0, |(_, offset)| i64::from(offset.cast_signed())))
}

/// Where decoding of so many samples can start, counted from 0.
pub(super) fn keys(stss: &[u8], samples: u64) -> Result<Vec<u64>, NotAMovie> {
    let count = u32_at(stss, 4)?;
    let keys: Vec<_> = numbers(stss, 8, count)?.into_iter().map(|n| u64::from(n.saturating_sub(1))).collect();
    if !keys.is_sorted() || keys.last().is_some_and(|last| *last >= samples) {
        return Err(broken(format!(
            "a track of {samples} samples has keyframes where there are none, or out of order"
        )));
    }
    Ok(keys)
}

/// Whether every sample lies in the media; where the first one does.
pub(super) fn within(stbl: &[Child<'_>], bytes: &Bytes, media: &Range<u64>) -> Result<Option<u64>, NotAMovie> {
    let chunks = chunks(stbl)?;
    let runs = runs(need(stbl, b"stsc")?)?;
    let mut sample = 0;
    let mut run = 0;
    for (n, &at) in (1_u64..).zip(&chunks) {
        while runs.get(run + 1).is_some_and(|(first, _)| u64::from(*first) <= n) {
            run += 1;
        }
        let count = runs.get(run).map_or(0, |(_, count)| u64::from(*count));
        let size = bytes.of(sample, count);
        if at < media.start || at.checked_add(size).is_none_or(|end| end > media.end) {
            return Err(broken("its index points outside its media"));
        }
        sample += count;
    }
    let all = match bytes {
        Bytes::Each { count, .. } => *count,
        Bytes::List(sizes) => sizes.len() as u64,
    };
    if sample != all {
        return Err(broken(format!("its index places {sample} samples of {all}")));
    }
    Ok(chunks.first().copied())
}

fn chunks(stbl: &[Child<'_>]) -> Result<Vec<u64>, NotAMovie> {
    if let Some(table) = find(stbl, b"co64") {
        let count = u32_at(table, 4)? as usize;
        return (0..count).map(|n| u64_at(table, 8 + n * 8)).collect();
    }
    let table = need(stbl, b"stco")?;
    Ok(numbers(table, 8, u32_at(table, 4)?)?.into_iter().map(u64::from).collect())
}

/// From which chunk on, counted from 1, how many samples are in each.
fn runs(stsc: &[u8]) -> Result<Vec<(u32, u32)>, NotAMovie> {
    let count = u32_at(stsc, 4)?.checked_mul(3).ok_or_else(|| broken("a table is cut"))?;
    Ok(numbers(stsc, 8, count)?.as_chunks::<3>().0.iter().map(|[first, samples, _]| (*first, *samples)).collect())
}
