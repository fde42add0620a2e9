//! What was done with a message: the record that lies beside its body, and what comes after it. Each change of a message
//! replaces its record under the condition that nobody else did, so it happens whole or not at all.

use std::time::Duration;

use reelmill_api::{AttemptNumber, Priority};
use serde::{Deserialize, Serialize};

use crate::time::millis;

/// Nanoseconds of Unix time, by the server's clock.
pub(super) type Nanos = u64;

/// Where a message stands. For `lasting_ms` from when the server stored the record, where that means anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[default]
    Ready,
    Delayed,
    Leased,
    Dead,
    /// Its body can go, and then this record.
    Done,
}

/// What is known of a message beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) state: State,
    /// How often it was delivered.
    pub(super) attempts: AttemptNumber,
    pub(super) priority: Priority,
    /// When the server stored the body.
    pub(super) born: Nanos,
    /// Since when it has been on the lane.
    pub(super) published: Nanos,
    /// Its place in the line: when it first became ready.
    pub(super) place: Nanos,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) lasting_ms: i64,
    /// The call that wrote this; one whose answer was lost finds itself here.
    pub(super) call: String,
    /// The call that gave the message back last, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) gave: String,
    /// The nonce of the lease.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) lease: String,
    /// Why it is dead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Record {
    /// Of a message that nobody touched yet.
    pub(super) fn fresh(born: Nanos, priority: Priority, delay: Duration) -> Self {
        let lasting_ms = millis(delay);
        let state = if delay.is_zero() { State::Ready } else { State::Delayed };
        let place = born.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX / 2));
        Self { state, priority, born, published: born, place, lasting_ms, ..Self::default() }
    }

    /// How long it stands as it does; `None`: until somebody changes it.
    pub(super) fn lasting(&self) -> Option<Duration> {
        let timed = matches!(self.state, State::Delayed | State::Leased);
        timed.then(|| crate::time::from_millis(self.lasting_ms))
    }

    pub(super) fn leased(&self, call: &str, lasting: Duration) -> Self {
        let attempts = self.attempts.saturating_add(1);
        let lease = call.to_owned();
        Self { state: State::Leased, attempts, lasting_ms: millis(lasting), lease, ..self.written(call) }
    }

    pub(super) fn extended(&self, call: &str, lasting: Duration) -> Self {
        Self { state: State::Leased, lasting_ms: millis(lasting), lease: self.lease.clone(), ..self.written(call) }
    }

    /// Given back for after `delay`, with `uncounted` of its deliveries forgotten.
    pub(super) fn given_back(&self, call: &str, delay: Duration, uncounted: AttemptNumber) -> Self {
        let state = if delay.is_zero() { State::Ready } else { State::Delayed };
        let attempts = self.attempts.saturating_sub(uncounted);
        Self { state, attempts, lasting_ms: millis(delay), gave: call.to_owned(), ..self.written(call) }
    }

    pub(super) fn dead(&self, call: &str, reason: &str) -> Self {
        Self { state: State::Dead, reason: reason.to_owned(), ..self.written(call) }
    }

    pub(super) fn done(&self, call: &str) -> Self {
        Self { state: State::Done, ..self.written(call) }
    }

    /// As new, at the end of its line.
    pub(super) fn revived(&self, call: &str, now: Nanos) -> Self {
        Self { state: State::Ready, attempts: 0, published: now, place: now, ..self.written(call) }
    }

    /// The same message after `call`, with nothing of what ends with a change.
    fn written(&self, call: &str) -> Self {
        Self { call: call.to_owned(), lease: String::new(), reason: String::new(), lasting_ms: 0, ..self.clone() }
    }

    /// Whether `call` wrote this, or what came shortly before.
    pub(super) fn is_of(&self, call: &str) -> bool {
        self.call == call || self.gave == call
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record holds only strings and numbers")
    }

    /// What another worker wrote, perhaps a newer one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_of_any_size_do_no_harm(attempts: u32, born: u64, place: u64, lasting_ms: i64, ms: u64) {
            let record = Record { attempts, born, place, lasting_ms, ..Record::default() };
            let read = Record::parse(&record.to_bytes());
            prop_assert_eq!(read.as_ref(), Some(&record));
            let long = Duration::from_millis(ms);
            for next in [record.leased("c", long), record.extended("c", long), record.given_back("c", long, u32::MAX)] {
                prop_assert!(next.lasting().is_none_or(|lasting| tokio::time::Instant::now().checked_add(lasting).is_some()));
            }
            prop_assert!(Record::fresh(born, Priority::Low, long).place >= born);
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_wire_is_as_it_was() {
        let fresh = Record::fresh(5, Priority::High, Duration::ZERO);
        let leased = fresh.leased("c1", HOUR);
        let back = leased.given_back("c2", Duration::ZERO, 0);
        for (record, text) in [
            (
                leased,
                r#"{"state":"leased","attempts":1,"priority":"high","born":5,"published":5,"place":5,"lasting_ms":3600000,"call":"c1","lease":"c1"}"#,
            ),
            (
                back.dead("c3", "a\n\"ä\""),
                r#"{"state":"dead","attempts":1,"priority":"high","born":5,"published":5,"place":5,"call":"c3","gave":"c2","reason":"a\n\"ä\""}"#,
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&record.to_bytes()), text);
            assert_eq!(Record::parse(text.as_bytes()), Some(record));
        }
        assert_eq!(Record::parse(b"stranger"), None);
    }

    #[test]
    fn a_delayed_message_takes_its_place_when_it_is_due() {
        let delayed = Record::fresh(7, Priority::Low, HOUR);
        assert_eq!((delayed.state, delayed.lasting(), delayed.place), (State::Delayed, Some(HOUR), 3_600_000_000_007));
        let never = Record::fresh(7, Priority::Low, Duration::MAX);
        assert!(never.place > delayed.place);
        assert_eq!(delayed.leased("c", HOUR).given_back("d", Duration::ZERO, 1).place, delayed.place);
    }

    #[test]
    fn a_call_finds_itself_until_the_message_was_given_back_again() {
        let back = Record::fresh(1, Priority::Normal, HOUR).leased("a", HOUR).given_back("b", HOUR, 1);
        assert!(back.is_of("b") && !back.is_of("a"));
        let again = back.leased("c", HOUR).extended("d", HOUR);
        assert!(again.is_of("b") && again.is_of("d") && again.lease == "c");
        assert!(!again.given_back("e", HOUR, 0).is_of("b"));
    }
}
