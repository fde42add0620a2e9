//! The units, settings and documents of agent, workers and hub as NixOS has them: they say what the unit files beside the
//! programs say, systemd finds nothing wrong with them, and the programs take the settings.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_appliance::{golden, text};
use reelmill_lab::{
    media,
    nspawn::{Machine, Setup},
    programs::{command, output, program},
};

/// As systemd counts: 0 is locked in, 10 is root with all doors open.
const MOST: f64 = 2.5;
/// Where NixOS has its units.
const UNITS: &str = "/etc/systemd/system";
/// The folders of our golden files.
const FOLDERS: &[&str] =
    &["agent/alone", "agent/example", "worker/alone", "worker/example", "hub/program/alone", "hub/program/example"];

/// Those of the units around the hub, which have no settings of their own.
const AROUND: &[&str] = &["backup", "broker", "farm/all-in-one", "queue", "registry/harbor", "secrets", "store"];
/// What a container may is for podman to say.
const CONTAINER: &str = "worker/container";
/// What these ask for and NixOS or another folder has.
const NEIGHBOURS: &[&str] =
    &["garage.service", "minio.service", "mosquitto.service", "openbao.service", "reelmill-hub-secrets.service"];
/// What it starts is written by NixOS' own module of containers, and so is not in our file.
const PODMAN: &str = "podman-reelmill-worker-default.service.d/start.conf";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a golden folder that are units, by name, with their texts.
fn units(folder: &str) -> Vec<(String, String)> {
    let kinds = ["service", "socket", "path", "slice", "timer"];
    let names = fs::read_dir(golden().join(folder)).expect("a golden folder").flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| kinds.iter().any(|kind| name.ends_with(&format!(".{kind}")))).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), text(&format!("{folder}/{name}")))).collect()
}

/// `(section, key, value)` of each line of a unit file.
fn entries(unit: &str) -> Vec<(&str, &str, &str)> {
    let mut section = "";
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line| match line {
        line if str::starts_with(line, "[") => {
            section = line.trim_matches(['[', ']']);
            None
        }
        line => line.split_once('=').map(|(key, value)| (section, key, value)),
    };
    lines.filter_map(entry).collect()
}

/// Every line of the unit file in our tree stands in what NixOS has, but for the keys named here, which a module sets anew.
fn check_kept(ours: &str, folder: &str, name: &str, anew: &[&str]) {
    let file = fs::read_to_string(repository().join(ours)).unwrap_or_else(|e| panic!("{ours}: {e}"));
    let rendered = text(&format!("{folder}/{name}"));
    let all = entries(&rendered);
    let switching = fs::read_to_string(golden().join(folder).join("switching")).unwrap_or_default();
    let stem = name.split('.').next().expect("a name");
    let mut compared = 0;
    for (section, key, value) in entries(&file) {
        let kept = match (section, key) {
            ("Install", "WantedBy") if anew.contains(&key) => true,
            _ if anew.contains(&key) => all.iter().any(|(s, k, _)| (*s, *k) == (section, key)),
            // Lists to which modules add.
            ("Unit", "After" | "Before" | "Wants" | "Requires" | "Conflicts") => {
                let words = all.iter().filter(|(s, k, _)| (*s, *k) == (section, key)).flat_map(|(.., v)| v.split(' '));
                value.split(' ').collect::<BTreeSet<_>>().is_subset(&words.collect())
            }
            ("Unit", "X-RestartIfChanged") => switching.contains(&format!("{stem}: restarts {}", word(value))),
            ("Unit", "X-StopIfChanged") => switching
                .lines()
                .any(|l| l.starts_with(&format!("{stem}: ")) && l.ends_with(&format!("stops {}", word(value)))),
            ("Install", "WantedBy") => rendered.contains(&format!("# WantedBy={value}\n")),
            (_, "Environment") => rendered.contains(&format!("Environment=\"{value}\"\n")),
            entry => all.contains(&(entry.0, entry.1, value)),
        };
        assert!(kept, "{ours}: [{section}] {key}={value} is not in {folder}/{name}");
        compared += 1;
    }
    assert!(compared > 0, "{ours} says nothing");
}

fn word(value: &str) -> &str {
    if value == "true" { "yes" } else { "no" }
}

#[test]
fn nixos_keeps_what_the_unit_files_say() {
    for name in
        ["reelmill-agent.service", "reelmill-exec.service", "reelmill-deadman.service", "reelmill-guard.service"]
    {
        check_kept(&format!("agent/units/{name}"), "agent/alone", name, &["ExecStart"]);
    }
    for name in ["reelmill-exec.socket", "reelmill-guard.path"] {
        check_kept(&format!("agent/units/{name}"), "agent/alone", name, &[]);
    }
    for name in ["reelmill-batch@.service", "reelmill-examine@.service", "reelmill-exec-check.service"] {
        check_kept(&format!("agent/units/{name}"), "agent/example", name, &["ExecStart"]);
    }
    let (worker, slice) = ("worker/units/reelmill-worker.service", "worker/units/reelmill-workers.slice");
    check_kept(worker, "worker/alone", "reelmill-worker.service", &["ExecStart", "TimeoutStopSec"]);
    check_kept(slice, "worker/alone", "reelmill-workers.slice", &[]);
    for (name, by) in [("archive", "reelmill-worker.service"), ("night", "nobody")] {
        check_kept_by_an_instance(worker, name, by);
    }
    check_kept("hub/units/reelmill-hub.service", "hub/program/alone", "reelmill-hub.service", &["ExecStart"]);
    let rules = fs::read_to_string(repository().join("agent/units/reelmill-agent.rules")).expect("the rules of polkit");
    assert_eq!(text("agent/alone/polkit.rules"), rules);
}

/// An instance has another cache, no settings by command, and who wants it is another unit, or nobody.
fn check_kept_by_an_instance(worker: &str, name: &str, wanted_by: &str) {
    let at = format!("reelmill-worker@{name}.service");
    let rendered = text(&format!("worker/example/{at}"));
    assert_eq!(rendered.starts_with(&format!("# WantedBy={wanted_by}\n")), wanted_by != "nobody", "{at}");
    assert!(!rendered.contains("WantedBy=multi-user.target"), "{at}");
    check_kept(
        worker,
        "worker/example",
        &at,
        &["ExecStart", "TimeoutStopSec", "CacheDirectory", "EnvironmentFile", "Restart", "WantedBy"],
    );
}

#[test]
fn a_check_for_lost_lines_finds_one() {
    let lost = std::panic::catch_unwind(|| {
        check_kept("agent/units/reelmill-agent.service", "agent/alone", "reelmill-exec.service", &["ExecStart"]);
    });
    assert!(lost.is_err());
}

/// The programs that the units start, by their paths.
fn programs(unit: &str) -> impl Iterator<Item = &str> {
    let of_units = entries(unit).into_iter().filter(|(_, key, _)| key.starts_with("Exec"));
    of_units.filter_map(|(.., value)| value.trim_start_matches(['-', '@', ':', '+', '!']).split(' ').next())
}

/// A machine on which the units of a golden folder are installed; what they start is this script.
fn installed(mut setup: Setup, folder: &str, script: &str) -> (Setup, Vec<String>) {
    let units = units(folder);
    for (name, text) in &units {
        setup = setup.file(&format!("{UNITS}/{name}"), text);
        for program in programs(text) {
            setup = setup.script(program, script);
        }
    }
    (setup, units.into_iter().map(|(name, _)| name).collect())
}

fn machine(test: &str, folder: &str) -> Option<(Machine, Vec<String>)> {
    let there =
        |setup: Setup, name: &&str| setup.file(&format!("{UNITS}/{name}"), "[Service]\nExecStart=/usr/bin/true\n");
    let stick = "run-reelmill-stick.mount";
    let setup = Setup::new(test)?.file(&format!("{UNITS}/{stick}"), &text(&format!("appliance/{stick}")));
    let setup = NEIGHBOURS.iter().chain([&PODMAN]).fold(setup, there);
    let (setup, names) = installed(setup, folder, "#!/bin/sh\n");
    Some((setup.boot(), names))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    for folder in FOLDERS.iter().chain(AROUND).chain([&CONTAINER]) {
        let Some((machine, names)) = machine("systemd_finds_nothing_wrong_with_the_units", folder) else { return };
        assert!(!names.is_empty(), "{folder} has no units");
        for name in names.iter().map(|name| name.replace("@.", "@x.")) {
            let verified = machine.run(&["systemd-analyze", "verify", "--man=no", &name]);
            assert!(verified.status.success() && verified.stderr.is_empty(), "{folder}/{name}: {verified:?}");
        }
        // The check can fail.
        machine.write(&format!("{UNITS}/wrong.service"), "[Service]\nExecStart=/usr/bin/true\nRestartStps=5\n");
        let verified = machine.run(&["systemd-analyze", "verify", "--man=no", "wrong.service"]);
        assert!(String::from_utf8_lossy(&verified.stderr).contains("RestartStps"), "{verified:?}");
    }
}

#[test]
fn what_others_can_reach_is_locked_in() {
    // The first two are the change of a system itself, which may be anything: they run what it brings, as root. The third writes
    // the boot loader's menu and collects the store's garbage, and hears nobody.
    const OPEN: &[&str] = &["reelmill-deadman.service", "reelmill-guard.service", "reelmill-tidy.service"];
    for folder in FOLDERS.iter().chain(AROUND) {
        let Some((machine, names)) = machine("what_others_can_reach_is_locked_in", folder) else { return };
        for name in names.iter().filter(|name| name.ends_with(".service") && !OPEN.contains(&name.as_str())) {
            let words = ["systemd-analyze", "security", "--offline=true", "--no-pager"];
            let told = machine.ok(&[&words[..], &[&format!("{UNITS}/{name}")]].concat());
            let level = told.lines().last().and_then(|line| line.split_once(".service: ")).expect("a level").1;
            let score: f64 = level.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
            println!("{folder}/{name}: {score}");
            assert!(score <= MOST, "the exposure of {folder}/{name} is {score}");
        }
    }
}

/// A worker that is ready at once and takes a second to end.
const WORKER: &str = "#!/bin/sh
PATH=/usr/bin
trap 'sleep 1; exit 0' TERM
systemd-notify --ready
while :; do sleep 0.1; done\n";
const OWN: &str = "reelmill-worker.service";
const OTHER: &str = "reelmill-worker@archive.service";

/// The node of the example with all workers running.
fn node_of_workers(test: &str) -> Option<Machine> {
    let users = fs::read_to_string(repository().join("worker/units/reelmill-worker.sysusers")).expect("the users");
    let (mut setup, names) = installed(Setup::new(test)?, "worker/example", WORKER);
    for name in names.iter().filter(|name| name.ends_with(".service")) {
        // The script's child speaks for it, and says so once.
        let drop_in = format!("{UNITS}/{name}.d/test.conf");
        setup = setup.file(&drop_in, "[Service]\nNotifyAccess=all\nWatchdogSec=0\n");
    }
    for secret in ["queue-url", "access-key", "secret-key"] {
        setup = setup.file(&format!("/var/lib/secrets/{secret}"), "hunter2\n");
    }
    let machine = setup.file("/usr/lib/sysusers.d/reelmill-worker.conf", &users).boot();
    // As NixOS does what the first line of the golden text says.
    let wants = format!("{UNITS}/{OWN}.wants");
    machine.ok(&["mkdir", "-p", &wants]);
    machine.ok(&["ln", "-s", &format!("{UNITS}/{OTHER}"), &wants]);
    machine.ok(&["systemctl", "daemon-reload"]);
    machine.ok(&["systemctl", "start", OWN]);
    for unit in [OWN, OTHER] {
        machine.wait_for(unit, "ActiveState", "active");
    }
    Some(machine)
}

#[test]
fn what_is_done_to_the_nodes_own_worker_is_done_to_the_others() {
    let Some(machine) = node_of_workers("what_is_done_to_the_nodes_own_worker_is_done_to_the_others") else { return };
    let state = |unit: &str| machine.property(unit, "ActiveState");
    let pid = |unit: &str| machine.property(unit, "MainPID");
    // Who waits for the end of the node's own waits for all.
    machine.ok(&["systemctl", "stop", OWN]);
    assert_eq!((state(OWN), state(OTHER)), ("inactive".to_owned(), "inactive".to_owned()));
    // To restart what does not run is to start it, which is how the agent ends a drain.
    machine.ok(&["systemctl", "restart", OWN]);
    machine.wait_for(OTHER, "ActiveState", "active");
    let before = (pid(OWN), pid(OTHER));
    machine.ok(&["systemctl", "restart", OWN]);
    machine.wait_for(OTHER, "ActiveState", "active");
    assert!(pid(OWN) != before.0 && pid(OTHER) != before.1);
    // One that dies takes nobody with it.
    let before = (pid(OWN), pid(OTHER));
    machine.ok(&["kill", "-KILL", &before.0]);
    machine.wait_for(OWN, "NRestarts", "1");
    machine.wait_for(OWN, "ActiveState", "active");
    assert_eq!(pid(OTHER), before.1, "another worker was restarted");
    // Both are held together.
    assert_eq!(machine.property(OTHER, "Slice"), "reelmill-workers.slice");
    assert_ne!(machine.property("reelmill-workers.slice", "MemoryMax"), "infinity");
}

/// One job instead of the worker's own work, in the unit with all that locks it in.
fn one(worker: &str) -> String {
    format!(
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\nExecStart={worker} one\n\
         StandardInput=file:/etc/job.json\nReadWritePaths=/srv/out\n\
         Environment=REELMILL_FFMPEG=/usr/bin/ffmpeg REELMILL_FFPROBE=/usr/bin/ffprobe\n\
         Environment=REELMILL_FILE_ROOTS=/srv/films REELMILL_OUTPUT_ROOTS=/srv/out\n"
    )
}

/// A stream and a file, which is made in the spool.
#[test]
fn locked_in_the_worker_still_makes_ladders_and_files() {
    const TEST: &str = "locked_in_the_worker_still_makes_ladders_and_files";
    let Some(setup) = Setup::with_packages(TEST, &["ffmpeg"]) else { return };
    let unit = text("worker/alone/reelmill-worker.service");
    let worker = programs(&unit).next().expect("it starts a program").to_owned();
    let users = fs::read_to_string(repository().join("worker/units/reelmill-worker.sysusers")).expect("the users");
    let machine = setup
        .file(&format!("{UNITS}/{OWN}"), &unit)
        .file(&format!("{UNITS}/{OWN}.d/one.conf"), &one(&worker))
        .file("/usr/lib/sysusers.d/reelmill-worker.conf", &users)
        .bind(&program("reelmill-worker"), &worker)
        .bind(&media::clip(), "/srv/films/film.mp4")
        .boot();
    machine.ok(&["install", "--directory", "--owner=reelmill-worker", "/srv/out"]);
    for (preset, made) in [("hls-ladder", "/master.m3u8"), ("proxy", "/proxy.mov")] {
        let job = format!(
            r#"{{"input":"file:///srv/films/film.mp4","output":"file:///srv/out/{preset}","preset":"{preset}"}}"#
        );
        machine.write("/etc/job.json", &job);
        let started = machine.run(&["systemctl", "start", OWN]);
        let told = machine.journal(&[&format!("--unit={OWN}")]);
        let told: Vec<_> = told.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
        assert!(started.status.success(), "{preset}: {told:#?}");
        let files = machine.ok(&["find", &format!("/srv/out/{preset}"), "-type", "f"]);
        assert!(files.contains(made), "{preset}: {files}");
        assert!(!told.iter().any(|line| line.contains("confines media processes only")), "{told:#?}");
    }
}

/// What a program says of a golden file of settings.
fn check_settings(program: &str, file: &str) -> (bool, String) {
    let at = golden().join(file).display().to_string();
    let mut command = command(program);
    command.env_clear().env("REELMILL_LOG", "warn").args(["check-config", "--config", &at, "--settings-only"]);
    let ran = output(command, "");
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn the_programs_take_their_settings() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for below in ["etc/reelmill", "store"] {
            let names = fs::read_dir(golden().join(folder).join(below)).into_iter().flatten().flatten();
            found.extend(names.map(|entry| format!("{folder}/{below}/{}", entry.file_name().display())));
        }
    }
    found.retain(|file| file.ends_with(".toml"));
    assert!(found.len() >= 9, "{found:?}");
    for file in &found {
        let name = file.rsplit('/').next().expect("a name").trim_end_matches(".toml");
        let program = format!("reelmill-{}", name.split('-').next().expect("a word"));
        assert_eq!(check_settings(&program, file), (true, String::new()), "{file}");
    }
    // The check can fail: one program does not take another's settings.
    assert!(!check_settings("reelmill-hub", "agent/example/etc/reelmill/agent.toml").0);
}

#[test]
fn the_root_helper_takes_its_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    for at in ["agent/alone", "agent/example"] {
        let mut command = command("reelmill-exec");
        command.arg("check-config").env("STATE_DIRECTORY", folder.path());
        let lines = text(&format!("{at}/etc/reelmill/exec.env"));
        let variables: Vec<_> = lines.lines().filter_map(|line| line.split_once('=')).collect();
        assert_eq!(variables, [("GUARD", "true")], "{at}");
        let ran = output_of(command.envs(variables));
        assert!(ran.0, "{at}: {}", ran.1);
    }
}

fn output_of(command: &mut Command) -> (bool, String) {
    let ran = command.output().expect("it runs");
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn the_document_shows_the_examples_that_are_evaluated() {
    let document = fs::read_to_string(repository().join("docs/operate/nixos.md")).expect("the document");
    let shown: BTreeSet<_> = document.split("```nix\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let examples = ["agent", "worker", "container", "hub"];
    let files: Vec<_> = examples
        .iter()
        .map(|name| fs::read_to_string(repository().join(format!("nixos/profiles/examples/{name}.nix"))).expect(name))
        .collect();
    assert_eq!(shown, files.iter().map(String::as_str).collect::<BTreeSet<_>>());
}
