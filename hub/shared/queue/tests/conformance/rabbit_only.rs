//! What is special about RabbitMQ: what strangers publish and declare, leases that end with their connection, the server's
//! own limit on them, lost servers, logins and TLS.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use reelmill_api::{Notice, Priority, QueueName};
use reelmill_lab::{
    programs::{Running, free_port, output},
    rabbitmq::RabbitMq,
    relay::Relay,
};
use reelmill_queue::{Cursor, Depth, Leased, NewMessage, Queue, QueueError, connect};
use rustix::process::Signal;

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, certificate, is_lost, lane, message, text, until};
use crate::promises::leaves_a_job_that_outlasts_the_servers_own_limit_to_its_worker;

/// Tells a child process of these tests which queue to work on.
const CHILD_URL: &str = "REELMILL_TEST_QUEUE";
/// No call against a dead server may take longer; the driver's own bound is 5 s.
const BOUND: Duration = Duration::from_secs(30);
/// How long a test waits for what depends on heartbeats.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// A depth as this driver tells it.
const NOTHING: Depth = Depth { leased: None, ..EMPTY };

/// Runs a real client of strangers.
fn amqp(program: &str, url: &str, words: &[&str], input: &[u8]) {
    let mut command = Command::new(program);
    command.args(["--url", url]).args(words);
    let ran = output(command, input);
    assert!(ran.status.success(), "{program} {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr));
}

fn publish_plainly(bench: &Bench, body: &[u8]) {
    amqp("amqp-publish", &bench.url, &["--routing-key", "reelmill"], body);
}

async fn lease(queue: &dyn Queue, name: &str) -> Leased {
    let leased = queue.lease(&[lane(name)], LONG, LONG_PATIENCE).await.expect("an answer");
    leased.expect("a message comes in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_in_what_strangers_publish_to_the_default_exchange() {
    let (bench, lane) = (Bench::rabbit().await, lane("reelmill"));
    let job = br#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;
    let bodies = [&job[..], b"same", b"same", b"\xff\x00\xfe not text\r\n"];
    bodies.iter().for_each(|body| publish_plainly(&bench, body));
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), Depth { ready: 4, ..NOTHING });

    let mut leased = Vec::new();
    for body in bodies {
        leased.push(bench.lease(&lane, LONG).await);
        assert_eq!((&leased[leased.len() - 1].body[..], leased[leased.len() - 1].attempt), (body, 1));
    }
    let mut ids: Vec<_> = leased.iter().map(|l| &l.message_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), bodies.len(), "every message has an id of its own");
    bench.queue.retry_after(&leased[0].receipt, Duration::ZERO).await.expect("ours");
    let again = bench.lease(&lane, SHORT).await;
    assert_eq!((&again.message_id, again.attempt), (&leased[0].message_id, 2));
    let third = bench.lease(&lane, LONG).await;
    assert_eq!((&third.message_id, third.attempt, &third.body[..]), (&leased[0].message_id, 3, &job[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_lease_finds_what_a_stranger_publishes_meanwhile() {
    let (bench, lane) = (Bench::rabbit().await, lane("reelmill"));
    let (leased, ()) = tokio::join!(bench.lease(&lane, LONG), async {
        tokio::time::sleep(SHORT).await;
        publish_plainly(&bench, b"job");
    });
    assert_eq!(text(&leased), "job");
}

#[tokio::test(flavor = "multi_thread")]
async fn lives_with_a_queue_that_a_stranger_declared() {
    let (bench, lane) = (Bench::rabbit().await, lane("theirs"));
    amqp("amqp-declare-queue", &bench.url, &["--durable", "--queue", "theirs"], b"");
    amqp("amqp-publish", &bench.url, &["--routing-key", "theirs"], b"job");
    let first = bench.lease(&lane, SHORT).await;
    // A classic queue does not count; what came back from there is counted all the same.
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((first.attempt, second.attempt, &second.message_id), (1, 2, &first.message_id));
    assert!(is_lost(bench.queue.ack(&first.receipt).await));
    bench.queue.hand_back(&second.receipt).await.expect("ours");
    let again = bench.lease(&lane, LONG).await;
    assert_eq!((again.attempt, text(&again)), (2, "job"));
    bench.queue.ack(&again.receipt).await.expect("ours");
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_what_was_published_first_first() {
    let (bench, lane) = (Bench::rabbit().await, lane("q"));
    for i in 0..20 {
        bench.publish(&lane, &i.to_string()).await;
    }
    for i in 0..20 {
        assert_eq!(text(&bench.lease(&lane, LONG).await), i.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_that_read_the_dead_letters_at_once_sees_all() {
    let (bench, lane) = (Bench::rabbit().await, lane("q"));
    for body in ["a", "b", "c", "d"] {
        bench.publish(&lane, body).await;
        bench.queue.dead_letter(&bench.lease(&lane, LONG).await.receipt, "why").await.expect("ours");
    }
    let other = bench.another().await;
    for _ in 0..5 {
        let (one, two) = tokio::join!(bench.queue.dead_letters(&lane, 9), other.dead_letters(&lane, 9));
        assert_eq!((one.expect("letters").len(), two.expect("letters").len()), (4, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_a_board_that_is_written_anew_now_and_then() {
    let (bench, paused) = (Bench::rabbit().await, |i: u32| Notice::Paused(lane(&format!("lane{i}"))));
    bench.queue.post(&paused(0)).await.expect("posted");
    for i in 1..160 {
        bench.queue.post(&paused(i)).await.expect("posted");
        bench.queue.withdraw(&paused(i)).await.expect("withdrawn");
    }
    for queue in [&bench.queue, &bench.another().await] {
        assert_eq!(queue.notices().await.expect("an answer"), [paused(0)].into());
    }
}

/// Not a test but the main function of the process that the next test starts.
#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_keeps_a_lease() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
    let leased = lease(&*queue, "q").await;
    queue.emit(b"leased").await.expect("emitted");
    // It keeps extending for as long as it is told that the lease is its own. The patience of others does not stand still
    // with this process.
    loop {
        match queue.extend(&leased.receipt, LONG).await {
            Err(QueueError::LeaseLost { .. }) => break,
            Err(error) => println!("{error}"),
            Ok(()) => {}
        }
        tokio::time::sleep(SHORT).await;
    }
    let told = format!("lost, ack was refused: {}", is_lost(queue.ack(&leased.receipt).await));
    while let Err(error) = queue.emit(told.as_bytes()).await {
        println!("{error}");
    }
}

/// Waits for the next event.
async fn hear(queue: &dyn Queue, cursor: &mut Cursor) -> String {
    let events = queue.events(cursor, LONG_PATIENCE).await.expect("an answer");
    *cursor = events.next;
    events.bodies.iter().map(|body| String::from_utf8_lossy(body)).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_loses_its_lease_and_is_told() {
    let (bench, mut cursor) = (Bench::rabbit().await, Cursor::default());
    bench.publish(&lane("q"), "task").await;
    let mut command = Command::new(std::env::current_exe().expect("this test's program"));
    command.args(["--exact", "rabbit_only::child_that_keeps_a_lease", "--ignored", "--nocapture"]);
    command.env(CHILD_URL, &bench.url);
    let child = Running::start(command);
    assert_eq!(hear(&*bench.queue, &mut cursor).await, "leased");
    child.signal(Signal::STOP);
    let second = lease(&*bench.queue, "q").await;
    assert_eq!((text(&second), second.attempt), ("task", 2));
    child.signal(Signal::CONT);
    assert_eq!(hear(&*bench.queue, &mut cursor).await, "lost, ack was refused: true");
    bench.queue.ack(&second.receipt).await.expect("the second lease holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_loses_nothing_and_doubles_at_most_what_is_declared() {
    let (bench, lane) = (Bench::rabbit().await, lane("q"));
    let relay = Relay::before(bench.host().port()).await;
    let url = format!("amqp://127.0.0.1:{}/{}", relay.port, bench.host().name());
    let queue = connect(&url, &QueueName::default()).await.expect("it answers");
    let lanes = std::slice::from_ref(&lane);
    queue.publish(&lane, &message("first")).await.expect("stored");
    // The copy that the lost answer leaves has the same name, by which whoever works on it knows it.
    relay.cut_next_answer();
    queue.publish(&lane, &message("task")).await.expect("stored");
    let first = lease(&*queue, "q").await;
    queue.ack(&first.receipt).await.expect("ours");

    // What is leased ends with the connection, and the receipt with it.
    let leased = lease(&*queue, "q").await;
    relay.cut_next_answer();
    until("a cut", async || {
        let _ = queue.extend(&leased.receipt, LONG).await;
        (relay.cut_answers() == 2).then_some(())
    })
    .await;
    until("the loss", async || is_lost(queue.extend(&leased.receipt, LONG).await).then_some(())).await;
    for result in [queue.ack(&leased.receipt).await, queue.hand_back(&leased.receipt).await] {
        assert!(is_lost(result));
    }
    let mut taken = Vec::new();
    while let Some(again) = queue.lease(lanes, LONG, Duration::from_secs(2)).await.expect("an answer") {
        assert_eq!((text(&again), &again.message_id), ("task", &leased.message_id));
        queue.ack(&again.receipt).await.expect("ours");
        taken.push(again.attempt);
    }
    assert!(!taken.is_empty() && taken.len() <= 2, "{taken:?}");

    // Whatever is cut, the task ends in one of the places where it belongs.
    for settle in 0..3 {
        queue.publish(&lane, &message("other")).await.expect("stored");
        let leased = lease(&*queue, "q").await;
        relay.cut_next_answer();
        let settled = match settle {
            0 => queue.retry_after(&leased.receipt, Duration::ZERO).await,
            1 => queue.hand_back(&leased.receipt).await,
            _ => queue.dead_letter(&leased.receipt, "why").await,
        };
        let mut copies = 0;
        while let Some(copy) = queue.lease(lanes, LONG, Duration::from_secs(2)).await.expect("an answer") {
            assert_eq!(copy.message_id, leased.message_id, "{settle}: {settled:?}");
            queue.ack(&copy.receipt).await.expect("ours");
            copies += 1;
        }
        let letters = queue.dead_letters(&lane, 9).await.expect("letters");
        assert!(letters.iter().all(|letter| letter.message_id == leased.message_id), "{letters:?}");
        assert!(copies + letters.len() >= 1 && copies <= 2, "{settle}: {settled:?}: {copies} and {letters:?}");
        assert_eq!(letters.len(), usize::from(settle == 2), "{settle}: {settled:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_while_connections_are_cut_again_and_again() {
    const TASKS: usize = 60;
    let (bench, lane) = (Bench::rabbit().await, lane("q"));
    let relay = Relay::before(bench.host().port()).await;
    let url = format!("amqp://127.0.0.1:{}/{}", relay.port, bench.host().name());
    let queue = connect(&url, &QueueName::default()).await.expect("it answers");
    let taken = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (queue, lanes, taken) = (queue.clone(), [lane.clone()], taken.clone());
        consumers.spawn(async move {
            loop {
                let Ok(Some(leased)) = queue.lease(&lanes, LONG, SHORT).await else { continue };
                taken.lock().expect("no panic").insert(text(&leased).to_owned());
                // If this is not heard, another takes the task again.
                let _ = queue.ack(&leased.receipt).await;
            }
        });
    }
    for i in 0..TASKS {
        if i % 6 == 0 {
            relay.cut_next_answer();
        }
        until("room for a task", async || queue.publish(&lane, &message(i.to_string())).await.ok()).await;
    }
    until("every task", async || (taken.lock().expect("no panic").len() == TASKS).then_some(())).await;
    assert!(relay.cut_answers() >= 5, "only {} cuts were made", relay.cut_answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_outlives_the_servers_own_limit() {
    // Checked every second; below a minute the server would not be supported, but it shows the same.
    let server = RabbitMq::start_with("consumer_timeout = 8000", "{channel_tick_interval, 1000}");
    let url = format!("{}?consumer_timeout=8", server.url());
    let queue = connect(&url, &QueueName::default()).await.expect("it answers");
    let (lane, other) = (lane("q"), connect(&url, &QueueName::default()).await.expect("it answers"));
    assert_eq!(queue.limits().longest_hold, Some(Duration::from_secs(8)));
    leaves_a_job_that_outlasts_the_servers_own_limit_to_its_worker(&queue, &other).await;
    assert_eq!(queue.depth(&lane).await.expect("a depth"), NOTHING);

    // A driver that is not told loses it by that limit: the limit is real.
    let unaware = connect(&server.url(), &QueueName::default()).await.expect("it answers");
    queue.publish(&lane, &message("short")).await.expect("stored");
    let short = lease(&*unaware, "q").await;
    let again = lease(&*queue, "q").await;
    assert_eq!((again.attempt, &again.message_id), (2, &short.message_id));
    assert!(is_lost(unaware.ack(&short.receipt).await));
    // And a renewed lease comes back as the next attempt when its process is gone.
    tokio::time::sleep(Duration::from_secs(6)).await;
    queue.extend(&again.receipt, LONG).await.expect("ours");
    drop(queue);
    let third = lease(&*unaware, "q").await;
    assert_eq!((third.attempt, &third.message_id), (3, &short.message_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_when_the_server_dies_hangs_or_is_full() {
    let mut server = RabbitMq::start_with("", "");
    let queue = connect(&server.url(), &QueueName::default()).await.expect("it answers");
    goes_on_after_a_kill(&mut server, &*queue).await;
    has_all_again_when_it_is_told_of_its_streams(&mut server, &*queue).await;
    does_not_hang_with_a_server_that_hangs(&server, &*queue).await;
    says_that_the_server_is_full(&server, &*queue).await;
}

async fn goes_on_after_a_kill(server: &mut RabbitMq, queue: &dyn Queue) {
    let lane = lane("q");
    for body in ["leased", "waiting"] {
        queue.publish(&lane, &message(body)).await.expect("stored");
    }
    queue.publish(&lane, &NewMessage { delay: LONG, ..message("later") }).await.expect("stored");
    queue.publish(&lane, &NewMessage { priority: Priority::Low, ..message("dead") }).await.expect("stored");
    let paused = Notice::Paused(lane.clone());
    queue.post(&paused).await.expect("posted");
    queue.emit(b"event").await.expect("emitted");
    let leased = lease(queue, "q").await;
    let waiting = lease(queue, "q").await;
    queue.hand_back(&waiting.receipt).await.expect("ours");
    let mut low = lease(queue, "q").await;
    while text(&low) != "dead" {
        queue.hand_back(&low.receipt).await.expect("ours");
        low = lease(queue, "q").await;
    }
    queue.dead_letter(&low.receipt, "why").await.expect("ours");
    // In the second after its very first stream, 3.10 would forget where its streams are: that is not on the disk yet.
    server.evaluate("[ok = dets:sync(Table) || Table <- dets:all()].");
    server.kill();
    let begun = Instant::now();
    let error = queue.publish(&lane, &message("lost")).await.expect_err("nobody answers");
    assert!(matches!(error, QueueError::Failed { .. }) && begun.elapsed() < BOUND, "{error}");
    server.start_again();

    // Its streams come up some time after the rest.
    let depth = async || queue.depth(&lane).await.ok();
    until("a depth", depth).await;
    // The lease went with its connection, and only it is counted.
    assert!(is_lost(queue.ack(&leased.receipt).await));
    let mut attempts = std::collections::BTreeMap::new();
    while attempts.len() < 2 {
        let leased = lease(queue, "q").await;
        attempts.insert(text(&leased).to_owned(), leased.attempt);
        queue.ack(&leased.receipt).await.expect("ours");
    }
    assert_eq!(attempts, [("leased".to_owned(), 2), ("waiting".to_owned(), 1)].into());
    assert_eq!(until("a depth", depth).await, Depth { delayed: 1, dead: 1, ..NOTHING });
    until("the events", async || queue.events(&Cursor::default(), SHORT).await.ok()).await;
    assert_eq!(queue.dead_letters(&lane, 9).await.expect("letters")[0].reason, "why");
    assert_eq!(queue.notices().await.expect("an answer"), [paused].into());
    assert_eq!(queue.events(&Cursor::default(), SHORT).await.expect("an answer").bodies, [b"event"]);
}

/// A server that is killed may lose the name of its streams; see docs/operate/queues.md.
async fn has_all_again_when_it_is_told_of_its_streams(server: &mut RabbitMq, queue: &dyn Queue) {
    let before = queue.notices().await.expect("an answer");
    assert_eq!(before.len(), 1);
    let lose =
        "[ok = Do(ra_coordination_directory_reverse) || Do <- [fun dets:delete_all_objects/1, fun dets:sync/1]].";
    server.evaluate(lose);
    server.kill();
    assert!(server.start_again(), "it has lost them, and was told");
    let after = until("the notices", async || queue.notices().await.ok()).await;
    assert_eq!(after, before);
    let events = until("the events", async || queue.events(&Cursor::default(), SHORT).await.ok()).await;
    assert_eq!(events.bodies, [b"event"]);
}

async fn does_not_hang_with_a_server_that_hangs(server: &RabbitMq, queue: &dyn Queue) {
    let lane = lane("hang");
    queue.publish(&lane, &message("task")).await.expect("stored");
    let leased = lease(queue, "hang").await;
    server.pause();
    let begun = Instant::now();
    let error = queue.lease(std::slice::from_ref(&lane), LONG, LONG).await.expect_err("nobody answers");
    let told = error.to_string();
    let refused = queue.publish(&lane, &message("more")).await.expect_err("nobody answers");
    let took = begun.elapsed();
    server.resume();
    assert!(took < BOUND, "{took:?}");
    let start = format!("cannot lease from lane hang at amqp://127.0.0.1:{}: ", server.port);
    assert!(told.starts_with(&start) && told.contains("in time"), "{told}");
    assert!(matches!(refused, QueueError::Failed { .. }), "{refused}");
    // Whether the lease survived depends on who gave up first; the task does in any case.
    let kept = queue.ack(&leased.receipt).await;
    let ids = match &kept {
        Ok(()) => Vec::new(),
        Err(error) => vec![(lease(queue, "hang").await.message_id, error.to_string())],
    };
    assert!(ids.iter().all(|(id, _)| *id == leased.message_id), "{ids:?}");
}

async fn says_that_the_server_is_full(server: &RabbitMq, queue: &dyn Queue) {
    let lane = lane("full");
    for body in ["one", "two"] {
        queue.publish(&lane, &message(body)).await.expect("stored");
    }
    let one = lease(queue, "full").await;
    server.evaluate("rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []}).");
    for _ in 0..2 {
        let begun = Instant::now();
        let error = queue.publish(&lane, &message("three")).await.expect_err("it takes nothing");
        assert!(error.to_string().contains("full") && begun.elapsed() < BOUND, "{error}");
    }
    let error = queue.retry_after(&one.receipt, SHORT).await.expect_err("it takes nothing");
    assert!(error.to_string().contains("full"), "{error}");
    // What needs no room goes on, so that the server can be emptied; and the claim still holds.
    queue.extend(&one.receipt, LONG).await.expect("ours");
    let two = lease(queue, "full").await;
    queue.ack(&two.receipt).await.expect("ours");
    server.evaluate("rabbit_alarm:clear_alarm({resource_limit, disk, node()}).");
    until("room", async || queue.publish(&lane, &message("four")).await.ok()).await;
    queue.retry_after(&one.receipt, Duration::ZERO).await.expect("the call can be repeated");
    let mut left = std::collections::BTreeSet::new();
    while let Some(leased) =
        queue.lease(std::slice::from_ref(&lane), LONG, Duration::from_secs(2)).await.expect("an answer")
    {
        queue.ack(&leased.receipt).await.expect("ours");
        left.insert(text(&leased).to_owned());
    }
    assert!(left.contains("one") && left.contains("four") && !left.contains("two"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_nobody_answers_without_the_password() {
    let url = format!("amqp://farm:hunter2@127.0.0.1:{}/media", free_port());
    let begun = Instant::now();
    let error = connect(&url, &QueueName::default()).await.err().expect("nobody listens");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let told = format!("{error} {error:?} {:?}", error.hint());
    assert!(told.contains("cannot connect to the queue at amqp://127.0.0.1:") && told.contains("refused"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_is_wrong_with_a_login_without_the_password() {
    let bench = Bench::rabbit().await;
    let (host, port) = (bench.host().name(), bench.host().port());
    let user = "ok = rabbit_auth_backend_internal:add_user(<<\"HOST\">>, <<\"right/horse\">>, <<\"lab\">>).";
    bench.host().evaluate(&user.replace("HOST", host));
    let allow = |pattern: &str| {
        let set = "ok = rabbit_auth_backend_internal:set_permissions(<<\"HOST\">>, <<\"HOST\">>, <<\"P\">>, <<\"P\">>, \
                   <<\"P\">>, <<\"lab\">>).";
        bench.host().evaluate(&set.replace("HOST", host).replace('P', pattern));
    };
    let at = |login: &str, host: &str| format!("amqp://{login}@127.0.0.1:{port}/{host}");
    let right = format!("{host}:right%2Fhorse");
    let refused = async |url: &str| {
        let begun = Instant::now();
        let error = connect(url, &QueueName::default()).await.err().expect("no entry");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        format!("{error} {error:?}")
    };
    for (login, part) in [("guest:hunter2", "refused"), ("farm:hunter2", "refused"), (right.as_str(), "refused")] {
        let told = refused(&at(login, host)).await;
        assert!(told.contains(part) && !told.contains("hunter2") && !told.contains("right"), "{login}: {told}");
    }
    let told = refused(&at("guest:guest", "no-such-host")).await;
    assert!(told.contains("no-such-host"), "{told}");
    allow("^elsewhere");
    let told = refused(&at(&right, host)).await;
    assert!(told.contains("refused") && told.contains("reelmill"), "{told}");
    // A farm needs no more than what begins with its name, and the default exchange.
    allow("^(reelmill|amq\\\\.default)");
    let queue = connect(&at(&right, host), &QueueName::default()).await.expect("the right password");
    let lane = lane("reelmill-x");
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), delay: SHORT, ..message("task") };
    queue.publish(&lane, &keyed).await.expect("stored");
    let leased = queue.lease(std::slice::from_ref(&lane), LONG, PATIENCE).await.expect("an answer");
    let leased = leased.expect("a message");
    queue.dead_letter(&leased.receipt, "why").await.expect("ours");
    assert_eq!(queue.dead_letters(&lane, 1).await.expect("letters").len(), 1);
    queue.emit(b"event").await.expect("emitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_tls_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (certificate(folder.path(), "ours"), certificate(folder.path(), "other"));
    let (key, tls_port) = (ours.replace(".pem", ".key"), free_port());
    let lines = format!(
        "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {ours}\nssl_options.keyfile = {key}\n\
         ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false"
    );
    let _server = RabbitMq::start_with(&lines, "");
    let at = |query: &str| format!("amqps://127.0.0.1:{tls_port}{query}");

    let queue = connect(&at(&format!("?ca={ours}")), &QueueName::default()).await.expect("a trusted server");
    queue.publish(&lane("q"), &message("task")).await.expect("stored");
    assert!(queue.lease(&[lane("q")], LONG, PATIENCE).await.expect("an answer").is_some());
    for query in [String::new(), format!("?ca={other}")] {
        let error = connect(&at(&query), &QueueName::default()).await.err().expect("no trust");
        assert!(error.to_string().contains("certificate"), "{query}: {error}");
    }
    let error = connect(&at("?ca=/no/such.pem"), &QueueName::default()).await.err().expect("no such file");
    assert!(error.to_string().contains("/no/such.pem"), "{error}");
}
