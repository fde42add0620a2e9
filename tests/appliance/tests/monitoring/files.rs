//! The configurations of Prometheus and Alertmanager, judged by the tools that come with them; what Grafana is started with.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reelmill_appliance::{golden, text};
use reelmill_lab::programs::{Running, eventually, free_port};
use serde_json::Value;

use crate::prometheus::get;

fn run(program: &str, args: &[&str], file: &Path) -> Result<(), String> {
    let ran = Command::new(program).args(args).arg(file).output();
    let ran = ran.unwrap_or_else(|e| panic!("{program}: {e}; apt-get install prometheus prometheus-alertmanager"));
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if ran.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn promtool_takes_the_scrape_configuration() {
    for path in ["plain", "alone", "full"].map(|which| format!("monitoring/{which}/prometheus.json")) {
        run("promtool", &["check", "config", "--syntax-only"], &golden().join(&path))
            .unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("prometheus.json");
    fs::write(&bad, text("monitoring/full/prometheus.json").replace("basic_auth", "basic_oath")).expect("written");
    run("promtool", &["check", "config", "--syntax-only"], &bad).expect_err("no such key");
}

#[test]
fn amtool_takes_the_receivers() {
    run("amtool", &["check-config"], &golden().join("monitoring/full/alertmanager.json"))
        .unwrap_or_else(|e| panic!("{e}"));
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("alertmanager.json");
    fs::write(
        &bad,
        text("monitoring/full/alertmanager.json").replace("\"receiver\": \"operators\"", "\"receiver\": \"nobody\""),
    )
    .expect("written");
    run("amtool", &["check-config"], &bad).expect_err("no such receiver");
}

/// What is run before Grafana draws what nobody gave, once, for its own eyes.
#[test]
fn grafana_has_secrets_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().to_str().expect("text");
    let script = text("monitoring/full/grafana-start.sh").replace("/var/lib/grafana", home);
    let draw = || {
        let ran = Command::new("sh").args(["-euc", &script]).status().expect("a shell");
        assert!(ran.success());
        ["secret-key", "admin-password"].map(|name| {
            let file = folder.path().join(name);
            let mode = fs::metadata(&file).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            fs::read_to_string(file).expect("text").trim().to_owned()
        })
    };
    let [key, password] = draw();
    assert!(key.len() >= 32 && password.len() >= 32 && key != password);
    assert_eq!(draw(), [key, password], "they stay");
    let settings = text("monitoring/full/grafana.json");
    for name in ["secret-key", "admin-password"] {
        assert!(settings.contains(&format!("$__file{{/var/lib/grafana/{name}}}")), "{settings}");
    }
}

/// A kind of thing that Grafana finds when it starts: in the first format, one of them, with these words.
fn provisioned(settings: &Value, kind: &str, words: &[&str]) -> Result<Value, String> {
    let one = match settings[kind].as_array().map(Vec::as_slice) {
        Some([one]) if settings["apiVersion"] == 1 => one,
        _ => return Err(format!("one of {kind} in format 1: {settings}")),
    };
    let missing = words.iter().find(|word| one.pointer(word).and_then(Value::as_str).is_none_or(str::is_empty));
    missing.map_or_else(|| Ok(one.clone()), |word| Err(format!("no {word} in {one}")))
}

/// There is no Grafana to ask: this is what its documents want.
#[test]
fn grafana_finds_prometheus_and_the_dashboards() {
    let read = |name: &str| -> Value {
        serde_json::from_str(&text(&format!("monitoring/full/grafana-{name}.json"))).expect("JSON")
    };
    let (sources, boards) = (read("datasources"), read("dashboards"));
    let source = provisioned(&sources, "datasources", &["/name", "/type", "/uid", "/url"]).expect("a data source");
    assert_eq!((&source["type"], &source["url"]), (&"prometheus".into(), &"http://127.0.0.1:9090".into()));
    let folder = provisioned(&boards, "providers", &["/name", "/type", "/options/path"]).expect("a folder");
    let path = folder["options"]["path"].as_str().expect("text");
    assert!(folder["type"] == "file" && path.starts_with("/nix/store/"), "{folder}");

    // The dashboards ask the data source by its own name.
    for entry in fs::read_dir(golden().join("monitoring/dashboards")).expect("a folder") {
        let board = fs::read_to_string(entry.expect("readable").path()).expect("text");
        let asked = board.matches("\"uid\": \"").count();
        let ours = format!("\"uid\": {}", source["uid"]);
        assert_eq!(asked, board.matches(&ours).count() + 1, "all but the dashboard's own: {board}");
    }

    let mut bad = sources.clone();
    bad["datasources"][0].as_object_mut().expect("an object").remove("uid");
    provisioned(&bad, "datasources", &["/uid"]).expect_err("it has no name");
    provisioned(&boards, "datasources", &[]).expect_err("this is of the other kind");
}

/// The exporter is told the password by a file alone, and Redis lets it in.
#[test]
fn the_exporter_of_redis_is_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (redis, metrics) = (free_port(), free_port());
    let mut server = Command::new("redis-server");
    server.args(["--port", &redis.to_string(), "--requirepass", "hunter2", "--save", ""]).stdout(Stdio::null());
    let _redis = Running::start(server);
    let golden: Value = serde_json::from_str(&text("monitoring/full/redis-exporter.json")).expect("JSON");
    let port = |text: &str| text.replace("6379", &redis.to_string());
    let secret = port(golden["secret"].as_str().expect("a template")).replace("<<queue-password>>", "hunter2");
    let passwords = folder.path().join("passwords");
    fs::write(&passwords, secret).expect("written");
    let told = "/run/credentials/prometheus-redis-exporter.service/passwords";
    let mut exporter = Command::new("prometheus-redis-exporter");
    exporter.arg(format!("--web.listen-address=127.0.0.1:{metrics}")).stderr(Stdio::null());
    for flag in golden["flags"].as_array().expect("flags") {
        exporter.arg(port(flag.as_str().expect("text")).replace(told, passwords.to_str().expect("text")));
    }
    let _exporter = Running::start(exporter);
    let is_up = |text: &String| text.lines().any(|line| line == "redis_up 1");
    eventually("the exporter in Redis", || get(metrics, "/metrics").map(|(_, text)| text).filter(is_up));
}
