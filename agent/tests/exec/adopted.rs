//! Whom the helper obeys: told once by whoever enrols the node, changed by signed documents, forgotten by a factory reset.

use std::fs;

use reelmill_api::fleet::{Trust, state::Phase};
use serde_json::json;

use crate::{
    node::{Node, act, power_mode},
    signed::{NAME, adopt, command, key, part, sign, trust, with},
};

#[tokio::test]
async fn before_it_was_told_whom_to_obey_it_obeys_nobody() {
    let mut node = Node::new();
    assert_eq!(node.told(&act(&power_mode(0))).await, "not_adopted");
    assert_eq!(node.told(&adopt(NAME, 1)).await, "done");
    assert_eq!(node.told(&act(&power_mode(0))).await, "done");
    assert_eq!(node.told(&adopt(NAME, 1)).await, "done", "the same again");
    node.restart().await;
    for other in [adopt("orin-4", 1), adopt(NAME, 2)] {
        assert_eq!(node.told(&other).await, "adopted");
    }
    assert_eq!(node.told(&act(&with(power_mode(0), &json!({"node": "orin-4"})))).await, "wrong_node");
    assert_eq!(node.modes_set(), ["0"]);
}

#[tokio::test]
async fn where_the_owner_says_whom_to_obey_no_agent_does() {
    let node = Node::new();
    fs::write(&node.settings.trust, trust(1).to_payload()).expect("ours");
    assert_eq!(node.told(&adopt(NAME, 1)).await, "trust_is_set");
    assert_eq!(node.told(&act(&power_mode(0))).await, "done");
    fs::write(&node.settings.trust, "{}").expect("ours");
    assert_eq!(node.told(&act(&power_mode(0))).await, "bad_trust");
}

#[tokio::test]
async fn other_keys_come_by_a_document_that_the_present_ones_signed() {
    let node = Node::enrolled().await;
    let request = |ctr: u64, admin: u8, seeds: &[u8]| {
        let command = command("trust", json!({"document": trust(ctr).signed(&key(admin))}));
        part(&command, &sign(&command, seeds), Phase::Act)
    };
    assert_eq!(node.told(&request(2, 9, &[1, 2])).await, "bad_trust");
    assert_eq!(node.told(&request(2, 5, &[1])).await, "unauthorized");
    let done = node.ask(&request(2, 5, &[1, 2])).await.expect("signed by all");
    assert_eq!(done["ctr"], 2);
    assert_eq!(node.told(&request(2, 5, &[1, 2])).await, "bad_trust", "another command with the same document");
    assert_eq!(node.told(&request(1, 5, &[1, 2])).await, "bad_trust", "back again");
    assert_eq!(node.told(&act(&power_mode(0))).await, "done");
}

#[tokio::test]
async fn a_key_that_is_not_trusted_any_more_goes_on_with_nothing() {
    let mut node = Node::enrolled().await;
    let failing = power_mode(2);
    assert_eq!(node.told(&act(&failing)).await, "nvpmodel_failed");
    let only_ben = Trust::new(2, 1, trust(1).keys()[1..].to_vec()).expect("there is an admin");
    let revoke = command("trust", json!({"document": only_ben.signed(&key(5))}));
    let revoke = part(&revoke, &sign(&revoke, &[1, 2]), Phase::Act);
    assert_eq!(node.told(&revoke).await, "done");
    assert_eq!(node.told(&act(&failing)).await, "bad_signature", "it is open, and anna's key is gone");
    assert_eq!(node.told(&revoke).await, "done", "told again, though anna signed that too");
    assert_eq!(node.told(&part(&failing, &sign(&failing, &[1]), Phase::Undo)).await, "done", "it can be ended");
    assert_eq!(node.told(&act(&power_mode(0))).await, "bad_signature");
    // One that died after the keys had changed and before that was written down does it again.
    let ledger = node.settings.state("ledger");
    let text = fs::read_to_string(&ledger).expect("the helper's");
    let ended = text.lines().position(|line| line.contains("\"op\":\"trust\"") && line.contains("ended"));
    let cut: String = text.lines().take(ended.expect("it ended")).map(|line| format!("{line}\n")).collect();
    fs::write(&ledger, cut).expect("ours");
    node.restart().await;
    assert_eq!(node.told(&revoke).await, "done");
    assert_eq!(node.modes_set(), ["2"]);
}

#[tokio::test]
async fn a_node_that_was_reset_belongs_to_whoever_enrols_it_next_and_remembers_what_it_did() {
    let mut node = Node::enrolled().await;
    let (old, unused) = (power_mode(0), power_mode(0));
    assert_eq!(node.told(&act(&old)).await, "done");
    for (folder, name) in [(&node.settings.state_folder, "worker.env"), (&node.settings.agent_folder, "cert.pem")] {
        fs::write(folder.join(name), "").expect("ours");
    }
    let failed = power_mode(2);
    assert_eq!(node.told(&act(&failed)).await, "nvpmodel_failed");
    let reset = command("factory-reset", json!({"keep_identity": false}));
    let reset = part(&reset, &sign(&reset, &[1, 2]), Phase::Act);
    assert_eq!(node.told(&reset).await, "done");
    assert!(!node.settings.state("worker.env").exists() && !node.settings.agent_folder.join("cert.pem").exists());
    node.restart().await;
    assert_eq!(node.told(&act(&unused)).await, "not_adopted");
    assert_eq!(node.told(&adopt(NAME, 7)).await, "done");
    assert_eq!(node.told(&act(&old)).await, "done", "told again, not done again");
    assert_eq!(node.told(&act(&failed)).await, "ended", "what was open has ended with the old life");
    assert_eq!(node.modes_set(), ["0", "2"]);
}
