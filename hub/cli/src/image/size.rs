//! Sizes as people write and read them.

/// A size in the units that makers of disks use, as in `64.2 GB`.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let bytes = bytes as f64;
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes / unit < 99.95 => format!("{:.1} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.0} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// The bytes in a text such as `64GB`, `2TiB` or `512`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size: write it as 64GB or 2TiB");
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| bad())?;
    let unit = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "tb" | "t" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let shown: Vec<String> = [0, 999, 1000, 64_023_257_088, 512 << 20, 2 << 40].map(size).into();
        assert_eq!(shown, ["0 bytes", "999 bytes", "1.0 kB", "64.0 GB", "537 MB", "2.2 TB"]);
        let read: Vec<_> = ["512", "64GB", "2 TiB", "1k"].iter().map(|text| parse(text)).collect();
        assert_eq!(read, [Ok(512), Ok(64_000_000_000), Ok(2 << 40), Ok(1000)]);
        for bad in ["", "GB", "-1", "1.5GB", "1XB", "99999999TB"] {
            assert_eq!(parse(bad), Err(format!("`{bad}` is no size: write it as 64GB or 2TiB")));
        }
    }
}
