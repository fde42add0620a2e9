//! The socket itself: one question a connection, with limits; one thing at a time; the end when nobody asks.

use std::{sync::Arc, time::Duration};

use reelmill_agent::{
    deeds::Told,
    exec::{
        client,
        wire::{MAX_REQUEST, Request},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

use crate::{
    node::{Node, act, power_mode},
    signed::{NAME, adopt},
};

/// What is answered to these bytes, after which nothing more is sent.
async fn answer(node: &Node, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(node.socket()).await.expect("it listens");
    // It may have heard enough before the end.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn what_is_no_question_is_answered_with_what_is_wrong() {
    let node = Node::new();
    let undone = |message: &str| {
        format!("{{\"undone\":{{\"code\":\"malformed\",\"message\":\"{message}\",\"retry\":false}}}}\n")
    };
    let line = "the question is no line of at most 65536 bytes";
    assert_eq!(answer(&node, b"").await, undone(line));
    assert_eq!(answer(&node, b"{}").await, undone(line));
    assert_eq!(answer(&node, b"{}\n").await, undone("the question: missing field `ask` at line 1 column 2"));
    for (bytes, part) in [
        (b"{\"ask\":\"shell\"}\n".to_vec(), "unknown variant `shell`, expected `part` or `adopt`"),
        (
            b"{\"ask\":\"part\",\"topic\":\"\",\"message\":\"\",\"phase\":\"act\",\"as\":\"root\"}\n".to_vec(),
            "unknown field `as`",
        ),
        (vec![0xff, b'\n'], "the question: "),
    ] {
        let got = answer(&node, &bytes).await;
        assert!(got.contains("malformed") && got.contains(part), "{got}");
    }
    let got = answer(&node, &vec![b' '; MAX_REQUEST + 1]).await;
    assert!(got.is_empty() || got == undone(line), "{got}");
    let request = Request::Part {
        topic: "x".repeat(MAX_REQUEST),
        message: String::new(),
        phase: reelmill_api::fleet::state::Phase::Act,
    };
    assert_eq!(node.told(&request).await, "too_large");
}

#[tokio::test]
async fn where_no_helper_is_the_agent_is_told_what_to_do() {
    let node = Node::new();
    assert!(client::is_there(&node.socket()));
    let nowhere = node.settings.state("nowhere");
    assert!(!client::is_there(&nowhere) && !client::is_there(&node.settings.nvpmodel));
    let told: Told = Arc::new(|_| {});
    let asked = client::ask(&nowhere, &adopt(NAME, 1), &told, &CancellationToken::new()).await;
    let undone = asked.expect_err("nobody listens");
    assert_eq!((undone.code.as_str(), undone.retry), ("no_helper", true));
    assert!(undone.message.contains("reelmill-exec.socket must be installed and started"), "{undone}");
}

#[tokio::test]
async fn one_thing_is_done_at_a_time_and_who_goes_away_before_it_begins_is_passed_over() {
    let node = Arc::new(Node::enrolled().await);
    let ask = |mode: u8, stop: &CancellationToken| {
        let (node, stop) = (node.clone(), stop.clone());
        tokio::spawn(async move {
            let told: Told = Arc::new(|_| {});
            client::ask(&node.socket(), &act(&power_mode(mode)), &told, &stop).await
        })
    };
    let (stay, go) = (CancellationToken::new(), CancellationToken::new());
    let waiting = ask(1, &stay);
    while node.modes_set().is_empty() {
        tokio::task::yield_now().await;
    }
    let gone = ask(0, &go);
    // It has asked, and waits for the first.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.cancel();
    assert_eq!(gone.await.expect("it ends").expect_err("called off").code, "stopped");
    let third = ask(0, &stay);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.modes_set(), ["1"], "the others wait");
    node.let_go();
    assert!(waiting.await.expect("it ends").is_ok());
    assert!(third.await.expect("it ends").is_ok());
    assert_eq!(node.modes_set(), ["1", "0"], "the one that was called off was never begun");
}

#[tokio::test]
async fn a_change_that_has_begun_goes_on_though_its_asker_goes() {
    let node = Node::enrolled().await;
    let (stop, command) = (CancellationToken::new(), power_mode(1));
    let told: Told = Arc::new(|_| {});
    let (socket, request) = (node.socket(), act(&command));
    let asked = client::ask(&socket, &request, &told, &stop);
    let leave = async {
        while node.modes_set().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (asked, ()) = tokio::join!(asked, leave);
    assert_eq!(asked.expect_err("the asker went").code, "stopped");
    node.let_go();
    assert_eq!(node.told(&act(&command)).await, "done");
    assert_eq!(node.modes_set(), ["1"], "it was done once, to its end");
}

#[tokio::test]
async fn it_ends_when_nobody_asks() {
    let mut node = Node::ending_after(Duration::from_millis(50));
    node.ended().await.expect("a good end");
    let mut node = Node::ending_after(Duration::from_millis(300));
    let asker = UnixStream::connect(node.socket()).await.expect("it listens");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(node.is_up(), "somebody is about to ask");
    drop(asker);
    node.ended().await.expect("a good end");
}
