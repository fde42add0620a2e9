//! Leases: each is a record that was written under the condition that nothing was written since the message was seen
//! ready, and each settlement one under the condition that the lease's own record is still the last.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use reelmill_api::Lane;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    NatsQueue,
    index::{Known, Number, Version},
    link::Which,
    names::DELAY,
    record::{Nanos, Record, State},
    trouble::Wrote,
    watch::{Watch, stored},
};
use crate::{
    Leased, QueueError, Receipt,
    time::{deadline, from_millis},
};

/// The name of a message. The stream's own number alone would come again if the stream was made anew.
pub(super) fn name(born: Nanos, number: Number) -> String {
    format!("{born}-{number}")
}

/// The number of the message with this name.
pub(super) fn number(name: &str) -> Option<Number> {
    name.split_once('-')?.1.parse().ok()
}

/// A message that this process alone tries to lease, until it is dropped.
struct Claim<'a> {
    watch: &'a Watch,
    known: Known,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // Does nothing where anything else is known of the message by now.
        self.watch.known().index.release(self.known.number);
    }
}

impl NatsQueue {
    pub(super) async fn lease_or_wait(
        &self,
        lanes: &[Lane],
        lasting: Duration,
        wait: Duration,
    ) -> Result<Option<Leased>, QueueError> {
        let (deadline, watch) = (deadline(wait), self.watching());
        let doing = || format!("lease from {}", spelled(lanes));
        for lane in lanes {
            self.open_lane(lane).await?;
        }
        loop {
            watch.live(&doing).await?;
            let news = watch.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(leased) = self.lease_now(lanes, lasting).await? {
                return Ok(Some(leased));
            }
            if Instant::now() >= deadline {
                // The last look is at all that was there before it.
                watch.catch_up(&doing).await?;
                return self.lease_now(lanes, lasting).await;
            }
            let timer = watch.known().index.next_timer(Instant::now());
            let until = timer.map_or(deadline, |timer| timer.min(deadline));
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// What can be leased of what is known.
    async fn lease_now(&self, lanes: &[Lane], lasting: Duration) -> Result<Option<Leased>, QueueError> {
        for lane in lanes {
            loop {
                let order = self.turns.next(lane);
                let Some(known) = self.watch.known().index.claim(lane, order, Instant::now()) else { break };
                let claim = Claim { watch: &self.watch, known };
                if let Some(leased) = self.lease_claimed(lane, &claim, lasting).await? {
                    self.turns.taken(lane);
                    return Ok(Some(leased));
                }
            }
        }
        Ok(None)
    }

    async fn lease_claimed(
        &self,
        lane: &Lane,
        claim: &Claim<'_>,
        lasting: Duration,
    ) -> Result<Option<Leased>, QueueError> {
        let doing = || format!("lease from lane {lane}");
        let (known, call) = (&claim.known, Uuid::new_v4().to_string());
        let record = known.record.leased(&call, lasting);
        let Some(version) = self.write(lane, known, record.clone(), doing).await? else { return Ok(None) };
        let (number, watch) = (known.number, &self.watch);
        let Some(body) = watch.link.read(doing, &watch.names.tasks, &Which::Number(number)).await? else {
            // Somebody removed the body by hand, or it was done so long ago that its record is gone.
            watch.link.remove(doing, &watch.names.state, version).await?;
            watch.known().index.forget(number);
            return Ok(None);
        };
        let message_id = name(record.born, number);
        Ok(Some(Leased {
            lane: lane.clone(),
            receipt: Receipt::new(lane, &message_id, &call),
            message_id,
            attempt: record.attempts,
            body: body.payload.into(),
        }))
    }

    /// Writes what comes after what is known of a message; the new version, or `None` where somebody else was faster:
    /// then that is known now.
    pub(super) async fn write(
        &self,
        lane: &Lane,
        known: &Known,
        record: Record,
        doing: impl Fn() -> String,
    ) -> Result<Option<Version>, QueueError> {
        let (number, watch) = (known.number, &self.watch);
        let subject = watch.names.lease(lane, number);
        let wrote = watch.link.replace(&doing, &subject, known.version, record.to_bytes()).await?;
        let Wrote::At(version) = wrote else {
            self.ask_about(lane, number, &doing).await?;
            let (version, ours) = {
                let index = &watch.known().index;
                (index.version(number), index.is_of(number, &record.call))
            };
            if ours {
                // It was this call, and the answer was lost.
                return Ok(version);
            }
            if version == Some(known.version) {
                watch.read_again();
                return Err(watch.link.failed(doing(), "what is known of the lanes is not what the server has"));
            }
            return Ok(None);
        };
        let (now, mut known) = (Instant::now(), watch.known());
        if record.state == State::Done {
            known.trash.made(now, number, record.born, version);
        }
        known.index.changed(number, lane.clone(), version, record, Duration::ZERO, now);
        drop(known);
        watch.news.notify_waiters();
        Ok(Some(version))
    }

    /// Asks the server what became of one message.
    async fn ask_about(&self, lane: &Lane, number: Number, doing: impl Fn() -> String) -> Result<(), QueueError> {
        let watch = &self.watch;
        let subject = watch.names.lease(lane, number);
        if let Some(last) = watch.link.read(&doing, &watch.names.state, &Which::LastOn(subject)).await? {
            let (now, mut known) = (Instant::now(), watch.known());
            match Record::parse(&last.payload) {
                Some(record) => {
                    known.index.changed(number, lane.clone(), last.sequence, record, Duration::ZERO, now);
                }
                None => known.index.hide(number, last.sequence),
            }
            return Ok(());
        }
        let body = watch.link.read(&doing, &watch.names.tasks, &Which::Number(number)).await?;
        let fresh = body.and_then(|body| self.fresh(&body));
        let clock = watch.clock();
        let mut known = watch.known();
        known.index.forget(number);
        if let Some((lane, record)) = fresh {
            let ago = Duration::from_nanos(clock.saturating_sub(record.born));
            known.index.arrived(number, lane, record, ago, Instant::now());
        }
        Ok(())
    }

    fn fresh(&self, body: &StreamMessage) -> Option<(Lane, Record)> {
        let (lane, priority) = self.watch.names.read_task(&body.subject)?;
        let born = stored(body);
        let delay = body.headers.get(DELAY).and_then(|ms| ms.as_str().parse().ok());
        Some((lane, Record::fresh(born, priority, delay.map_or(Duration::ZERO, from_millis))))
    }

    /// Makes a call that needs the lease; `next` says what becomes of the record by it.
    pub(super) async fn settle(
        &self,
        receipt: &Receipt,
        doing: &str,
        next: impl Fn(&Record, &str) -> Record + Send + Sync,
    ) -> Result<(), QueueError> {
        let lane = &receipt.lane;
        let doing = || format!("{doing} on lane {lane}");
        let lost = || QueueError::LeaseLost { lane: lane.clone() };
        let (id, nonce) = receipt.parts();
        let number = number(id).ok_or_else(lost)?;
        // One name for all tries, so that a repetition is recognised.
        let call = Uuid::new_v4().to_string();
        let watch = self.watching();
        watch.live(&doing).await?;
        let mut asked = false;
        loop {
            let held = watch.known().index.held(number, nonce, Instant::now());
            match held {
                Some(known) => {
                    if self.write(lane, &known, next(&known.record, &call), doing).await?.is_some() {
                        return Ok(());
                    }
                }
                None if asked => return Err(lost()),
                // The lease may have been taken, or made longer, through another connection just now.
                None => self.ask_about(lane, number, doing).await?,
            }
            asked = true;
        }
    }
}

fn spelled(lanes: &[Lane]) -> String {
    let names: Vec<_> = lanes.iter().map(Lane::as_str).collect();
    match names.as_slice() {
        [one] => format!("lane {one}"),
        _ => format!("lanes {}", names.join(", ")),
    }
}
