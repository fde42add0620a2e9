//! Dead letters: a quorum queue per lane, which one process at a time takes in hand to find a letter in it.

use std::{collections::HashSet, time::Duration};

use lapin::{
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueueDeleteOptions},
};
use reelmill_api::Lane;
use tokio::sync::MutexGuard;

use super::{
    core::Core,
    link::{Desk, Trouble, answer},
    names,
    parcel::{Parcel, epitaph},
};
use crate::DeadLetter;

/// How often, and with which pause, it is tried to get the dead letters that another has in hand.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);
/// How long one may have them in hand at most.
const LONGEST: Duration = Duration::from_secs(30);

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Back on its lane.
    Retried,
    /// Gone for good.
    Dropped,
}

/// The oldest letters of a lane.
pub(super) async fn list(core: &Core, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, Trouble> {
    core.prepare(lane).await?;
    let lock = Lock::take(core, lane).await?;
    let listed = peek(core, lane, limit).await;
    lock.give_up().await?;
    listed
}

async fn peek(core: &Core, lane: &Lane, limit: usize) -> Result<Vec<DeadLetter>, Trouble> {
    let (desk, queue) = (core.leasing.desk().await?, names::dead(lane));
    let (mut letters, mut taken, mut ids) = (Vec::new(), 0, HashSet::new());
    while letters.len() < limit {
        let Some(delivery) = take(&desk, &queue).await? else { break };
        taken += 1;
        let letter = letter(delivery);
        // A lost answer may have left it twice.
        if ids.insert(letter.message_id.clone()) {
            letters.push(letter);
        }
    }
    put_back(core, desk, &queue, taken).await?;
    Ok(letters)
}

/// Lets a letter meet its fate; whether there was one with this id.
pub(super) async fn exhume(core: &Core, lane: &Lane, id: &str, fate: Fate) -> Result<bool, Trouble> {
    core.prepare(lane).await?;
    let lock = Lock::take(core, lane).await?;
    let found = seek(core, lane, id, fate).await;
    lock.give_up().await?;
    found
}

async fn seek(core: &Core, lane: &Lane, id: &str, fate: Fate) -> Result<bool, Trouble> {
    let (desk, queue) = (core.leasing.desk().await?, names::dead(lane));
    let (mut passed, mut found) = (0, false);
    while let Some(delivery) = take(&desk, &queue).await? {
        if delivery.properties.message_id().as_ref().is_none_or(|own| own.as_str() != id) {
            passed += 1;
            continue;
        }
        // The other copies that a lost answer may have left meet the same fate, at once.
        if fate == Fate::Retried && !found {
            let (_, _, priority) = epitaph(&delivery);
            core.put(&Parcel::new(lane, priority, id.to_owned(), &delivery.data), Duration::ZERO).await?;
        }
        answer("a removal", desk.basic_ack(delivery.delivery_tag, BasicAckOptions::default())).await?;
        found = true;
    }
    desk.settle().await?;
    put_back(core, desk, &queue, passed).await?;
    Ok(found)
}

async fn take(desk: &Desk, queue: &str) -> Result<Option<Delivery>, Trouble> {
    let got = answer("a dead letter", desk.basic_get(queue.into(), BasicGetOptions::default())).await?;
    Ok(got.map(|got| got.delivery))
}

fn letter(delivery: Delivery) -> DeadLetter {
    let (attempts, reason, _) = epitaph(&delivery);
    let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
    DeadLetter { message_id, body: delivery.data, reason, attempts }
}

/// Returns all that is in hand, and waits until it is there again for whoever counts.
async fn put_back(core: &Core, desk: Desk, queue: &str, count: usize) -> Result<(), Trouble> {
    if count > 0 {
        let options = BasicNackOptions { requeue: true, multiple: true };
        answer("a return", desk.basic_nack(0, options)).await?;
        desk.settle().await?;
        for _ in 0..TRIES {
            let there = core.counts(&[queue.to_owned()]).await?;
            if there.iter().all(|there| *there >= count as u64) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    desk.put_back();
    Ok(())
}

/// While one has letters in hand, another would not see them: a queue that only one connection can use keeps the others
/// waiting. It goes with its connection.
struct Lock<'a> {
    desk: Desk,
    name: String,
    /// And two calls of one connection exclude each other.
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Lock<'a> {
    async fn take(core: &'a Core, lane: &Lane) -> Result<Self, Trouble> {
        let turn = core.dead_letters.lock().await;
        let name = format!("{}.lock", names::dead(lane));
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let mut tries = 0;
        loop {
            let desk = core.leasing.desk().await?;
            let asked = desk.queue_declare(name.as_str().into(), options, names::expiring(LONGEST));
            match answer("the dead letters", asked).await {
                Ok(_) => return Ok(Self { desk, name, _turn: turn }),
                Err(trouble) if trouble.is_locked() && tries < TRIES => tries += 1,
                Err(trouble) => return Err(trouble),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn give_up(self) -> Result<(), Trouble> {
        answer("a lock's end", self.desk.queue_delete(self.name.as_str().into(), QueueDeleteOptions::default()))
            .await?;
        self.desk.put_back();
        Ok(())
    }
}
