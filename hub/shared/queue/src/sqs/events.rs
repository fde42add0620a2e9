//! Events on a queue of theirs, for one reader: what was read is removed when the reader comes back with the cursor that
//! it was given, so that none is lost with a reader that dies.

use std::time::Duration;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    claims::{Moment, seconds_of},
    fault::Fault,
    link::{BATCH, LONGEST_POLL_S, Link, Repeat},
    note::Message,
};
use crate::{Cursor, Events, time::deadline};

/// How long what was read stays hidden from other readers, from before it was asked for.
const HIDDEN_S: i32 = 90;
/// What the server keeps of that to itself.
const MARGIN: Duration = Duration::from_secs(1);
/// How many events one read brings at most.
const MOST: usize = 100;

/// The one reader.
#[derive(Default)]
pub(super) struct Reader(tokio::sync::Mutex<Option<Read>>);

/// Events that were given out, and are not yet known to have been taken.
struct Read {
    cursor: Cursor,
    messages: Vec<Message>,
    until: Moment,
}

impl Read {
    fn events(&self) -> Events {
        Events { bodies: self.messages.iter().map(Message::body).collect(), next: self.cursor.clone() }
    }
}

impl Reader {
    /// Events that come after those with this cursor, waiting up to `wait` for one.
    pub(super) async fn read(&self, link: &Link, queue: &str, after: &Cursor, wait: Duration) -> Result<Events, Fault> {
        let end = deadline(wait);
        let nothing = Events { bodies: Vec::new(), next: after.clone() };
        let Ok(mut last) = timeout_at(end + MARGIN, self.0.lock()).await else { return Ok(nothing) };
        match last.take_if(|read| read.cursor == *after || read.until <= Moment::now()) {
            Some(read) if read.cursor == *after => remove(link, queue, &read.messages).await?,
            _ => {}
        }
        // Given out before, and whoever asks does not know of it.
        if let Some(read) = &*last {
            return Ok(read.events());
        }
        *last = receive(link, queue, end).await?;
        Ok(last.as_ref().map_or(nothing, Read::events))
    }
}

async fn receive(link: &Link, queue: &str, end: Instant) -> Result<Option<Read>, Fault> {
    let (mut messages, mut begun) = (Vec::new(), Moment::now());
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait_s = if messages.is_empty() { seconds_of(left).min(LONGEST_POLL_S) } else { 0 };
        begun = if messages.is_empty() { Moment::now() } else { begun };
        let more = link.receive(queue, BATCH, HIDDEN_S, wait_s).await?;
        let is_last = more.len() < BATCH;
        messages.extend(more);
        if messages.is_empty() && Instant::now() < end {
            continue;
        }
        if is_last || messages.len() >= MOST {
            break;
        }
    }
    if messages.is_empty() {
        return Ok(None);
    }
    messages.sort_by_key(|message| message.sent);
    let until = begun.after(Duration::from_secs(HIDDEN_S.unsigned_abs().into()) - MARGIN);
    Ok(Some(Read { cursor: Cursor(format!("sqs:{}", Uuid::new_v4())), messages, until }))
}

/// An event that could not be removed is read again.
async fn remove(link: &Link, queue: &str, messages: &[Message]) -> Result<(), Fault> {
    for batch in messages.chunks(BATCH) {
        let entry = |(i, message): (usize, &Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string());
            entry.receipt_handle(&message.handle).build().expect("both fields that must be there are")
        };
        let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
        let delete = |url| link.client.delete_message_batch().queue_url(url).set_entries(Some(entries.clone())).send();
        link.on(queue, Repeat::Freely, delete).await?;
    }
    Ok(())
}
