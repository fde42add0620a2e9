//! Server-sent events (text/event-stream) as far as the hub uses them: a name and data.

/// Longest event kept; a longer one is dropped. A job with its report is a few kilobytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its name; empty where the stream gives none.
    pub(crate) name: String,
    /// Its data; lines joined by new lines.
    pub(crate) data: String,
}

/// Takes bytes as they come and gives the events they complete.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    event: SseEvent,
    too_long: bool,
}

impl SseParser {
    /// Takes more of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() + self.event.data.len() < LONGEST {
                    self.line.push(byte);
                } else {
                    self.too_long = true;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
            events.extend(self.take_line(&line));
        }
        events
    }

    fn take_line(&mut self, line: &str) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let whole = !std::mem::take(&mut self.too_long);
            return (whole && !event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" if self.event.data.is_empty() => self.event.data = value.to_owned(),
            "data" => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            // Comments, ids and retry times.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &[u8], want: &[(&str, &str)]) {
        for size in [1, 2, 7, stream.len()] {
            let mut parser = SseParser::default();
            let events: Vec<SseEvent> = stream.chunks(size).flat_map(|part| parser.push(part)).collect();
            let got: Vec<_> = events.iter().map(|e| (e.name.as_str(), e.data.as_str())).collect();
            assert_eq!(got, want, "in parts of {size}");
        }
    }

    #[test]
    fn reads_events_however_they_are_cut() {
        check(
            b"event: job\ndata: {\"a\":1}\n\n: still here\n\ndata:x\r\ndata: y\r\nid: 3\r\n\r\n",
            &[("job", "{\"a\":1}"), ("", "x\ny")],
        );
        check("data: \u{e9}\n\n".as_bytes(), &[("", "\u{e9}")]);
        check(b"data: cut off\n", &[]);
        check(b"event: empty\n\ndata: next\n\n", &[("", "next")]);
    }

    #[test]
    fn drops_an_endless_event_and_keeps_the_next() {
        let mut parser = SseParser::default();
        assert_eq!(parser.push(b"data: "), []);
        for _ in 0..5 {
            assert_eq!(parser.push(&vec![b'a'; 1024 * 1024]), []);
        }
        let events = parser.push(b"\n\ndata: next\n\n");
        assert_eq!(events.iter().map(|e| e.data.as_str()).collect::<Vec<_>>(), ["next"]);
    }
}
