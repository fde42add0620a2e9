//! Reading a stream: a log on the server that many read, each from where it likes.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use super::link::{Desk, Line, Trouble, answer};

/// How many entries one reading brings at most.
pub(super) const ENTRIES: u16 = 500;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// At the oldest entry that is kept.
    First,
    /// At this entry, or the oldest if it is not kept any more.
    Entry(u64),
    /// At what was written then, in Unix seconds.
    Time(u64),
}

/// What was read: the entries' offsets and bodies.
pub(super) type Entries = Vec<(u64, Vec<u8>)>;

/// A reading that can wait for more.
pub(super) struct Reader {
    consumer: Consumer,
    _desk: Desk,
}

impl Reader {
    /// Begins to read; the stream must be there.
    pub(super) async fn open(line: &Line, stream: &str, from: From) -> Result<Self, Trouble> {
        let desk = line.desk().await?;
        answer("a stream", desk.basic_qos(ENTRIES, BasicQosOptions::default())).await?;
        let mut arguments = FieldTable::default();
        let offset = match from {
            From::First => AMQPValue::LongString("first".into()),
            From::Entry(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
            From::Time(seconds) => AMQPValue::Timestamp(seconds),
        };
        arguments.insert("x-stream-offset".into(), offset);
        let consuming = desk.basic_consume(stream.into(), "".into(), BasicConsumeOptions::default(), arguments);
        let consumer = answer("a stream", consuming).await?;
        // The server sends what is there before it answers again.
        desk.settle().await?;
        Ok(Self { consumer, _desk: desk })
    }

    /// What is there and was not read yet, up to [`ENTRIES`] in all.
    pub(super) fn at_hand(&mut self) -> Result<Entries, Trouble> {
        let mut entries = Vec::new();
        while let Some(Some(delivery)) = self.consumer.next().now_or_never() {
            entries.push(entry(delivery?));
        }
        Ok(entries)
    }

    /// The same, but waits for the first entry to come.
    pub(super) async fn wait(&mut self, longest: Duration) -> Result<Entries, Trouble> {
        let Ok(first) = timeout(longest, self.consumer.next()).await else { return Ok(Vec::new()) };
        let Some(first) = first else { return Err(Trouble::Silent("a stream")) };
        let mut entries = vec![entry(first?)];
        entries.extend(self.at_hand()?);
        Ok(entries)
    }
}

fn entry(delivery: Delivery) -> (u64, Vec<u8>) {
    let headers = delivery.properties.headers().as_ref();
    let offset = match headers.and_then(|headers| headers.inner().get("x-stream-offset")) {
        Some(AMQPValue::LongLongInt(offset)) => u64::try_from(*offset).unwrap_or(0),
        _ => 0,
    };
    (offset, delivery.data)
}

/// Where a reader of everything stands.
#[derive(Debug, Default)]
pub(super) struct Bookmark(Option<u64>);

/// What is new since the bookmark.
pub(super) struct News {
    pub(super) entries: Entries,
    /// Whether what was read before is no longer true: the stream is another one.
    pub(super) afresh: bool,
}

impl Bookmark {
    /// Reads everything that came since, or all from `start` on if nothing was read before.
    pub(super) async fn read_on(&mut self, line: &Line, stream: &str, start: From) -> Result<News, Trouble> {
        let (mut entries, mut afresh) = (Vec::new(), self.0.is_none());
        loop {
            // The last one that was read is read again: if it is not there, this is not the stream that it was.
            let from = self.0.map_or(start, From::Entry);
            let mut part = Reader::open(line, stream, from).await?.at_hand()?;
            if part.is_empty() && self.0.is_some() {
                (self.0, afresh) = (None, true);
                entries.clear();
                continue;
            }
            let more = part.len() >= usize::from(ENTRIES);
            part.retain(|(offset, _)| self.0.is_none_or(|last| *offset > last));
            self.0 = part.last().map(|(offset, _)| *offset).or(self.0);
            entries.extend(part);
            if !more {
                return Ok(News { entries, afresh });
            }
        }
    }
}
