//! What lies on the server and under which name: the only file that spells a queue, an exchange or their arguments.
//!
//! | name | holds |
//! |---|---|
//! | `LANE` | what is ready, normal priority: where strangers put plain jobs through the default exchange |
//! | `LANE.high`, `LANE.low` | what is ready, the other priorities |
//! | `LANE.later.SECONDS` | what waits for so long; an exchange of the same name leads into it, so that the routing key can say where a message goes afterwards |
//! | `LANE.dead` | dead letters |
//! | `FARM.held.PROCESS` | renewed leases of one process, with an exchange as above |
//! | `FARM.bell` | exchange: rung with a lane's name when something became ready there |
//! | `FARM.events`, `FARM.board`, `FARM.seen` | streams: events; notices and delays in use; dedupe keys |

use lapin::types::{AMQPValue, FieldTable};
use reelmill_api::{Lane, Priority};
use std::time::Duration;

/// The delays that can be had; others are rounded up to the next. Those that the farm itself uses are among them.
pub(super) const DELAYS_S: [u32; 18] = [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, 120, 160, 300, 900, 3600, 86_400];

/// How long a renewed lease may lie unclaimed, its process having died or been cut off: then it goes back to its lane.
pub(super) const HELD_TTL: Duration = Duration::from_secs(5);
/// How long an unused queue of a process is kept.
const UNUSED: Duration = Duration::from_secs(24 * 3600);
/// More returns than any message will see: newer servers drop a message after twenty, where nothing else is said.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Where a message of this lane and priority waits for a worker.
pub(super) fn ready(lane: &Lane, priority: Priority) -> String {
    match priority {
        Priority::High => format!("{lane}.high"),
        Priority::Normal => lane.to_string(),
        Priority::Low => format!("{lane}.low"),
    }
}

/// The queue, and the exchange, for messages of a lane that wait this long.
pub(super) fn later(lane: &Lane, seconds: u32) -> String {
    format!("{lane}.later.{seconds}")
}

/// The dead letters of a lane.
pub(super) fn dead(lane: &Lane) -> String {
    format!("{lane}.dead")
}

/// The delay that a wished one is rounded up to.
pub(super) fn delay(wished: Duration) -> Option<u32> {
    if wished.is_zero() {
        return None;
    }
    let longest = DELAYS_S[DELAYS_S.len() - 1];
    Some(DELAYS_S.into_iter().find(|seconds| Duration::from_secs(u64::from(*seconds)) >= wished).unwrap_or(longest))
}

/// The longest delay that can be had.
pub(super) fn longest_delay() -> Duration {
    Duration::from_secs(DELAYS_S.into_iter().max().unwrap_or_default().into())
}

/// The arguments of a quorum queue.
pub(super) fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments
}

/// The arguments of a quorum queue from which a message goes to where its routing key says after this time. It is removed
/// only once it is kept there.
pub(super) fn passing(after: Duration) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-message-ttl".into(), ms(after));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

/// The arguments of a process' own queue for renewed leases.
pub(super) fn held() -> FieldTable {
    let mut arguments = passing(HELD_TTL);
    arguments.insert("x-expires".into(), ms(UNUSED));
    arguments
}

/// The arguments of a queue that goes when it was not used for so long.
pub(super) fn expiring(unused: Duration) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), ms(unused));
    arguments
}

/// The arguments of a stream that keeps so many bytes.
pub(super) fn stream(bytes: i64) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(bytes));
    // Whole segments are dropped: with ten of them, nine tenths are always there.
    arguments.insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(bytes / 10));
    arguments
}

fn ms(duration: Duration) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up() {
        for (wished, seconds) in [
            (Duration::ZERO, None),
            (Duration::from_nanos(1), Some(1)),
            (Duration::from_secs(10), Some(10)),
            (Duration::from_millis(10_001), Some(15)),
            (Duration::MAX, Some(86_400)),
        ] {
            assert_eq!(delay(wished), seconds, "{wished:?}");
        }
    }

    #[test]
    fn the_farms_own_delays_are_exact() {
        use reelmill_api::settle::{BUSY_RETRY, FIRST_RETRY, HAND_BACK, LONGEST_RETRY};
        let growing = (0..6).map(|n| FIRST_RETRY * (1 << n)).filter(|wait| *wait <= LONGEST_RETRY);
        for wished in growing.chain([BUSY_RETRY, HAND_BACK, LONGEST_RETRY]) {
            assert_eq!(delay(wished).map(u64::from), Some(wished.as_secs()), "{wished:?}");
        }
    }

    #[test]
    fn each_priority_has_a_queue() {
        let lane: Lane = "reelmill-proxy".parse().expect("a lane");
        let all = [Priority::High, Priority::Normal, Priority::Low].map(|priority| ready(&lane, priority));
        assert_eq!(all, ["reelmill-proxy.high", "reelmill-proxy", "reelmill-proxy.low"]);
    }
}
