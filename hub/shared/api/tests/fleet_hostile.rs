//! Whoever can write to the broker can write anything: it is refused with a reason, it never panics, and no byte of what
//! was signed can be another.

use jiff::Timestamp;
use proptest::prelude::*;
use reelmill_api::{
    NodeId,
    fleet::{
        Command, CommandId, Decision, Envelope, KeyId, PrivateKey, PublicKey, Rejection, Role, Rollout, Sha256, State,
        StorePath, Text, Topic, Trust,
        admission::{Clock, Facts, Judge, Tell, decide},
        envelope::{COMMAND, Sealed},
        trust::TrustedKey,
    },
};
use serde_json::{Value, json};

const TOPIC: &str = "reelmill/1/n/orin-3/cmd/poweroff/01M81B5H80NENTQAXBNENTQAXB";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn trust() -> Trust {
    let trusted = [(1, Role::Operator), (2, Role::Admin)].map(|(seed, role)| TrustedKey {
        key: key(seed).public(),
        name: Text::default(),
        roles: [role].into_iter().collect(),
    });
    Trust::new(1, 1, trusted.into()).expect("well formed")
}

fn poweroff() -> Value {
    json!({
        "v": 1, "id": "01M81B5H80NENTQAXBNENTQAXB", "op": "poweroff", "node": "orin-3", "by": "anna",
        "issued_at": "2026-11-22T10:00:00Z", "exp": "2026-11-22T11:00:00Z", "args": {"confirm": "orin-3"},
        "policy": {"window": "now", "drain_s": 9}, "expect": {"conf_ver": 0}, "crit": ["args.confirm"], "reason": "move",
    })
}

fn signed() -> Vec<u8> {
    let mut envelope = Envelope::unsigned(COMMAND, poweroff().to_string().into_bytes());
    envelope.sign(&key(1)).expect("not yet");
    envelope.sign(&key(2)).expect("not yet");
    envelope.to_message()
}

fn decides(message: &[u8]) -> Decision {
    let judge = Judge {
        node: &"orin-3".parse().expect("a node"),
        tags: &[],
        trust: &trust(),
        clock: Clock::Right("2026-11-22T10:00:01Z".parse::<Timestamp>().expect("a time")),
        ledger_since: None,
        open: 0,
        facts: &Facts::default(),
        known: &|_| None,
    };
    decide(message, &TOPIC.parse().expect("a topic"), &judge)
}

#[test]
fn no_byte_of_a_signed_command_can_be_another() {
    let message = signed();
    assert!(matches!(decides(&message), Decision::Accept(_)), "it is good as it was sent");
    for at in 0..message.len() {
        for flip in [0x01, 0x02, 0x04, 0x10, 0x20, 0x80] {
            let mut forged = message.clone();
            forged[at] ^= flip;
            let decision = decides(&forged);
            let is_refused = matches!(&decision, Decision::Reject(_, Tell::State));
            assert!(is_refused, "{} at {at}: {decision:?}", String::from_utf8_lossy(&forged));
        }
    }
    for end in 0..message.len() {
        assert!(matches!(decides(&message[..end]), Decision::Reject(_, Tell::State)), "cut at {end}");
    }
}

fn is_sentence(why: &Rejection) -> bool {
    let text = why.to_string();
    text.len() > 8 && !text.contains(char::is_control)
}

/// Asks every parser of the protocol.
fn ask(bytes: &[u8]) -> Result<(), TestCaseError> {
    let refusals = [
        Sealed::parse(bytes).err(),
        Envelope::parse(bytes).err(),
        Trust::parse(bytes).err(),
        Rollout::parse(bytes).err(),
        State::parse(bytes).err(),
        Command::parse(bytes).err(),
    ];
    for why in refusals.iter().flatten() {
        prop_assert!(is_sentence(why), "{why:?}");
    }
    if let Ok(command) = Command::parse(bytes) {
        prop_assert_eq!(Command::parse(&command.to_payload()), Ok(command));
    }
    if let Ok(envelope) = Envelope::parse(bytes) {
        prop_assert_eq!(Envelope::parse(&envelope.to_message()), Ok(envelope));
    }
    if let Decision::Reject(why, _) = decides(bytes) {
        prop_assert!(is_sentence(&why), "{why:?}");
    }
    Ok(())
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(Value::from("2026-11-22T10:00:00Z")),
        Just(Value::from("@lan")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_.]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 17] = [
    "v",
    "id",
    "op",
    "node",
    "issued_at",
    "not_before",
    "exp",
    "ttl_s",
    "by",
    "reason",
    "rollout",
    "rollout_doc",
    "policy",
    "expect",
    "args",
    "crit",
    "other",
];

proptest! {
    #[test]
    fn any_bytes_are_refused_with_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        ask(&bytes)?;
    }

    #[test]
    fn a_command_with_any_field_changed_is_taken_or_refused(field in 0..17_usize, value in any_json(), op in 0..21_usize) {
        let mut command = poweroff();
        command["op"] = Value::from(reelmill_api::fleet::Op::NAMES[op]);
        ask(command.to_string().as_bytes())?;
        command[FIELDS[field]] = value;
        ask(command.to_string().as_bytes())?;
    }

    #[test]
    fn an_envelope_with_any_field_changed_is_taken_or_refused(field in 0..3_usize, value in any_json()) {
        let mut envelope: Value = serde_json::from_slice(&signed()).expect("JSON");
        envelope[["payloadType", "payload", "signatures"][field]] = value;
        ask(envelope.to_string().as_bytes())?;
    }

    #[test]
    fn a_topic_that_is_read_is_written_the_same(text in "reelmill/1(/(n|g|r|cmd|st|ev|m|cap|os|[a-z0-9+#-]{1,5}|[0-7][0-9A-Z]{25})){0,6}") {
        if let Ok(topic) = text.parse::<Topic>() {
            prop_assert_eq!(topic.to_string(), text);
        }
    }

    #[test]
    fn names_keys_and_digests_never_panic(text in ".{0,80}") {
        let node = text.parse::<NodeId>().map(|it| it.to_string());
        prop_assert!(node.is_err() || node.as_deref() == Ok(text.as_str()));
        let id = text.parse::<CommandId>().map(|it| it.to_string());
        prop_assert!(id.is_err() || id.as_deref() == Ok(text.as_str()));
        prop_assert!(text.parse::<KeyId>().is_err() && text.parse::<StorePath>().is_err());
        prop_assert!(text.parse::<PublicKey>().is_err() && Sha256::try_from(text.clone()).is_err());
        let response = Topic::response(&format!("reelmill/1/r/{text}/orin-3"), &"orin-3".parse().expect("a node"));
        prop_assert!(response.is_none() || !text.contains('/'));
    }

    #[test]
    fn an_id_is_its_bytes_and_its_text(bytes in any::<[u8; 16]>()) {
        let id = CommandId::from_bytes(bytes);
        prop_assert_eq!(id.to_bytes(), bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}
