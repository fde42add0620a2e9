//! The streams and subjects of a farm, and the one place that spells them.
//!
//! - `FARM-tasks` holds bodies, each where it was published: on a lane's plain name by strangers, on
//!   `FARM.task.LANE.PRIORITY` by us. A body never moves; the message's number in this stream is its name.
//! - `FARM-state` holds one record per subject, and only the newest: `FARM.lease.LANE.NUMBER` says what was done with a
//!   message (none: nothing yet), `FARM.notice.TEXT` is a notice, `FARM.lane.LANE` a lane that strangers can publish to,
//!   `FARM.clock.NAME` what a connection wrote to learn the server's time.
//! - `FARM-events` holds the newest events.

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use reelmill_api::{Lane, Notice, Priority, QueueName};

use super::index::Number;
use crate::{DEDUPE_MEMORY, EVENTS_KEPT};

/// The header with the delay of a message, in milliseconds from its publication.
pub(super) const DELAY: &str = "Reelmill-Delay-Ms";
/// The header with the name of the call that published a message.
pub(super) const CALL: &str = "Reelmill-Call";

/// The names that belong to one farm.
#[derive(Clone, Debug)]
pub(super) struct Names {
    farm: QueueName,
    pub(super) tasks: String,
    pub(super) state: String,
    pub(super) events: String,
}

/// What a record of the state stream is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Lease(Lane, Number),
    Notice(Notice),
    Clock(String),
    /// Nothing that an index keeps.
    Other,
}

impl Names {
    pub(super) fn of(farm: &QueueName) -> Self {
        let stream = |end: &str| format!("{farm}-{end}");
        Self { tasks: stream("tasks"), state: stream("state"), events: stream("events"), farm: farm.clone() }
    }

    pub(super) fn intake(&self) -> Lane {
        self.farm.intake()
    }

    pub(super) fn task(&self, lane: &Lane, priority: Priority) -> String {
        format!("{}.task.{lane}.{}", self.farm, spelled(priority))
    }

    pub(super) fn lease(&self, lane: &Lane, number: Number) -> String {
        format!("{}.lease.{lane}.{number}", self.farm)
    }

    pub(super) fn notice(&self, notice: &Notice) -> String {
        format!("{}.notice.{notice}", self.farm)
    }

    pub(super) fn clock(&self, connection: &str) -> String {
        format!("{}.clock.{connection}", self.farm)
    }

    pub(super) fn lane(&self, lane: &Lane) -> String {
        format!("{}.lane.{lane}", self.farm)
    }

    /// The subjects of all lanes that strangers can publish to.
    pub(super) fn lanes(&self) -> String {
        format!("{}.lane.*", self.farm)
    }

    pub(super) fn event(&self) -> String {
        format!("{}.event", self.farm)
    }

    /// The lane and priority of a body on `subject`.
    pub(super) fn read_task(&self, subject: &str) -> Option<(Lane, Priority)> {
        let Some(ours) = self.own(subject) else { return Some((subject.parse().ok()?, Priority::Normal)) };
        let (lane, priority) = ours.strip_prefix("task.")?.split_once('.')?;
        Some((lane.parse().ok()?, read_priority(priority)?))
    }

    /// The lane that the subject of [`Names::lanes`] stands for.
    pub(super) fn read_lane(&self, subject: &str) -> Option<Lane> {
        self.own(subject)?.strip_prefix("lane.")?.parse().ok()
    }

    pub(super) fn read_state(&self, subject: &str) -> About {
        let read = || match self.own(subject)?.split_once('.')? {
            ("lease", rest) => {
                let (lane, number) = rest.split_once('.')?;
                Some(About::Lease(lane.parse().ok()?, number.parse().ok()?))
            }
            ("notice", text) => text.parse().ok().map(About::Notice),
            ("clock", name) => Some(About::Clock(name.to_owned())),
            _ => None,
        };
        read().unwrap_or(About::Other)
    }

    fn own<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(self.farm.as_str())?.strip_prefix('.')
    }

    /// The stream of bodies, open to strangers on `lanes`.
    pub(super) fn tasks_stream(&self, lanes: &[Lane], replicas: usize) -> Config {
        let own = format!("{}.task.*.*", self.farm);
        Config {
            subjects: [own].into_iter().chain(lanes.iter().map(Lane::to_string)).collect(),
            // A key is remembered by its message; see `sweep.rs` for how long that is kept.
            duplicate_window: DEDUPE_MEMORY,
            ..stream(&self.tasks, replicas)
        }
    }

    pub(super) fn state_stream(&self, replicas: usize) -> Config {
        let subjects = ["lease.*.*", "notice.*", "clock.*", "lane.*"];
        Config {
            subjects: subjects.map(|subject| format!("{}.{subject}", self.farm)).into(),
            max_messages_per_subject: 1,
            ..stream(&self.state, replicas)
        }
    }

    pub(super) fn events_stream(&self, replicas: usize) -> Config {
        Config {
            subjects: vec![self.event()],
            max_messages: i64::try_from(EVENTS_KEPT).unwrap_or(i64::MAX),
            discard: DiscardPolicy::Old,
            ..stream(&self.events, replicas)
        }
    }
}

/// A stream on disk that drops nothing by itself: one that is full refuses.
fn stream(name: &str, replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: replicas,
        description: Some("Reelmill's; see docs/decisions/0019 there".to_owned()),
        ..Config::default()
    }
}

fn spelled(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

fn read_priority(text: &str) -> Option<Priority> {
    [Priority::High, Priority::Normal, Priority::Low].into_iter().find(|&p| spelled(p) == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn reads_any_subject_without_harm(
            subject in r"(reelmill)?[.]?(task|lease|notice|clock|lane)?[.]?(\PC{0,12}[.]?){0,3}",
        ) {
            let names = Names::of(&QueueName::default());
            if let Some((lane, priority)) = names.read_task(&subject) {
                prop_assert!(subject == names.task(&lane, priority) || subject == lane.as_str(), "{subject}");
            }
            if let About::Lease(lane, number) = names.read_state(&subject) {
                prop_assert!(names.lease(&lane, number).len() <= subject.len(), "{subject}");
            }
        }
    }

    #[test]
    fn reads_every_subject_that_it_spells() {
        let names = Names::of(&QueueName::default());
        let lane: Lane = "reelmill-hls-ladder".parse().expect("a lane");
        for priority in [Priority::High, Priority::Normal, Priority::Low] {
            assert_eq!(names.read_task(&names.task(&lane, priority)), Some((lane.clone(), priority)));
        }
        for plain in [&lane, &names.intake()] {
            assert_eq!(names.read_task(plain.as_str()), Some((plain.clone(), Priority::Normal)));
        }
        let notice = Notice::Paused(lane.clone());
        for (subject, about) in [
            (names.lease(&lane, 7), About::Lease(lane.clone(), 7)),
            (names.notice(&notice), About::Notice(notice)),
            (names.clock("c"), About::Clock("c".to_owned())),
            (names.lane(&lane), About::Other),
            ("reelmill.lease.q".to_owned(), About::Other),
            ("reelmill.lease.q.x".to_owned(), About::Other),
            ("other.lease.q.7".to_owned(), About::Other),
        ] {
            assert_eq!(names.read_state(&subject), about, "{subject}");
        }
        assert_eq!(names.read_lane(&names.lane(&lane)), Some(lane));
        for strange in ["reelmill.task.q.urgent", "reelmill.task.q", "a.b", "reelmill.x"] {
            assert_eq!(names.read_task(strange), None, "{strange}");
        }
    }
}
