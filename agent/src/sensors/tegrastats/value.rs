//! The values inside a line: amounts of memory, loads with clocks, temperatures and rails.

use reelmill_api::snapshot::{Core, Rail, Temperature};

/// Engines under all the names that releases gave them, without number and `_FREQ`; and what we call them, with a `0`
/// where the name alone means the first of several.
const ENGINES: &[(&str, &str, bool)] = &[
    ("NVENC", "nvenc", true),
    ("MSENC", "nvenc", true),
    ("NVDEC", "nvdec", true),
    ("NVJPG", "nvjpg", true),
    ("NVDLA", "nvdla", true),
    ("PVA", "pva", true),
    ("VIC", "vic", false),
    ("OFA", "ofa", false),
    ("APE", "ape", false),
    ("EMC", "emc", false),
];

/// The sensor of TX and Xavier boards that always reads 100 degrees.
const DUMMY: (&str, f64) = ("PMIC", 100.0);

/// Below this there is no temperature: JetPack 5 prints -256 for a sensor without power.
const ABSURDLY_COLD: f64 = -100.0;

/// What a word such as `cpu@45.8C` says.
pub(super) enum Heat {
    /// A temperature.
    Told(Temperature),
    /// That there is none to tell.
    SaysNothing,
}

/// Our name of an engine: `nvenc0` for `NVENC`, `NVENC0` and `NVENC0_FREQ`.
pub(super) fn engine_name(word: &str) -> Option<String> {
    let word = word.strip_suffix("_FREQ").unwrap_or(word);
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &word[stem.len()..];
    let (_, name, counted) = ENGINES.iter().find(|(theirs, ..)| *theirs == stem)?;
    Some(format!("{name}{}", if *counted && number.is_empty() { "0" } else { number }))
}

/// `62841MB` or `252kB` in bytes, and the bytes of its unit.
pub(super) fn amount(word: &str) -> Option<(u64, u64)> {
    let (digits, unit) = match (word.strip_suffix("MB"), word.strip_suffix("kB")) {
        (Some(digits), _) => (digits, 1 << 20),
        (_, Some(digits)) => (digits, 1 << 10),
        _ => return None,
    };
    Some((size(digits, unit)?, unit))
}

/// So many units in bytes.
pub(super) fn size(digits: &str, unit: u64) -> Option<u64> {
    whole(digits)?.checked_mul(unit)
}

/// `12%`.
pub(super) fn percent(word: &str) -> Option<u32> {
    whole(word.strip_suffix('%')?)?.try_into().ok()
}

/// A clock.
pub(super) fn megahertz(word: &str) -> Option<u32> {
    whole(word)?.try_into().ok()
}

/// `12%@345`, `12%`, `@345` or `345`: how busy, and the clock.
pub(super) fn load(word: &str) -> Option<(Option<u32>, Option<u32>)> {
    match word.split_once('@') {
        Some(("", clock)) => Some((None, Some(megahertz(clock)?))),
        Some((busy, clock)) => Some((Some(percent(busy)?), Some(megahertz(clock)?))),
        None if word.ends_with('%') => Some((Some(percent(word)?), None)),
        None => Some((None, Some(megahertz(word)?))),
    }
}

/// `[12%@345,off,7%]`, with one clock for all behind it in the oldest releases.
pub(super) fn cores(word: &str) -> Option<Vec<Core>> {
    let (list, clock) = word.strip_prefix('[')?.split_once(']')?;
    let shared = clock.strip_prefix('@').map(megahertz);
    if !clock.is_empty() && shared.flatten().is_none() {
        return None;
    }
    let core = |word: &str| {
        if word == "off" {
            return Some(Core { online: false, percent: None, mhz: None });
        }
        let (busy, own) = load(word)?;
        Some(Core { online: true, percent: Some(f64::from(busy?)), mhz: own.or(shared.flatten()) })
    };
    list.split(',').map(core).collect()
}

/// `cpu@45.8C`, or `cpu@45.8C/46.1C` with the highest since start.
pub(super) fn heat(word: &str) -> Option<Heat> {
    let (name, value) = word.split_once('@')?;
    let degrees = |text: &str| decimal(text.strip_suffix('C')?);
    let (now, peak) = match value.split_once('/') {
        Some((now, peak)) => (degrees(now)?, Some(degrees(peak)?)),
        None => (degrees(value)?, None),
    };
    if !is_plain(name) {
        return None;
    }
    if now < ABSURDLY_COLD || (name, now) == DUMMY {
        return Some(Heat::SaysNothing);
    }
    // JetPack 5 and older write `CPU`, newer ones `cpu`.
    let name = name.to_ascii_lowercase();
    Some(Heat::Told(Temperature { name, celsius: now, peak_celsius: peak, critical_celsius: None }))
}

/// `573/573`, `573mW/573mW` or `573mW/573mW/580mW`: now, on average, and the most since start.
pub(super) fn rail(name: &str, value: &str) -> Option<Rail> {
    let mut parts = value.split('/').map(|part| whole(part.strip_suffix("mW").unwrap_or(part)));
    let (now, average) = (parts.next()??, parts.next()??);
    let peak = match parts.next() {
        Some(peak) => Some(peak?),
        None => None,
    };
    (is_plain(name) && parts.next().is_none()).then(|| Rail {
        name: name.to_owned(),
        milliwatts: Some(now),
        average_milliwatts: Some(average),
        peak_milliwatts: peak,
        ..Rail::default()
    })
}

/// `05-09-2026` and `18:42:06` as `2026-05-09T18:42:06`.
pub(super) fn local_time(day: &str, clock: &str) -> Option<String> {
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(b, s)| if s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let (fits_day, fits_clock) = (shaped(day, "00-00-0000"), shaped(clock, "00:00:00"));
    (fits_day && fits_clock).then(|| format!("{}-{}-{}T{clock}", &day[6..], &day[..2], &day[3..5]))
}

/// Whether it can be a name on a board: it becomes a label of metrics.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Digits only, which excludes signs and blanks that the standard library takes.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Digits with a point and a sign, which excludes `inf`, `nan` and exponents.
fn decimal(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || b == b'.' || b == b'-';
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}
