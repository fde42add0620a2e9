//! A farm that is watched: the real hub with a broker, a real agent and a real worker, node_exporter, nodes that were recorded,
//! and a real Prometheus with the golden configuration and the golden rules, in quick motion.

use std::{
    collections::BTreeMap,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use reelmill_appliance::{golden, text};
use reelmill_lab::programs::{Running, command, eventually, free_port, output};
use serde_json::{Value, json};

use crate::{
    prometheus::{Prometheus, get, send},
    recorded::Recorded,
};

const PASSWORD: &str = "a password for pages";
const NODE: &str = "edge-1";

/// This machine's address in its network; without one, nothing but loopback can be had.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Of the range for documentation; nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|at| at.ip().to_string()).filter(|ip| ip != "127.0.0.1" && ip != "0.0.0.0")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

struct Farm {
    folder: tempfile::TempDir,
    hub: u16,
    exporter: u16,
    agent_at: String,
    recorded: Recorded,
    agent: Running,
    _others: Vec<Running>,
}

impl Farm {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("hub");
        let hub = free_port();
        let mut program = command("reelmill-hub");
        program.args([
            "serve",
            "--listen",
            &format!("127.0.0.1:{hub}"),
            "--fleet-listen",
            "127.0.0.1:0",
            "--fleet-node",
            NODE,
        ]);
        program.arg("--data").arg(&data).stderr(Stdio::null());
        let running = Running::start(program);
        let told = eventually("the hub to be ready", || fs::read(data.join("hub.json")).ok());
        let told: Value = serde_json::from_slice(&told).expect("JSON");

        let status = free_port();
        let worker = worker(&told, status, folder.path());
        let agent_at = format!("{}:{}", own_address().unwrap_or_else(|| "127.0.0.1".to_owned()), free_port());
        let agent = agent(&told, &agent_at, status, folder.path());

        let metrics = folder.path().join("metrics");
        fs::create_dir(&metrics).expect("made");
        let exporter = free_port();
        let mut program = Command::new("prometheus-node-exporter");
        program
            .arg(format!("--web.listen-address=127.0.0.1:{exporter}"))
            .arg("--no-collector.systemd")
            .stderr(Stdio::null());
        program.arg(format!("--collector.textfile.directory={}", metrics.display()));
        let exporting = Running::start(program);
        let farm = Self {
            folder,
            hub,
            exporter,
            agent_at,
            recorded: Recorded::serve(),
            agent,
            _others: vec![running, worker, exporting],
        };
        farm.backup(now() + 3600);
        farm
    }

    /// The backup has last succeeded then.
    fn backup(&self, at: u64) {
        let file = self.folder.path().join("metrics/backup.prom");
        let new = file.with_extension("new");
        fs::write(&new, format!("reelmill_backup_last_success_timestamp_seconds {at}\n")).expect("written");
        fs::rename(new, file).expect("written whole");
    }

    /// The golden configuration, at this farm's ports, and the recorded nodes beside it.
    fn prometheus(&self) -> Prometheus {
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).expect("written");
        let config = text("monitoring/full/prometheus.json")
            .replace("/run/credentials/prometheus.service/node-password", password.to_str().expect("text"))
            .replace("127.0.0.1:7700", &format!("127.0.0.1:{}", self.hub))
            .replace("127.0.0.1:9100", &format!("127.0.0.1:{}", self.exporter))
            .replace("10.0.0.5:9400", &self.recorded.at.to_string())
            .replace("\"30s\"", "\"1s\"")
            .replace("\"15s\"", "\"1s\"");
        let mut config: Value = serde_json::from_str(&config).expect("JSON");
        config["rule_files"] = json!([golden().join("monitoring/full/rules-quick.json")]);
        config["alerting"] = json!({});
        let jobs = config["scrape_configs"].as_array_mut().expect("a list");
        // There is no Redis here.
        jobs.retain(|job| job["job_name"] != "redis");
        for (job, path, node) in RECORDED {
            let target = json!([{"targets": [self.recorded.at.to_string()], "labels": {"node": node}}]);
            let name = format!("{job} {path}");
            // Two jobs cannot have one name, and a label may say another.
            let relabel = json!([{"target_label": "job", "replacement": job}]);
            jobs.push(
                json!({"job_name": name, "metrics_path": path, "static_configs": target, "relabel_configs": relabel}),
            );
        }
        if self.agent_at.starts_with("127.") {
            // As the module does for a node whose page others cannot reach.
            let alone = text("monitoring/alone/prometheus.json").replace("127.0.0.1:9310", &self.agent_at);
            let alone: Value = serde_json::from_str(&alone).expect("JSON");
            for job in alone["scrape_configs"].as_array().expect("a list") {
                if job["static_configs"][0]["targets"][0] == self.agent_at.as_str() {
                    let mut job = job.clone();
                    job["basic_auth"] = json!({"username": "x", "password_file": password});
                    job["static_configs"][0]["labels"]["node"] = NODE.into();
                    jobs.push(job);
                }
            }
        }
        Prometheus::start(self.folder.path(), &config)
    }

    fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let (status, answer) = send(self.hub, "PUT", &format!("/v1/uploads/{name}"), bytes);
        assert_eq!(status, 201, "{answer}");
        answer["location"].clone()
    }

    fn submit(&self, input: &Value, preset: &str) -> String {
        let body = json!({"input": input, "preset": preset}).to_string();
        let (status, job) = send(self.hub, "POST", "/v1/jobs", body.as_bytes());
        assert_eq!(status, 201, "{job}");
        job["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a job is over.
    fn end(&self, job: &str) -> String {
        eventually("the job's end", || {
            let (_, told) = get(self.hub, &format!("/v1/jobs/{job}"))?;
            let told: Value = serde_json::from_str(&told).ok()?;
            told["state"].as_str().filter(|state| ["done", "failed"].contains(state)).map(str::to_owned)
        })
    }
}

/// What Prometheus finds at the recorded nodes: job, path and node.
const RECORDED: [(&str, &str, &str); 4] = [
    ("reelmill-node", "/orin", "orin-3"),
    ("reelmill-worker", "/orin/worker", "orin-3"),
    ("reelmill-node", "/box", "box-1"),
    ("reelmill-hub", "/hub", "hub-2"),
];

fn worker(hub: &Value, status: u16, folder: &Path) -> Running {
    let word = |value: &Value| value.as_str().expect("text").to_owned();
    let mut program = command("reelmill-worker");
    program.envs([
        ("QUEUE_URL", word(&hub["queue"])),
        ("QUEUE_NAME", word(&hub["queue_name"])),
        ("S3_ENDPOINT_URL", word(&hub["store"])),
        ("AWS_ACCESS_KEY_ID", word(&hub["keys"]["access_key"])),
        ("AWS_SECRET_ACCESS_KEY", word(&hub["keys"]["secret_key"])),
        ("OUTPUT_BUCKET", word(&hub["output_bucket"])),
        ("STATUS_LISTEN", format!("127.0.0.1:{status}")),
        ("PRESET", "proxy".to_owned()),
        ("HWACCEL", "none".to_owned()),
        ("SPOOL_FOLDER", folder.join("spool").to_str().expect("text").to_owned()),
        ("REELMILL_LOG", "warn".to_owned()),
    ]);
    Running::start(program)
}

fn agent(hub: &Value, page: &str, worker: u16, folder: &Path) -> Running {
    let (fleet, node) = (&hub["fleet"], &hub["fleet"]["node"]);
    let (host, port) = fleet["broker"].as_str().and_then(|at| at.rsplit_once(':')).expect("a host and a port");
    let path = |value: &Value| value.as_str().expect("a path").to_owned();
    let mut program = command("reelmill-agent");
    program.envs([
        ("REELMILL_NODE", NODE.to_owned()),
        ("PAGE_LISTEN", page.to_owned()),
        ("PAGE_PASSWORD", PASSWORD.to_owned()),
        ("WORKER_STATUS", format!("http://127.0.0.1:{worker}/status")),
        ("STATE_DIRECTORY", folder.join("agent").to_str().expect("text").to_owned()),
        ("BROKER_HOST", host.to_owned()),
        ("BROKER_PORT", port.to_owned()),
        ("BROKER_CA", path(&fleet["ca"])),
        ("BROKER_CERT", path(&node["cert"])),
        ("BROKER_KEY", path(&node["key"])),
        ("REELMILL_LOG", "warn".to_owned()),
    ]);
    let state = folder.join("agent");
    fs::create_dir(&state).expect("made");
    fs::write(state.join("trust.json"), trust(folder)).expect("written");
    Running::start(program)
}

/// Whose commands the agent obeys; nobody gives any here.
fn trust(folder: &Path) -> Vec<u8> {
    let keys = |args: &[&str]| {
        let mut program = command("reelmill");
        program.arg("keys").args(args).current_dir(folder);
        let ran = output(program, b"");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    };
    keys(&["new", "safe.key"]);
    keys(&["trust", "operator=safe.key.pub", "admin=safe.key.pub"])
}

fn recording(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../agent/tests/data/metrics").join(name);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A worker's metrics on a recorded node.
fn worker_text(tasks: u32, frames: u32, media: u32) -> String {
    format!(
        "reelmill_worker_tasks_running {tasks}\nreelmill_worker_frames_total {frames}\n\
         reelmill_worker_published_media_seconds_total{{preset=\"hls-ladder\"}} {media}\n"
    )
}

/// Every query of every dashboard, with where it stands; what Grafana puts in is put in.
fn queries() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(golden().join("monitoring/dashboards"))
        .expect("a folder")
        .map(|e| e.expect("readable").path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let board: Value = serde_json::from_str(&fs::read_to_string(&file).expect("text")).expect("JSON");
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let expr =
                    target["expr"].as_str().expect("PromQL").replace("$node", ".*").replace("$__rate_interval", "10s");
                assert!(!expr.contains('$'), "{expr}");
                all.push((format!("{} / {}", board["title"], panel["title"]), expr));
            }
        }
    }
    all
}

/// How often each alert has fired, by its name; that the machine of the test is hot or full or stands still is not its fault.
fn fired(prometheus: &Prometheus) -> BTreeMap<String, usize> {
    let fired = |which: &str| format!("count_over_time(ALERTS{{alertstate=\"firing\",{which}}}[1h])");
    let own = format!("node!~\"{NODE}|hub\"");
    let fired = [fired("alertname!~\"Hot|Disk|NodeStalled\""), fired(&own)].join(" or ");
    let mut all = BTreeMap::new();
    for series in prometheus.query(&fired) {
        *all.entry(series["metric"]["alertname"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    all
}

#[test]
fn every_panel_shows_something_and_every_alert_fires_once_when_its_cause_is_made() {
    let mut farm = Farm::start();
    let jetson = recording("jetson.txt");
    let full = jetson + "reelmill_node_filesystem_size_bytes{mountpoint=\"/\",device=\"a\",fstype=\"ext4\"} 1e11\n";
    let room = |bytes: &str| {
        full.clone()
            + "reelmill_node_filesystem_available_bytes{mountpoint=\"/\",device=\"a\",fstype=\"ext4\"} "
            + bytes
            + "\n"
    };
    farm.recorded.put("/orin", &room("9e10"));
    farm.recorded.put("/orin/worker", &worker_text(0, 100, 0));
    farm.recorded.put("/box", &recording("server.txt"));
    // What DCGM's exporter tells of that server.
    farm.recorded.put("/metrics", "DCGM_FI_DEV_GPU_TEMP{gpu=\"0\"} 41\nDCGM_FI_DEV_PCIE_REPLAY_COUNTER{gpu=\"0\"} 0\n");
    let ends =
        |at: u64| format!("reelmill_hub_certificate_expiry_timestamp_seconds{{kind=\"node\",name=\"orin-3\"}} {at}\n");
    farm.recorded.put("/hub", &ends(now() + 20 * 86_400));
    let prometheus = farm.prometheus();

    // Everything is found: what the hub tells of, too.
    for job in ["reelmill-hub", "reelmill-host", "reelmill-node", "reelmill-worker", "dcgm"] {
        prometheus.wait(&format!("up{{job=\"{job}\"}} == 1"));
    }
    prometheus.wait("DCGM_FI_DEV_PCIE_REPLAY_COUNTER{node=\"box-1\"} == 0");
    prometheus.wait(&format!("up{{job=\"reelmill-worker\",node=\"{NODE}\"}} == 1"));
    prometheus.wait(&format!("up{{job=\"reelmill-node\",node=\"{NODE}\"}} == 1"));
    prometheus.wait("absent(up == 0)");

    // A good source, and time enough for all rules to be judged with it.
    let clip = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/bbb-5s.mp4")).expect("a clip");
    let good = farm.upload("good.mp4", &clip);
    assert_eq!(farm.end(&farm.submit(&good, "proxy")), "done");
    farm.recorded.put("/orin/worker", &worker_text(0, 100, 60));
    prometheus.wait("sum(reelmill_worker_published_media_seconds_total) > 64");
    // Longer than any of these alerts waits, by the number of looks since.
    prometheus.wait("count_over_time(up{job=\"reelmill-hub\"}[1m]) > 20");
    assert_eq!(fired(&prometheus), BTreeMap::new(), "nothing is wrong yet");

    // One cause after the other.
    let bad = farm.upload("bad.mp4", b"this is no video");
    let jobs: Vec<String> = (0..6).map(|_| farm.submit(&bad, "proxy")).collect();
    farm.submit(&good, "hls-ladder");
    for job in &jobs {
        assert_eq!(farm.end(job), "failed");
    }
    farm.recorded.put("/orin", &room("5e9").replace("tj\"} 52.562", "tj\"} 96"));
    farm.recorded.put("/orin/worker", &worker_text(2, 100, 60));
    farm.recorded.put("/hub", &ends(now() + 86_400));
    farm.backup(1);
    let orin = "node=\"orin-3\"";
    let alerts = [
        ("SourceFailing", ""),
        ("ErrorRate", ""),
        ("Hot", orin),
        ("Disk", orin),
        ("NodeStalled", orin),
        ("CertificateEnding", "name=\"orin-3\""),
        ("BackupOld", ""),
        ("QueueBackingUp", ""),
    ];
    for (alert, labels) in alerts {
        prometheus.wait(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",{labels}}}"));
    }

    // One of them looks at whole minutes only.
    for (panel, expr) in queries() {
        eventually(&format!("a series of {panel}: {expr}"), || (!prometheus.query(&expr).is_empty()).then_some(()));
    }

    farm.recorded.remove("/box");
    prometheus.wait("ALERTS{alertname=\"TargetDown\",alertstate=\"firing\"}");
    let one = alerts.iter().map(|(name, _)| *name).chain(["TargetDown"]).map(|name| (name.to_owned(), 1)).collect();
    assert_eq!(fired(&prometheus), one);

    farm.agent.kill();
    let silent = prometheus.wait("ALERTS{alertname=\"NodeSilent\",alertstate=\"firing\"}");
    assert_eq!((silent.len(), &silent[0]["metric"]["node"]), (1, &json!(NODE)));
}
