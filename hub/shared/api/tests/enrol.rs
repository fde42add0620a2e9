//! What crosses the hub's door for nodes, byte for byte. A change here is a change of protocol and gets a decision record.

mod golden;

use golden::check;
use reelmill_api::{
    enrol::{JoinAnswer, JoinRequest, JoinToken, Machine, Membership, PairingCode, Refusal, RenewRequest},
    fleet::{PrivateKey, Role, Text, Trust, trust::TrustedKey},
};

const CSR: &str = "-----BEGIN CERTIFICATE REQUEST-----\nMIH...\n-----END CERTIFICATE REQUEST-----\n";

#[test]
fn a_node_asks() {
    let whole = JoinRequest {
        node: "orin-3".parse().expect("a name"),
        csr: CSR.to_owned(),
        token: Some(JoinToken::new([0xab; 16])),
        tags: vec!["rack".parse().expect("a tag")],
        machine: Machine {
            serial: Some(Text::cut("1424123456789")),
            board: Some(Text::cut("NVIDIA Jetson Orin NX 16GB")),
        },
    };
    check("enrol/join.json", &whole);
    check("enrol/join-pairing.json", &JoinRequest { token: None, tags: vec![], machine: Machine::default(), ..whole });
    check("enrol/renew.json", &RenewRequest { csr: CSR.to_owned() });
}

#[test]
fn a_hub_answers() {
    let key = TrustedKey {
        key: PrivateKey::from_seed(&[5; 32]).public(),
        name: Text::cut("anna"),
        roles: [Role::Admin].into_iter().collect(),
    };
    let place = Membership {
        node: "orin-3".parse().expect("a name"),
        cert: "-----BEGIN CERTIFICATE-----\nMIH...\n-----END CERTIFICATE-----\n".to_owned(),
        not_after: "2026-12-22T10:00:00Z".parse().expect("a time"),
        ca: "-----BEGIN CERTIFICATE-----\nMII...\n-----END CERTIFICATE-----\n".to_owned(),
        broker_host: Some("broker.example".to_owned()),
        broker_port: 8883,
        trust: Some(Trust::new(0, 1, vec![key]).expect("well formed")),
        tags: vec!["rack".parse().expect("a tag")],
        enrolled_at: "2026-11-22T10:00:00Z".parse().expect("a time"),
    };
    check("enrol/enrolled.json", &JoinAnswer::Enrolled(Box::new(place)));
    let code = PairingCode::of(b"a key");
    check("enrol/pending.json", &JoinAnswer::Pending { code, why: Some(Refusal::ExpiredToken) });
    let message = Text::cut("another node is called orin-3");
    check("enrol/refused.json", &JoinAnswer::Refused { why: Refusal::NameTaken, message });
}

#[test]
fn a_reason_of_tomorrow_is_understood_as_one() {
    let text = r#"{"state":"refused","why":"too_old","message":"update the agent","more":1}"#;
    let answer: JoinAnswer = serde_json::from_str(text).expect("tolerant of what is new");
    let message = Text::cut("update the agent");
    assert_eq!(answer, JoinAnswer::Refused { why: Refusal::Other, message });
}
