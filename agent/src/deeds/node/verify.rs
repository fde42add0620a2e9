//! Whether the node is well after a change, by what can be seen from here. What is looked at is judged by a plain function.

use std::time::Duration;

use reelmill_api::fleet::{Op, args::Verify};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{OnNode, Sight};
use crate::{
    deeds::{Before, Outcome, Undone, examine},
    exec::set_conf,
    systemd::Activity,
    worker_status,
};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// How long a name may take.
const NAME_WITHIN: Duration = Duration::from_secs(10);

/// What must be so.
struct Wanted {
    /// More connections to the broker than this many must have stood.
    connections: u64,
    /// Whether the worker must work.
    worker: bool,
    gpu: bool,
    clock: bool,
    /// The version of the settings that must be in force.
    conf_ver: Option<u64>,
}

/// What is so.
struct Seen {
    sight: Sight,
    /// Whether the worker works; why not.
    worker: Result<(), String>,
    /// Whether the broker's name can be found; why not.
    name: Result<(), String>,
    conf_ver: u64,
}

impl OnNode {
    /// Waits until the node is well, and says what is not if that does not come about in time.
    pub(super) async fn verify(&self, op: &Op, verify: Verify, before: Before, takes_work: bool) -> Outcome {
        let end = Instant::now() + Duration::from_secs(verify.timeout_s.get().into());
        let wanted = Wanted {
            connections: (self.reach.see)().connections,
            worker: takes_work,
            gpu: verify.gpu.unwrap_or(before.gpu),
            clock: before.clock,
            conf_ver: if let Op::SetConf(conf) = op { Some(conf.ver) } else { None },
        };
        // A connection from before the change says nothing about the network after it.
        self.reach.connect_anew.notify_one();
        let worker = if takes_work { self.take_work(end).await } else { Ok(()) };
        let mut said = Vec::new();
        loop {
            let seen = self.look(worker.clone()).await;
            let unwell = unwell(&wanted, &seen);
            if unwell.is_empty() {
                break;
            }
            if Instant::now() >= end {
                return Err(Undone::for_good("unwell", unwell.join("; ")));
            }
            if unwell != said {
                log::info!("{}: not well yet: {}", op.as_str(), unwell.join("; "));
                said = unwell;
            }
            sleep(EVERY).await;
        }
        let mut result = Map::from_iter([("well".to_owned(), Value::Bool(true))]);
        if verify.encode && takes_work {
            // One change is verified at a time, so they can all have the same name.
            let id = "verify".parse().expect("six letters");
            let tested = examine::run(&self.systemd, &id, None, end.saturating_duration_since(Instant::now())).await;
            tested.map_err(|undone| Undone::for_good("unwell", format!("the test encode failed: {undone}")))?;
            result.insert("encode".to_owned(), Value::Bool(true));
        }
        Ok(result)
    }

    /// Starts the worker, if it was stopped; why it does not start.
    async fn take_work(&self, end: Instant) -> Result<(), String> {
        match timeout_at(end, self.undrain()).await {
            Ok(started) => started.map(drop).map_err(|undone| undone.message),
            Err(_) => Err("it does not start in time".to_owned()),
        }
    }

    async fn look(&self, started: Result<(), String>) -> Seen {
        let worker = match self.systemd.worker_state().await {
            Ok(state) if state.activity == Activity::Active => match worker_status::read(&self.reach.worker).await {
                Ok(_) => Ok(()),
                Err(silence) => Err(silence.to_string()),
            },
            Ok(state) if state.installed => started.and(Err(format!("it is {}", state.activity.word()))),
            Ok(_) => Err("it is not installed".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        let (host, port) = &self.reach.broker;
        let name = match timeout(NAME_WITHIN, tokio::net::lookup_host((host.as_str(), *port))).await {
            Ok(Ok(mut found)) => found.next().map(drop).ok_or_else(|| "it has no address".to_owned()),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err(format!("no answer within {} s", NAME_WITHIN.as_secs())),
        };
        let name = name.map_err(|why| format!("the broker's name {host} cannot be found: {why}"));
        Seen { sight: (self.reach.see)(), worker, name, conf_ver: set_conf::version_in(&self.reach.conf_ver) }
    }
}

/// What is not as it must be, for people.
fn unwell(wanted: &Wanted, seen: &Seen) -> Vec<String> {
    let mut unwell = Vec::new();
    unwell.extend(seen.name.clone().err());
    if !(seen.sight.connected && seen.sight.connections > wanted.connections) {
        let why = seen.sight.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        unwell.push(format!("there is no new connection to the broker{why}"));
    }
    if let Err(why) = seen.worker.as_ref()
        && wanted.worker
    {
        unwell.push(format!("the worker is not well: {why}"));
    }
    if wanted.gpu && !seen.sight.gpu {
        unwell.push("no GPU is seen".to_owned());
    }
    if wanted.clock && !seen.sight.clock {
        unwell.push("the clock is not synchronised any more".to_owned());
    }
    if let Some(wanted) = wanted.conf_ver.filter(|ver| seen.conf_ver != *ver) {
        unwell.push(format!("version {wanted} of the settings is not in force but {}", seen.conf_ver));
    }
    unwell
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Wanted, &mut Seen), want: &[&str]) {
        let mut wanted = Wanted { connections: 3, worker: true, gpu: false, clock: true, conf_ver: None };
        let sight = Sight { connected: true, connections: 4, why: None, gpu: false, clock: true };
        let mut seen = Seen { sight, worker: Ok(()), name: Ok(()), conf_ver: 0 };
        change(&mut wanted, &mut seen);
        assert_eq!(unwell(&wanted, &seen), want);
    }

    #[test]
    fn each_thing_that_is_not_well_is_said() {
        check(|_, _| (), &[]);
        check(|_, seen| seen.sight.connections = 3, &["there is no new connection to the broker"]);
        check(
            |_, seen| {
                (seen.sight.connected, seen.sight.why) = (false, Some("refused".to_owned()));
                seen.name = Err("the broker's name hub cannot be found: no such name".to_owned());
            },
            &[
                "the broker's name hub cannot be found: no such name",
                "there is no new connection to the broker: refused",
            ],
        );
        check(|_, seen| seen.worker = Err("it is failed".to_owned()), &["the worker is not well: it is failed"]);
        check(|wanted, _| wanted.gpu = true, &["no GPU is seen"]);
        check(|_, seen| seen.sight.clock = false, &["the clock is not synchronised any more"]);
        check(
            |wanted, seen| (wanted.conf_ver, seen.conf_ver) = (Some(2), 1),
            &["version 2 of the settings is not in force but 1"],
        );
    }

    #[test]
    fn what_is_not_wanted_may_be_missing() {
        check(
            |wanted, seen| {
                (wanted.worker, wanted.clock) = (false, false);
                (seen.worker, seen.sight.clock) = (Err("it is inactive".to_owned()), false);
            },
            &[],
        );
        check(|wanted, seen| (wanted.gpu, seen.sight.gpu) = (true, true), &[]);
        check(|wanted, seen| (wanted.conf_ver, seen.conf_ver) = (Some(2), 2), &[]);
    }
}
