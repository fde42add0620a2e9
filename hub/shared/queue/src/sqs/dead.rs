//! Dead letters on a queue of theirs. SQS cannot be asked for one message, nor to show any without delivering it: so they
//! are delivered, looked at and given back at once.

use std::{collections::HashSet, time::Duration};

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use tokio::time::Instant;

use super::{
    claims::Claim,
    fault::Fault,
    link::{BATCH, Link, Repeat},
    note::{LARGEST_TEXT, Message, Note},
};
use crate::DeadLetter;

/// How long letters stay hidden, should who looks at them die.
const HIDDEN_S: i32 = 20;
/// How many letters are looked at to find the oldest.
const LOOKED_AT: usize = 1000;
/// How many letters are looked at to find the copies of one that a lost answer left. They lie near each other, and the server
/// gives about the oldest first; to look at all of them for each letter would be dear.
const COPIES_WITHIN: usize = 50;
/// How long a letter is looked for that somebody else may be looking at.
const SOUGHT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(300);

/// Puts a copy of a message among the dead, whole where the server takes it with its reason.
pub(super) async fn bury(link: &Link, queue: &str, claim: &Claim, reason: &str) -> Result<(), Fault> {
    let message = &claim.message;
    let note = Note {
        attempts: message.attempt(),
        priority: Some(claim.priority),
        lane: None,
        reason: Some(reason.to_owned()),
        ..message.note.clone()
    };
    match link.send(queue, &message.text, &note, 0).await {
        Err(fault) if fault.is_bad_message() && message.text.len() > LARGEST_TEXT => {
            let kept = &message.text[..message.text.floor_char_boundary(LARGEST_TEXT)];
            let reason = format!("{reason}\nthe message had {} bytes, of which the first are kept", message.text.len());
            link.send(queue, kept, &Note { reason: Some(reason), ..note }, 0).await
        }
        done => done,
    }
}

/// The oldest letters.
pub(super) async fn list(link: &Link, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, Fault> {
    let mut found = look(link, queue, |seen| seen.len() >= LOOKED_AT.max(limit)).await?;
    show_again(link, queue, &found).await?;
    found.sort_by_key(|message| message.sent);
    // A lost answer may have left it twice.
    let mut ids = HashSet::new();
    found.retain(|message| ids.insert(message.note.id.clone()));
    let letter = |message: &Message| DeadLetter {
        message_id: message.note.id.clone(),
        body: message.body(),
        reason: message.note.reason.clone().unwrap_or_else(|| "it was put here with no reason".to_owned()),
        attempts: message.note.attempts,
    };
    Ok(found.iter().take(limit).map(letter).collect())
}

/// The letter with this id and its copies, which are then hidden from others for a while.
pub(super) async fn find(link: &Link, queue: &str, id: &str) -> Result<Vec<Message>, Fault> {
    let end = Instant::now() + SOUGHT;
    loop {
        let is_it = |message: &Message| message.note.id == id;
        let found = look(link, queue, |seen| seen.len() >= COPIES_WITHIN && seen.iter().any(is_it)).await?;
        let (copies, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_it);
        show_again(link, queue, &others).await?;
        if !copies.is_empty() || link.count(queue).await?.delivered == 0 {
            return Ok(copies);
        }
        if Instant::now() >= end {
            return Err(Fault::busy("somebody else is looking at these letters; try again in half a minute"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Has letters delivered until there are enough or no more.
async fn look(link: &Link, queue: &str, enough: impl Fn(&[Message]) -> bool) -> Result<Vec<Message>, Fault> {
    let expected = link.count(queue).await?.ready;
    let mut seen = Vec::new();
    // A queue that was never used shall not be made by looking.
    while link.existing(queue).await?.is_some() {
        // Only a request that waits is answered from all of the server's shelves.
        let wait_s = i32::from((seen.len() as u64) < expected);
        let more = link.receive(queue, BATCH, HIDDEN_S, wait_s).await?;
        let is_last = more.is_empty();
        seen.extend(more);
        if is_last || enough(&seen) {
            break;
        }
    }
    Ok(seen)
}

async fn show_again(link: &Link, queue: &str, messages: &[Message]) -> Result<(), Fault> {
    for batch in messages.chunks(BATCH) {
        let entry = |(i, message): (usize, &Message)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(i.to_string());
            entry
                .receipt_handle(&message.handle)
                .visibility_timeout(0)
                .build()
                .expect("both fields that must be there are")
        };
        let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
        let show = |url| {
            let change = link.client.change_message_visibility_batch().queue_url(url);
            change.set_entries(Some(entries.clone())).send()
        };
        link.on(queue, Repeat::Freely, show).await?;
    }
    Ok(())
}
