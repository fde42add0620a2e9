//! What every driver promises, each promise as a function of a fresh queue.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reelmill_api::{JobId, Notice, Priority, QueueName};
use reelmill_queue::{Cursor, Depth, NewMessage, Published, QueueError, Readers, SharedQueue, connect};

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, farm, is_lost, lane, message, text, until};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn gives_the_urgent_first_and_each_priority_in_order(bench: &Bench) {
    let lane = lane("q");
    use Priority::{High, Low, Normal};
    for (body, priority) in [("l1", Low), ("n1", Normal), ("h1", High), ("n2", Normal), ("h2", High), ("l2", Low)] {
        let message = NewMessage { priority, ..message(body) };
        assert_eq!(bench.queue.publish(&lane, &message).await.expect("stored"), Published::Stored);
    }
    let mut order = Vec::new();
    while let Some(leased) = bench.lease_now(&lane).await {
        assert_eq!((leased.attempt, &leased.lane), (1, &lane));
        order.push(text(&leased).to_owned());
    }
    if !bench.queue.limits().keeps_order {
        order.chunks_mut(2).for_each(<[String]>::sort);
    }
    assert_eq!(order, ["h1", "h2", "n1", "n2", "l1", "l2"]);
}

pub(crate) async fn keeps_a_delayed_message_aside_until_it_is_due(bench: &Bench) {
    let lane = lane("q");
    for (body, delay) in [("never", HOUR), ("for ever", Duration::MAX), ("soon", SHORT)] {
        bench.queue.publish(&lane, &NewMessage { delay, ..message(body) }).await.expect("stored");
    }
    assert_eq!(text(&bench.lease(&lane, LONG).await), "soon");
    assert!(bench.lease_now(&lane).await.is_none());
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth").delayed, 2);
}

pub(crate) async fn drops_a_second_message_with_the_same_key(bench: &Bench) {
    let (lane, other) = (lane("q"), lane("other"));
    let keyed = |key: &str| NewMessage { dedupe_key: Some(key.to_owned()), ..message(key) };
    assert_eq!(bench.queue.publish(&lane, &keyed("a")).await.expect("stored"), Published::Stored);
    let leased = bench.lease(&lane, LONG).await;
    bench.queue.ack(&leased.receipt).await.expect("ours");
    for (lane, key, want) in [
        (&lane, "a", Published::Duplicate),
        (&lane, "b", Published::Stored),
        (&other, "a", Published::Stored),
        (&lane, "", Published::Stored),
        (&lane, "", Published::Duplicate),
    ] {
        assert_eq!(bench.queue.publish(lane, &keyed(key)).await.expect("an answer"), want, "{key} on {lane}");
    }
    bench.publish(&lane, "no key").await;
    bench.publish(&lane, "no key").await;
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth").ready, 4);
}

pub(crate) async fn remembers_a_key_for_all_where_the_server_does(bench: &Bench) {
    let (lane, other) = (lane("q"), bench.another().await);
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), ..message("task") };
    assert_eq!(bench.queue.publish(&lane, &keyed).await.expect("stored"), Published::Stored);
    let (want, ready) = match bench.queue.limits().dedupes_for_all {
        true => (Published::Duplicate, 1),
        false => (Published::Stored, 2),
    };
    assert_eq!(other.publish(&lane, &keyed).await.expect("an answer"), want);
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth").ready, ready);
}

pub(crate) async fn gives_an_expired_lease_to_another_and_fences_the_first(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let first = bench.lease(&lane, SHORT).await;
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!((&first.message_id, &first.body), (&second.message_id, &second.body));
    let (queue, old) = (&bench.queue, &first.receipt);
    assert!(is_lost(queue.extend(old, LONG).await));
    assert!(is_lost(queue.ack(old).await));
    assert!(is_lost(queue.retry_after(old, Duration::ZERO).await));
    assert!(is_lost(queue.hand_back(old).await));
    assert!(is_lost(queue.dead_letter(old, "not mine to bury").await));
    bench.check_depth(&lane, Depth { leased: Some(1), ..EMPTY }).await;
    queue.ack(&second.receipt).await.expect("the second lease holds");
    bench.check_depth(&lane, EMPTY).await;
}

pub(crate) async fn a_lease_that_ran_out_is_lost_even_if_nobody_took_it(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let (queue, at_once) = (&bench.queue, Duration::ZERO);
    let run_out = async || bench.lease(&lane, at_once).await.receipt;
    assert!(is_lost(queue.extend(&run_out().await, LONG).await));
    assert!(is_lost(queue.ack(&run_out().await).await));
    assert!(is_lost(queue.retry_after(&run_out().await, at_once).await));
    assert!(is_lost(queue.hand_back(&run_out().await).await));
    assert!(is_lost(queue.dead_letter(&run_out().await, "too late").await));

    let leased = bench.lease(&lane, SHORT).await;
    assert_eq!(leased.attempt, 6);
    until("the lease's end", async || (queue.depth(&lane).await.ok()?.ready == 1).then_some(())).await;
    assert!(is_lost(queue.ack(&leased.receipt).await));
    assert_eq!(bench.lease(&lane, LONG).await.attempt, 7);
}

pub(crate) async fn an_extended_lease_outlives_its_first_deadline(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let first_deadline = Duration::from_secs(2);
    let leased = bench.lease(&lane, first_deadline).await;
    bench.queue.extend(&leased.receipt, LONG).await.expect("ours");
    let beyond = first_deadline + SHORT;
    assert!(bench.queue.lease(std::slice::from_ref(&lane), LONG, beyond).await.expect("an answer").is_none());
    // And an extension may also shorten it.
    bench.queue.extend(&leased.receipt, SHORT).await.expect("still ours");
    assert_eq!(bench.lease(&lane, LONG).await.attempt, 2);
}

/// A lease that is kept by extending it, also on a machine with much else to do.
pub(crate) const KEPT: Duration = Duration::from_secs(9);

/// Not for every bench: it takes a server that leaves no message to anybody for long.
pub(crate) async fn leaves_a_job_that_outlasts_the_servers_own_limit_to_its_worker(
    queue: &SharedQueue,
    other: &SharedQueue,
) {
    let (lane, lanes) = (lane("q"), [lane("q")]);
    let long = NewMessage { priority: Priority::High, ..message(b"long \xff job") };
    queue.publish(&lane, &long).await.expect("stored");
    let leased = queue.lease(&lanes, KEPT, PATIENCE).await.expect("an answer").expect("a message");
    let longest = queue.limits().longest_hold.expect("the server has a limit");
    let begun = Instant::now();
    while begun.elapsed() < longest * 3 / 2 {
        match queue.extend(&leased.receipt, KEPT).await {
            // A server that is slow is asked again.
            Ok(()) | Err(QueueError::Failed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(other.lease(&lanes, LONG, SHORT).await.expect("an answer").is_none(), "it is another's");
    }
    queue.retry_after(&leased.receipt, Duration::ZERO).await.expect("ours to the end");
    let second = other.lease(&lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    assert_eq!((second.attempt, &second.message_id, &second.body), (2, &leased.message_id, &long.body));
    assert!(is_lost(queue.ack(&leased.receipt).await));
    other.ack(&second.receipt).await.expect("ours");
    assert_eq!(queue.depth(&lane).await.expect("a depth").ready, 0);
}

pub(crate) async fn counts_a_retry_but_not_what_was_handed_back(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let first = bench.lease(&lane, LONG).await;
    bench.queue.retry_after(&first.receipt, Duration::ZERO).await.expect("ours");
    let second = bench.lease(&lane, LONG).await;
    bench.queue.hand_back(&second.receipt).await.expect("ours");
    let again = bench.lease(&lane, LONG).await;
    assert_eq!((first.attempt, second.attempt, again.attempt), (1, 2, 2));
    assert_eq!(first.message_id, again.message_id);
    assert!(is_lost(bench.queue.ack(&second.receipt).await));
    bench.queue.ack(&again.receipt).await.expect("ours");
}

pub(crate) async fn a_redelivered_message_keeps_its_place_in_line(bench: &Bench) {
    let lane = lane("q");
    for body in ["a", "b", "c"] {
        bench.publish(&lane, body).await;
    }
    let (a, b) = (bench.lease(&lane, LONG).await, bench.lease(&lane, LONG).await);
    bench.queue.hand_back(&b.receipt).await.expect("ours");
    bench.queue.retry_after(&a.receipt, Duration::ZERO).await.expect("ours");
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(text(&bench.lease(&lane, LONG).await).to_owned());
    }
    if !bench.queue.limits().keeps_order {
        order.sort();
    }
    assert_eq!(order, ["a", "b", "c"]);
}

pub(crate) async fn a_retry_waits_for_its_delay(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let first = bench.lease(&lane, LONG).await;
    bench.queue.retry_after(&first.receipt, SHORT).await.expect("ours");
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((second.attempt, &second.message_id), (2, &first.message_id));
    bench.queue.retry_after(&second.receipt, HOUR).await.expect("ours");
    assert!(bench.lease_now(&lane).await.is_none());
    bench.check_depth(&lane, Depth { delayed: 1, ..EMPTY }).await;
}

pub(crate) async fn settles_only_once(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let leased = bench.lease(&lane, LONG).await;
    bench.queue.ack(&leased.receipt).await.expect("ours");
    assert!(is_lost(bench.queue.ack(&leased.receipt).await));
    assert!(is_lost(bench.queue.dead_letter(&leased.receipt, "late").await));
    bench.check_depth(&lane, EMPTY).await;
}

pub(crate) async fn keeps_dead_letters_with_their_bytes_and_reasons(bench: &Bench) {
    let (lane, binary) = (lane("q"), [0, 159, 146, 150, 255, b'\r', b'\n']);
    bench.queue.publish(&lane, &message(binary)).await.expect("stored");
    let first = bench.lease(&lane, LONG).await;
    bench.queue.retry_after(&first.receipt, Duration::ZERO).await.expect("ours");
    let again = bench.lease(&lane, LONG).await;
    bench.queue.dead_letter(&again.receipt, "the source holds no picture: \"ä\"\n").await.expect("ours");
    bench.publish(&lane, "second").await;
    let second = bench.lease(&lane, LONG).await;
    bench.queue.dead_letter(&second.receipt, "").await.expect("ours");

    let letters = bench.queue.dead_letters(&lane, 10).await.expect("letters");
    assert_eq!(letters.len(), 2);
    assert_eq!(
        (&letters[0].message_id, &letters[0].body[..], letters[0].attempts),
        (&first.message_id, &binary[..], 2)
    );
    assert_eq!(letters[0].reason, "the source holds no picture: \"ä\"\n");
    assert_eq!((&letters[1].body[..], letters[1].attempts), (&b"second"[..], 1));
    assert_eq!(bench.queue.dead_letters(&lane, 1).await.expect("letters"), letters[..1]);
    bench.check_depth(&lane, Depth { dead: 2, ..EMPTY }).await;
    assert!(bench.lease_now(&lane).await.is_none());
}

pub(crate) async fn measures_depth_and_age(bench: &Bench) {
    let lane = lane("q");
    bench.check_depth(&lane, EMPTY).await;
    for body in ["a", "b", "c"] {
        bench.publish(&lane, body).await;
    }
    bench.queue.publish(&lane, &NewMessage { delay: HOUR, ..message("later") }).await.expect("stored");
    let leased = bench.lease(&lane, LONG).await;
    let told = bench.queue.limits().tells_age;
    let depth = until("an age", async || {
        let depth = bench.queue.depth(&lane).await.ok()?;
        (!told || depth.oldest_ready? >= SHORT).then_some(depth)
    })
    .await;
    assert_eq!(depth.oldest_ready.is_some(), told);
    bench.check_depth(&lane, Depth { ready: 2, delayed: 1, leased: Some(1), ..EMPTY }).await;
    assert!(depth.oldest_ready < Some(HOUR));
    bench.queue.hand_back(&leased.receipt).await.expect("ours");
    let after = bench.queue.depth(&lane).await.expect("a depth");
    assert!(after.ready == 3 && after.oldest_ready >= depth.oldest_ready, "{after:?}");
    for _ in 0..3 {
        bench.queue.ack(&bench.lease(&lane, LONG).await.receipt).await.expect("ours");
    }
    bench.check_depth(&lane, Depth { delayed: 1, ..EMPTY }).await;
}

pub(crate) async fn leases_from_the_first_lane_that_has_something(bench: &Bench) {
    let lanes = [lane("a"), lane("b"), lane("c")];
    let urgent = NewMessage { priority: Priority::High, ..message("c1") };
    bench.queue.publish(&lanes[2], &urgent).await.expect("stored");
    bench.publish(&lanes[1], "b1").await;
    bench.publish(&lanes[1], "b2").await;
    let mut order = Vec::new();
    while let Some(leased) = bench.queue.lease(&lanes, LONG, Duration::ZERO).await.expect("an answer") {
        order.push((text(&leased).to_owned(), leased.lane.clone()));
        bench.queue.ack(&leased.receipt).await.expect("the receipt knows its lane");
    }
    let [_, b, c] = lanes;
    assert_eq!(order, [("b1".to_owned(), b.clone()), ("b2".to_owned(), b), ("c1".to_owned(), c)]);
    assert!(bench.queue.lease(&[], LONG, Duration::ZERO).await.expect("an answer").is_none());
}

pub(crate) async fn loses_and_doubles_nothing_under_many_consumers(bench: &Bench) {
    const MESSAGES: usize = 500;
    let (lane, count) = (lane("q"), Arc::new(AtomicUsize::new(0)));
    // As two workers with many places each: some share a connection, some meet on the server only.
    let connections = [bench.queue.clone(), bench.another().await];
    let mut consumers = tokio::task::JoinSet::new();
    for i in 0..64 {
        let (queue, lanes, count) = (connections[i % connections.len()].clone(), [lane.clone()], count.clone());
        consumers.spawn(async move {
            let mut taken = Vec::new();
            while count.load(Ordering::SeqCst) < MESSAGES {
                let Some(leased) = queue.lease(&lanes, LONG, SHORT).await.expect("an answer") else { continue };
                assert_eq!(leased.attempt, 1);
                queue.ack(&leased.receipt).await.expect("nobody else has it");
                taken.push(text(&leased).parse::<usize>().expect("a number"));
                count.fetch_add(1, Ordering::SeqCst);
            }
            taken
        });
    }
    for i in 0..MESSAGES {
        bench.publish(&lane, &i.to_string()).await;
    }
    let all = tokio::time::timeout(PATIENCE * 2, consumers.join_all()).await.expect("all are taken");
    let mut taken = all.concat();
    taken.sort_unstable();
    assert_eq!(taken, (0..MESSAGES).collect::<Vec<_>>());
    bench.check_depth(&lane, EMPTY).await;
}

pub(crate) async fn wakes_a_waiting_lease_for_a_message(bench: &Bench) {
    let lane = lane("q");
    for round in 0..10 {
        let (waiting, publishing) = (bench.lease(&lane, LONG), async {
            // Early rounds publish while the lease call is still on its way, later ones when it surely waits.
            tokio::time::sleep(Duration::from_millis(round * 5)).await;
            bench.publish(&lane, "task").await;
        });
        let (leased, ()) = tokio::join!(waiting, publishing);
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
}

pub(crate) async fn wakes_a_waiting_lease_for_what_is_handed_back(bench: &Bench) {
    let lane = lane("q");
    bench.publish(&lane, "task").await;
    let first = bench.lease(&lane, LONG).await;
    let (second, ()) = tokio::join!(bench.lease(&lane, LONG), async {
        tokio::time::sleep(SHORT).await;
        bench.queue.hand_back(&first.receipt).await.expect("ours");
    });
    assert_eq!((second.message_id, second.attempt), (first.message_id, 1));
}

pub(crate) async fn gives_up_a_wait_when_it_is_over(bench: &Bench) {
    let lanes = [lane("a"), lane("b")];
    assert!(bench.queue.lease(&lanes, LONG, SHORT).await.expect("an answer").is_none());
    assert!(bench.queue.events(&Cursor::default(), SHORT).await.expect("an answer").bodies.is_empty());
}

/// Where there can be one reader only, it reads them all, perhaps in another order, and some of them twice.
async fn tells_the_one_reader_every_event(bench: &Bench) {
    let emitted: BTreeSet<Vec<u8>> = (0..150).map(|i: u32| i.to_string().into_bytes()).collect();
    for body in &emitted {
        bench.queue.emit(body).await.expect("emitted");
    }
    let (reader, mut cursor, mut read) = (bench.another().await, Cursor::default(), BTreeSet::new());
    while read.len() < emitted.len() {
        let events = reader.events(&cursor, PATIENCE).await.expect("an answer");
        assert!(!events.bodies.is_empty(), "events are missing after {}", read.len());
        read.extend(events.bodies);
        cursor = events.next;
    }
    assert_eq!(read, emitted);
    assert!(reader.events(&cursor, Duration::ZERO).await.expect("an answer").bodies.is_empty());
}

pub(crate) async fn tells_every_reader_every_event(bench: &Bench) {
    const EVENTS: usize = 620;
    if bench.queue.limits().readers == Readers::One {
        return tells_the_one_reader_every_event(bench).await;
    }
    let (mut early, other) = (Cursor::default(), bench.another().await);
    let none = bench.queue.events(&early, Duration::ZERO).await.expect("an answer");
    assert_eq!((none.bodies.len(), &none.next), (0, &early));
    let bodies: Vec<Vec<u8>> = (0..EVENTS).map(|i| i.to_string().into_bytes()).collect();
    let (mut read_early, mut read_late) = (Vec::new(), Vec::new());
    for body in &bodies {
        bench.queue.emit(body).await.expect("emitted");
        if read_early.len() < 3 {
            let events = other.events(&early, PATIENCE).await.expect("an answer");
            read_early.extend(events.bodies);
            early = events.next;
        }
    }
    let mut late = Cursor::default();
    for (queue, cursor, read) in [(&other, &mut early, &mut read_early), (&bench.queue, &mut late, &mut read_late)] {
        while read.len() < EVENTS {
            let events = queue.events(cursor, PATIENCE).await.expect("an answer");
            assert!(!events.bodies.is_empty(), "events are missing after {}", read.len());
            read.extend(events.bodies);
            *cursor = events.next;
        }
    }
    assert_eq!((read_early, read_late), (bodies.clone(), bodies));
    let end = bench.queue.events(&early, Duration::ZERO).await.expect("an answer");
    assert_eq!((end.bodies.len(), end.next), (0, early));
}

pub(crate) async fn wakes_a_waiting_reader(bench: &Bench) {
    bench.queue.emit(b"past").await.expect("emitted");
    let past = bench.queue.events(&Cursor::default(), Duration::ZERO).await.expect("an answer").next;
    let (events, ()) = tokio::join!(bench.queue.events(&past, PATIENCE), async {
        tokio::time::sleep(SHORT).await;
        bench.queue.emit(b"\xff\0news").await.expect("emitted");
    });
    assert_eq!(events.expect("an answer").bodies, [b"\xff\0news"]);
}

pub(crate) async fn reads_from_the_oldest_with_a_cursor_of_another_server(bench: &Bench) {
    bench.queue.emit(b"old").await.expect("emitted");
    for foreign in
        ["kafka:9", "redis:", "sqlite:x", "nats:x", "nats:9", "redis:$", "redis:9; FLUSHALL", "99999999999999999999"]
    {
        let events = bench.queue.events(&Cursor(foreign.to_owned()), Duration::ZERO).await.expect("an answer");
        assert_eq!(events.bodies, [b"old"], "{foreign}");
    }
}

pub(crate) async fn carries_any_bytes(bench: &Bench) {
    let lane = lane("q");
    let every_byte: Vec<u8> = (0..=255).collect();
    let largest = every_byte.repeat(4096).into_iter().take(bench.queue.limits().largest_body).collect();
    for body in [every_byte.clone(), Vec::new(), largest] {
        bench.queue.publish(&lane, &message(&body)).await.expect("stored");
        let leased = bench.lease(&lane, LONG).await;
        assert!(leased.body == body, "{} bytes came back as {}", body.len(), leased.body.len());
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
}

pub(crate) async fn shares_its_lanes_between_connections(bench: &Bench) {
    let (lane, other) = (lane("q"), bench.another().await);
    other.publish(&lane, &message("task")).await.expect("stored");
    let leased = bench.lease(&lane, LONG).await;
    if !bench.queue.limits().receipts_travel {
        assert!(is_lost(other.ack(&leased.receipt).await), "it serves on no other connection");
        return bench.queue.ack(&leased.receipt).await.expect("it serves on its own");
    }
    other.ack(&leased.receipt).await.expect("a receipt holds on every connection");
    assert!(is_lost(bench.queue.ack(&leased.receipt).await));
}

pub(crate) async fn keeps_farms_apart(bench: &Bench) {
    let studio = connect(&bench.url, &farm("studio")).await.expect("another farm");
    studio.emit(b"theirs").await.expect("emitted");
    bench.queue.emit(b"ours").await.expect("emitted");
    for (queue, want) in [(&studio, b"theirs".to_vec()), (&bench.queue, b"ours".to_vec())] {
        let events = queue.events(&Cursor::default(), Duration::ZERO).await.expect("an answer");
        assert_eq!(events.bodies, [want]);
    }
    bench.publish(&QueueName::default().intake(), "ours").await;
    assert!(studio.lease(&[farm("studio").intake()], LONG, Duration::ZERO).await.expect("an answer").is_none());
}

pub(crate) async fn lets_no_priority_wait_for_ever(bench: &Bench) {
    let lane = lane("q");
    use Priority::{High, Low, Normal};
    for (priority, count) in [(High, 20), (Normal, 4), (Low, 4)] {
        for _ in 0..count {
            let message = NewMessage { priority, ..message(format!("{priority:?}")) };
            bench.queue.publish(&lane, &message).await.expect("stored");
        }
    }
    let mut order = Vec::new();
    for _ in 0..16 {
        let leased = bench.lease(&lane, LONG).await;
        order.push(text(&leased).to_owned());
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
    let led = |which: &str| order.iter().filter(|body| *body == which).count();
    assert_eq!((led("High"), led("Normal"), led("Low")), (12, 2, 2), "{order:?}");
}

pub(crate) async fn dead_letters_are_retried_or_dropped(bench: &Bench) {
    let lane = lane("q");
    for body in ["a", "b", "c"] {
        let priority = if body == "c" { Priority::High } else { Priority::Normal };
        bench.queue.publish(&lane, &NewMessage { priority, ..message(body) }).await.expect("stored");
    }
    let mut ids = std::collections::BTreeMap::new();
    for _ in 0..3 {
        let leased = bench.lease(&lane, LONG).await;
        bench.queue.dead_letter(&leased.receipt, "why").await.expect("ours");
        ids.insert(text(&leased).to_owned(), leased.message_id);
    }
    let (queue, other) = (&bench.queue, crate::bench::lane("other"));
    assert!(queue.drop_dead(&lane, &ids["b"]).await.expect("an answer"));
    assert!(queue.retry_dead(&lane, &ids["a"]).await.expect("an answer"));
    assert!(queue.retry_dead(&lane, &ids["c"]).await.expect("an answer"));
    for gone in ["a", "b", "c"] {
        assert!(!queue.retry_dead(&lane, &ids[gone]).await.expect("an answer"), "{gone} is dead no more");
        assert!(!queue.drop_dead(&lane, &ids[gone]).await.expect("an answer"), "{gone} is dead no more");
    }
    assert!(!queue.retry_dead(&other, &ids["b"]).await.expect("an answer"));
    bench.check_depth(&lane, Depth { ready: 2, ..EMPTY }).await;
    // A connection that took nothing yet, whose first turns are those of the urgent.
    let fresh = bench.another().await;
    for want in ["c", "a"] {
        let leased = fresh.lease(std::slice::from_ref(&lane), LONG, PATIENCE).await.expect("an answer");
        let leased = leased.expect("a message comes");
        assert_eq!((text(&leased), leased.attempt), (want, 1), "a retried letter is as new, with its priority");
        assert_eq!(leased.message_id, ids[want]);
        fresh.ack(&leased.receipt).await.expect("ours");
    }
    bench.check_depth(&lane, EMPTY).await;
}

pub(crate) async fn notices_are_seen_by_all_until_withdrawn(bench: &Bench) {
    let (queue, other) = (&bench.queue, bench.another().await);
    assert!(queue.notices().await.expect("an answer").is_empty());
    let canceled = |n: u128| Notice::Canceled(JobId::new(uuid::Uuid::from_u128(n)));
    let (paused, first, second) = (Notice::Paused(lane("q")), canceled(1), canceled(2));
    for notice in [&paused, &first, &second, &paused] {
        queue.post(notice).await.expect("posted");
    }
    let all = [paused.clone(), first.clone(), second.clone()];
    assert_eq!(other.notices().await.expect("an answer"), all.into());
    other.withdraw(&first).await.expect("withdrawn");
    other.withdraw(&canceled(3)).await.expect("it was never up");
    assert_eq!(queue.notices().await.expect("an answer"), [paused.clone(), second].into());
    let studio = connect(&bench.url, &farm("studio")).await.expect("another farm");
    assert!(studio.notices().await.expect("an answer").is_empty(), "another farm's");
    queue.withdraw(&paused).await.expect("withdrawn");
    assert_eq!(other.notices().await.expect("an answer").len(), 1);
}
