//! Lines of a program's output, of which no more is ever held than a person could read.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// What is kept of a line; the rest of it is passed over.
const LONGEST_LINE: usize = 4096;

/// A reader of lines. A call that is dropped before it answers loses nothing.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from: BufReader::new(from), line: Vec::new() }
    }

    /// The next line, without its end; `None` when there are no more.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let there = self.from.fill_buf().await.unwrap_or_default();
            if there.is_empty() {
                return (!self.line.is_empty()).then(|| self.take());
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            self.line.extend_from_slice(&part[..part.len().min(LONGEST_LINE - self.line.len())]);
            let used = end.map_or(there.len(), |at| at + 1);
            self.from.consume(used);
            if end.is_some() {
                return Some(self.take());
            }
        }
    }

    /// All that is left, up to `limit` bytes.
    pub(super) async fn rest(&mut self, limit: u64) -> Vec<u8> {
        let mut rest = Vec::new();
        // What was read before a failure is what there is.
        let _ = (&mut self.from).take(limit).read_to_end(&mut rest).await;
        rest
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        self.line.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(text: &[u8], want: &[&str]) {
        let mut lines = Lines::new(text);
        let mut got = Vec::new();
        while let Some(line) = lines.next().await {
            got.push(line);
        }
        assert_eq!(got, want);
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE, "{}", lines.line.capacity());
    }

    #[tokio::test]
    async fn gives_lines_and_holds_no_more_than_one_of_a_bounded_length() {
        check(b"", &[]).await;
        check(b"a\r\n\nb", &["a", "", "b"]).await;
        check(b"\xff\n", &["\u{fffd}"]).await;
        let long = vec![b'x'; 1_000_000];
        check(&[&long[..], b"\nend\n"].concat(), &[&"x".repeat(LONGEST_LINE), "end"]).await;
        check(&long, &[&"x".repeat(LONGEST_LINE)]).await;
    }
}
