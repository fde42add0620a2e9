//! Whether the node is well, as far as one can tell without the farm: the agent's unit, whether its page answers, what it says
//! at its door of its line to the broker, and the worker's unit.

use std::{io, path::Path, time::Duration};

use reelmill_api::snapshot::Snapshot;
use tokio::time::timeout;

use super::{Settings, record::Well};
use crate::{
    door::{self, Question, Told},
    loopback,
    systemd::{Activity, Systemd, UnitName},
};

const AGENT: &str = "reelmill-agent.service";
/// An agent that needs longer for its status is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest status that is read.
const LONGEST: u64 = 4 << 20;

/// Which connection to the broker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any that stands.
    Any,
    /// One that the agent has begun since it was asked for it and told this; `None`: it could not be asked yet.
    New(Option<Told>),
}

/// Has the agent leave its connection to the broker for a new one; how it stood before. `None` where no agent answers.
pub async fn connect_anew(door: &Path) -> Option<Told> {
    door::ask(door, Question::ConnectAnew).await.ok()
}

/// What is well now.
pub async fn look(settings: &Settings, wanted: Wanted) -> Well {
    let systemd = Systemd::new(UnitName::worker());
    let active = async |unit: &str| systemd.state(unit).await.is_ok_and(|state| state.activity == Activity::Active);
    let page = timeout(PATIENCE, loopback::ask(&settings.agent_status, LONGEST)).await;
    let page = page.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let line = door::ask(&settings.agent_door, Question::Look).await.ok();
    Well {
        agent: active(AGENT).await,
        answers: page.is_ok_and(|answer| is_agents(&answer)),
        broker: has_broker(wanted, line),
        worker: active(UnitName::worker().as_str()).await,
    }
}

/// Whether an agent answers so. One that asks for a password answers too.
fn is_agents(answer: &[u8]) -> bool {
    match loopback::parts(answer) {
        Some((b"200", body)) => serde_json::from_slice::<Snapshot>(body).is_ok(),
        Some((b"401", _)) => true,
        _ => false,
    }
}

/// Whether the agent has its broker, by what it tells of its line. A node without a broker has no line to tell of.
fn has_broker(wanted: Wanted, line: Option<Told>) -> bool {
    match wanted {
        Wanted::Any => line.is_some_and(|line| line.connected),
        Wanted::New(asked) => asked.zip(line).is_some_and(|(asked, line)| line.is_newer_than(&asked)),
    }
}

/// What was well before and is not now; the agent must run in any case.
pub fn missing(before: Option<Well>, now: Well) -> Vec<&'static str> {
    let before = before.unwrap_or_default();
    let table = [
        (true, now.agent, "reelmill-agent.service does not run"),
        (true, now.answers, "the agent does not answer"),
        (before.broker, now.broker, "the agent makes no new connection to its broker"),
        (before.worker, now.worker, "reelmill-worker.service does not run"),
    ];
    table.iter().filter(|(wanted, is, _)| *wanted && !is).map(|(_, _, what)| *what).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_agent_is_known_by_its_answer() {
        for (answer, want) in [
            ("HTTP/1.0 200 OK__{}", true),
            (r#"HTTP/1.0 200 OK__{"farm":{"broker":{"connected":false}}}"#, true),
            ("HTTP/1.0 401 Unauthorized__", true),
            ("HTTP/1.0 500 Internal Server Error__{}", false),
            ("HTTP/1.0 200 OK__no JSON", false),
            ("SSH-2.0-OpenSSH_10__", false),
            ("", false),
        ] {
            assert_eq!(is_agents(answer.replace("__", "\r\n\r\n").as_bytes()), want, "{answer}");
        }
    }

    #[test]
    fn after_a_change_only_a_new_connection_counts() {
        let told = |connected, connections| Some(Told { agent: 7, connected, connections });
        for (wanted, line, want) in [
            (Wanted::Any, told(true, 3), true),
            (Wanted::Any, told(false, 3), false),
            (Wanted::Any, None, false),
            (Wanted::New(told(true, 3)), told(true, 4), true),
            (Wanted::New(told(true, 3)), told(true, 3), false),
            (Wanted::New(told(true, 3)), told(false, 4), false),
            (Wanted::New(told(true, 3)), None, false),
            (Wanted::New(None), told(true, 3), false),
        ] {
            assert_eq!(has_broker(wanted, line), want, "{wanted:?} {line:?}");
        }
    }

    #[test]
    fn a_node_is_as_well_as_it_was() {
        let well = |agent, answers, broker, worker| Well { agent, answers, broker, worker };
        let all = well(true, true, true, true);
        assert!(missing(Some(all), all).is_empty());
        assert_eq!(
            missing(Some(all), well(true, true, false, true)),
            ["the agent makes no new connection to its broker"]
        );
        assert_eq!(missing(Some(all), well(true, true, true, false)), ["reelmill-worker.service does not run"]);
        assert!(missing(Some(well(true, true, false, false)), well(true, true, false, false)).is_empty(), "as before");
        assert_eq!(
            missing(None, Well::default()),
            ["reelmill-agent.service does not run", "the agent does not answer"]
        );
    }

    proptest! {
        #[test]
        fn whatever_answers_is_understood(answer: Vec<u8>, body: String) {
            let _ = is_agents(&answer);
            let _ = is_agents(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes());
        }
    }
}
