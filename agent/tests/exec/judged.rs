//! What nobody who may has given is not done, whoever asks for it: by the agent's user, at the agent's word.

use reelmill_agent::exec::wire::Request;
use reelmill_api::fleet::{Rollout, state::Phase};
use serde_json::{Value, json};

use crate::{
    node::{Node, act, power_mode},
    signed::{NAME, ago, command, key, part, sign, with},
};

#[tokio::test]
async fn what_an_operator_signed_is_done_once_and_told_again() {
    let mut node = Node::enrolled().await;
    let request = act(&power_mode(0));
    let done = node.ask(&request).await.expect("an operator signed it");
    assert_eq!(Value::from(done.clone()), json!({"id": 0, "mode": "MAXN", "reboot_needed": false}));
    assert_eq!(node.ask(&request).await, Ok(done.clone()), "the agent may have died before it heard so");
    node.restart().await;
    assert_eq!(node.ask(&request).await, Ok(done));
    assert_eq!(node.modes_set(), ["0"]);
}

#[tokio::test]
async fn nothing_is_done_for_a_message_that_is_not_right() {
    let node = Node::enrolled().await;
    let good = power_mode(0);
    let signed = sign(&good, &[1]);
    let by = |seeds: &[u8]| part(&good, &sign(&good, seeds), Phase::Act);
    let but = |changes: Value| act(&with(power_mode(0), &changes));
    let misled = |op: &str| part(&with(good.clone(), &json!({"op": op})), &signed, Phase::Act);
    let mut forged = signed.clone();
    let at = forged.windows(7).position(|seven| seven == b"\"sig\":\"").expect("a signature") + 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let nar = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let path = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";
    let switch = command("switch", json!({"store_path": path, "nar_hash": nar, "release_ctr": 7}));
    let reset = command("factory-reset", json!({"keep_identity": true}));
    let table: [(&str, Request, &str); 22] = [
        ("nobody signed it", by(&[]), "bad_signature"),
        ("a stranger signed it", by(&[9]), "bad_signature"),
        ("a release key cannot command", by(&[3]), "unauthorized"),
        ("not in an envelope", part(&good, good.to_string().as_bytes(), Phase::Act), "bad_signature"),
        ("a signature with another byte", part(&good, &forged, Phase::Act), "bad_signature"),
        ("one signature where two are needed", part(&switch, &sign(&switch, &[1]), Phase::Preflight), "unauthorized"),
        ("two that are not of operators", part(&reset, &sign(&reset, &[3, 9]), Phase::Act), "unauthorized"),
        ("for another node", but(json!({"node": "orin-4"})), "wrong_node"),
        (
            "on another node's topic",
            part(&with(good.clone(), &json!({"node": "orin-4"})), &signed, Phase::Act),
            "wrong_node",
        ),
        ("expired", but(json!({"issued_at": ago(60), "exp": ago(30)})), "expired"),
        ("of the future", but(json!({"issued_at": ago(-600)})), "issued_in_future"),
        ("not yet", but(json!({"not_before": ago(-600)})), "too_early"),
        ("given in an earlier life", but(json!({"issued_at": ago(3600)})), "before_enrolment"),
        ("another boot is expected", but(json!({"expect": {"boot_id": "b0"}})), "precondition"),
        ("other settings are expected", but(json!({"expect": {"conf_ver": 4}})), "precondition"),
        ("only to be looked at", but(json!({"policy": {"dry_run": true}})), "dry_run"),
        ("on the topic of another operation", misled("reboot"), "malformed"),
        ("a part that it does not have", part(&good, &signed, Phase::Activate), "not_supported"),
        ("an operation that the helper does not do", act(&command("reboot", json!({}))), "not_supported"),
        ("an operation that needs no signature", act(&command("ping", json!({}))), "not_supported"),
        ("no message", part(&good, b"", Phase::Act), "malformed"),
        ("no topic", Request::Part { topic: "/".into(), message: String::new(), phase: Phase::Act }, "malformed"),
    ];
    for (what, request, want) in table {
        assert_eq!(node.told(&request).await, want, "{what}");
    }
    assert!(node.modes_set().is_empty(), "{:?}", node.modes_set());
    // None of that has taken the id of the true command.
    assert_eq!(node.told(&act(&good)).await, "done");
    let other = with(good, &json!({"by": "ben"}));
    assert_eq!(node.told(&act(&other)).await, "id_conflict");
    assert_eq!(node.modes_set(), ["0"]);
}

#[tokio::test]
async fn no_byte_of_a_message_can_be_another() {
    let node = Node::enrolled().await;
    let good = power_mode(0);
    let signed = sign(&good, &[1]);
    for at in 0..signed.len() {
        let mut other = signed.clone();
        other[at] ^= 1;
        assert_ne!(node.told(&part(&good, &other, Phase::Act)).await, "done", "byte {at}");
    }
    assert!(node.modes_set().is_empty());
    assert_eq!(node.told(&part(&good, &signed, Phase::Act)).await, "done");
}

#[tokio::test]
async fn a_clock_that_may_be_wrong_judges_nothing_but_what_is_late_anyway() {
    let mut node = Node::enrolled().await;
    assert_eq!(node.told(&act(&power_mode(0))).await, "done");
    // No time service answers in a test; and if one does on this machine, it may say yes.
    node.settings.clock_is_right = false;
    node.restart().await;
    let told = node.told(&act(&power_mode(0))).await;
    assert!(["clock", "done"].contains(&told.as_str()), "{told}");
    let late = with(power_mode(0), &json!({"issued_at": ago(60), "exp": ago(30)}));
    assert_eq!(node.told(&act(&late)).await, "expired", "it was later than that when the last command was done");
}

#[tokio::test]
async fn a_rollout_is_obeyed_as_it_was_signed() {
    let node = Node::enrolled().await;
    let rollout = |to: Value, mode: u8| {
        let command = command("power-mode", json!({"mode": mode}));
        let document = with(
            command,
            &json!({"node": null, "to": to, "waves": {"max_per_min": 4, "max_unavailable": 2, "success_pct": 90}}),
        );
        Rollout::parse(document.to_string().as_bytes()).expect("a rollout")
    };
    let told = async |rollout: Rollout, seeds: &[u8], mode: u8| {
        let mut document = rollout.to_envelope();
        seeds.iter().for_each(|seed| document.sign(&key(*seed)).expect("each once"));
        let command = rollout.command(&NAME.parse().expect("a name"), &document);
        let mut json: Value = serde_json::from_slice(&command.to_payload()).expect("JSON");
        json["args"]["mode"] = mode.into();
        node.told(&part(&json, json.to_string().as_bytes(), Phase::Act)).await
    };
    assert_eq!(told(rollout(json!({"nodes": [NAME]}), 0), &[1], 0).await, "done");
    assert_eq!(told(rollout(json!({"tag": "lan"}), 0), &[1], 0).await, "done", "which tags it has is the agent's word");
    assert_eq!(told(rollout(json!({"nodes": [NAME]}), 0), &[1], 2).await, "wrong_rollout");
    assert_eq!(told(rollout(json!({"nodes": ["orin-4"]}), 0), &[1], 0).await, "wrong_rollout");
    assert_eq!(told(rollout(json!({"nodes": [NAME]}), 0), &[9], 0).await, "bad_signature");
    assert_eq!(node.modes_set(), ["0", "0"]);
}
