//! What is special about SQS: strangers' messages, names, limits of time and size, lost servers, and what requests cost.

use std::{
    fs::File,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reelmill_api::{JobId, Lane, Notice, PresetName, Priority, QueueName};
use reelmill_lab::{
    programs::{Running, free_port},
    relay::Relay,
    sqs::Sqs,
};
use reelmill_queue::{Cursor, Depth, Leased, NewMessage, QueueError, Receipt, SharedQueue, connect};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, certificate, is_lost, lane, message, text, until};
use crate::promises::{KEPT, leaves_a_job_that_outlasts_the_servers_own_limit_to_its_worker};

/// No call against a dead server may take longer; the driver's own bound is 8 s, and the machine may be busy.
const BOUND: Duration = Duration::from_secs(30);
/// Names the server for the process of [`holds_a_lease_in_a_process_of_its_own`].
const HOLDER: &str = "REELMILL_TEST_HOLDER";
/// How long a server hides a message whose time a test waits out.
const HIDDEN_S: u32 = 24;

async fn farm_at(url: &str) -> SharedQueue {
    connect(url, &QueueName::default()).await.expect("the server answers")
}

/// Leases what must be on the lane or come there.
async fn take(queue: &SharedQueue, lane: &Lane, lasting: Duration) -> Leased {
    let leased = queue.lease(std::slice::from_ref(lane), lasting, PATIENCE).await.expect("an answer");
    leased.expect("a message comes in time")
}

/// Extends a lease; a server that is slow is asked again.
async fn keep(queue: &SharedQueue, receipt: &Receipt) {
    loop {
        match queue.extend(receipt, KEPT).await {
            Ok(()) => return,
            Err(error) => assert!(!matches!(error, QueueError::LeaseLost { .. }), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_in_what_strangers_send_with_their_own_client() {
    let (bench, lane) = (Bench::sqs().await, lane("reelmill"));
    let job = r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;
    let send =
        format!("url = sqs.create_queue(QueueName='reelmill')['QueueUrl']\nfor body in ['{job}', 'second ä']:\n  ");
    bench.moto().client(&(send + "sqs.send_message(QueueUrl=url, MessageBody=body)"));
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), Depth { ready: 2, ..EMPTY });
    let urgent = NewMessage { priority: Priority::High, ..message("urgent") };
    bench.queue.publish(&lane, &urgent).await.expect("stored");

    let mut leased = Vec::new();
    for body in ["urgent", job, "second ä"] {
        leased.push(bench.lease(&lane, LONG).await);
        assert_eq!((text(&leased[leased.len() - 1]), leased[leased.len() - 1].attempt), (body, 1));
    }
    // By the server's own count, and then by a copy.
    bench.queue.retry_after(&leased[1].receipt, Duration::ZERO).await.expect("ours");
    let again = bench.lease(&lane, LONG).await;
    assert_eq!((&again.message_id, again.attempt, text(&again)), (&leased[1].message_id, 2, job));
    bench.queue.retry_after(&again.receipt, SHORT).await.expect("ours");
    let third = bench.lease(&lane, LONG).await;
    assert_eq!((&third.message_id, third.attempt, text(&third)), (&leased[1].message_id, 3, job));
    bench.queue.dead_letter(&third.receipt, "why").await.expect("ours");
    let letters = bench.queue.dead_letters(&lane, 9).await.expect("letters");
    assert_eq!((letters[0].message_id.as_str(), &letters[0].body[..]), (&*third.message_id, job.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_reads_our_json_as_it_is() {
    let bench = Bench::sqs().await;
    bench.publish(&lane("q"), "{\"preset\":\"ä\"}").await;
    let receive = "url = sqs.get_queue_url(QueueName='q')['QueueUrl']
m = sqs.receive_message(QueueUrl=url, MessageAttributeNames=['All'])['Messages'][0]
print(m['Body'], list(m['MessageAttributes']))";
    assert_eq!(bench.moto().client(receive), "{\"preset\":\"ä\"} ['reelmill']");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_huge_message_becomes_a_dead_letter_all_the_same() {
    let (bench, lane) = (Bench::sqs().await, lane("reelmill"));
    let send = "url = sqs.create_queue(QueueName='reelmill')['QueueUrl']\n";
    bench.moto().client(&format!("{send}sqs.send_message(QueueUrl=url, MessageBody='ä' * (1 << 19))"));
    let leased = bench.lease(&lane, LONG).await;
    assert_eq!(leased.body.len(), 1 << 20);
    bench.queue.dead_letter(&leased.receipt, "no job").await.expect("ours");
    let letters = bench.queue.dead_letters(&lane, 9).await.expect("letters");
    assert!(letters[0].reason.starts_with("no job"), "{}", letters[0].reason);
    assert!(letters[0].body.starts_with("ää".as_bytes()));
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), Depth { dead: 1, ..EMPTY });
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_body_that_is_too_large_and_says_the_limit() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    let limit = bench.queue.limits().largest_body;
    bench.queue.publish(&lane, &message(vec![0xff; limit])).await.expect("stored");
    let error = bench.queue.publish(&lane, &message(vec![0xff; limit + 1000])).await.expect_err("too large");
    assert!(error.to_string().contains(&format!("more than SQS takes, {limit}")), "{error}");
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth").ready, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_with_awkward_names_are_kept_apart() {
    let (bench, farm) = (Bench::sqs().await, QueueName::default());
    let preset = |name: &str| farm.tasks(&name.parse::<PresetName>().expect("a preset"));
    let long = |end: &str| format!("{}{end}", "l".repeat(120)).parse::<Lane>().expect("a lane");
    let lanes = [preset("x"), preset("x-high"), preset("x-dead"), preset("x-low"), long("a"), long("b")];
    for lane in &lanes {
        for priority in [Priority::High, Priority::Normal] {
            let message = NewMessage { priority, ..message(lane.as_str()) };
            bench.queue.publish(lane, &message).await.expect("stored");
        }
    }
    let dead = bench.lease(&lanes[0], LONG).await;
    bench.queue.dead_letter(&dead.receipt, "why").await.expect("ours");
    for lane in &lanes {
        let depth = bench.queue.depth(lane).await.expect("a depth");
        let want = if lane == &lanes[0] { Depth { ready: 1, dead: 1, ..EMPTY } } else { Depth { ready: 2, ..EMPTY } };
        assert_eq!(depth, want, "{lane}");
        assert_eq!(text(&bench.lease(lane, LONG).await), lane.as_str());
    }
}

/// Leases from the lane `q` of the server that the variable names, and extends until it hears that it lost. Runs in a
/// process of its own, which another test stops.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "another test starts it"]
async fn holds_a_lease_in_a_process_of_its_own() {
    let Ok(url) = std::env::var(HOLDER) else { return };
    let queue = farm_at(&url).await;
    let leased = queue.lease(&[lane("q")], KEPT, PATIENCE).await.expect("an answer").expect("a message");
    println!("leased");
    loop {
        match queue.extend(&leased.receipt, KEPT).await {
            Err(QueueError::LeaseLost { .. }) => break,
            Ok(()) | Err(_) => tokio::time::sleep(SHORT).await,
        }
    }
    assert!(is_lost(queue.ack(&leased.receipt).await));
    println!("lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_loses_its_lease_and_hears_so() {
    let (bench, lane, folder) = (Bench::sqs().await, lane("q"), tempfile::tempdir().expect("a folder"));
    bench.publish(&lane, "task").await;
    let told = folder.path().join("told");
    let mut holder = Command::new(std::env::current_exe().expect("this program has a path"));
    holder.args(["--ignored", "--exact", "--nocapture", "sqs_only::holds_a_lease_in_a_process_of_its_own"]);
    holder.env(HOLDER, &bench.url).stdout(File::create(&told).expect("a file"));
    let holder = Running::start(holder);
    let says = async |word: &str| {
        until(word, async || std::fs::read_to_string(&told).ok()?.contains(word).then_some(())).await;
    };
    says("leased").await;
    // It keeps its lease for longer than that lasts.
    tokio::time::sleep(KEPT + Duration::from_secs(2)).await;
    assert!(bench.lease_now(&lane).await.is_none());
    holder.signal(Signal::STOP);
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((second.attempt, text(&second)), (2, "task"));
    holder.signal(Signal::CONT);
    says("lost").await;
    bench.queue.extend(&second.receipt, LONG).await.expect("the second lease holds");
    bench.queue.ack(&second.receipt).await.expect("the second lease holds");
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), EMPTY);
}

/// A server that hides no message for long, and its address.
async fn short_sighted() -> (Sqs, String) {
    let server = Sqs::start_with(HIDDEN_S, &[], &[]);
    let url = format!("{}&longest={HIDDEN_S}", server.url());
    (server, url)
}

/// The queues that hold one long job each.
fn held(server: &Sqs) -> Vec<String> {
    server.queues().into_iter().filter(|name| name.starts_with("reelmill__held-")).collect()
}

/// Extends a lease until `enough`, and asserts that nobody else gets the message.
async fn hold(queue: &SharedQueue, other: &SharedQueue, receipt: &Receipt, mut enough: impl FnMut() -> bool) {
    let lane = lane("q");
    while !enough() {
        keep(queue, receipt).await;
        assert!(other.lease(std::slice::from_ref(&lane), LONG, SHORT).await.expect("an answer").is_none());
    }
    keep(queue, receipt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_longer_than_the_server_hides_its_message_stays_its_workers() {
    let (server, url) = short_sighted().await;
    let (queue, other) = (farm_at(&url).await, farm_at(&url).await);
    assert_eq!(queue.limits().longest_hold, Some(Duration::from_secs(HIDDEN_S.into())));
    leaves_a_job_that_outlasts_the_servers_own_limit_to_its_worker(&queue, &other).await;
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth"), EMPTY);
    assert!(held(&server).is_empty(), "{:?}", held(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_whose_worker_died_goes_to_another() {
    let (server, url) = short_sighted().await;
    let (queue, other, lane) = (farm_at(&url).await, farm_at(&url).await, lane("q"));
    queue.publish(&lane, &NewMessage { priority: Priority::Low, ..message("long") }).await.expect("stored");
    let leased = take(&queue, &lane, KEPT).await;
    hold(&queue, &other, &leased.receipt, || !held(&server).is_empty()).await;
    // From here on nobody extends it.
    let second = take(&other, &lane, LONG).await;
    assert_eq!((second.attempt, &second.message_id, text(&second)), (2, &leased.message_id, "long"));
    assert!(is_lost(queue.extend(&leased.receipt, LONG).await));
    other.ack(&second.receipt).await.expect("ours");
    assert_eq!(queue.depth(&lane).await.expect("a depth"), EMPTY);
    assert!(held(&server).is_empty(), "{:?}", held(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_is_settled_in_every_way() {
    let (server, url) = short_sighted().await;
    let (queue, other, lane) = (farm_at(&url).await, farm_at(&url).await, lane("q"));
    queue.publish(&lane, &message("long")).await.expect("stored");
    let moved = async |attempt| {
        let leased = take(&queue, &lane, KEPT).await;
        assert_eq!((leased.attempt, text(&leased)), (attempt, "long"));
        hold(&queue, &other, &leased.receipt, || !held(&server).is_empty()).await;
        leased.receipt
    };
    queue.hand_back(&moved(1).await).await.expect("ours");
    queue.retry_after(&moved(1).await, SHORT).await.expect("ours");
    queue.dead_letter(&moved(2).await, "why").await.expect("ours");
    assert_eq!(queue.depth(&lane).await.expect("a depth"), Depth { dead: 1, ..EMPTY });
    assert!(held(&server).is_empty(), "{:?}", held(&server));
    assert_eq!(queue.dead_letters(&lane, 1).await.expect("letters")[0].attempts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_when_nobody_waits_any_more_is_given_back_uncounted() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    assert!(bench.queue.lease(std::slice::from_ref(&lane), LONG, SHORT).await.expect("an answer").is_none());
    // The long requests of that call are still under way, and one of them gets this.
    let other = bench.another().await;
    for priority in [Priority::Normal, Priority::High] {
        other.publish(&lane, &NewMessage { priority, ..message("task") }).await.expect("stored");
        let leased = take(&other, &lane, LONG).await;
        assert_eq!(leased.attempt, 1);
        other.ack(&leased.receipt).await.expect("ours");
    }
    until("an empty lane", async || (bench.queue.depth(&lane).await.ok()? == EMPTY).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_between_two_calls_is_the_next_ones_uncounted() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    for _ in 0..5 {
        assert!(bench.queue.lease(std::slice::from_ref(&lane), LONG, SHORT).await.expect("an answer").is_none());
        bench.publish(&lane, "task").await;
        let leased = until("the message", async || bench.lease_now(&lane).await).await;
        assert_eq!(leased.attempt, 1);
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_asks_once_a_queue_and_long_request() {
    let bench = Bench::sqs().await;
    let relay = Relay::before(bench.moto().port).await;
    let queue = farm_at(&bench.url.replace(&bench.moto().port.to_string(), &relay.port.to_string())).await;
    let lanes = [lane("a"), lane("b")];
    let ask = async || assert!(queue.lease(&lanes, LONG, SHORT).await.expect("an answer").is_none());
    ask().await;
    let before = relay.connections();
    // As a worker does that waits for work.
    for _ in 0..20 {
        ask().await;
    }
    // Of six queues, none is asked again while its long request is under way: that is some ten requests where it would be
    // 120, and more only on a machine that is so busy that the long requests end meanwhile.
    assert!(relay.connections() - before <= 60, "{} requests", relay.connections() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_again_until_its_reader_comes_back_with_the_cursor() {
    let bench = Bench::sqs().await;
    for body in ["a", "b"] {
        bench.queue.emit(body.as_bytes()).await.expect("emitted");
    }
    let start = Cursor::default();
    let first = bench.queue.events(&start, PATIENCE).await.expect("an answer");
    let again = bench.queue.events(&start, PATIENCE).await.expect("an answer");
    assert_eq!((&first.bodies, &first.next), (&again.bodies, &again.next));
    assert_eq!(first.bodies, [b"a", b"b"]);
    bench.queue.emit(b"c").await.expect("emitted");
    let last = bench.queue.events(&first.next, PATIENCE).await.expect("an answer");
    assert_eq!(last.bodies, [b"c"]);
    assert!(bench.queue.events(&last.next, Duration::ZERO).await.expect("an answer").bodies.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn forgets_the_oldest_cancellation_when_there_are_too_many() {
    let bench = Bench::sqs().await;
    let canceled = |n: u128| Notice::Canceled(JobId::new(uuid::Uuid::from_u128(n)));
    bench.queue.post(&Notice::Paused(lane("q"))).await.expect("posted");
    bench.queue.post(&canceled(0)).await.expect("posted");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for n in 1..50 {
        bench.queue.post(&canceled(n)).await.expect("posted");
    }
    let notices = bench.queue.notices().await.expect("an answer");
    assert_eq!(notices.len(), 50);
    assert!(notices.contains(&Notice::Paused(lane("q"))) && !notices.contains(&canceled(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_a_server_that_lost_everything() {
    let mut server = Sqs::start();
    let (queue, lane) = (farm_at(&server.url()).await, lane("q"));
    queue.publish(&lane, &message("lost")).await.expect("stored");
    let leased = take(&queue, &lane, LONG).await;
    let waiter = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(&[crate::bench::lane("elsewhere")], LONG, PATIENCE).await }
    });
    server.kill();
    let begun = Instant::now();
    let error = queue.publish(&lane, &message("nowhere")).await.expect_err("nobody answers");
    assert!(matches!(error, QueueError::Failed { .. }) && begun.elapsed() < BOUND, "{error}");
    server.start_again();
    // moto keeps nothing; SQS itself does.
    assert!(is_lost(queue.ack(&leased.receipt).await));
    queue.publish(&lane, &message("task")).await.expect("stored");
    let task = take(&queue, &lane, LONG).await;
    assert_eq!(text(&task), "task");
    queue.publish(&crate::bench::lane("elsewhere"), &message("for the waiter")).await.expect("stored");
    match waiter.await.expect("no panic") {
        Ok(leased) => assert_eq!(text(&leased.expect("a message")), "for the waiter"),
        Err(error) => assert!(matches!(error, QueueError::Failed { .. }), "{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_hang_with_a_server_that_hangs() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    bench.publish(&lane, "task").await;
    bench.moto().pause();
    let begun = Instant::now();
    let error = bench.queue.lease(std::slice::from_ref(&lane), LONG, LONG).await.expect_err("nobody answers");
    let (took, told) = (begun.elapsed(), error.to_string());
    bench.moto().resume();
    assert!(took < BOUND, "{took:?}");
    assert!(told.starts_with("cannot lease from lane q at http://127.0.0.1:") && told.contains("no answer"), "{told}");
    bench.queue.depth(&lane).await.expect("the next call works");
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_no_task_with_an_answer() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    let relay = Relay::before(bench.moto().port).await;
    let queue = farm_at(&bench.url.replace(&bench.moto().port.to_string(), &relay.port.to_string())).await;
    // The most urgent are the first that a lease asks for.
    let urgent = |body: &str| NewMessage { priority: Priority::High, ..message(body) };
    queue.publish(&lane, &urgent("first")).await.expect("stored");
    // Whether it was stored is not known, so it is for the caller to try again.
    relay.cut_next_answer();
    let error = queue.publish(&lane, &urgent("task")).await.expect_err("no answer");
    assert!(matches!(error, QueueError::Failed { .. }), "{error}");
    assert_eq!(queue.depth(&lane).await.expect("a depth").ready, 2);
    let leased = take(&queue, &lane, LONG).await;
    for _ in 0..2 {
        relay.cut_next_answer();
        queue.extend(&leased.receipt, LONG).await.expect("ours");
    }
    relay.cut_next_answer();
    queue.ack(&leased.receipt).await.expect("ours");
    assert!(is_lost(queue.ack(&leased.receipt).await));
    // What was delivered to nobody comes back when its lease is over.
    relay.cut_next_answer();
    let last = take(&queue, &lane, SHORT).await;
    assert_eq!(last.attempt, 2);
    assert_eq!(relay.cut_answers(), 5, "every cut was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_answer_doubled_is_one_dead_letter() {
    let (bench, lane) = (Bench::sqs().await, lane("q"));
    let relay = Relay::before(bench.moto().port).await;
    let queue = farm_at(&bench.url.replace(&bench.moto().port.to_string(), &relay.port.to_string())).await;
    let bury = async |body: &str, twice: bool| {
        queue.publish(&lane, &message(body)).await.expect("stored");
        let leased = take(&queue, &lane, LONG).await;
        if twice {
            // The copy is there, but the driver does not know it; the caller tries again.
            relay.cut_next_answer();
            let error = queue.dead_letter(&leased.receipt, "why").await.expect_err("no answer");
            assert!(matches!(error, QueueError::Failed { .. }), "{error}");
        }
        queue.dead_letter(&leased.receipt, "why").await.expect("ours");
        leased.message_id
    };
    // The first makes the queue, so that the next answer is that to the copy.
    let single = bury("single", false).await;
    let (dropped, retried) = (bury("dropped", true).await, bury("retried", true).await);
    assert_eq!(relay.cut_answers(), 2, "every cut was made");
    assert!(queue.limits().may_double, "the driver says so");

    assert_eq!(queue.depth(&lane).await.expect("a depth"), Depth { dead: 5, ..EMPTY });
    let letters = queue.dead_letters(&lane, 9).await.expect("letters");
    let ids: Vec<_> = letters.iter().map(|letter| &letter.message_id).collect();
    assert_eq!(ids, [&single, &dropped, &retried]);
    assert!(queue.drop_dead(&lane, &dropped).await.expect("an answer"));
    assert!(queue.retry_dead(&lane, &retried).await.expect("an answer"));
    assert_eq!(queue.depth(&lane).await.expect("a depth"), Depth { ready: 1, dead: 1, ..EMPTY });
    for gone in [&dropped, &retried] {
        assert!(!queue.drop_dead(&lane, gone).await.expect("an answer"), "both copies are gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_nobody_answers_without_the_secret() {
    let url = format!("http://AKLAB:hunter2@127.0.0.1:{}", free_port());
    let begun = Instant::now();
    let error = connect(&url, &QueueName::default()).await.err().expect("nobody listens");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let told = format!("{error} {error:?} {:?}", error.hint());
    assert!(told.contains("cannot connect to the queue at http://127.0.0.1:") && told.contains("refused"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_the_keys_are_refused_without_the_secret() {
    let server = Sqs::start_with(43_200, &[], &[("INITIAL_NO_AUTH_ACTION_COUNT", "0")]);
    let error = connect(&server.url(), &QueueName::default()).await.err().expect("no entry");
    let told = format!("{error} {error:?}");
    assert!(told.contains("access key is not known there"), "{told}");
    assert!(!told.contains("lab/secret"), "{told}");
}

/// A server that answers every request with this, and how many there were.
async fn always(status: &str, body: &str) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let port = listener.local_addr().expect("an address").port();
    let (count, counted) = (Arc::new(AtomicUsize::new(0)), body.len());
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {counted}\r\nconnection: close\r\n\r\n{body}");
    let requests = count.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            requests.fetch_add(1, Ordering::SeqCst);
            // The requests here are small and come at once.
            let _ = client.read(&mut [0; 16 * 1024]).await;
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://AKLAB:hunter2@127.0.0.1:{port}"), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_throttles_or_fails_is_told_in_time_and_not_run_over() {
    for (status, body, part, most) in [
        (
            "400 Bad Request",
            r#"{"__type":"com.amazonaws.sqs#RequestThrottled","message":"Slow down."}"#,
            "Slow down",
            20,
        ),
        ("503 Service Unavailable", "busy", "503", 20),
        ("500 Internal Server Error", r#"{"__type":"com.amazonaws.sqs#InternalError"}"#, "500 InternalError", 20),
        (
            "403 Forbidden",
            r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not for hunter2"}"#,
            "do not allow it",
            1,
        ),
        (
            "400 Bad Request",
            r#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature not yet current"}"#,
            "this machine's clock is wrong",
            1,
        ),
        (
            "400 Bad Request",
            r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token is invalid"}"#,
            "access key is not known there",
            1,
        ),
        ("404 Not Found", "<html>a web page</html>", "404", 1),
        ("200 OK", "<html>a web page</html>", "", 20),
    ] {
        let (url, count) = always(status, body).await;
        let begun = Instant::now();
        let error = connect(&url, &QueueName::default()).await.err().expect("no queue there");
        let told = format!("{error} {error:?} {:?}", error.hint());
        assert!(told.contains(part) && !told.contains("hunter2"), "{status}: {told}");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        let requests = count.load(Ordering::SeqCst);
        assert!((1..=most).contains(&requests), "{status}: {requests} requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_tls_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let cert = certificate(folder.path(), "ours");
    let key = cert.replace(".pem", ".key");
    let server = Sqs::start_with(43_200, &["-c", &cert, "-k", &key], &[]);
    let url = server.url().replace("http:", "https:");

    let queue = farm_at(&format!("{url}&ca={cert}")).await;
    queue.publish(&lane("q"), &message("task")).await.expect("stored");
    assert!(queue.lease(&[lane("q")], LONG, PATIENCE).await.expect("an answer").is_some());
    let error = connect(&url, &QueueName::default()).await.err().expect("not trusted");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
}
