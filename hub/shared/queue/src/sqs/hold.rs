//! Jobs that take longer than SQS hides a message: before its time is over, the message moves to a queue of its own, where
//! only its holder looks. Should the holder die, anyone who finds that queue puts the message back on its lane.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reelmill_api::Lane;
use uuid::Uuid;

use super::{
    claims::{Claim, Hidden, Moment},
    fault::Fault,
    link::{Link, Repeat, before},
    names,
    note::{Message, Note},
};
use crate::time::now_s;

/// How long before its time is over a message moves at the latest, and how old a queue of one message is at least before
/// another looks what lies there.
const ROOM: Duration = Duration::from_secs(600);
/// How long a message may take to arrive on its new queue.
const ARRIVAL_S: i32 = 3;
/// How old an empty queue is at least that its holder forgot to remove.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// Moves long jobs, and finds those whose holders died.
pub(super) struct Holder {
    prefix: String,
    swept: Mutex<Option<Moment>>,
}

/// A farm's room before the end of the time that a message can be hidden; less on a server where that is short.
pub(super) fn room(link: &Link) -> Duration {
    ROOM.min(link.address.longest / 4)
}

impl Holder {
    pub(super) fn new(intake: &Lane) -> Self {
        Self { prefix: names::held(intake), swept: Mutex::default() }
    }

    /// Whether the message must move before it can be hidden for so long.
    pub(super) fn must_move(link: &Link, claim: &Claim, lasting: Duration) -> bool {
        let end = claim.received.after(link.address.longest);
        let lasting = lasting.min(link.address.longest / 2);
        end <= Moment::now().after(lasting).after(room(link))
    }

    /// Moves a claim's message to a queue of its own and holds it there. At any moment it lies on one of the two.
    pub(super) async fn move_away(
        &self,
        link: &Link,
        lane: &Lane,
        claim: &mut Claim,
        lasting: Duration,
    ) -> Result<(), Fault> {
        let name = format!("{}{}", self.prefix, &Uuid::new_v4().simple().to_string()[..16]);
        let moved = before(claim.until, self.receive_copy(link, lane, claim, lasting, &name)).await;
        let new = match moved {
            Ok(new) => new,
            Err(fault) => {
                // A copy that stays there is put back on the lane some time: done twice, but not lost.
                if let Err(fault) = link.delete_queue(&name).await {
                    log::warn!("{}", link.failed(format_args!("remove the queue {name}"), &fault));
                }
                return Err(fault);
            }
        };
        let old = std::mem::replace(claim, new);
        remove(link, &old).await;
        Ok(())
    }

    async fn receive_copy(
        &self,
        link: &Link,
        lane: &Lane,
        claim: &Claim,
        lasting: Duration,
        name: &str,
    ) -> Result<Claim, Fault> {
        let message = &claim.message;
        let note = Note {
            attempts: message.attempt().saturating_sub(1),
            priority: Some(claim.priority),
            lane: Some(lane.to_string()),
            ..message.note.clone()
        };
        link.send(name, &message.text, &note, 0).await?;
        let hidden = Hidden::lasting(lasting, link.address.longest);
        let received = Moment::now();
        let copies = link.receive(name, 1, hidden.told_s + ARRIVAL_S, ARRIVAL_S).await?;
        let message = copies.into_iter().next().ok_or_else(Fault::silence)?;
        let until = received.after(hidden.believed);
        Ok(Claim { queue: name.to_owned(), alone: true, message, received, until, ..claim.clone() })
    }

    /// Looks now and then for long jobs whose holders died, and puts them back on their lanes as the next attempt.
    pub(super) async fn sweep(&self, link: &Link) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|last| Moment::now() < last.after(room(link))) {
                return;
            }
            *swept = Some(Moment::now());
        }
        if let Err(fault) = self.sweep_all(link).await {
            log::warn!("{}", link.failed("look for long jobs whose workers died", &fault));
        }
    }

    async fn sweep_all(&self, link: &Link) -> Result<(), Fault> {
        let list = || link.client.list_queues().queue_name_prefix(&self.prefix).max_results(1000).send();
        let urls = link.ask(Repeat::Freely, list).await?.queue_urls.unwrap_or_default();
        for name in urls.iter().filter_map(|url| url.rsplit('/').next()).filter(|name| name.starts_with(&self.prefix)) {
            let counts = link.count(name).await?;
            let age = now_s().saturating_sub(counts.created_s);
            if counts.ready > 0 && age >= room(link).as_secs() {
                revive(link, name).await?;
            }
            let empty = counts.ready + counts.delayed + counts.delivered == 0;
            if empty && counts.created_s > 0 && age >= FORGOTTEN.as_secs() {
                link.delete_queue(name).await?;
            }
        }
        Ok(())
    }
}

/// Puts what lies alone on a queue back on its lane. Who reads it there has it as the attempt after the dead holder's.
async fn revive(link: &Link, name: &str) -> Result<(), Fault> {
    let received = Moment::now();
    let hidden = Hidden::lasting(Duration::from_secs(30), link.address.longest);
    for message in link.receive(name, 1, hidden.told_s, 1).await? {
        let (Some(lane), Some(priority)) = (message.note.lane(), message.note.priority) else { continue };
        let note = Note { attempts: message.note.attempts + 1, lane: None, priority: None, ..message.note.clone() };
        link.send(&names::ready(&lane, priority), &message.text, &note, 0).await?;
        log::warn!("the worker of a long job on lane {lane} died: its task waits there again");
        let until = received.after(hidden.believed);
        remove(
            link,
            &Claim {
                queue: name.to_owned(),
                alone: true,
                priority,
                message,
                received,
                until,
                settled: false,
                moved: false,
            },
        )
        .await;
    }
    Ok(())
}

/// Removes a message that lies elsewhere by now, and the queue that was only for it.
async fn remove(link: &Link, claim: &Claim) {
    let Message { handle, .. } = &claim.message;
    if claim.holds()
        && let Err(fault) = before(claim.until, link.delete(&claim.queue, handle)).await
    {
        let doing = format_args!("remove a message that was moved from {}", claim.queue);
        log::warn!("{}; it is done twice", link.failed(doing, &fault));
    }
    remove_queue(link, claim).await;
}

/// Removes the queue that was only for this message.
pub(super) async fn remove_queue(link: &Link, claim: &Claim) {
    if !claim.alone {
        return;
    }
    if let Err(fault) = link.delete_queue(&claim.queue).await {
        log::warn!("{}; it is removed later", link.failed(format_args!("remove the queue {}", claim.queue), &fault));
    }
}
