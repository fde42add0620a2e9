//! `/metrics`: whole texts, and what Prometheus' own checker says of them.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reelmill_agent::{
    metrics::render,
    sensors::{
        Sensors, Setup, board, merge, sysfs,
        tegrastats::{self, source::Source},
    },
};
use reelmill_api::{
    snapshot::{
        Absent, Board, BoardFamily, Core, Cpu, Disk, Drive, EncoderSession, Encoding, Fan, Gpu, Load, Memory, Network,
        Node, Os, Snapshot, Soc, Swap, ThrottleReason, Unit,
    },
    status::{WorkerState, WorkerStatus},
};

use tokio_util::sync::CancellationToken;

use crate::support::{check, lines};

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An Orin as a line of tegrastats tells of it.
fn jetson() -> Snapshot {
    let (_, line) = lines().remove(0);
    let tegra = tegrastats::parse(&line).expect("a real line");
    let parts = merge::parts(Some(Soc::Tegra234), &sysfs::Sample::default(), Some(&tegra), Vec::new());
    let host = Memory { total_bytes: 65_893_564_416, used_bytes: 1, available_bytes: 2, ..Memory::default() };
    Snapshot {
        node: Node {
            id: "orin-3".to_owned(),
            hostname: "orin-3".to_owned(),
            reelmill: "0.1.0".to_owned(),
            board: Board { family: BoardFamily::Jetson, model: text("AGX \"Orin\""), ..Board::default() },
        },
        cpu: Cpu { cores: tegra.cores.clone(), ..Cpu::default() },
        memory: merge::memory(Some(host), Some(&tegra)),
        gpus: parts.gpus,
        engines: parts.engines,
        rails: parts.rails,
        temperatures: parts.temperatures,
        unknown: tegra.unknown,
        ..Snapshot::default()
    }
}

/// A server with everything that a snapshot can hold of a PC.
fn server() -> Snapshot {
    let session = EncoderSession {
        pid: 4711,
        codec: "hevc".to_owned(),
        width: 1920,
        height: 1080,
        fps: 240,
        latency_microseconds: 4100,
    };
    let gpu = Gpu {
        index: 1,
        name: "NVIDIA L4".to_owned(),
        uuid: text("GPU-6a1f8c3e"),
        driver: text("580.82.07"),
        utilisation_percent: Some(42.0),
        memory_utilisation_percent: Some(7.0),
        encoder_percent: Some(93.0),
        decoder_percent: Some(61.0),
        encoding: Some(Encoding {
            sessions: 1,
            average_fps: Some(240),
            average_latency_microseconds: Some(4100),
            each: vec![session],
        }),
        memory_used_bytes: Some(1 << 30),
        memory_free_bytes: Some(22 << 30),
        memory_total_bytes: Some(23 << 30),
        power_milliwatts: Some(61_250),
        power_limit_milliwatts: Some(72_000),
        energy_millijoules: Some(123_456_789),
        temperature_celsius: Some(58.0),
        clock_mhz: Some(2040),
        memory_clock_mhz: Some(6251),
        video_clock_mhz: Some(1770),
        fan_percent: None,
        throttled: Some(vec![ThrottleReason::SoftwarePower]),
    };
    Snapshot {
        taken_at: "2026-01-02T03:04:05Z".to_owned(),
        node: Node { id: "box-1".to_owned(), hostname: "box".to_owned(), ..Node::default() },
        os: Os { uptime_seconds: Some(4711), kernel: text("6.12.9"), generation: Some(7), ..Os::default() },
        cpu: Cpu {
            model: None,
            utilisation_percent: Some(12.5),
            cores: vec![
                Core { online: true, percent: Some(12.5), mhz: Some(3200) },
                Core { online: false, percent: None, mhz: None },
            ],
            load: Some(Load { one: 0.5, five: 0.25, fifteen: 0.05 }),
        },
        memory: Some(Memory { total_bytes: 100, used_bytes: 40, available_bytes: 60, ..Memory::default() }),
        swap: Some(Swap { total_bytes: 50, used_bytes: 5 }),
        disks: vec![Disk {
            mount: "/var/lib/a \"b\"\\c\nd".to_owned(),
            device: "/dev/nvme0n1p2".to_owned(),
            filesystem: "ext4".to_owned(),
            total_bytes: 1000,
            available_bytes: 900,
            read_only: false,
        }],
        drives: vec![Drive {
            name: "mmcblk0".to_owned(),
            life_used_percent: Some(30),
            spare_low: Some(false),
            errors: Some(1),
            filesystem_errors: Some(2),
            ..Drive::default()
        }],
        networks: vec![Network {
            name: "eth0".to_owned(),
            up: Some(true),
            mbit_per_second: Some(10_000),
            received_bytes: 7,
            sent_bytes: 8,
            receive_errors: 1,
            ..Network::default()
        }],
        gpus: vec![gpu],
        fans: vec![Fan { name: "cpu".to_owned(), rpm: Some(1640), percent: Some(20.0) }],
        time_synchronised: Some(true),
        units: vec![Unit {
            name: "reelmill-worker.service".to_owned(),
            active_state: "active".to_owned(),
            sub_state: "running".to_owned(),
            restarts: Some(2),
            memory_bytes: Some(1 << 20),
            ..Unit::default()
        }],
        worker: Some(WorkerStatus {
            node: "box-1".to_owned(),
            reelmill: "0.1.0".to_owned(),
            pid: 1,
            state: WorkerState::Draining,
            engines: Vec::new(),
            capabilities: Vec::new(),
            presets: Vec::new(),
            concurrency: 1,
            paused: Vec::new(),
            running: Vec::new(),
            node_busy: None,
            published: 0,
            failed: 0,
        }),
        tags: BTreeSet::from(["lan".to_owned(), "mesh".to_owned()]),
        absent: vec![Absent { source: "nvml".to_owned(), why: "there is no libnvidia-ml".to_owned() }],
        ..Snapshot::default()
    }
}

/// This machine, as its sensors tell of it.
fn this_machine() -> Snapshot {
    let setup = Setup {
        node: "here".to_owned(),
        tags: BTreeSet::from(["rack-7".to_owned(), "mesh".to_owned()]),
        root: "/".into(),
        tegrastats: None,
        lan: None,
    };
    let now = Instant::now();
    let mut sensors = Sensors::new(setup, now);
    sensors.sample(now, String::new());
    sensors.sample(now + Duration::from_secs(1), "2026-01-02T03:04:05Z".to_owned())
}

/// What promtool complains of: nothing, if all is well.
fn complaints(metrics: &str) -> String {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool is there: apt-get install prometheus");
    let mut pipe = child.stdin.take().expect("it is piped");
    pipe.write_all(metrics.as_bytes()).expect("promtool reads");
    drop(pipe);
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { said } else { format!("{said}{}", output.status) }
}

#[test]
fn a_jetson_as_text() {
    check("metrics/jetson.txt", &render(&jetson()));
}

#[test]
fn a_server_as_text() {
    check("metrics/server.txt", &render(&server()));
}

#[test]
fn what_a_node_does_not_know_is_not_there() {
    let text = render(&Snapshot::default());
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = series.map(|line| line.split(['{', ' ']).next().unwrap_or_default()).collect();
    assert_eq!(names, ["reelmill_node_info", "reelmill_node_tegrastats_unknown_tokens", "reelmill_node_worker_up"]);
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    for snapshot in [jetson(), server(), Snapshot::default(), this_machine()] {
        let text = render(&snapshot);
        assert_eq!(complaints(&text), "", "{text}");
    }
}

#[test]
fn promtool_would_complain() {
    for bad in ["a_counter 1\n", "# HELP x X.\n# TYPE x counter\nx 1\n", "no metric\n"] {
        assert_ne!(complaints(bad), "", "{bad}");
    }
}

#[test]
fn no_series_stands_twice() {
    for snapshot in [jetson(), server(), this_machine()] {
        let text = render(&snapshot);
        let series: Vec<&str> =
            text.lines().filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series)).collect();
        let distinct: BTreeSet<&str> = series.iter().copied().collect();
        assert_eq!(series.len(), distinct.len(), "{text}");
    }
}

#[test]
fn this_machine_tells_what_it_is() {
    let snapshot = this_machine();
    assert_eq!(snapshot.node.id, "here");
    assert_eq!(snapshot.node.board, board::identify(&board::read("/".as_ref())));
    assert!(snapshot.os.uptime_seconds.is_some() && snapshot.os.kernel.is_some(), "{:?}", snapshot.os);
    assert!(snapshot.memory.is_some_and(|memory| memory.total_bytes > 0));
    assert!(snapshot.tags.contains("rack-7"), "{:?}", snapshot.tags);
    assert!(!snapshot.tags.contains("lan"), "no target is configured");
    let told = serde_json::to_string(&snapshot).expect("a snapshot is JSON");
    assert_eq!(serde_json::from_str::<Snapshot>(&told).ok(), Some(snapshot));
}

#[tokio::test]
async fn a_machine_that_is_no_jetson_starts_no_tegrastats() {
    let missing = Source::Program("/nonexistent/tegrastats".into());
    let stop = CancellationToken::new();
    let setup = Setup::start("here".to_owned(), BTreeSet::new(), missing, None, &stop);
    let is_jetson = board::identify(&board::read("/".as_ref())).family == BoardFamily::Jetson;
    assert_eq!((setup.tegrastats.is_some(), setup.lan.is_some()), (is_jetson, false));
}

#[test]
#[ignore = "a measurement: run it alone, with --release and --nocapture"]
fn what_a_sample_costs() {
    const SAMPLES: u32 = 1000;
    let setup = Setup { node: "here".to_owned(), tags: BTreeSet::new(), root: "/".into(), tegrastats: None, lan: None };
    let start = Instant::now();
    let mut sensors = Sensors::new(setup, start);
    let ready = start.elapsed();
    let began = processor_milliseconds();
    for second in 0..SAMPLES {
        sensors.sample(start + Duration::from_secs(second.into()), String::new());
    }
    let sampled = processor_milliseconds();
    let snapshot = sensors.sample(start + Duration::from_secs(SAMPLES.into()), String::new());
    for _ in 0..SAMPLES {
        std::hint::black_box(render(&snapshot));
    }
    let rendered = processor_milliseconds();
    let each = |from: f64, to: f64| (to - from) * 1000.0 / f64::from(SAMPLES);
    println!(
        "ready after {ready:?}; a sample {:.0} µs, a text {:.0} µs",
        each(began, sampled),
        each(sampled, rendered)
    );
    // 0.1 % of a core at one sample a second.
    assert!(each(began, sampled) < 1000.0);
}

/// The processor time of this thread.
fn processor_milliseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells");
    let nanoseconds: f64 = text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number");
    nanoseconds / 1e6
}
