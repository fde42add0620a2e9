//! A record as one line: sixteen hexadecimal digits of SHA-256 over the JSON, a space, the JSON.

use std::io;

use reelmill_api::fleet::Sha256;
use serde::{Serialize, de::DeserializeOwned};

/// What was found in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Read<R> {
    /// Records of whole lines.
    pub(super) records: Vec<R>,
    /// Whole lines that are none, from 1.
    pub(super) bad: Vec<usize>,
    /// Bytes after the last line's end: a record whose writing was cut.
    pub(super) torn: usize,
}

/// The line of a record.
pub(super) fn write(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{} {json}\n", sum(json.as_bytes())).into_bytes())
}

/// All records of a file. A line is written by one call and synced before the next one, so a power cut can only leave a
/// last line without its end, whatever stands in it; any other line that cannot be read is damage.
pub(super) fn read<R: DeserializeOwned>(bytes: &[u8]) -> Read<R> {
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let mut read = Read { records: Vec::new(), bad: Vec::new(), torn: bytes.len() - whole };
    for (i, line) in bytes[..whole].split_inclusive(|&b| b == b'\n').enumerate() {
        match record(&line[..line.len() - 1]) {
            Some(record) => read.records.push(record),
            None => read.bad.push(i + 1),
        }
    }
    read
}

fn record<R: DeserializeOwned>(line: &[u8]) -> Option<R> {
    let (sum_read, json) = line.split_at_checked(16)?;
    let json = json.strip_prefix(b" ")?;
    (sum(json).as_bytes() == sum_read).then(|| serde_json::from_slice(json).ok())?
}

fn sum(json: &[u8]) -> String {
    let mut digits = Sha256::of(json).to_string();
    digits.truncate(16);
    digits
}
