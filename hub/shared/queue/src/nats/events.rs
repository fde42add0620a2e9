//! Events: a stream that keeps the newest. A reader's cursor is the number of the last one that it read.

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
        let state = answer.map_err(|(_, why)| link.failed(doing(), &why))?.state;
        // A cursor beyond the last event is of a stream that was made anew since.
        let read = after.0.strip_prefix(CURSOR).and_then(|number| number.parse().ok()).unwrap_or(0_u64);
        let read = if read > state.last_sequence { 0 } else { read };
        let first = state.first_sequence.max(read + 1);
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
        Ok(Events { bodies, next: Cursor(format!("{CURSOR}{last}")) })
    }

    /// Has the bell ring for each event from now on. The body that comes with it is only a bell: it may be lost.
    async fn listen(&self) -> Result<(), QueueError> {
        let make = || async {
            let subject = self.watch.names.event();
            let heard = self.watch.link.client().subscribe(subject).await;
            let mut heard = heard.map_err(|e| self.watch.link.failed("follow the events".to_owned(), &e.to_string()))?;
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
