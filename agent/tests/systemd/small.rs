//! Commands that need no root, given to an agent at a real broker, with a real journal and a real store.

use std::{process::Command, sync::Arc};

use reelmill_api::fleet::{CommandId, State};
use reelmill_lab::{
    mosquitto::Mosquitto,
    nspawn::{Ended, Machine, Setup},
    programs::eventually,
    s3,
};
use serde_json::{Value, json};

use crate::{
    hub::{Ear, command, send, trust},
    node::{AGENT, node},
};

const NODE: &str = "shelf-1";
const UNIT: &str = "reelmill-agent.service";
const STARTED: &str = "/var/cache/reelmill-worker/started";

/// A worker that says how it was started, and ends as the file says.
const WORKER: &str = "#!/bin/sh
echo \"$(id -un) $* $QUEUE_NAME $PRESET $CONCURRENCY <$LD_PRELOAD>\" >> /var/cache/reelmill-worker/started
systemd-notify --ready
. /etc/reelmill/end\n";

/// A worker that only examines its machine, where all presets but one can be encoded.
const DOCTOR: &str = r#"#!/bin/sh
case "$(id -un) $*" in "reelmill-worker --config "*" doctor --json --encoders") ;; *) exit 9;; esac
[ "$PRESET" = proxy ] && state=missing code=1 || state=ok code=0
echo "{\"findings\":[{\"state\":\"$state\",\"what\":\"presets\",\"fact\":\"$PRESET\"}]}"
exit $code
"#;

/// A machine whose agent is at a broker.
struct Place {
    machine: Machine,
    broker: Mosquitto,
    ear: Ear,
}

impl Place {
    fn boot(setup: Setup) -> Self {
        let broker = Mosquitto::start();
        let identity = broker.identity(NODE);
        let text = |path: &std::path::Path| std::fs::read_to_string(path).expect("the broker's folder");
        let trust = String::from_utf8(trust().to_payload()).expect("JSON");
        let folder = "/etc/reelmill";
        let settings = format!(
            "node = \"{NODE}\"\ntags = [\"rack\"]\n[page]\nlisten = [\"127.0.0.1:0\"]\npassword = \"hunter2hunter2\"\n\
             [broker]\nhost = \"127.0.0.1\"\nport = {}\nca = \"{folder}/ca.pem\"\ncert = \"{folder}/cert.pem\"\n\
             key = \"{folder}/key.pem\"\ntrust = \"{folder}/trust.json\"\nclock_is_right = true\n",
            broker.fleet
        );
        let setup = setup.host_network().enabled(UNIT).file(&format!("{folder}/agent.toml"), &settings);
        let setup = [
            ("ca.pem", text(&broker.ca())),
            ("cert.pem", text(&identity.cert)),
            ("key.pem", text(&identity.key)),
            ("trust.json", trust),
        ]
        .into_iter()
        .fold(setup, |setup, (name, content)| setup.file(&format!("{folder}/{name}"), &content));
        let ear = Ear::open(&broker);
        let place = Self { machine: setup.boot(), broker, ear };
        place.connected(1);
        place
    }

    fn connected(&self, times: usize) {
        let there = || (self.told("cap").len() >= times).then_some(());
        eventually("a node that introduces itself", there);
    }

    fn told(&self, topic: &str) -> Vec<Value> {
        let told = self.ear.on(&format!("reelmill/1/n/{NODE}/{topic}"));
        told.iter().filter_map(|payload| serde_json::from_str(payload).ok()).collect()
    }

    fn give(&self, op: &str, args: Value) -> CommandId {
        self.give_signed(op, args, &[1])
    }

    fn give_signed(&self, op: &str, args: Value, seeds: &[u8]) -> CommandId {
        let command = command(NODE, op, args);
        send(&self.broker, NODE, &command, seeds);
        command.id
    }

    fn end(&self, id: CommandId) -> State {
        self.ear.end(NODE, id)
    }

    /// The end, its code or else its result.
    fn done(&self, op: &str, args: Value) -> (String, Value) {
        let state = self.end(self.give(op, args));
        let told = state.error.map_or(json!(state.result), |fault| json!(fault.code));
        (state.state.as_str().to_owned(), told)
    }

    fn state(&self, id: CommandId) -> Option<String> {
        Some(self.ear.states(NODE, id).last()?.state.as_str().to_owned())
    }
}

#[test]
fn tags_outlast_the_agent_and_are_told() {
    let Some(setup) = node("tags_outlast_the_agent_and_are_told") else { return };
    let place = Place::boot(setup);
    assert_eq!(place.told("cap")[0]["tags"], json!(["rack"]));
    let done = place.done("tags", json!({"add": ["fast"], "del": ["rack"]}));
    assert_eq!(done, ("succeeded".to_owned(), json!({"tags": ["fast"]})));
    let tags = || place.told("cap").last().filter(|cap| cap["tags"] == json!(["fast"])).cloned();
    eventually("the new tags", tags);
    assert_eq!(place.done("tags", json!({"del": ["lan"]})), ("failed".to_owned(), json!("found_out")));

    let before = place.told("cap").len();
    place.machine.ok(&["systemctl", "kill", "--signal=KILL", UNIT]);
    place.connected(before + 1);
    assert_eq!(place.told("cap").last().expect("it is back")["tags"], json!(["fast"]));
    assert_eq!(place.machine.ok(&["stat", "-c", "%U %a", "/var/lib/reelmill-agent/tags.json"]), "reelmill-agent 600");
}

#[test]
fn a_journal_is_followed_and_the_newest_lines_are_the_result() {
    let Some(setup) = node("a_journal_is_followed_and_the_newest_lines_are_the_result") else { return };
    let says = "[Service]\nType=exec\nExecStart=/usr/bin/sh -c 'echo one; while [ ! -e /run/go ]; do sleep 0.1; done; \
                echo two; exec sleep infinity'\n";
    let place = Place::boot(setup.unit("reelmill-worker.service", says));
    let id = place.give("logs-tail", json!({"unit": "reelmill-worker.service", "lines": 50, "ttl_s": 20}));
    let heard = |line: &str| {
        let events = place.told("ev/log");
        events.into_iter().find(|event| event["detail"]["lines"].as_array().is_some_and(|l| l.contains(&line.into())))
    };
    let first = eventually("what was there", || heard("one"));
    assert_eq!(first["command"], id.to_string());
    assert!(heard("two").is_none());
    place.machine.write("/run/go", "");
    eventually("what came", || heard("two"));
    assert_eq!(place.state(id).as_deref(), Some("running"), "it was told while the command runs");
    let end = place.end(id);
    let lines = end.result["lines"].as_array().expect("lines");
    assert!(lines.contains(&"one".into()) && lines.contains(&"two".into()), "{lines:?}");

    let long = place.give("logs-tail", json!({"unit": "reelmill-worker.service", "ttl_s": 300}));
    eventually("it runs", || (place.state(long)? == "running").then_some(()));
    assert_eq!(place.done("cancel", json!({"target": long.to_string()})).0, "succeeded");
    assert_eq!(place.end(long).state.as_str(), "canceled");
    let gone = || (!place.machine.run(&["pgrep", "journalctl"]).status.success()).then_some(());
    eventually("no journalctl is left", gone);
}

/// A store behind TLS, and whoever vouches for it.
async fn store() -> (s3::Server, String) {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("they belong together");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    (s3::Server::start_with(Some(acceptor), s3::Pace::default()).await, own.cert.pem())
}

#[test]
fn a_diagnosis_comes_to_the_store_without_secrets() {
    let Some(setup) = node("a_diagnosis_comes_to_the_store_without_secrets") else { return };
    let says = "[Service]\nType=exec\nExecStart=/usr/bin/sh -c 'echo \"lease from redis://:s3cr3t-pass@hub failed\"; \
                exec sleep infinity'\n";
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (server, authority) = runtime.block_on(store());
    let trusts = "[Service]\nEnvironment=SSL_CERT_FILE=/etc/reelmill/store.pem\n";
    let setup = setup.file("/etc/reelmill/store.pem", &authority);
    let setup = setup.file(&format!("/etc/systemd/system/{UNIT}.d/trusts.conf"), trusts);
    let place = Place::boot(setup.unit("reelmill-worker.service", says));
    place.machine.ok(&["journalctl", "--sync"]);
    let upload = server.presigned_put("diag/shelf-1.tar.zst");
    let end = place.end(place.give("diag", json!({"upload": upload})));
    assert_eq!((end.state.as_str(), &end.error), ("succeeded", &None));
    assert!(end.result["journal_left_out"].is_null() && end.result["journal_entries"].as_u64() > Some(1), "{end:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let archive = server.folder.join("diag/shelf-1.tar.zst");
    assert_eq!(end.result["bytes"].as_u64(), Some(archive.metadata().expect("it is there").len()));
    let unpacked = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).current_dir(folder.path()).status();
    assert!(unpacked.expect("tar is there").success());
    let file = |name: &str| std::fs::read_to_string(folder.path().join("reelmill-diag-shelf-1").join(name));
    let log = file("journal/0001.log").expect("the journal");
    assert!(
        log.contains("reelmill-worker.service") && log.contains("lease from redis://[redacted]@hub failed"),
        "{log}"
    );
    assert!(file("units.json").expect("units").contains("\"activity\": \"active\""));
    assert!(file("settings.txt").expect("settings").contains("rack"));
    for name in ["journal/0001.log", "settings.txt", "snapshot.json", "about.json", "kernel.txt", "units.json"] {
        let text = file(name).expect(name);
        assert!(!["s3cr3t-pass", "hunter2", "X-Amz"].iter().any(|secret| text.contains(secret)), "{name}: {text}");
    }
    // The address is in no log: who has it can write there.
    let logged = place.machine.journal(&["--unit", UNIT]);
    assert!(logged.iter().all(|entry| !entry.to_string().contains("X-Amz")), "{logged:?}");

    let expired = server.presigned("PUT", "late", jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24));
    assert_eq!(place.done("diag", json!({"upload": expired})), ("failed".to_owned(), json!("upload_refused")));
    let (stranger, _) = runtime.block_on(store());
    let told = place.end(place.give("diag", json!({"upload": stranger.presigned_put("a")})));
    let fault = told.error.expect("nobody vouches for it");
    assert!(fault.code == "upload_failed" && fault.msg.as_str().contains("invalid peer certificate"), "{fault:?}");
}

/// A node with that worker, whose script's child speaks for it.
fn with_worker(test: &str) -> Option<Setup> {
    let all = "[Service]\nNotifyAccess=all\n";
    let setup = node(test)?.script("/usr/bin/reelmill-worker", WORKER);
    Some(setup.file("/etc/systemd/system/reelmill-batch@.service.d/test.conf", all))
}

#[test]
fn a_batch_has_the_settings_of_its_command_and_outlives_the_agent() {
    let Some(setup) = with_worker("a_batch_has_the_settings_of_its_command_and_outlives_the_agent") else { return };
    let wait = "while [ ! -e /run/go ]; do sleep 0.1; done; exit 0";
    let place = Place::boot(setup.file("/etc/reelmill/end", wait));
    let id = place.give("batch", json!({"queue": "night", "presets": ["hls-ladder", "proxy"], "concurrency": 2}));
    let started = || place.machine.run(&["cat", STARTED]).stdout;
    let args = "reelmill-worker --config /etc/reelmill/worker.toml --drain";
    let first = format!("reelmill-worker {} night hls-ladder,proxy 2 <>\n", args.split_once(' ').expect("words").1);
    eventually("a worker", || (started() == first.as_bytes()).then_some(()));
    let before = place.told("cap").len();
    place.machine.ok(&["systemctl", "kill", "--signal=KILL", UNIT]);
    place.connected(before + 1);
    place.machine.write("/run/go", "");
    let end = place.end(id);
    assert_eq!((end.state.as_str(), &end.result["exit"]), ("succeeded", &json!({"code": 0})));
    assert_eq!(started(), first.as_bytes(), "it was started once");
    let orders = place.machine.ok(&["find", "/run/reelmill-agent", "-name", "batch-*"]);
    assert_eq!(orders, "", "its order is gone");
}

#[test]
fn a_batch_is_stopped_at_its_limit_or_when_it_is_called_off() {
    let Some(setup) = with_worker("a_batch_is_stopped_at_its_limit_or_when_it_is_called_off") else { return };
    let place = Place::boot(setup.file("/etc/reelmill/end", "exec sleep infinity"));
    assert_eq!(place.done("batch", json!({"limit_s": 2})), ("failed".to_owned(), json!("too_slow")));
    let id = place.give("batch", json!({"queue": "night"}));
    let unit = format!("reelmill-batch@{id}.service");
    place.machine.wait_for(&unit, "ActiveState", "active");
    assert_eq!(place.done("cancel", json!({"target": id.to_string()})).0, "succeeded");
    assert_eq!(place.end(id).state.as_str(), "canceled");
    place.machine.wait_for(&unit, "ActiveState", "inactive");
    let gone = || place.machine.ok(&["find", "/run/reelmill-agent", "-name", "batch-*"]).is_empty().then_some(());
    eventually("no order is left", gone);
}

#[test]
fn a_captured_agent_sets_no_other_variable_of_the_worker_and_reads_nothing_by_it() {
    let test = "a_captured_agent_sets_no_other_variable_of_the_worker_and_reads_nothing_by_it";
    let Some(setup) = with_worker(test) else { return };
    let machine = setup.file("/etc/reelmill/end", "exit 0").enabled(UNIT).boot();
    let as_agent = |script: &str| {
        let ran = machine.run_as(AGENT, &["sh", "-c", script]);
        assert!(ran.status.success(), "{ran:?}");
    };
    let batch = |id: &str| machine.run_as(AGENT, &["/usr/bin/reelmill-agent", "systemd", "batch", id]);
    as_agent(
        r#"echo '{"queue":"q","LD_PRELOAD":"/x","PATH":"/y"}' > /run/reelmill-agent/batch-1.json; chmod 644 /run/reelmill-agent/*"#,
    );
    assert!(String::from_utf8_lossy(&batch("1").stdout).starts_with(r#"{"result":"success""#));
    let started = machine.ok(&["cat", STARTED]);
    assert!(started.ends_with(" q   <>"), "{started}");
    machine.write("/etc/reelmill/secret", "KEY=hidden-from-the-agent");
    machine.ok(&["chown", "reelmill-worker:", "/etc/reelmill/secret"]);
    machine.ok(&["chmod", "600", "/etc/reelmill/secret"]);
    as_agent("ln -s /etc/reelmill/secret /run/reelmill-agent/batch-2.json");
    as_agent("mkfifo -m 644 /run/reelmill-agent/batch-3.json");
    for id in ["2", "3"] {
        let told = String::from_utf8_lossy(&batch(id).stdout).into_owned();
        assert!(told.starts_with(r#"{"result":"exit-code","exit":{"code":1}"#), "{id}: {told}");
    }
    assert_eq!(machine.ok(&["cat", STARTED]), started, "no worker was started");
    let logged = machine.journal(&[]);
    assert!(logged.iter().all(|entry| !entry.to_string().contains("hidden-from-the-agent")));
}

#[test]
fn the_worker_is_drained_taken_back_restarted_and_examined() {
    let Some(setup) = node("the_worker_is_drained_taken_back_restarted_and_examined") else { return };
    let place = Place::boot(setup.script("/usr/bin/reelmill-worker", DOCTOR));
    let worker = |property: &str| place.machine.property("reelmill-worker.service", property);
    let done = |op: &str, args: Value| assert_eq!(place.done(op, args), ("succeeded".to_owned(), json!({})), "{op}");
    done("drain", json!({"deadline_s": 60}));
    assert_eq!(worker("ActiveState"), "inactive");
    done("undrain", json!({}));
    assert_eq!(worker("ActiveState"), "active");
    let before = worker("MainPID");
    done("restart-worker", json!({}));
    assert_ne!(worker("MainPID"), before);
    let (state, found) = place.done("self-test", json!({"preset": "hls-ladder"}));
    assert_eq!((state.as_str(), &found["findings"][0]["fact"]), ("succeeded", &json!("hls-ladder")));
    assert_eq!(place.done("self-test", json!({"preset": "proxy"})), ("failed".to_owned(), json!("unfit")));
}

#[test]
fn a_machine_goes_down_and_tells_so_when_it_is_back() {
    let Some(setup) = node("a_machine_goes_down_and_tells_so_when_it_is_back") else { return };
    let mut place = Place::boot(setup);
    for (op, args, seeds, ended) in [
        ("reboot", json!({}), &[1][..], Ended::Rebooting),
        ("poweroff", json!({"confirm": NODE}), &[1, 2], Ended::PoweredOff),
    ] {
        let id = place.give_signed(op, args, seeds);
        assert_eq!(place.machine.ended(), ended);
        assert_eq!(place.state(id).as_deref(), Some("rebooting"), "{op}");
        place.machine = place.machine.boot_again();
        let end = place.end(id);
        assert_eq!(end.state.as_str(), "succeeded", "{op}");
        assert_ne!(end.result["boot_id"], end.result["boot_id_before"]);
        assert_eq!(place.machine.property("reelmill-worker.service", "ActiveState"), "active");
    }
}
