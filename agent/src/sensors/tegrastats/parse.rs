//! From a line to a sample: word by word, so that order and blanks do not matter and nothing is dropped in silence.

use reelmill_api::snapshot::Engine;

use super::{
    BadLine, Gr3d, Iram, LONGEST_LINE, Mts, Ram, Sample, Swap,
    value::{Heat, amount, cores, engine_name, heat, load, local_time, megahertz, percent, rail, size},
};

/// The name of a meter's channel that hangs in the air.
const NOT_CONNECTED: &str = "NC";

/// Reads a line.
///
/// # Errors
/// If it is no line of tegrastats. Words that are not known are no error: they are kept in [`Sample::unknown`].
pub fn parse(line: &str) -> Result<Sample, BadLine> {
    if line.len() > LONGEST_LINE {
        return Err(BadLine::TooLong);
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let mut rest = words.as_slice();
    let mut sample = Sample::default();
    while !rest.is_empty() {
        let taken = take(&mut sample, rest).unwrap_or_else(|| keep_unknown(&mut sample, rest));
        rest = &rest[taken..];
    }
    if sample.ram.is_none() && sample.cores.is_empty() {
        return Err(BadLine::NotTegrastats);
    }
    Ok(sample)
}

/// Takes what the first words say into the sample, and tells how many they were; `None` if they are not known, or say
/// again what has been said.
fn take(sample: &mut Sample, rest: &[&str]) -> Option<usize> {
    match *rest {
        ["RAM", of, "(lfb", blocks, ..] => put(&mut sample.ram, ram(of, blocks)?, 4),
        ["SWAP", of, "(cached", cached, ..] => put(&mut sample.swap, swap(of, cached)?, 4),
        ["IRAM", of, block, ..] => put(&mut sample.iram, iram(of, block)?, 3),
        ["MTS", "fg", foreground, "bg", background, ..] => put(&mut sample.mts, mts(foreground, background)?, 5),
        ["CPU", list, ..] if list.starts_with('[') && sample.cores.is_empty() => {
            sample.cores = cores(list)?;
            Some(2)
        }
        ["GR3D_FREQ" | "GR3D", value, ..] => put(&mut sample.gpu, gr3d(value)?, 2),
        ["GR3D2_FREQ", value, ..] => {
            // JetPack 5 tells the second cluster's clock in a word of its own.
            let second = gr3d(value)?;
            sample.gpu.get_or_insert_default().mhz.extend(second.mhz);
            Some(2)
        }
        [word, ..] if word.contains('@') => take_heat(sample, word),
        [day, clock, ..] if day.contains('-') => put(&mut sample.local_time, local_time(day, clock)?, 2),
        [name, value, ..] => take_pair(sample, name, value),
        _ => None,
    }
}

fn put<T>(slot: &mut Option<T>, value: T, words: usize) -> Option<usize> {
    if slot.is_some() {
        return None;
    }
    *slot = Some(value);
    Some(words)
}

fn take_heat(sample: &mut Sample, word: &str) -> Option<usize> {
    match heat(word)? {
        Heat::Told(temperature) => sample.temperatures.push(temperature),
        Heat::SaysNothing => sample.ignored.push(word.to_owned()),
    }
    Some(1)
}

fn take_pair(sample: &mut Sample, name: &str, value: &str) -> Option<usize> {
    match (engine_name(name), rail(name, value)) {
        // Without root, JetPack 5 prints a 0 here that it has not measured.
        (Some(_), _) if name == "EMC_FREQ" && value == "0%" => sample.ignored.push(format!("{name} {value}")),
        (Some(engine_name), _) => sample.engines.push(engine(engine_name, value)?),
        (None, Some(_)) if name == NOT_CONNECTED => sample.ignored.push(format!("{name} {value}")),
        (None, rail) => sample.rails.push(rail?),
    }
    Some(2)
}

/// Keeps the first word as unknown, with the next one where that is plainly its value. Tells how many words that is.
fn keep_unknown(sample: &mut Sample, rest: &[&str]) -> usize {
    let is_value = |word: &&&str| **word == "off" || word.starts_with(|c: char| c.is_ascii_digit() || c == '@');
    let count = 1 + usize::from(!rest[0].contains('@') && rest.get(1).as_ref().is_some_and(is_value));
    sample.unknown.push(rest[..count].join(" "));
    count
}

fn ram(of: &str, blocks: &str) -> Option<Ram> {
    let (used, total) = of.split_once('/')?;
    let (total_bytes, unit) = amount(total)?;
    let (count, block) = blocks.strip_suffix(')')?.split_once('x')?;
    Some(Ram {
        used_bytes: size(used, unit)?,
        total_bytes,
        largest_free_blocks: count.parse().ok()?,
        largest_free_block_bytes: amount(block)?.0,
    })
}

fn swap(of: &str, cached: &str) -> Option<Swap> {
    let (used, total) = of.split_once('/')?;
    let (total_bytes, unit) = amount(total)?;
    let cached_bytes = amount(cached.strip_suffix(')')?)?.0;
    Some(Swap { used_bytes: size(used, unit)?, total_bytes, cached_bytes })
}

fn iram(of: &str, block: &str) -> Option<Iram> {
    let (used, total) = of.strip_suffix("(lfb")?.split_once('/')?;
    let (total_bytes, unit) = amount(total)?;
    let largest_free_block_bytes = amount(block.strip_suffix(')')?)?.0;
    Some(Iram { used_bytes: size(used, unit)?, total_bytes, largest_free_block_bytes })
}

fn mts(foreground: &str, background: &str) -> Option<Mts> {
    Some(Mts { foreground_percent: percent(foreground)?, background_percent: percent(background)? })
}

/// `12%`, `12%@345`, `12%@[345,678]` or `@[345,678,901]`.
fn gr3d(value: &str) -> Option<Gr3d> {
    let (busy, clocks) = value.split_once('@').unwrap_or((value, ""));
    let percent = if busy.is_empty() { None } else { Some(percent(busy)?) };
    let list = clocks.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(clocks);
    let mhz = list.split(',').filter(|clock| !clock.is_empty()).map(megahertz).collect::<Option<Vec<u32>>>()?;
    (percent.is_some() || !mhz.is_empty()).then_some(Gr3d { percent, mhz })
}

/// `off`, `12%@345`, `12%`, `@345` or `345`.
fn engine(name: String, value: &str) -> Option<Engine> {
    if value == "off" {
        return Some(Engine { name, on: false, percent: None, mhz: None });
    }
    let (percent, mhz) = load(value)?;
    Some(Engine { name, on: true, percent: percent.map(f64::from), mhz })
}
