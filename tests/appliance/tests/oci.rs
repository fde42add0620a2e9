//! The worker's OCI images: what they say of themselves, and that the worker takes the settings they bring.

use std::fs;

use reelmill_appliance::{golden, text};
use reelmill_lab::programs::{command, output};
use serde_json::Value;

/// What each image says, by its system and name.
fn images() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for system in ["x86_64-linux", "aarch64-linux"] {
        for entry in fs::read_dir(golden().join("oci").join(system)).expect("there are images for it") {
            let name = entry.expect("it can be listed").file_name().into_string().expect("a name of ours");
            let path = format!("oci/{system}/{name}");
            let image = serde_json::from_str(&text(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            found.push((format!("{system}/{name}"), image));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn there_is_an_image_for_each_way_to_encode() {
    let names: Vec<_> = images().into_iter().map(|(name, _)| name).collect();
    let want = [
        "aarch64-linux/worker-cpu",
        "aarch64-linux/worker-jetson",
        "x86_64-linux/worker-cpu",
        "x86_64-linux/worker-nvenc",
    ];
    assert_eq!(names, want.map(|name| format!("{name}.json")));
}

#[test]
fn an_image_runs_the_worker_as_nobody_in_particular() {
    for (name, image) in images() {
        let config = &image["config"];
        let program = config["Entrypoint"][0].as_str().expect("a program");
        assert!(program.ends_with("/bin/reelmill-worker") && config["Entrypoint"][1].is_null(), "{name}: {program}");
        assert_eq!(
            (config["User"].as_str(), config["StopSignal"].as_str()),
            (Some("900:900"), Some("SIGTERM")),
            "{name}"
        );
    }
}

#[test]
fn the_worker_takes_the_settings_of_its_images() {
    let check = |environment: &[(&str, &str)]| {
        let mut worker = command("reelmill-worker");
        worker.envs(environment.iter().copied()).env("QUEUE_URL", "redis://hub:6379");
        worker
            .env("S3_ENDPOINT_URL", "http://hub:3900")
            .env("AWS_ACCESS_KEY_ID", "a")
            .env("AWS_SECRET_ACCESS_KEY", "b");
        worker.args(["check-config", "--settings-only"]);
        output(worker, "")
    };
    for (name, image) in images() {
        let all = image["config"]["Env"].as_array().expect("a list");
        let pairs: Vec<_> =
            all.iter().map(|pair| pair.as_str().and_then(|p| p.split_once('=')).expect("NAME=VALUE")).collect();
        let said = check(&pairs);
        assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
    }
    assert!(!check(&[("HWACCEL", "gpu")]).status.success(), "a value that it does not know is refused");
}
