//! The order of parts, the end of a command, and what a captured agent can do with old messages: nothing.

use std::fs;

use reelmill_api::fleet::state::Phase;
use serde_json::{Value, json};

use crate::{
    node::{Node, act, power_mode},
    signed::{ago, command, part, sign, with},
};

/// A change of system, with the signatures that it needs.
fn switch() -> (Value, Vec<u8>) {
    let nar = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let path = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";
    let switch = command("switch", json!({"store_path": path, "nar_hash": nar, "release_ctr": 7}));
    let message = sign(&switch, &[1, 2]);
    (switch, message)
}

#[tokio::test]
async fn no_part_is_done_before_the_one_before_it() {
    let node = Node::enrolled().await;
    let (switch, message) = switch();
    for early in [Phase::Fetch, Phase::Check, Phase::Activate, Phase::Commit] {
        assert_eq!(node.told(&part(&switch, &message, early)).await, "out_of_order", "{early:?} first of all");
    }
    for between in [Phase::Drain, Phase::Window, Phase::Verify, Phase::Act] {
        assert_eq!(node.told(&part(&switch, &message, between)).await, "not_supported", "{between:?} is the agent's");
    }
    assert_eq!(node.ask(&part(&switch, &message, Phase::Undo)).await, Ok(serde_json::Map::new()), "nothing was begun");
}

#[tokio::test]
async fn a_part_that_failed_may_come_again_until_it_is_undone() {
    let mut node = Node::enrolled().await;
    let (failing, undo) = (power_mode(2), |c: &Value| part(c, &sign(c, &[1]), Phase::Undo));
    assert_eq!(node.told(&act(&failing)).await, "nvpmodel_failed");
    assert_eq!(node.told(&act(&failing)).await, "nvpmodel_failed");
    assert_eq!(node.told(&undo(&failing)).await, "done");
    assert_eq!(node.told(&act(&failing)).await, "ended");
    assert_eq!(node.told(&undo(&failing)).await, "done", "again is fine");
    node.restart().await;
    assert_eq!(node.told(&act(&failing)).await, "ended");
    let whole = power_mode(0);
    assert_eq!(node.told(&act(&whole)).await, "done");
    assert_eq!(node.told(&undo(&whole)).await, "ended", "what is done for good is not undone");
    assert_eq!(node.modes_set(), ["2", "2", "0"]);
}

#[tokio::test]
async fn an_agent_with_all_old_messages_can_do_nothing_again() {
    let mut node = Node::enrolled().await;
    // It has heard, kept and handed on: what was done, what failed and was called off, what was never begun and expired.
    let (done, ended, expired) =
        (power_mode(0), power_mode(2), with(power_mode(0), &json!({"issued_at": ago(9), "exp": ago(5)})));
    assert_eq!(node.told(&act(&done)).await, "done");
    assert_eq!(node.told(&act(&ended)).await, "nvpmodel_failed");
    assert_eq!(node.told(&part(&ended, &sign(&ended, &[1]), Phase::Undo)).await, "done");
    let before = node.modes_set();
    for _ in 0..2 {
        for (command, seeds, want) in [
            (&done, &[1][..], "done"),
            (&done, &[1, 2], "done"),
            (&done, &[2], "done"),
            (&ended, &[1], "ended"),
            (&ended, &[2, 1], "ended"),
            (&expired, &[1], "expired"),
            (&with(done.clone(), &json!({"exp": ago(-7200)})), &[1], "id_conflict"),
        ] {
            assert_eq!(node.told(&part(command, &sign(command, seeds), Phase::Act)).await, want, "{command}");
        }
        node.restart().await;
    }
    // Also after it had the node forget all that it may.
    let reset = command("factory-reset", json!({"keep_identity": true}));
    assert_eq!(node.told(&part(&reset, &sign(&reset, &[1, 3]), Phase::Act)).await, "done");
    node.restart().await;
    assert_eq!(node.told(&act(&ended)).await, "ended");
    assert_eq!(node.told(&act(&done)).await, "done");
    assert_eq!(node.modes_set(), before, "nothing was done for any of them");
}

#[tokio::test]
async fn a_helper_that_died_in_a_part_does_it_again_and_no_other() {
    let mut node = Node::enrolled().await;
    let waiting = power_mode(1);
    let request = act(&waiting);
    let asked = {
        let (socket, request) = (node.socket(), request.clone());
        tokio::spawn(async move {
            let stop = tokio_util::sync::CancellationToken::new();
            reelmill_agent::exec::client::ask(&socket, &request, &(std::sync::Arc::new(|_| {}) as _), &stop).await
        })
    };
    while node.modes_set().is_empty() {
        tokio::task::yield_now().await;
    }
    node.kill().await;
    assert_eq!(asked.await.expect("it ends").expect_err("the helper died").code, "helper_died");
    node.let_go();
    assert_eq!(node.told(&request).await, "done");
    assert_eq!(node.told(&request).await, "done");
    assert_eq!(node.modes_set(), ["1", "1"], "begun twice, since nobody knows how far it was");
}

#[tokio::test]
async fn a_ledger_that_is_damaged_lets_nothing_old_through() {
    let mut node = Node::enrolled().await;
    let old = power_mode(0);
    assert_eq!(node.told(&act(&old)).await, "done");
    let ledger = node.settings.state("ledger");
    let text = fs::read_to_string(&ledger).expect("the helper's");
    fs::write(&ledger, text.replace("power-mode", "power-node")).expect("ours");
    node.restart().await;
    assert_eq!(node.told(&act(&old)).await, "before_enrolment", "it may have been done, and was");
    assert_eq!(node.modes_set(), ["0"]);
    assert!(node.settings.state("ledger.damaged-1").exists());
}
