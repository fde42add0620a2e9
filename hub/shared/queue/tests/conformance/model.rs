//! Random histories of a lane, checked step by step against the plainest queue there is: a list of messages.

use std::time::Duration;

use proptest::prelude::*;
use reelmill_api::{Lane, Priority};
use reelmill_queue::{Depth, Leased, NewMessage, Queue, QueueError, Receipt};

use crate::bench::{Bench, LONG, lane, message};

const NEVER: Duration = Duration::from_secs(86_400);
const AT_ONCE: Duration = Duration::ZERO;

/// One step. A number picks one of all receipts given so far, also those that no longer hold.
#[derive(Clone, Debug)]
enum Step {
    Publish(Priority),
    Lease,
    LeaseThatRunsOutAtOnce,
    Extend(usize),
    ExtendByNothing(usize),
    Ack(usize),
    RetryNow(usize),
    RetryMuchLater(usize),
    HandBack(usize),
    DeadLetter(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let step = prop_oneof![
        4 => priority.prop_map(Step::Publish),
        4 => Just(Step::Lease),
        1 => Just(Step::LeaseThatRunsOutAtOnce),
        1 => any::<usize>().prop_map(Step::Extend),
        1 => any::<usize>().prop_map(Step::ExtendByNothing),
        2 => any::<usize>().prop_map(Step::Ack),
        1 => any::<usize>().prop_map(Step::RetryNow),
        1 => any::<usize>().prop_map(Step::RetryMuchLater),
        1 => any::<usize>().prop_map(Step::HandBack),
        1 => any::<usize>().prop_map(Step::DeadLetter),
    ];
    proptest::collection::vec(step, 1..40)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Ready,
    Delayed,
    /// Under the lease with this number.
    Leased(usize),
    Dead,
    Gone,
}

#[derive(Debug)]
struct Message {
    priority: Priority,
    state: State,
    attempts: u32,
}

/// The model, and the receipts that the queue gave.
struct History<'a> {
    queue: &'a dyn Queue,
    lane: Lane,
    messages: Vec<Message>,
    receipts: Vec<Receipt>,
}

/// How urgent a priority is when so many leases were taken.
fn urgency(priority: Priority, taken: usize) -> u8 {
    match (taken % 8, priority) {
        (7, Priority::Low) | (3, Priority::Normal) => 3,
        (_, Priority::High) if taken % 8 == 7 => 0,
        (_, Priority::High) => 2,
        (_, Priority::Normal) => 1,
        (_, Priority::Low) => 0,
    }
}

impl History<'_> {
    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish(priority) => self.publish(priority).await,
            Step::Lease => self.lease(LONG).await,
            Step::LeaseThatRunsOutAtOnce => self.lease(AT_ONCE).await,
            Step::Extend(i) => self.settle(i, async |q, r| q.extend(r, LONG).await, |_| None).await,
            Step::ExtendByNothing(i) => {
                self.settle(i, async |q, r| q.extend(r, AT_ONCE).await, |_| Some(State::Ready)).await;
            }
            Step::Ack(i) => self.settle(i, async |q, r| q.ack(r).await, |_| Some(State::Gone)).await,
            Step::RetryNow(i) => {
                self.settle(i, async |q, r| q.retry_after(r, AT_ONCE).await, |_| Some(State::Ready)).await;
            }
            Step::RetryMuchLater(i) => {
                self.settle(i, async |q, r| q.retry_after(r, NEVER).await, |_| Some(State::Delayed)).await;
            }
            Step::HandBack(i) => {
                let uncount = |message: &mut Message| {
                    message.attempts -= 1;
                    Some(State::Ready)
                };
                self.settle(i, async |q, r| q.hand_back(r).await, uncount).await;
            }
            Step::DeadLetter(i) => {
                self.settle(i, async |q, r| q.dead_letter(r, "why").await, |_| Some(State::Dead)).await;
            }
        }
    }

    async fn publish(&mut self, priority: Priority) {
        let body = self.messages.len().to_string();
        let message = NewMessage { priority, ..message(body) };
        self.queue.publish(&self.lane, &message).await.expect("stored");
        self.messages.push(Message { priority, state: State::Ready, attempts: 0 });
    }

    async fn lease(&mut self, lasting: Duration) {
        let lanes = std::slice::from_ref(&self.lane);
        let leased: Option<Leased> = self.queue.lease(lanes, lasting, AT_ONCE).await.expect("an answer");
        let taken = self.receipts.len();
        let is_ready = |(_, m): &(usize, &Message)| m.state == State::Ready;
        let most = self.messages.iter().enumerate().filter(is_ready).map(|(_, m)| urgency(m.priority, taken)).max();
        let mut urgent = self.messages.iter().enumerate().filter(is_ready);
        // Where the server keeps no order, any of the most urgent will do.
        let in_order = self.queue.limits().keeps_order;
        let body = leased.as_ref().map(|l| l.body.clone()).unwrap_or_default();
        let i = urgent
            .find(|(i, m)| Some(urgency(m.priority, taken)) == most && (in_order || i.to_string().as_bytes() == body));
        let expected = i.map(|(i, _)| i).map(|i| {
            let message = &mut self.messages[i];
            message.attempts += 1;
            message.state = if lasting == AT_ONCE { State::Ready } else { State::Leased(taken) };
            (i.to_string().into_bytes(), message.attempts)
        });
        assert_eq!(leased.as_ref().map(|l| (l.body.clone(), l.attempt)), expected);
        self.receipts.extend(leased.map(|l| l.receipt));
    }

    /// Uses one of the receipts; `becomes` says what is then of the message, if the receipt still holds it.
    async fn settle(
        &mut self,
        pick: usize,
        call: impl AsyncFn(&dyn Queue, &Receipt) -> Result<(), QueueError>,
        becomes: impl Fn(&mut Message) -> Option<State>,
    ) {
        if self.receipts.is_empty() {
            return;
        }
        let lease = pick % self.receipts.len();
        let answer = call(self.queue, &self.receipts[lease]).await;
        match (self.messages.iter_mut().find(|m| m.state == State::Leased(lease)), answer) {
            (Some(message), Ok(())) => message.state = becomes(message).unwrap_or(message.state),
            (None, Err(QueueError::LeaseLost { .. })) => {}
            (held, answer) => panic!("a receipt of {held:?} was answered {answer:?}"),
        }
    }

    async fn check_depth(&self) {
        let count = |is: fn(State) -> bool| self.messages.iter().filter(|m| is(m.state)).count() as u64;
        let depth = self.queue.depth(&self.lane).await.expect("a depth");
        let want = Depth {
            ready: count(|s| s == State::Ready),
            delayed: count(|s| s == State::Delayed),
            leased: Some(count(|s| matches!(s, State::Leased(_)))).filter(|_| self.queue.limits().counts_leased),
            dead: count(|s| s == State::Dead),
            oldest_ready: depth.oldest_ready,
        };
        assert_eq!(depth, want);
        assert_eq!(depth.oldest_ready.is_some(), depth.ready > 0 && self.queue.limits().tells_age);
    }
}

/// Runs random histories, each on a lane of its own.
fn check(bench: impl Future<Output = Bench>, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bench = runtime.block_on(bench);
    let case = std::cell::Cell::new(0);
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(steps in steps())| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let lane = lane(&format!("case{}", case.get()));
            let mut history = History { queue: &*bench.queue, lane, messages: Vec::new(), receipts: Vec::new() };
            for step in &steps {
                history.take(step).await;
                history.check_depth().await;
            }
        });
    });
}

#[test]
fn sqlite_does_what_a_list_would() {
    check(Bench::sqlite(), 64);
}

#[test]
fn redis_does_what_a_list_would() {
    check(Bench::redis(), 128);
}

#[test]
fn sqs_does_what_a_list_would() {
    check(Bench::sqs(), 24);
}
