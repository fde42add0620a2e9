//! Whether the node is well, as far as one can tell without the farm: the agent's unit, what the agent itself says, and the
//! worker's unit.

use std::{io, time::Duration};

use reelmill_api::snapshot::Snapshot;
use tokio::time::timeout;

use super::record::Well;
use crate::{
    config::LoopbackUrl,
    loopback,
    systemd::{Activity, Systemd, UnitName},
};

const AGENT: &str = "reelmill-agent.service";
/// An agent that needs longer for its status is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest status that is read.
const LONGEST: u64 = 4 << 20;

/// What is well now.
pub async fn look(status: &LoopbackUrl) -> Well {
    let systemd = Systemd::new(UnitName::worker());
    let active = async |unit: &str| systemd.state(unit).await.is_ok_and(|state| state.activity == Activity::Active);
    let said =
        timeout(PATIENCE, loopback::ask(status, LONGEST)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let said = said.map(|answer| understand(&answer)).unwrap_or_default();
    Well {
        agent: active(AGENT).await,
        answers: said.answers,
        broker: said.broker,
        worker: active(UnitName::worker().as_str()).await,
    }
}

/// What an agent's answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    answers: bool,
    broker: bool,
}

/// An agent that asks for a password answers too, and tells nothing of its broker.
fn understand(answer: &[u8]) -> Said {
    match loopback::parts(answer) {
        Some((b"200", body)) => serde_json::from_slice::<Snapshot>(body).map_or_else(
            |_| Said::default(),
            |status| Said {
                answers: true,
                broker: status.farm.and_then(|farm| farm.broker).is_some_and(|b| b.connected),
            },
        ),
        Some((b"401", _)) => Said { answers: true, broker: false },
        _ => Said::default(),
    }
}

/// What was well before and is not now; the agent must run in any case.
pub fn missing(before: Option<Well>, now: Well) -> Vec<&'static str> {
    let before = before.unwrap_or_default();
    let table = [
        (true, now.agent, "reelmill-agent.service does not run"),
        (true, now.answers, "the agent does not answer"),
        (before.broker, now.broker, "the agent has lost its broker"),
        (before.worker, now.worker, "reelmill-worker.service does not run"),
    ];
    table.iter().filter(|(wanted, is, _)| *wanted && !is).map(|(_, _, what)| *what).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_agent_says_whether_it_has_its_broker() {
        let said = |answers, broker| Said { answers, broker };
        for (answer, want) in [
            ("HTTP/1.0 200 OK\r\n\r\n{}", said(true, false)),
            (r#"HTTP/1.0 200 OK__{"farm":{"broker":{"connected":true}}}"#, said(true, true)),
            (r#"HTTP/1.0 200 OK__{"farm":{"broker":{"connected":false}}}"#, said(true, false)),
            ("HTTP/1.0 401 Unauthorized__", said(true, false)),
            ("HTTP/1.0 500 Internal Server Error__{}", said(false, false)),
            ("HTTP/1.0 200 OK__no JSON", said(false, false)),
            ("SSH-2.0-OpenSSH_10__", said(false, false)),
            ("", said(false, false)),
        ] {
            assert_eq!(understand(answer.replace("__", "\r\n\r\n").as_bytes()), want, "{answer}");
        }
    }

    #[test]
    fn a_node_is_as_well_as_it_was() {
        let well = |agent, answers, broker, worker| Well { agent, answers, broker, worker };
        let all = well(true, true, true, true);
        assert!(missing(Some(all), all).is_empty());
        assert_eq!(missing(Some(all), well(true, true, false, true)), ["the agent has lost its broker"]);
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
            let _ = understand(&answer);
            let _ = understand(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes());
        }
    }
}
