//! What operators sign for a node, as questions to its root helper.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use reelmill_agent::exec::wire::Request;
use reelmill_api::fleet::{Envelope, PrivateKey, Role, Text, Trust, envelope, state::Phase, trust::TrustedKey};
use serde_json::{Value, json};

/// The node's name.
pub(crate) const NAME: &str = "orin-3";

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Keys 1 and 2 are operators, 3 is a release key, 5 an admin; 9 is nobody's.
pub(crate) fn trust(ctr: u64) -> Trust {
    let roles = [(1, Role::Operator), (2, Role::Operator), (3, Role::Release), (5, Role::Admin)];
    let trusted = roles.map(|(seed, role)| TrustedKey {
        key: key(seed).public(),
        name: Text::default(),
        roles: [role].into_iter().collect(),
    });
    Trust::new(ctr, 1, trusted.into()).expect("well formed")
}

/// A question that gives a node its first keys.
pub(crate) fn adopt(node: &str, ctr: u64) -> Request {
    Request::Adopt { node: node.parse().expect("a name"), trust: trust(ctr) }
}

/// A command for this node, from a second ago on and for an hour, with an id of its own.
pub(crate) fn command(op: &str, args: Value) -> Value {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("01M81B5H80{:016}", COUNT.fetch_add(1, Ordering::Relaxed));
    json!({"v": 1, "id": id, "op": op, "node": NAME, "by": "anna", "args": args, "issued_at": ago(1), "exp": ago(-3600)})
}

/// So many seconds ago, as it is written.
pub(crate) fn ago(seconds: i64) -> String {
    Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).expect("not that long").to_string()
}

/// The same with other fields.
pub(crate) fn with(mut command: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().expect("an object") {
        command[key] = value.clone();
    }
    command
}

/// A message with a command, signed by these keys.
pub(crate) fn sign(command: &Value, seeds: &[u8]) -> Vec<u8> {
    let mut envelope = Envelope::unsigned(envelope::COMMAND, command.to_string().into_bytes());
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
    envelope.to_message()
}

/// The question for one part of a command, in a message of these bytes.
pub(crate) fn part(command: &Value, message: &[u8], phase: Phase) -> Request {
    let text = |field: &str| command[field].as_str().expect("text").to_owned();
    let topic = format!("reelmill/1/n/{}/cmd/{}/{}", text("node"), text("op"), text("id"));
    Request::Part { topic, message: STANDARD.encode(message), phase }
}
