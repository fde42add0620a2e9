//! NATS servers that die, hang, are full or empty, and those that do not let everybody in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reelmill_api::{Notice, QueueName};
use reelmill_lab::{nats::Nats, programs::free_port, relay::Relay};
use reelmill_queue::{Cursor, Depth, NewMessage, Published, QueueError, connect};

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, certificate, is_lost, lane, message, text, until};
use crate::nats_only::{at, take};

/// No call against a dead server may take longer; the driver's own bounds are 3 s for the lanes and 3 s for the call.
const BOUND: Duration = Duration::from_secs(30);

async fn told(url: &str) -> String {
    let error = connect(url, &QueueName::default()).await.err().expect("no entry");
    format!("{error} {error:?} {:?}", error.hint())
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_the_server_was_killed_and_started_again() {
    let (mut server, lane) = (Nats::start(), lane("q"));
    let queue = at(&server.url()).await;
    for body in ["leased", "waiting"] {
        queue.publish(&lane, &message(body)).await.expect("stored");
    }
    queue.publish(&lane, &NewMessage { delay: LONG, ..message("later") }).await.expect("stored");
    let leased = take(&queue, &lane).await;
    // A call that waits while the server goes away and comes back gets its message all the same, or an error in time.
    let waiter = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(&[crate::bench::lane("elsewhere")], LONG, PATIENCE).await }
    });
    server.kill();
    let begun = Instant::now();
    let error = queue.publish(&lane, &message("lost")).await.expect_err("nobody answers");
    assert!(matches!(error, QueueError::Failed { .. }) && begun.elapsed() < BOUND, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    server.start_again();

    let acked = until("the next ack", async || match queue.ack(&leased.receipt).await {
        Err(QueueError::Failed { .. }) => None,
        settled => Some(settled),
    });
    acked.await.expect("the lease survived");
    let waiting = take(&queue, &lane).await;
    assert_eq!((text(&waiting), waiting.attempt), ("waiting", 1));
    queue.publish(&crate::bench::lane("elsewhere"), &message("for the waiter")).await.expect("stored");
    match waiter.await.expect("no panic") {
        Ok(leased) => assert_eq!(text(&leased.expect("a message")), "for the waiter"),
        Err(error) => assert!(matches!(error, QueueError::Failed { .. }), "{error}"),
    }
    assert!(is_lost(queue.ack(&leased.receipt).await), "what is done stays done");
    assert_eq!(
        at(&server.url()).await.depth(&lane).await.expect("a depth"),
        Depth { delayed: 1, leased: Some(1), ..EMPTY }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_leases_delays_keys_and_dead_letters() {
    const SECOND: Duration = Duration::from_secs(1);
    let (mut server, lane) = (Nats::start(), lane("q"));
    let queue = at(&server.url()).await;
    let keyed = NewMessage { dedupe_key: Some("k \n\u{e4}".to_owned()), ..message("keyed") };
    assert_eq!(queue.publish(&lane, &keyed).await.expect("stored"), Published::Stored);
    let lanes = std::slice::from_ref(&lane);
    let take = async |lasting| queue.lease(lanes, lasting, PATIENCE).await.expect("an answer").expect("a message");
    queue.ack(&take(LONG).await.receipt).await.expect("ours");
    queue.publish(&lane, &message("dead")).await.expect("stored");
    queue.dead_letter(&take(LONG).await.receipt, "why\nnot").await.expect("ours");
    for body in ["held", "held shortly"] {
        queue.publish(&lane, &message(body)).await.expect("stored");
    }
    let held = take(LONG).await;
    let held_shortly = take(SECOND).await;
    for (body, delay) in [("soon", SECOND), ("later", LONG)] {
        queue.publish(&lane, &NewMessage { delay, ..message(body) }).await.expect("stored");
    }
    let paused = Notice::Paused(lane.clone());
    queue.post(&paused).await.expect("posted");

    server.kill();
    server.start_again();
    tokio::time::sleep(SECOND + SHORT).await;
    // Another one, who knows of all this only from the server, and must not count from when it came to know.
    let other = at(&server.url()).await;
    assert_eq!(other.publish(&lane, &keyed).await.expect("an answer"), Published::Duplicate);
    let depth = other.depth(&lane).await.expect("a depth");
    assert_eq!(depth, Depth { ready: 2, delayed: 1, leased: Some(1), dead: 1, oldest_ready: depth.oldest_ready });
    assert_eq!(other.dead_letters(&lane, 9).await.expect("letters")[0].reason, "why\nnot");
    assert_eq!(other.notices().await.expect("notices"), [paused].into());
    for body in ["held shortly", "soon"] {
        let leased = other.lease(lanes, LONG, Duration::ZERO).await.expect("an answer").expect("it is due");
        assert_eq!(text(&leased), body);
    }
    assert!(is_lost(other.ack(&held_shortly.receipt).await));
    other.ack(&held.receipt).await.expect("the lease survived");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_every_task_once_while_the_server_dies_again_and_again() {
    const MESSAGES: usize = 200;
    let (mut server, lane) = (Nats::start(), lane("q"));
    let over = Arc::new(AtomicBool::new(false));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (queue, lanes, over) = (at(&server.url()).await, [lane.clone()], over.clone());
        consumers.spawn(async move {
            let mut ended = Vec::new();
            while !over.load(Ordering::SeqCst) {
                // Errors are what a killed server is answered with; a lease that nobody got to know of runs out.
                let Ok(Some(leased)) = queue.lease(&lanes, Duration::from_secs(3), SHORT).await else { continue };
                if queue.ack(&leased.receipt).await.is_ok() {
                    ended.push(text(&leased).parse::<usize>().expect("a number"));
                }
            }
            ended
        });
    }
    let queue = at(&server.url()).await;
    let publisher = tokio::spawn({
        let (queue, lane) = (queue.clone(), lane.clone());
        async move {
            for i in 0..MESSAGES {
                let keyed = NewMessage { dedupe_key: Some(i.to_string()), ..message(i.to_string()) };
                until("a publication", async || queue.publish(&lane, &keyed).await.ok()).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
        server.start_again();
    }
    publisher.await.expect("no panic");
    until("all being done", async || {
        let depth = queue.depth(&lane).await.ok()?;
        (depth == EMPTY).then_some(())
    })
    .await;
    over.store(true, Ordering::SeqCst);
    let mut ended = consumers.join_all().await.concat();
    ended.sort_unstable();
    let told = ended.len();
    ended.dedup();
    assert_eq!(ended.len(), told, "no task ended twice");
    // An acknowledgement may have come to pass without an answer, but most had one.
    assert!(told > MESSAGES / 2, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn does_a_call_once_even_if_its_answer_is_lost() {
    let (bench, lane) = (Bench::nats().await, lane("q"));
    let relay = Relay::before(bench.nats_server().port).await;
    let queue = at(&format!("nats://127.0.0.1:{}", relay.port)).await;
    // Every lane is open and everything is read, so that the next that comes is an answer.
    let settled = async || {
        queue.publish(&lane, &message("warm")).await.expect("stored");
        let warm = take(&queue, &lane).await;
        queue.ack(&warm.receipt).await.expect("ours");
        queue.depth(&lane).await.expect("a depth")
    };
    settled().await;

    relay.cut_next_answer();
    assert_eq!(queue.publish(&lane, &message("task")).await.expect("stored"), Published::Stored);
    assert_eq!(queue.depth(&lane).await.expect("a depth").ready, 1);
    let first = bench.lease(&lane, LONG).await;
    bench.queue.ack(&first.receipt).await.expect("ours");
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), ..message("keyed") };
    settled().await;
    relay.cut_next_answer();
    assert_eq!(queue.publish(&lane, &keyed).await.expect("stored"), Published::Stored);
    assert_eq!(queue.publish(&lane, &keyed).await.expect("an answer"), Published::Duplicate);

    relay.cut_next_answer();
    let first = take(&queue, &lane).await;
    assert_eq!((first.attempt, text(&first)), (1, "keyed"));
    relay.cut_next_answer();
    queue.hand_back(&first.receipt).await.expect("ours");
    let same = take(&queue, &lane).await;
    assert_eq!(same.attempt, 1);
    relay.cut_next_answer();
    queue.retry_after(&same.receipt, Duration::ZERO).await.expect("ours");
    let second = take(&queue, &lane).await;
    assert_eq!((second.attempt, text(&second)), (2, "keyed"));
    relay.cut_next_answer();
    queue.extend(&second.receipt, LONG).await.expect("ours");
    relay.cut_next_answer();
    queue.dead_letter(&second.receipt, "why").await.expect("ours");
    assert!(is_lost(queue.ack(&second.receipt).await), "another call is not a repetition");
    relay.cut_next_answer();
    assert!(queue.retry_dead(&lane, &second.message_id).await.expect("an answer"));
    let third = take(&queue, &lane).await;
    assert_eq!(third.attempt, 1);
    relay.cut_next_answer();
    queue.ack(&third.receipt).await.expect("ours");
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), EMPTY);
    assert_eq!(relay.cut_answers(), 9, "every cut was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_hang_with_a_server_that_hangs() {
    let (bench, lane) = (Bench::nats().await, lane("q"));
    bench.publish(&lane, "task").await;
    bench.queue.depth(&lane).await.expect("everything is read");
    bench.nats_server().pause();
    let begun = Instant::now();
    let error = bench.queue.lease(std::slice::from_ref(&lane), LONG, LONG).await.expect_err("nobody answers");
    let took = begun.elapsed();
    bench.nats_server().resume();
    assert!(took < BOUND, "{took:?}");
    let told = error.to_string();
    let beginning = format!("at nats://127.0.0.1:{}: ", bench.nats_server().port);
    assert!(told.contains("lane q ") && told.contains(&beginning), "{told}");
    until("the next call", async || bench.queue.depth(&lane).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_a_server_that_lost_everything() {
    let (mut server, lane) = (Nats::start(), lane("q"));
    let queue = at(&server.url()).await;
    for i in 0..5 {
        queue.publish(&lane, &message(format!("old {i}"))).await.expect("stored");
    }
    let held = take(&queue, &lane).await;
    queue.emit(b"old").await.expect("emitted");
    let read = queue.events(&Cursor::default(), Duration::ZERO).await.expect("events").next;
    server.start_anew();
    until("the streams being made again", async || queue.depth(&lane).await.ok()).await;
    queue.publish(&lane, &message("new")).await.expect("stored");
    let leased = take(&queue, &lane).await;
    assert_eq!(text(&leased), "new");
    assert!(is_lost(queue.ack(&held.receipt).await), "another message has its number");
    queue.emit(b"first").await.expect("emitted");
    queue.emit(b"second").await.expect("emitted");
    let events = queue.events(&read, PATIENCE).await.expect("events");
    assert_eq!(events.bodies, [b"first".to_vec(), b"second".to_vec()]);
    server.publish("q", b"plain");
    let plain = take(&queue, &lane).await;
    assert_eq!(text(&plain), "plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_new_tasks_for_new_where_an_operator_removed_the_old_ones() {
    let (bench, lane) = (Bench::nats().await, lane("q"));
    for body in ["done", "dead", "held"] {
        bench.publish(&lane, body).await;
    }
    let queue = &bench.queue;
    queue.ack(&take(queue, &lane).await.receipt).await.expect("ours");
    queue.dead_letter(&take(queue, &lane).await.receipt, "why").await.expect("ours");
    let held = take(queue, &lane).await;
    let js = async_nats::jetstream::new(async_nats::connect(&bench.url).await.expect("it answers"));
    js.delete_stream("reelmill-tasks").await.expect("removed");
    // The records of the old ones stay, and the new ones get their numbers.
    let other = bench.another().await;
    for i in 0..3 {
        other.publish(&lane, &message(format!("new {i}"))).await.expect("stored");
    }
    for i in 0..3 {
        let leased = take(&other, &lane).await;
        assert_eq!((text(&leased), leased.attempt), (format!("new {i}").as_str(), 1));
        assert!(is_lost(other.ack(&held.receipt).await));
        other.ack(&leased.receipt).await.expect("ours");
    }
    assert_eq!(other.depth(&lane).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_refuses_and_loses_nothing() {
    let mut server = Nats::start_plain("jetstream { store_dir: STORE, max_file_store: 1MB }");
    let (queue, lane) = (at(&server.url()).await, lane("q"));
    queue.publish(&lane, &message("held")).await.expect("stored");
    let held = take(&queue, &lane).await;
    let body = vec![7; 100_000];
    let mut stored = 0;
    let error = loop {
        match queue.publish(&lane, &message(&body)).await {
            Ok(_) => stored += 1,
            Err(e) => break e,
        }
        assert!(stored < 20, "it is never full");
    };
    assert!(matches!(&error, QueueError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("resource"), "{error}");
    // One who comes then sees what is there; but where nothing can be written, nothing can be leased or settled.
    let other = at(&server.url()).await;
    for queue in [&queue, &other] {
        let depth = queue.depth(&lane).await.expect("a depth");
        assert_eq!(depth, Depth { ready: stored, leased: Some(1), oldest_ready: depth.oldest_ready, ..EMPTY });
        for error in [
            queue.ack(&held.receipt).await.expect_err("no room"),
            queue.lease(std::slice::from_ref(&lane), LONG, PATIENCE).await.expect_err("no room"),
        ] {
            assert!(error.to_string().contains("resource"), "{error}");
        }
    }
    server.configure("jetstream { store_dir: STORE, max_file_store: 10MB }");
    until("room", async || queue.ack(&held.receipt).await.ok()).await;
    for _ in 0..stored {
        let leased = take(&queue, &lane).await;
        assert_eq!((leased.attempt, leased.body.len()), (1, body.len()));
        queue.ack(&leased.receipt).await.expect("ours");
    }
    assert_eq!(other.depth(&lane).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_nobody_answers_without_the_password() {
    let begun = Instant::now();
    let told = told(&format!("nats://farm:hunter2@127.0.0.1:{}", free_port())).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(told.contains("cannot connect to the queue at nats://127.0.0.1:") && told.contains("refused"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_is_wrong_with_a_login_without_the_password() {
    let users = "authorization { users: [ { user: farm, password: \"right/horse\" } ] }";
    let server = Nats::start_with(users);
    let url = |login: &str| format!("nats://{login}127.0.0.1:{}", server.port);
    for login in ["farm:hunter2@", "hunter2@", ""] {
        let told = told(&url(login)).await;
        assert!(told.contains("refused the user, the password or the token"), "{login}: {told}");
        assert!(!told.contains("hunter2"), "{login}: {told}");
    }
    let queue = at(&url("farm:right%2Fhorse@")).await;
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth"), EMPTY);

    let server = Nats::start_with("authorization { token: \"sesame/open\" }");
    let queue = at(&format!("nats://sesame%2Fopen@127.0.0.1:{}", server.port)).await;
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_a_user_may_not_do() {
    let rights = "authorization { users: [ { user: u, password: pw, permissions: { publish: \"_INBOX.>\" } } ] }";
    let server = Nats::start_with(rights);
    let begun = Instant::now();
    let told = told(&format!("nats://u:pw@127.0.0.1:{}", server.port)).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(told.to_lowercase().contains("permissions violation for publish"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn works_with_the_rights_that_the_documents_name() {
    let documents = include_str!("../../../../../docs/operate/worker.md");
    let rights = documents.split("```").find(|block| block.contains("permissions: {")).expect("they name the rights");
    let server = Nats::start_with(&format!("authorization {{ users: [ {{ user: u, password: pw, {rights} }} ] }}"));
    let (queue, lane) = (at(&format!("nats://u:pw@127.0.0.1:{}", server.port)).await, lane("reelmill-hls-ladder"));
    queue.publish(&lane, &message("task")).await.expect("stored");
    queue.extend(&take(&queue, &lane).await.receipt, Duration::ZERO).await.expect("ours");
    queue.dead_letter(&take(&queue, &lane).await.receipt, "why").await.expect("ours");
    let letter = queue.dead_letters(&lane, 1).await.expect("letters").remove(0);
    assert!(queue.drop_dead(&lane, &letter.message_id).await.expect("an answer"));
    queue.post(&Notice::Paused(lane.clone())).await.expect("posted");
    queue.emit(b"event").await.expect("emitted");
    assert_eq!(queue.events(&Cursor::default(), PATIENCE).await.expect("events").bodies, [b"event"]);
    assert_eq!(queue.depth(&lane).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_jetstream_is_off() {
    let server = Nats::start_plain("");
    let told = told(&server.url()).await;
    assert!(told.contains("JetStream is off") && told.contains("jetstream {}"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_tls_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (certificate(folder.path(), "ours"), certificate(folder.path(), "other"));
    let key = ours.replace(".pem", ".key");
    let server = Nats::start_with(&format!("tls {{ cert_file: {ours:?}, key_file: {key:?} }}"));
    let url = |query: &str| format!("tls://127.0.0.1:{}{query}", server.port);

    let queue = at(&url(&format!("?ca={ours}"))).await;
    queue.publish(&lane("q"), &message("task")).await.expect("stored");
    assert!(queue.lease(&[lane("q")], LONG, PATIENCE).await.expect("an answer").is_some());
    for query in [String::new(), format!("?ca={other}")] {
        let told = told(&url(&query)).await;
        assert!(told.contains("certificate"), "{query}: {told}");
    }
    // Who asks for TLS never speaks in the clear.
    let plain = Nats::start();
    let told = told(&format!("tls://127.0.0.1:{}?ca={ours}", plain.port)).await;
    assert!(told.contains("cannot connect"), "{told}");
}
