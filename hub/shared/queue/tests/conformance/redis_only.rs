//! What is special about Redis: bodies that strangers push, keys, lost servers, logins and TLS.

use std::time::{Duration, Instant};

use reelmill_api::{Priority, QueueName};
use reelmill_lab::{programs::free_port, redis::Redis, relay::Relay};
use reelmill_queue::{Cursor, Depth, NewMessage, Published, QueueError, connect};

use crate::{
    bench::{Bench, EMPTY, LONG, PATIENCE, SHORT, certificate, is_lost, lane, message, text, until},
    promises::KEPT,
};

/// No call against a dead server may take longer; the drivers' own bound is 3 s.
const BOUND: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn takes_in_what_strangers_push_on_the_plain_list() {
    let (bench, lane) = (Bench::redis().await, lane("reelmill"));
    let job = r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;
    let binary = b"\xff\x00\xfe not text\r\n";
    bench.server().cli(&["RPUSH", "reelmill", job, "second"]);
    bench.server().cli_with(&["-x", "RPUSH", "reelmill"], binary);
    let depth = bench.queue.depth(&lane).await.expect("a depth");
    assert_eq!(depth, Depth { ready: 3, ..EMPTY });

    let urgent = NewMessage { priority: Priority::High, ..message("urgent") };
    bench.queue.publish(&lane, &urgent).await.expect("stored");
    let bodies = [b"urgent".as_slice(), job.as_bytes(), b"second", binary];
    let mut leased = Vec::new();
    for body in bodies {
        leased.push(bench.lease(&lane, LONG).await);
        assert_eq!((&leased[leased.len() - 1].body[..], leased[leased.len() - 1].attempt), (body, 1));
    }
    bench.queue.retry_after(&leased[1].receipt, Duration::ZERO).await.expect("ours");
    let again = bench.lease(&lane, LONG).await;
    assert_eq!((&again.message_id, again.attempt, text(&again)), (&leased[1].message_id, 2, job));
    let mut ids: Vec<_> = leased.iter().map(|l| &l.message_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), bodies.len(), "every message has an id of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_lease_finds_what_is_pushed_meanwhile() {
    let (bench, lane) = (Bench::redis().await, lane("reelmill"));
    let (leased, ()) = tokio::join!(bench.lease(&lane, LONG), async {
        tokio::time::sleep(SHORT).await;
        bench.server().cli(&["RPUSH", "reelmill", "job"]);
    });
    assert_eq!(text(&leased), "job");
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_and_doubles_nothing_of_a_long_list() {
    let (bench, lane) = (Bench::redis().await, lane("reelmill"));
    let bodies: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let mut push = vec!["RPUSH", "reelmill"];
    push.extend(bodies.iter().map(String::as_str));
    bench.server().cli(&push);
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (queue, lane) = (bench.queue.clone(), lane.clone());
        consumers.spawn(async move {
            let mut taken = Vec::new();
            let lanes = [lane];
            while let Some(leased) = queue.lease(&lanes, LONG, Duration::ZERO).await.expect("an answer") {
                taken.push(text(&leased).parse::<u32>().expect("a number"));
                queue.ack(&leased.receipt).await.expect("ours");
            }
            taken
        });
    }
    let mut taken = consumers.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken, (0..300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_with_the_lanes_name_does_no_harm() {
    let (bench, lane) = (Bench::redis().await, lane("reelmill"));
    bench.server().cli(&["SET", "reelmill", "somebody's"]);
    bench.publish(&lane, "task").await;
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth").ready, 1);
    bench.queue.ack(&bench.lease(&lane, LONG).await.receipt).await.expect("ours");
    assert!(bench.lease_now(&lane).await.is_none());
    assert_eq!(bench.server().cli(&["GET", "reelmill"]), "somebody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_no_trace_of_what_was_acknowledged() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    bench.server().cli(&["RPUSH", "q", "plain"]);
    bench.publish(&lane, "task").await;
    bench.queue.publish(&lane, &NewMessage { delay: SHORT, ..message("later") }).await.expect("stored");
    for _ in 0..3 {
        let leased = bench.lease(&lane, LONG).await;
        bench.queue.retry_after(&leased.receipt, Duration::ZERO).await.expect("ours");
        bench.queue.ack(&bench.lease(&lane, LONG).await.receipt).await.expect("ours");
    }
    until("only the empty lane being left", async || {
        let mut keys: Vec<String> = bench.server().cli(&["--scan"]).lines().map(str::to_owned).collect();
        keys.sort();
        (keys == ["{q}:bell", "{q}:ready:normal"]).then_some(())
    })
    .await;
    assert_eq!(bench.server().cli(&["XLEN", "{q}:ready:normal"]), "0");
    assert_eq!(bench.server().cli(&["XPENDING", "{q}:ready:normal", "farm"]).lines().next(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgets_a_dedupe_key_some_time() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), ..message("task") };
    bench.queue.publish(&lane, &keyed).await.expect("stored");
    let remembered: u64 = bench.server().cli(&["TTL", "{q}:seen:k"]).parse().expect("seconds");
    assert!((240..=300).contains(&remembered), "{remembered}");
    bench.server().cli(&["PEXPIRE", "{q}:seen:k", "1"]);
    until("the key's end", async || {
        let again = bench.queue.publish(&lane, &keyed).await.ok()?;
        (again == Published::Stored).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_an_operator_who_destroys_the_group() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    for body in ["a", "b", "c"] {
        bench.publish(&lane, body).await;
    }
    let a = bench.lease(&lane, LONG).await;
    bench.server().cli(&["XGROUP", "DESTROY", "{q}:ready:normal", "farm"]);
    let (b, c) = (bench.lease(&lane, LONG).await, bench.lease(&lane, LONG).await);
    assert_eq!((text(&b), text(&c)), ("b", "c"));
    assert!(bench.lease_now(&lane).await.is_none(), "what is leased is not given twice");
    for leased in [a, b, c] {
        bench.queue.ack(&leased.receipt).await.expect("ours");
    }
    assert_eq!(bench.queue.depth(&lane).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_the_server_was_killed_and_started_again() {
    let mut server = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (queue, lane) = (connect(&server.url(), &QueueName::default()).await.expect("it answers"), lane("q"));
    for body in ["leased", "waiting"] {
        queue.publish(&lane, &message(body)).await.expect("stored");
    }
    let lanes = [lane.clone()];
    let leased = queue.lease(&lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    // A call that waits while the server goes away and comes back gets its message all the same, or an error in time.
    let waiter = tokio::spawn({
        let queue = queue.clone();
        async move { queue.lease(&[crate::bench::lane("elsewhere")], LONG, PATIENCE).await }
    });
    server.kill();
    let error = queue.publish(&lane, &message("lost")).await.expect_err("nobody answers");
    assert!(matches!(error, QueueError::Failed { .. }), "{error}");
    server.start_again();

    queue.ack(&leased.receipt).await.expect("the next call works, and the lease survived");
    let waiting = queue.lease(&lanes, LONG, PATIENCE).await.expect("an answer").expect("a message");
    assert_eq!(text(&waiting), "waiting");
    queue.publish(&crate::bench::lane("elsewhere"), &message("for the waiter")).await.expect("stored");
    match waiter.await.expect("no panic") {
        Ok(leased) => assert_eq!(text(&leased.expect("a message")), "for the waiter"),
        Err(error) => assert!(matches!(error, QueueError::Failed { .. }), "{error}"),
    }
    // An idle connection that died unnoticed is no reason to fail.
    server.kill();
    server.start_again();
    queue.ack(&waiting.receipt).await.expect("the next call works");
    assert!(is_lost(queue.ack(&waiting.receipt).await));
}

/// Uses every script once, so that no later call is answered first that the server does not know it yet.
async fn load_scripts(bench: &Bench) {
    let (queue, lane) = (&bench.queue, lane("warm"));
    for _ in 0..2 {
        bench.publish(&lane, "task").await;
    }
    queue.hand_back(&bench.lease(&lane, LONG).await.receipt).await.expect("ours");
    let leased = bench.lease(&lane, LONG).await;
    queue.extend(&leased.receipt, LONG).await.expect("ours");
    queue.ack(&leased.receipt).await.expect("ours");
    queue.dead_letter(&bench.lease(&lane, LONG).await.receipt, "why").await.expect("ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn does_a_call_once_even_if_its_answer_is_lost() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    let relay = Relay::before(bench.server().port).await;
    let queue = connect(&format!("redis://127.0.0.1:{}", relay.port), &QueueName::default()).await.expect("it answers");
    let lanes = std::slice::from_ref(&lane);
    load_scripts(&bench).await;

    relay.cut_next_answer();
    assert_eq!(queue.publish(&lane, &message("task")).await.expect("stored"), Published::Stored);
    assert_eq!(queue.depth(&lane).await.expect("a depth").ready, 1);
    let keyed = NewMessage { dedupe_key: Some("k".to_owned()), ..message("keyed") };
    relay.cut_next_answer();
    assert_eq!(queue.publish(&lane, &keyed).await.expect("stored"), Published::Stored);

    let first = bench.lease(&lane, LONG).await;
    relay.cut_next_answer();
    queue.hand_back(&first.receipt).await.expect("ours");
    let same = bench.lease(&lane, LONG).await;
    assert_eq!(same.attempt, 1);
    relay.cut_next_answer();
    queue.retry_after(&same.receipt, Duration::ZERO).await.expect("ours");
    let second = bench.lease(&lane, LONG).await;
    assert_eq!((second.attempt, text(&second)), (2, "task"));
    relay.cut_next_answer();
    queue.extend(&second.receipt, LONG).await.expect("ours");
    relay.cut_next_answer();
    queue.ack(&second.receipt).await.expect("ours");
    assert!(is_lost(queue.ack(&second.receipt).await), "another call is not a repetition");

    // A lease whose answer was lost is nobody's, until it runs out.
    relay.cut_next_answer();
    let keyed = queue.lease(lanes, KEPT, PATIENCE).await.expect("an answer").expect("a message");
    assert_eq!((keyed.attempt, text(&keyed)), (2, "keyed"));
    queue.extend(&keyed.receipt, LONG).await.expect("ours");
    relay.cut_next_answer();
    queue.dead_letter(&keyed.receipt, "why").await.expect("ours");
    assert_eq!(queue.depth(&lane).await.expect("a depth"), Depth { dead: 1, ..EMPTY });
    assert_eq!(relay.cut_answers(), 8, "every cut was made");
}

/// How many scripts the server was asked to run.
fn asked(bench: &Bench) -> u64 {
    let stats = bench.server().cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_takes_nothing_new_and_lets_its_tasks_be_done() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    let queue = &bench.queue;
    for body in ["held", "again", "back", "dead", "done", "retried", "dropped"] {
        bench.publish(&lane, body).await;
    }
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(bench.lease(&lane, LONG).await);
    }
    for leased in held.drain(5..) {
        queue.dead_letter(&leased.receipt, "why").await.expect("ours");
    }
    let letters = queue.dead_letters(&lane, 9).await.expect("letters");
    // Something that is due, so that a publication begins by moving it.
    bench.publish(&lane, "waiting").await;
    bench.lease(&lane, Duration::ZERO).await;

    bench.server().cli(&["CONFIG", "SET", "maxmemory", "100kb"]);
    for dedupe_key in [None, Some("k".to_owned())] {
        let new = NewMessage { dedupe_key, ..message("new") };
        let error = queue.publish(&lane, &new).await.expect_err("there is no room");
        let told = error.to_string();
        assert!(told.starts_with("cannot publish to lane q at redis://") && told.contains("memory is full"), "{told}");
    }
    queue.extend(&held[0].receipt, LONG).await.expect("ours");
    queue.retry_after(&held[1].receipt, LONG).await.expect("ours");
    queue.hand_back(&held[2].receipt).await.expect("ours");
    queue.dead_letter(&held[3].receipt, "why").await.expect("ours");
    queue.emit(b"done").await.expect("told");
    queue.ack(&held[4].receipt).await.expect("ours");
    assert!(queue.retry_dead(&lane, &letters[0].message_id).await.expect("an answer"));
    assert!(queue.drop_dead(&lane, &letters[1].message_id).await.expect("an answer"));
    let mut left = Vec::new();
    for _ in 0..3 {
        let leased = bench.lease(&lane, LONG).await;
        queue.ack(&leased.receipt).await.expect("ours");
        left.push(text(&leased).to_owned());
    }
    left.sort();
    assert_eq!(left, ["back", "retried", "waiting"]);
    let before = asked(&bench);
    let wait = Duration::from_secs(1);
    assert!(queue.lease(std::slice::from_ref(&lane), LONG, wait).await.expect("an answer").is_none());
    assert!(asked(&bench) - before < 10, "{} looks in a second", asked(&bench) - before);

    bench.server().cli(&["CONFIG", "SET", "maxmemory", "0"]);
    bench.publish(&lane, "new").await;
    queue.ack(&held[0].receipt).await.expect("still ours");
    bench.check_depth(&lane, Depth { ready: 1, delayed: 1, leased: Some(0), dead: 1, ..EMPTY }).await;
    assert_eq!(queue.events(&Cursor::default(), Duration::ZERO).await.expect("events").bodies, [b"done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_at_once_why_a_server_refuses_and_loses_nothing_by_it() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    let (queue, nobody) = (&bench.queue, free_port().to_string());
    load_scripts(&bench).await;
    for (begin, end, part) in [
        (&["REPLICAOF", "127.0.0.1", &nobody][..], &["REPLICAOF", "NO", "ONE"][..], "it was to be the primary"),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
        (&["ACL", "SETUSER", "default", "-evalsha"], &["ACL", "SETUSER", "default", "+evalsha"], "NoPerm"),
    ] {
        for body in ["held", "waiting"] {
            bench.publish(&lane, body).await;
        }
        let held = bench.lease(&lane, LONG).await;
        bench.server().cli(begin);
        let before = asked(&bench);
        let lanes = std::slice::from_ref(&lane);
        for (doing, refused) in [
            ("lease from lane q", queue.lease(lanes, LONG, PATIENCE).await.map(drop)),
            ("publish to lane q", queue.publish(&lane, &message("new")).await.map(drop)),
            ("extend a lease on lane q", queue.extend(&held.receipt, LONG).await),
            ("acknowledge a message on lane q", queue.ack(&held.receipt).await),
        ] {
            let told = refused.expect_err(doing).to_string();
            assert!(told.starts_with(&format!("cannot {doing} at redis://")) && told.contains(part), "{told}");
        }
        assert!(asked(&bench) - before <= 4, "each is asked once");
        bench.server().cli(end);
        queue.extend(&held.receipt, LONG).await.expect("still ours");
        queue.ack(&held.receipt).await.expect("still ours");
        let waiting = bench.lease(&lane, LONG).await;
        assert_eq!((text(&waiting), waiting.attempt), ("waiting", 1));
        queue.ack(&waiting.receipt).await.expect("ours");
        bench.check_depth(&lane, EMPTY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_hang_with_a_server_that_hangs() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    bench.publish(&lane, "task").await;
    bench.server().pause();
    let begun = Instant::now();
    let error = bench.queue.lease(std::slice::from_ref(&lane), LONG, LONG).await.expect_err("nobody answers");
    let (took, told) = (begun.elapsed(), error.to_string());
    bench.server().resume();
    assert!(took < BOUND, "{took:?}");
    assert!(
        told.starts_with(&format!("cannot lease from lane q at redis://127.0.0.1:{}/0: ", bench.server().port)),
        "{told}"
    );
    bench.queue.depth(&lane).await.expect("the next call works");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_nobody_answers_without_the_password() {
    let url = format!("redis://farm:hunter2@127.0.0.1:{}/0", free_port());
    let begun = Instant::now();
    let error = connect(&url, &QueueName::default()).await.err().expect("nobody listens");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let told = format!("{error} {error:?} {:?}", error.hint());
    assert!(told.contains("cannot connect to the queue at redis://127.0.0.1:") && told.contains("refused"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_is_wrong_with_a_login_without_the_password() {
    let server = Redis::start_with(&["--requirepass", "right/horse"]);
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    for (login, part) in [
        (":hunter2@", "refused the user or the password"),
        ("farm:hunter2@", "refused the user or the password"),
        ("", "wants a password"),
    ] {
        let error = connect(&at(login), &QueueName::default()).await.err().expect("no entry");
        let told = format!("{error} {error:?}");
        assert!(told.contains(part) && !told.contains("hunter2"), "{login}: {told}");
    }
    let queue = connect(&at(":right%2Fhorse@"), &QueueName::default()).await.expect("the right password");
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_databases_apart() {
    let (bench, lane) = (Bench::redis().await, lane("q"));
    let other = connect(&bench.url.replace("/0", "/3"), &QueueName::default()).await.expect("another database");
    other.publish(&lane, &message("there")).await.expect("stored");
    assert!(bench.lease_now(&lane).await.is_none());
    assert_eq!(other.depth(&lane).await.expect("a depth").ready, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_tls_with_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, other) = (certificate(folder.path(), "ours"), certificate(folder.path(), "other"));
    let (key, tls_port) = (ours.replace(".pem", ".key"), free_port().to_string());
    let args = ["--tls-port", &tls_port, "--tls-cert-file", &ours, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let _server = Redis::start_with(&args);
    let at = |query: &str| format!("rediss://127.0.0.1:{tls_port}{query}");

    let queue = connect(&at(&format!("?ca={ours}")), &QueueName::default()).await.expect("a trusted server");
    queue.publish(&lane("q"), &message("task")).await.expect("stored");
    assert!(queue.lease(&[lane("q")], LONG, PATIENCE).await.expect("an answer").is_some());
    for query in [String::new(), format!("?ca={other}")] {
        let error = connect(&at(&query), &QueueName::default()).await.err().expect("no trust");
        assert!(error.to_string().contains("certificate"), "{query}: {error}");
    }
}
