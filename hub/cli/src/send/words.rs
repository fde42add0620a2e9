//! How a command stands, in words. What a node tells is shown, never obeyed by the terminal.

use jiff::Timestamp;
use reelmill_api::{
    error::printable,
    fleet::{
        Code, CommandState, State,
        state::{Phase, Wait},
    },
};
use serde_json::Value;

use super::errand::{Errand, Over};

/// Where a command stands, in part of a line.
pub(super) fn standing(errand: &Errand) -> String {
    match (errand.over, &errand.state) {
        (Some(Over::Unseen), _) => "too late: the node did not come for it in time".to_owned(),
        (Some(Over::Cleared), _) => "somebody else has cleared it, and its end is not known".to_owned(),
        (None, Some(state)) => line(state),
        (None, None) if errand.is_there() => "sent".to_owned(),
        (None, None) => format!("waits for the node{}", until(errand.exp)),
    }
}

fn until(exp: Option<Timestamp>) -> String {
    exp.map(|exp| format!(" until {exp}")).unwrap_or_default()
}

fn line(state: &State) -> String {
    let percent = state.pct.map(|percent| format!(", {percent} %")).unwrap_or_default();
    let word = match state.state {
        CommandState::Queued { reason } => format!("queued {}", wait(reason)),
        CommandState::Running { phase } => format!("running, {}{percent}", part(phase)),
        CommandState::TimedOut => "timed out".to_owned(),
        CommandState::RolledBack => "rolled back".to_owned(),
        other => other.as_str().to_owned(),
    };
    let Some(fault) = &state.error else { return word };
    let again = if fault.retry { "; it may go well another time" } else { "" };
    let (code, why) = (printable(&fault.code), printable(fault.msg.as_str()));
    format!("{word}, {code}: {}{again}", why.replace('\n', " "))
}

fn wait(reason: Wait) -> &'static str {
    match reason {
        Wait::Window => "for the maintenance window or its own first moment",
        Wait::Lock => "while somebody else has the node drained",
        Wait::Drain => "while work is finished for another command",
        Wait::Busy => "behind another command",
        Wait::Clock => "until the node's clock is right",
    }
}

fn part(phase: Phase) -> &'static str {
    match phase {
        Phase::Preflight => "preflight",
        Phase::Fetch => "fetching the new system",
        Phase::Check => "checking the new system",
        Phase::Window => "waiting for the maintenance window",
        Phase::Drain => "finishing work",
        Phase::Activate => "activating the new system",
        Phase::Verify => "looking whether the node is well",
        Phase::Commit => "making it last",
        Phase::Undo => "going back",
        Phase::Act => "at it",
        Phase::Encode => "encoding",
        Phase::Collect => "collecting",
    }
}

/// What came of it; `None` where nothing did.
pub(super) fn result(state: &State) -> Option<String> {
    let told = Value::Object(state.result.clone());
    (!state.result.is_empty()).then(|| printable(&serde_json::to_string_pretty(&told).unwrap_or_default()).into_owned())
}

/// The state as a program reads it: as the node tells it, with the node's name.
pub(super) fn json(errand: &Errand) -> Option<String> {
    let mut told = serde_json::to_value(errand.state.as_ref()?).ok()?;
    told["node"] = errand.node.as_str().into();
    Some(told.to_string())
}

/// What a person can do about an end.
pub(super) fn hint(state: &State) -> Option<&'static str> {
    let code = state.error.as_ref()?.code.as_str();
    let known = Code::ALL.into_iter().find(|it| it.as_str() == code)?;
    Some(match known {
        Code::BadSignature => "does the node's trust.json name your key? `reelmill keys show FILE` shows its name",
        Code::Unauthorized => "it needs another role, or one more signature: see --sign and --add-signature",
        Code::NotSupported | Code::UnknownOp => {
            "`ops` in what the node tells on its topic `cap` names all that it can do"
        }
        Code::IssuedInFuture | Code::BeforeEnrolment | Code::Expired => {
            "is this machine's clock right, and the node's?"
        }
        Code::TooManyOpen => "call some off, or wait for their ends",
        _ => return None,
    })
}

/// Whether a node is there, if it is not.
pub(super) fn absence(errand: &Errand) -> Option<String> {
    if errand.is_there() {
        return None;
    }
    let Some(health) = &errand.health else {
        return Some(format!("nobody knows whether {} is there; the command waits{}", errand.node, until(errand.exp)));
    };
    let since = health.t.map(|t| format!(" since {t}")).unwrap_or_default();
    let why = match health.reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", printable(&health.reasons.join("; ").replace('\n', " "))),
    };
    Some(format!("{} is down{since}{why}; the command waits for it{}", errand.node, until(errand.exp)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &str, want: &str) {
        let state = format!(
            r#"{{"v":1,"id":"01M81B5H80NENTQAXBNENTQAXB","op":"switch","seq":7,"t":"2026-11-22T10:00:00Z","boot_id":"b",
                "agent":"1",{more}}}"#
        );
        assert_eq!(line(&State::parse(state.as_bytes()).expect("a state")), want);
    }

    #[test]
    fn every_state_is_a_word_and_a_reason() {
        check(r#""state":"queued","reason":"clock""#, "queued until the node's clock is right");
        check(r#""state":"running","phase":"fetch","pct":42"#, "running, fetching the new system, 42 %");
        check(r#""state":"verifying""#, "verifying");
        check(
            r#""state":"rolled_back","error":{"code":"unwell","retry":true,"msg":"no GPU"}"#,
            "rolled back, unwell: no GPU; it may go well another time",
        );
        check(r#""state":"timed_out""#, "timed out");
    }
}
