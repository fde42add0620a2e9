//! Workers in containers as NixOS has them: podman gets all that the worker needs there, and their units keep it ready and pass on
//! what is done to the node's own worker. Podman itself does not run here.

use std::fs;

use reelmill_appliance::{golden, text};
use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::{command, eventually, output},
};
use serde_json::Value;

/// The golden folders with containers: the document's example, and all that a container may be told.
const FOLDERS: [&str; 2] = ["worker/container", "worker/containers"];
const UNITS: &str = "/etc/systemd/system";
const OWN: &str = "reelmill-worker.service";
/// How scripts begin here: units have NixOS' folders of programs.
const SHELL: &str = "#!/bin/bash\nPATH=/usr/sbin:/usr/bin\n";

/// One worker in a container: what podman is told, its two units, and its settings.
struct Contained {
    name: String,
    podman: Value,
    /// The unit that commands speak of, and its text.
    unit: String,
    holder: String,
    /// Podman's own unit, as far as our modules write it.
    runner: String,
    settings: String,
}

impl Contained {
    fn list(&self, key: &str) -> Vec<&str> {
        self.podman[key].as_array().expect(key).iter().map(|value| value.as_str().expect("text")).collect()
    }

    fn has(&self, key: &str, value: &str) -> bool {
        self.list(key).contains(&value)
    }
}

fn contained(folder: &str) -> Vec<Contained> {
    let all: Value = serde_json::from_str(&text(&format!("{folder}/containers.json"))).expect("JSON");
    let one = |(container, podman): (&String, &Value)| {
        let name = container.strip_prefix("reelmill-worker-").expect("one of ours").to_owned();
        let unit = if name == "default" { OWN.to_owned() } else { format!("reelmill-worker@{name}.service") };
        Contained {
            holder: text(&format!("{folder}/{unit}")),
            runner: text(&format!("{folder}/podman-{container}.service")),
            settings: text(&format!("{folder}/store/worker-{name}.toml")),
            podman: podman.clone(),
            unit,
            name,
        }
    };
    let found: Vec<_> = all.as_object().expect("containers").iter().map(one).collect();
    assert!(!found.is_empty(), "{folder}");
    found
}

fn all() -> Vec<Contained> {
    FOLDERS.into_iter().flat_map(contained).collect()
}

/// The instance of that name where each may be told something else.
fn instance(name: &str) -> Contained {
    let found = contained("worker/containers").into_iter().find(|c| c.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn a_container_is_the_nodes_user_with_its_folders_and_secrets() {
    for worker in all() {
        let name = &worker.name;
        // A name that the image does not know, so the machine's lists of names are there too.
        assert_eq!(worker.podman["user"], "reelmill-worker", "{name}");
        let cache = if name == "default" { "reelmill-worker".to_owned() } else { format!("reelmill-worker-{name}") };
        let secrets = format!("/run/credentials/{}", worker.unit);
        for mount in [
            "/etc/passwd:/etc/passwd:ro".to_owned(),
            "/etc/group:/etc/group:ro".to_owned(),
            "/run/reelmill-workers:/run/reelmill-workers".to_owned(),
            format!("/var/cache/{cache}:/var/cache/reelmill-worker"),
            format!("{secrets}:{secrets}:ro"),
        ] {
            assert!(worker.has("volumes", &mount), "{name}: {mount}");
        }
        assert!(worker.settings.contains(&format!("url = \"file:{secrets}/queue-url\"")), "{name}");
        assert_eq!(worker.podman["environment"]["RUNTIME_DIRECTORY"], "/run/reelmill-workers", "{name}");
        assert_eq!(worker.podman["environment"]["CACHE_DIRECTORY"], "/var/cache/reelmill-worker", "{name}");
        for line in [
            "User=reelmill-worker",
            "LoadCredential=queue-url:/var/lib/secrets/queue-url",
            "RuntimeDirectory=reelmill-workers",
            &format!("CacheDirectory={cache}"),
        ] {
            assert!(worker.holder.lines().any(|l| l == line), "{}: {line}", worker.unit);
        }
    }
}

#[test]
fn what_the_settings_name_is_at_the_same_place_in_a_container() {
    let worker = instance("default");
    for mount in [
        "/srv/presets:/srv/presets:ro",
        "/srv/films:/srv/films:ro",
        // It is read from as well, and podman takes each place once.
        "/srv/out:/srv/out",
        "/srv/spool:/srv/spool",
        "/etc/farm-ca.pem:/etc/farm-ca.pem:ro",
    ] {
        assert!(worker.has("volumes", mount), "{mount}");
    }
    for worker in all() {
        let mut places: Vec<_> = worker.list("volumes").iter().filter_map(|v| v.split(':').nth(1)).collect();
        let mounts = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), mounts, "{}: a place has two mounts", worker.name);
    }
}

#[test]
fn a_container_has_the_cards_that_it_may_use() {
    for (name, devices, hwaccel, gpu) in [
        // The one card in it is the first there.
        ("default", &["nvidia.com/gpu=1"][..], "auto", Some("0")),
        ("exact", &["nvidia.com/gpu=all"], "auto", None),
        ("any", &["nvidia.com/gpu=all"], "auto", None),
        ("archive", &[], "none", None),
    ] {
        let worker = instance(name);
        assert_eq!(worker.list("devices"), devices, "{name}");
        assert_eq!(worker.podman["environment"]["HWACCEL"], hwaccel, "{name}");
        assert_eq!(worker.podman["environment"]["GPU"].as_str(), gpu, "{name}");
    }
    assert!(contained(FOLDERS[0])[0].has("devices", "nvidia.com/gpu=all"), "the example insists on cards");
    assert!(instance("exact").settings.contains("gpu = \"GPU-1c2d3e4f\""));
}

#[test]
fn a_container_has_time_to_drain() {
    let mut looked_at = Vec::new();
    for worker in all() {
        let seconds = |line: &str, key: &str| line.strip_prefix(key).and_then(|v| v.trim_end_matches('s').parse().ok());
        let podman: u32 =
            worker.list("extraOptions").iter().find_map(|o| seconds(o, "--stop-timeout=")).expect("podman waits");
        let systemd: u32 =
            worker.runner.lines().find_map(|l| seconds(l, "TimeoutStopSec=")).expect("systemd waits for podman");
        let deadline: u32 = worker.settings.lines().find_map(|l| seconds(l, "deadline_seconds = ")).unwrap_or(60);
        assert!(deadline < podman && podman < systemd, "{}: {deadline} {podman} {systemd}", worker.name);
        looked_at.push(deadline);
    }
    assert!(looked_at.contains(&600) && looked_at.contains(&60), "{looked_at:?}");
}

#[test]
fn podman_knows_the_registry() {
    let example = &contained(FOLDERS[0])[0];
    let credentials = "/run/credentials/podman-reelmill-worker-default.service/registry";
    assert!(example.has("extraOptions", &format!("--authfile={credentials}")));
    assert!(example.runner.contains("LoadCredential=registry:/var/lib/secrets/registry.json\n"));
    assert!(!example.has("extraOptions", "--tls-verify=false"));
    assert!(instance("default").has("extraOptions", "--tls-verify=false"));
    // The image is one that `push-images` pushes.
    let pushed: Value = serde_json::from_str(&text("oci/x86_64-linux/worker-nvenc.json")).expect("JSON");
    let name = |key: &str| pushed[key].as_str().expect("text").to_owned();
    let image = example.podman["image"].as_str().expect("text");
    assert!(image.ends_with(&format!("/{}:{}", name("name"), name("tag"))), "{image}");
}

#[test]
fn all_instances_count_what_the_node_may_do() {
    for folder in ["worker/example", "worker/containers"] {
        let files = fs::read_dir(golden().join(folder).join("store")).expect("settings").flatten();
        let names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
        assert!(names.len() >= 3, "{names:?}");
        for name in names {
            let settings = text(&format!("{folder}/store/{name}"));
            assert!(settings.contains("\n[admission]\nnode_concurrency = "), "{folder}/{name}");
        }
    }
}

#[test]
fn the_worker_takes_the_settings_of_a_container() {
    for folder in FOLDERS {
        for worker in contained(folder) {
            let file = golden().join(folder).join(format!("store/worker-{}.toml", worker.name));
            let environment = worker.podman["environment"].as_object().expect("variables");
            let mut check = command("reelmill-worker");
            check.env_clear().env("REELMILL_LOG", "warn");
            check.envs(environment.iter().map(|(name, value)| (name, value.as_str().expect("text"))));
            check.args(["check-config", "--settings-only", "--config"]).arg(file);
            let said = output(check, "");
            assert!(said.status.success(), "{}: {}", worker.name, String::from_utf8_lossy(&said.stderr));
        }
    }
}

/// What stands in podman's place: it is the container's user, and finds what it needs or fails. It tells of signals.
fn stand_in(worker: &Contained) -> String {
    let mounted: Vec<_> = worker.list("volumes").iter().filter_map(|v| v.split(':').next()).collect();
    let find = |start: &str| mounted.iter().find(|from| from.starts_with(start)).expect("it is mounted");
    let (cache, counts) = (find("/var/cache/"), find("/run/reelmill-workers"));
    let secret = format!("{}/queue-url", find("/run/credentials/"));
    let pid = worker.list("extraOptions").into_iter().find_map(|o| o.strip_prefix("--pidfile=")).expect("a file");
    let user = worker.podman["user"].as_str().expect("a name");
    format!(
        "{SHELL}[ $UID != 0 ] || {{ echo $$ >{pid}; chmod 700 {pid}; systemd-notify --ready; exec setpriv --reuid={user} --regid={user} --init-groups $0; }}\n\
         trap 'echo drain' USR1; trap 'echo go on' USR2\n\
         cat {secret} && touch {cache}/mine {counts}/mine || exit 1\n\
         while :; do sleep 1; done\n"
    )
}

/// A node on which all workers are containers.
fn node(test: &str) -> Option<(Machine, Vec<Contained>)> {
    let workers = contained("worker/containers");
    let users = include_str!("../../../worker/units/reelmill-worker.sysusers");
    let pass = workers[0].holder.lines().find_map(|l| l.strip_prefix("ExecStart=")).expect("it starts something");
    let script = include_str!("../../../nixos/modules/worker-container.sh");
    let mut setup = Setup::new(test)?
        .script(pass.split(' ').next().expect("a program"), &format!("{SHELL}{script}"))
        .file("/usr/lib/sysusers.d/reelmill-worker.conf", users)
        .file("/var/lib/secrets/queue-url", "redis://hub:6379\n")
        .file(&format!("{UNITS}/reelmill-workers.slice"), &text("worker/containers/reelmill-workers.slice"));
    for worker in &workers {
        let runner = format!("podman-reelmill-worker-{}.service", worker.name);
        let podman = format!("/opt/{}", worker.name);
        // As NixOS' own module has it.
        let unit = format!(
            "[Service]\nType=notify\nNotifyAccess=all\nExecStart={podman}\nRuntimeDirectory=reelmill-worker-{}\n",
            worker.name
        );
        let chmod =
            worker.runner.lines().find_map(|l| l.strip_prefix("ExecStartPost=")).expect("the pid is to be read");
        let chmod = chmod.split(' ').next().expect("a program").to_owned();
        setup = setup
            .script(&podman, &stand_in(worker))
            .script(&chmod, "#!/bin/sh\nexec /usr/bin/chmod \"$@\"\n")
            .file(&format!("{UNITS}/{}", worker.unit), &worker.holder)
            .file(&format!("{UNITS}/{runner}"), &worker.runner)
            .file(&format!("{UNITS}/{runner}.d/podman.conf"), &unit);
        // As NixOS does what the first line of the golden text says.
        let by = worker.holder.lines().next().and_then(|l| l.strip_prefix("# WantedBy=")).expect("somebody wants it");
        setup = setup.link(&format!("{UNITS}/{by}.wants/{}", worker.unit), &format!("{UNITS}/{}", worker.unit));
    }
    Some((setup.boot(), workers))
}

#[test]
fn containers_find_their_secrets_and_follow_the_nodes_own_worker() {
    let Some((machine, workers)) = node("containers_find_their_secrets_and_follow_the_nodes_own_worker") else {
        return;
    };
    let runners: Vec<_> = workers.iter().map(|w| format!("podman-reelmill-worker-{}.service", w.name)).collect();
    let states = |want: &str| {
        for runner in &runners {
            machine.wait_for(runner, "ActiveState", want);
        }
    };
    states("active");
    for runner in &runners {
        eventually(&format!("{runner} to read its secret"), || {
            let told = machine.journal(&[&format!("--unit={runner}"), "--output-fields=MESSAGE"]);
            told.iter().any(|entry| entry["MESSAGE"] == "redis://hub:6379").then_some(())
        });
        assert_eq!(machine.property(runner, "NRestarts"), "0", "{runner}");
    }
    // What the agent sends reaches the worker, each time.
    for (signal, told) in [("USR1", "drain"), ("USR2", "go on"), ("USR1", "drain")] {
        let times = || {
            let entries = machine.journal(&["--unit=podman-reelmill-worker-default.service"]);
            entries.iter().filter(|entry| entry["MESSAGE"] == told).count()
        };
        let before = times();
        machine.ok(&["systemctl", "kill", "--kill-whom=main", &format!("--signal={signal}"), OWN]);
        eventually(&format!("{told} is told"), || (times() > before).then_some(()));
    }
    // Others than root and the worker read no secret.
    let secret = "/run/credentials/reelmill-worker.service/queue-url";
    assert!(machine.run_as("reelmill-worker", &["cat", secret]).status.success());
    assert!(!machine.run_as("nobody", &["cat", secret]).status.success());
    // Who waits for the end of the node's own waits for all, and what starts it starts all.
    machine.ok(&["systemctl", "stop", OWN]);
    for runner in &runners {
        assert_eq!(machine.property(runner, "ActiveState"), "inactive", "{runner}");
    }
    machine.ok(&["systemctl", "restart", OWN]);
    states("active");
    let pids = |runner: &String| machine.property(runner, "MainPID");
    let before: Vec<_> = runners.iter().map(pids).collect();
    machine.ok(&["systemctl", "restart", OWN]);
    states("active");
    for (runner, before) in runners.iter().zip(before) {
        assert_ne!(machine.property(runner, "MainPID"), before, "{runner} was not restarted");
    }
    // One that finds no secret does not run.
    machine.ok(&["systemctl", "stop", OWN]);
    machine.ok(&["rm", "/var/lib/secrets/queue-url"]);
    assert!(!machine.run(&["systemctl", "start", OWN]).status.success());
    assert_eq!(machine.property(&runners[0], "ActiveState"), "inactive");
}
