//! Dead letters: messages whose record says so, with the reason. The body stays where it was.

use reelmill_api::Lane;
use uuid::Uuid;

use super::{
    NatsQueue,
    index::Number,
    leases::{name, number},
    link::Which,
    record::{Record, State},
};
use crate::{DeadLetter, QueueError};

impl NatsQueue {
    pub(super) async fn buried(&self, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let doing = || format!("read the dead letters of lane {lane}");
        let watch = self.watching();
        watch.catch_up(&doing).await?;
        let numbers = watch.known().index.dead_letters(lane, limit);
        let mut letters = Vec::new();
        for number in numbers {
            letters.extend(self.letter(lane, number, doing).await?);
        }
        Ok(letters)
    }

    /// `None` if it is dead no more.
    async fn letter(
        &self,
        lane: &Lane,
        number: Number,
        doing: impl Fn() -> String,
    ) -> Result<Option<DeadLetter>, QueueError> {
        let watch = &self.watch;
        let last = Which::LastOn(watch.names.lease(lane, number));
        let Some(record) = watch.link.read(&doing, &watch.names.state, &last).await? else { return Ok(None) };
        let Some(record) = Record::parse(&record.payload).filter(|r| r.state == State::Dead) else { return Ok(None) };
        let body = watch.link.read(&doing, &watch.names.tasks, &Which::Number(number)).await?;
        Ok(body.map(|body| DeadLetter {
            message_id: name(record.born, number),
            body: body.payload.into(),
            reason: record.reason,
            attempts: record.attempts,
        }))
    }

    /// Puts a dead letter back in its line, or has it removed; whether it was there.
    pub(super) async fn exhume(&self, lane: &Lane, id: &str, back: bool) -> Result<bool, QueueError> {
        let doing = || {
            let what = if back { "retry a dead letter" } else { "drop a dead letter" };
            format!("{what} of lane {lane}")
        };
        let Some(number) = number(id) else { return Ok(false) };
        let (call, watch) = (Uuid::new_v4().to_string(), self.watching());
        watch.catch_up(&doing).await?;
        loop {
            let dead = watch.known().index.dead(lane, number);
            let Some(known) = dead.filter(|known| name(known.record.born, number) == id) else { return Ok(false) };
            let next = if back { known.record.revived(&call, watch.clock()) } else { known.record.done(&call) };
            if self.write(lane, &known, next, doing).await?.is_some() {
                return Ok(true);
            }
        }
    }
}
