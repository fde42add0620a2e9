//! What is special about the file: several processes, files that are not ours, and rights.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reelmill_api::{Notice, QueueName};
use reelmill_queue::{Cursor, Depth, EVENTS_KEPT, NewMessage, Published, QueueError, connect, sqlite_url};
use sqlx::{Connection, SqliteConnection};

use crate::bench::{Bench, EMPTY, LONG, PATIENCE, lane, message, text};

/// Tells a child process of these tests which queue to work on.
const CHILD_URL: &str = "REELMILL_TEST_QUEUE";

/// Not a test but the main function of the processes that the tests below start.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child_that_consumes_until_told_to_stop() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let queue = connect(&url, &QueueName::default()).await.expect("the file opens");
    loop {
        let leased = queue.lease(&[lane("q")], LONG, PATIENCE).await.expect("an answer").expect("a message comes");
        queue.ack(&leased.receipt).await.expect("nobody else has it");
        match text(&leased) {
            "stop" => return,
            body => println!("took {body}"),
        }
    }
}

/// Likewise: takes a task and dies with it.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child_that_dies_with_a_lease() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let queue = connect(&url, &QueueName::default()).await.expect("the file opens");
    let leased = queue.lease(&[lane("q")], Duration::from_secs(1), PATIENCE).await.expect("an answer");
    std::process::exit(if leased.is_some() { 77 } else { 1 });
}

/// Likewise: lets nobody else write until its standard input ends.
#[tokio::test]
#[ignore = "started by other tests"]
async fn child_that_keeps_others_from_writing() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let mut file = SqliteConnection::connect(&url).await.expect("a SQLite file");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut file).await.expect("nobody else writes");
    println!("locked");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("an end");
}

fn child(name: &str, url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test's program"));
    command.args(["--exact", &format!("sqlite_only::{name}"), "--ignored", "--nocapture"]).env(CHILD_URL, url);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_file_without_loss_or_double() {
    const CHILDREN: usize = 4;
    const MESSAGES: usize = 200;
    let bench = Bench::sqlite().await;
    let start = || child("child_that_consumes_until_told_to_stop", &bench.url).spawn().expect("a process starts");
    let children: Vec<_> = (0..CHILDREN).map(|_| start()).collect();
    for i in 0..MESSAGES {
        bench.publish(&lane("q"), &i.to_string()).await;
    }
    for _ in 0..CHILDREN {
        bench.publish(&lane("q"), "stop").await;
    }
    let mut times_taken = BTreeMap::new();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "a consumer failed: {}", output.status);
        for body in String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.split_once("took ")) {
            *times_taken.entry(body.1.parse::<usize>().expect("a number")).or_insert(0) += 1;
        }
    }
    assert_eq!(times_taken, (0..MESSAGES).map(|i| (i, 1)).collect());
    assert_eq!(bench.queue.depth(&lane("q")).await.expect("a depth"), EMPTY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_survives_the_process_that_held_it() {
    let bench = Bench::sqlite().await;
    bench.publish(&lane("q"), "task").await;
    let status = child("child_that_dies_with_a_lease", &bench.url).status().expect("a process runs");
    assert_eq!(status.code(), Some(77));
    assert_eq!(bench.lease(&lane("q"), LONG).await.attempt, 2);
}

/// A process that lets nobody else write to the file; it ends with its standard input.
fn hold(url: &str) -> Child {
    let mut command = child("child_that_keeps_others_from_writing", url);
    let mut holder = command.stdin(Stdio::piped()).spawn().expect("a process starts");
    let told = BufReader::new(holder.stdout.as_mut().expect("it is piped"));
    assert!(told.lines().any(|line| line.expect("text").contains("locked")), "it holds the file");
    holder
}

fn let_go(mut holder: Child) {
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_process_that_holds_the_file_and_says_so_if_that_goes_on() {
    let (bench, lane) = (Bench::sqlite().await, lane("q"));
    bench.publish(&lane, "task").await;
    let leased = bench.lease(&lane, LONG).await;
    assert!(bench.lease_now(&lane).await.is_none(), "from here on it only looks, until it finds something");

    let holder = hold(&bench.url);
    let extending = tokio::spawn({
        let (queue, receipt) = (bench.queue.clone(), leased.receipt.clone());
        async move { queue.extend(&receipt, LONG).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!extending.is_finished(), "it waits");
    bench.check_depth(&lane, Depth { leased: Some(1), ..EMPTY }).await;
    assert!(bench.lease_now(&lane).await.is_none(), "who only looks does not wait");
    let_go(holder);
    extending.await.expect("no panic").expect("ours");

    let holder = hold(&bench.url);
    let error = bench.queue.publish(&lane, &message("more")).await.expect_err("it is held for too long");
    let told = error.to_string();
    assert!(told.starts_with("cannot publish to lane q at sqlite:") && told.contains("locked"), "{told}");
    assert!(error.hint().is_some_and(|hint| hint.contains("a program that holds it")), "{error:?}");
    let_go(holder);
    bench.publish(&lane, "more").await;
    bench.queue.ack(&leased.receipt).await.expect("still ours");
    bench.check_depth(&lane, Depth { ready: 1, ..EMPTY }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = sqlite_url(&folder.path().join("new queue%?.sqlite"));
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = url.clone();
        opening.spawn(async move { connect(&url, &QueueName::default()).await.map(drop) });
    }
    while let Some(opened) = opening.join_next().await {
        opened.expect("no panic").expect("it opens");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_called_off_is_undone_before_the_next_begins() {
    let bench = Bench::sqlite().await;
    let keyed = NewMessage { dedupe_key: Some("one".to_owned()), ..message("keyed") };
    bench.queue.publish(&lane("keyed"), &keyed).await.expect("it is published");
    for called_off_after in 0..300 {
        let emitting = tokio::time::timeout(Duration::from_micros(10 * called_off_after), bench.queue.emit(b"event"));
        emitting.await.unwrap_or(Ok(())).expect("it is emitted, unless it is called off");
        bench.publish(&lane("q"), "task").await;
        // It is found to be there, and nothing is written.
        assert_eq!(bench.queue.publish(&lane("keyed"), &keyed).await.expect("an answer"), Published::Duplicate);
    }
    assert_eq!(bench.queue.depth(&lane("q")).await.expect("a depth").ready, 300);
}

#[tokio::test]
async fn a_closed_file_keeps_everything() {
    let bench = Bench::sqlite().await;
    bench.publish(&lane("q"), "task").await;
    bench.queue.emit(b"event").await.expect("emitted");
    let Bench { queue, url, keep: _keep } = bench;
    drop(queue);
    let queue = connect(&url, &QueueName::default()).await.expect("it opens again");
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth").ready, 1);
    assert_eq!(queue.events(&Cursor::default(), Duration::ZERO).await.expect("events").bodies, [b"event"]);
}

#[tokio::test]
async fn other_users_cannot_read_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue.sqlite");
    connect(&sqlite_url(&path), &QueueName::default()).await.expect("it opens");
    let mode = std::fs::metadata(&path).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
}

#[tokio::test]
async fn a_file_of_the_first_version_is_taken_over_with_all_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue.sqlite");
    let first = connect(&sqlite_url(&path), &QueueName::default()).await.expect("it opens");
    first.publish(&lane("q"), &crate::bench::message("task")).await.expect("stored");
    drop(first);
    sql(&path, "DROP TABLE notices; PRAGMA user_version = 1").await;
    let queue = connect(&sqlite_url(&path), &QueueName::default()).await.expect("it opens");
    assert_eq!(queue.depth(&lane("q")).await.expect("a depth").ready, 1);
    queue.post(&Notice::Paused(lane("q"))).await.expect("posted");
    assert_eq!(queue.notices().await.expect("an answer"), [Notice::Paused(lane("q"))].into());
}

async fn sql(path: &Path, statement: &'static str) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut file = SqliteConnection::connect(&url).await.expect("a SQLite file");
    sqlx::raw_sql(statement).execute(&mut file).await.expect("a statement");
    file.close().await.expect("it closes");
}

#[tokio::test]
async fn refuses_files_that_are_not_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("text"), "These are twenty-odd words of plain text, no database at all.".repeat(9))
        .expect("written");
    sql(&at("foreign"), "CREATE TABLE jobs (id TEXT)").await;
    sql(&at("newer"), "PRAGMA user_version = 99").await;
    for (name, part) in [
        ("text", "not a database"),
        ("foreign", "another program's tables"),
        ("newer", "newer Reelmill"),
        ("no/such/folder", "No such file"),
        (".", "is a directory"),
    ] {
        let error = connect(&sqlite_url(&at(name)), &QueueName::default()).await.err().expect(name);
        assert!(matches!(&error, QueueError::BadAddress { .. }) && error.to_string().contains(part), "{name}: {error}");
    }
}

#[tokio::test]
async fn keeps_the_newest_events_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queue.sqlite");
    let queue = connect(&sqlite_url(&path), &QueueName::default()).await.expect("it opens");
    sql(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
         INSERT INTO events (queue, id, body) SELECT 'reelmill', i, x'00' FROM n",
    )
    .await;
    queue.emit(b"newest").await.expect("emitted");
    let (mut cursor, mut read) = (Cursor::default(), Vec::new());
    loop {
        let events = queue.events(&cursor, Duration::ZERO).await.expect("events");
        if events.bodies.is_empty() {
            break;
        }
        read.extend(events.bodies);
        cursor = events.next;
    }
    assert_eq!((read.len() as u64, read.last()), (EVENTS_KEPT, Some(&b"newest".to_vec())));
}
