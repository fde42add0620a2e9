//! Events: a stream that keeps the newest. A reader's cursor is the number of the last one that it read, and when the
//! stream was made: one that was made anew counts from 1 again.

use std::time::Duration;

use async_nats::jetstream::stream::Info;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::time::Instant;

use super::{NatsQueue, link::Which};
use crate::{Cursor, EVENTS_PER_READ, Events, QueueError, time::deadline};

/// What a cursor of this driver begins with. A cursor of another one means a reader that was moved here.
const CURSOR: &str = "nats:";
/// How long a wait for events lasts at most before it looks again, should a bell have been missed.
const POLL: Duration = Duration::from_secs(5);
/// How many events are asked for at once.
const AT_ONCE: usize = 32;

impl NatsQueue {
    pub(super) async fn read_events(&self, after: &Cursor, wait: Duration) -> Result<Events, QueueError> {
        let deadline = deadline(wait);
        self.listen().await?;
        loop {
            let rung = self.bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let events = self.events_after(after).await?;
            if !events.bodies.is_empty() || Instant::now() >= deadline {
                return Ok(events);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL)) => {}
            }
        }
    }

    /// What is there now.
    async fn events_after(&self, after: &Cursor) -> Result<Events, QueueError> {
        let doing = || "read events".to_owned();
        let (link, stream_name) = (&self.watch.link, &self.watch.names.events);
        let answer = link.ask::<_, Info>(doing, &format!("STREAM.INFO.{stream_name}"), &json!({})).await?;
        let info = answer.map_err(|(_, why)| link.failed(doing(), &why))?;
        let (state, made) = (info.state, info.created.unix_timestamp_nanos());
        let read = read_so_far(after, made);
        let first = state.first_sequence.max(read.saturating_add(1));
        let last = state.last_sequence.min(first.saturating_add(u64::from(EVENTS_PER_READ) - 1));
        if first > last || state.messages == 0 {
            return Ok(Events { bodies: Vec::new(), next: after.clone() });
        }
        let bodies = stream::iter(first..=last)
            .map(|number| async move { link.read(doing, stream_name, &Which::Number(number)).await })
            .buffered(AT_ONCE)
            // One that is gone meanwhile was pushed out by newer ones.
            .try_filter_map(|event| async { Ok(event.map(|event| event.payload.to_vec())) })
            .try_collect()
            .await?;
        Ok(Events { bodies, next: Cursor(format!("{CURSOR}{made}-{last}")) })
    }

    /// Has the bell ring for each event from now on. The body that comes with it is only a bell: it may be lost.
    async fn listen(&self) -> Result<(), QueueError> {
        let make = || async {
            let subject = self.watch.names.event();
            let heard = self.watch.link.client().subscribe(subject).await;
            let mut heard =
                heard.map_err(|e| self.watch.link.failed("follow the events".to_owned(), &e.to_string()))?;
            let bell = self.bell.clone();
            Ok(super::Task(tokio::spawn(async move {
                while heard.next().await.is_some() {
                    bell.notify_waiters();
                }
            })))
        };
        self.listener.get_or_try_init(make).await.map(drop)
    }
}

/// The number of the last event that was read of the stream that was `made` then.
fn read_so_far(after: &Cursor, made: i128) -> u64 {
    let own = || {
        let (stream, number) = after.0.strip_prefix(CURSOR)?.split_once('-')?;
        (stream.parse() == Ok(made)).then_some(number.parse().ok()?)
    };
    own().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_stream_is_at_the_beginning() {
        for (cursor, read) in
            [("nats:5-7", 7), ("nats:6-7", 0), ("nats:7", 0), ("nats:5-", 0), ("redis:5-7", 0), ("", 0)]
        {
            assert_eq!(read_so_far(&Cursor(cursor.to_owned()), 5), read, "{cursor}");
        }
    }
}
