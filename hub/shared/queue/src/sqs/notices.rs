//! Notices as the tags of a queue that holds no messages: each is set and removed on its own, and all are read at once.
//! A queue has fifty tags at most, and an account may ask for tags thirty times a second.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reelmill_api::Notice;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    fault::Fault,
    link::{Link, Repeat},
};
use crate::{CANCELED_MEMORY, time::now_s};

/// How many tags a queue has at most.
const MOST: usize = 50;
/// The longest key of a tag.
const LONGEST_KEY: usize = 128;
/// How long an answer serves again: workers ask each second, and an account may ask thirty times a second in all.
const FRESH: Duration = Duration::from_secs(5);

/// The notices of a farm.
pub(super) struct Board {
    queue: String,
    read: Mutex<Option<(Instant, BTreeSet<Notice>)>>,
}

/// A tag that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    key: String,
    posted_s: u64,
    /// `None` for one of a newer Reelmill, or somebody else's.
    notice: Option<Notice>,
}

impl Board {
    pub(super) fn new(queue: String) -> Self {
        Self { queue, read: Mutex::default() }
    }

    pub(super) async fn post(&self, link: &Link, notice: &Notice) -> Result<(), Fault> {
        self.forget();
        let (key, tags) = (key(notice), self.tags(link).await?);
        if tags.iter().any(|tag| tag.key == key) {
            return Ok(());
        }
        let in_the_way = in_the_way(&tags);
        if !in_the_way.is_empty() {
            log::warn!("SQS has room for {MOST} notices: the oldest cancellations are forgotten");
            self.untag(link, in_the_way).await?;
        }
        let value = format!("{} {notice}", now_s());
        let tag = |url| link.client.tag_queue().queue_url(url).tags(&key, &value).send();
        link.on(&self.queue, Repeat::Freely, tag).await.map(drop)
    }

    pub(super) async fn withdraw(&self, link: &Link, notice: &Notice) -> Result<(), Fault> {
        self.forget();
        if link.existing(&self.queue).await?.is_none() {
            return Ok(());
        }
        self.untag(link, vec![key(notice)]).await
    }

    pub(super) async fn all(&self, link: &Link) -> Result<BTreeSet<Notice>, Fault> {
        if let Some((read, notices)) = &*self.read.lock().unwrap_or_else(PoisonError::into_inner)
            && read.elapsed() < FRESH
        {
            return Ok(notices.clone());
        }
        let asked = Instant::now();
        let (current, over): (Vec<_>, Vec<_>) = self.tags(link).await?.into_iter().partition(Tag::is_current);
        if !over.is_empty() {
            self.untag(link, over.into_iter().map(|tag| tag.key).collect()).await?;
        }
        let notices: BTreeSet<Notice> = current.into_iter().filter_map(|tag| tag.notice).collect();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, notices.clone()));
        Ok(notices)
    }

    fn forget(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn tags(&self, link: &Link) -> Result<Vec<Tag>, Fault> {
        let Some(url) = link.existing(&self.queue).await? else { return Ok(Vec::new()) };
        match link.ask(Repeat::Freely, || link.client.list_queue_tags().queue_url(&url).send()).await {
            Ok(listed) => Ok(read(listed.tags.unwrap_or_default())),
            Err(fault) if fault.is_no_queue() => {
                link.forget(&self.queue);
                Ok(Vec::new())
            }
            Err(fault) => Err(fault),
        }
    }

    async fn untag(&self, link: &Link, keys: Vec<String>) -> Result<(), Fault> {
        let untag = |url| link.client.untag_queue().queue_url(url).set_tag_keys(Some(keys.clone())).send();
        link.on(&self.queue, Repeat::Freely, untag).await.map(drop)
    }
}

impl Tag {
    /// By this machine's clock, which is good enough for days.
    fn is_current(&self) -> bool {
        let age = Duration::from_secs(now_s().saturating_sub(self.posted_s));
        !matches!(self.notice, Some(Notice::Canceled(_))) || age < CANCELED_MEMORY
    }
}

/// The key of a notice's tag.
fn key(notice: &Notice) -> String {
    let text = notice.to_string();
    if text.len() <= LONGEST_KEY {
        return text;
    }
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("long:{digest}")
}

fn read(tags: HashMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (String, String)| {
        let (posted, text) = value.split_once(' ').unwrap_or(("", ""));
        Tag { key, posted_s: posted.parse().unwrap_or(0), notice: text.parse().ok() }
    };
    tags.into_iter().map(tag).collect()
}

/// The keys of the oldest cancellations that must go before one more tag has room.
fn in_the_way(tags: &[Tag]) -> Vec<String> {
    let mut canceled: Vec<_> = tags.iter().filter(|tag| matches!(tag.notice, Some(Notice::Canceled(_)))).collect();
    canceled.sort_by_key(|tag| tag.posted_s);
    let too_many = (tags.len() + 1).saturating_sub(MOST);
    canceled.into_iter().take(too_many).map(|tag| tag.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use reelmill_api::JobId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_full_board_forgets_its_oldest_cancellation_and_no_pause() {
        let canceled = |n: u64| Notice::Canceled(JobId::new(Uuid::from_u128(n.into())));
        let set = |notice: &Notice, posted: u64| (key(notice), format!("{posted} {notice}"));
        let paused = Notice::Paused("q".repeat(128).parse().expect("a lane"));
        let mut tags: HashMap<_, _> = (10..58).map(|n| set(&canceled(n), n)).collect();
        tags.extend([set(&paused, 1), ("somebody's".to_owned(), "own".to_owned())]);
        assert!(tags.keys().all(|key| key.len() <= LONGEST_KEY) && tags.values().all(|value| value.len() <= 256));
        let tags = read(tags);
        assert!(tags.iter().any(|tag| tag.notice.as_ref() == Some(&paused)));
        assert_eq!(in_the_way(&tags), [key(&canceled(10))]);
        assert!(in_the_way(&tags[..49]).is_empty());
    }
}
