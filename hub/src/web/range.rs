//! The `Range` header of a request for part of a file (RFC 9110, section 14).

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// From the first byte to before the last number.
    Part {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
    /// Nothing: the range lies beyond the end.
    Unsatisfiable,
}

/// What a `Range` header asks of a file of `length` bytes. What is malformed, of another unit, or of several parts is
/// answered with the whole file, as the RFC allows.
pub(crate) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    header.and_then(|h| parse(h, length)).unwrap_or(Wanted::Whole)
}

fn parse(header: &str, length: u64) -> Option<Wanted> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    if first.is_empty() {
        let suffix = number(last)?;
        let start = length.saturating_sub(suffix);
        return Some(part(start, length));
    }
    let start = number(first)?;
    let end = if last.is_empty() { length } else { number(last)?.checked_add(1)? };
    (start < end || last.is_empty()).then(|| part(start, end.min(length)))
}

fn part(start: u64, end: u64) -> Wanted {
    if start < end { Wanted::Part { start, end } } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_anything_odd_the_whole() {
        let part = |start, end| Wanted::Part { start, end };
        let table = [
            (None, Wanted::Whole),
            (Some("bytes=0-9"), part(0, 10)),
            (Some("bytes=0-"), part(0, 100)),
            (Some("bytes=90-200"), part(90, 100)),
            (Some("bytes=-10"), part(90, 100)),
            (Some("bytes=-200"), part(0, 100)),
            (Some("bytes=99-99"), part(99, 100)),
            (Some("bytes=100-"), Wanted::Unsatisfiable),
            (Some("bytes=100-200"), Wanted::Unsatisfiable),
            (Some("bytes=-0"), Wanted::Unsatisfiable),
            (Some("bytes=9-0"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("frames=0-9"), Wanted::Whole),
            (Some("bytes=0-18446744073709551615"), Wanted::Whole),
            (Some("bytes=99999999999999999999-"), Wanted::Whole),
            (Some(""), Wanted::Whole),
        ];
        for (header, want) in table {
            assert_eq!(wanted(header, 100), want, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
