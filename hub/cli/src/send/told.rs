//! What a person is about to answer for, in words.

use anyhow::{Context as _, bail};
use reelmill_api::{
    error::printable,
    fleet::{Class, Command, Envelope, Op, Rollout, Trust, envelope, rollout::Nodes},
};
use serde_json::Value;

/// What an envelope holds: in a sentence, and then to the last field.
///
/// # Errors
/// If it is nothing that a node obeys.
pub(super) fn envelope(envelope: &Envelope) -> anyhow::Result<String> {
    let (kind, payload) = (envelope.kind(), envelope.payload());
    let sentence = match kind {
        envelope::COMMAND => Command::parse(payload).map(|it| command(&it)),
        envelope::ROLLOUT => Rollout::parse(payload).map(|it| rollout(&it)),
        envelope::TRUST => Trust::parse(payload).map(|it| trust(&it)),
        _ => bail!("the envelope holds `{kind}`, which is neither a command nor a rollout nor a trust document"),
    };
    let sentence = sentence.with_context(|| format!("the envelope holds no whole `{kind}`"))?;
    let whole: Value = serde_json::from_slice(payload)?;
    Ok(format!("{sentence}\n{}", printable(&serde_json::to_string_pretty(&whole)?)))
}

/// A command in a sentence.
pub(super) fn command(command: &Command) -> String {
    let Command { id, op, node, by, exp, .. } = command;
    let reason = command.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let signatures = signatures(op);
    format!("{} on {node}, given by {by}{reason}, may start until {exp}; it needs {signatures}; id {id}", deed(op))
}

/// A rollout in a sentence.
pub(super) fn rollout(rollout: &Rollout) -> String {
    let nodes = match &rollout.to {
        Nodes::Nodes(nodes) => nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Nodes::Tag(tag) => format!("all nodes tagged {}", tag.as_str()),
    };
    let Rollout { id, op, by, exp, .. } = rollout;
    let signatures = signatures(op);
    format!("{} on {nodes}, given by {by}, may start until {exp}; it needs {signatures}; rollout {id}", deed(op))
}

fn trust(trust: &Trust) -> String {
    let keys = trust.keys().iter().map(|key| {
        let roles: Vec<_> = key.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        format!("\n  {} {} {}", key.key.id(), roles.join("+"), key.name)
    });
    let keys: String = keys.collect();
    format!("trust document {}, of whose admin keys {} must sign the next:{keys}", trust.ctr(), trust.threshold())
}

fn deed(op: &Op) -> String {
    let told = match op {
        Op::Trust(new) => Trust::parse(new.document.payload()).map(|it| format!("{}\n ", trust(&it))).ok(),
        _ => None,
    };
    format!("{} {}", op.as_str(), told.unwrap_or_else(|| op.args().to_string()))
}

fn signatures(op: &Op) -> &'static str {
    match op.class() {
        Class::Unsigned => "no signature",
        Class::One => "one signature",
        Class::Two => "two signatures",
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::fleet::PrivateKey;

    use super::*;

    fn told(kind: &str, payload: &str) -> String {
        let told = envelope(&Envelope::unsigned(kind, payload.into()));
        told.unwrap_or_else(|e| format!("{e:#}"))
    }

    #[test]
    fn nothing_that_is_signed_is_left_untold() {
        let reboot = r#"{"v":1,"id":"01M81B5H80NENTQAXBNENTQAXB","op":"reboot","node":"orin-3","by":"anna","args":{},
            "issued_at":"2026-11-22T10:00:00Z","exp":"2026-11-22T11:00:00Z","policy":{"force":true},"later":"\u009b2J"}"#;
        let shown = told(envelope::COMMAND, reboot);
        let sentence =
            "reboot {} on orin-3, given by anna, may start until 2026-11-22T11:00:00Z; it needs one signature";
        assert!(shown.starts_with(sentence), "{shown}");
        assert!(shown.contains("\"force\": true") && shown.contains("\"later\": \"\u{fffd}2J\""), "{shown}");
        let rollout = r#"{"v":1,"id":"01M81B5H80000000000000000A","by":"anna","to":{"tag":"lan"},"op":"reboot","args":{},
            "issued_at":"2026-11-22T10:00:00Z","exp":"2026-11-23T10:00:00Z",
            "waves":{"max_per_min":4,"max_unavailable":2,"success_pct":90}}"#;
        let shown = told(envelope::ROLLOUT, rollout);
        assert!(shown.starts_with("reboot {} on all nodes tagged lan, given by anna"), "{shown}");
        let key = String::from(PrivateKey::from_seed(&[5; 32]).public());
        let trust = format!(
            r#"{{"v":1,"ctr":2,"threshold":1,"keys":[{{"key":"{key}","name":"the safe","roles":["operator","admin"]}}]}}"#
        );
        let shown = told(envelope::TRUST, &trust);
        assert!(shown.starts_with("trust document 2, of whose admin keys 1 must sign the next:\n  "), "{shown}");
        assert!(shown.contains(" operator+admin the safe"), "{shown}");
    }

    #[test]
    fn what_a_node_would_not_obey_cannot_be_told() {
        assert!(told("text/plain", "{}").contains("`text/plain`, which is neither"));
        assert!(told(envelope::COMMAND, "{}").contains("it has no version"));
        assert!(told(envelope::TRUST, r#"{"v":1,"ctr":1,"threshold":1,"keys":[]}"#).contains("threshold of 1"));
    }
}
