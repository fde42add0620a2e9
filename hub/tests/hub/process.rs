//! The program itself: what it announces, how it ends, what it refuses.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::PATIENCE;

/// A started program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hub(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelmill-hub"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn poll<T>(mut look: impl FnMut() -> Option<T>, what: &str) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} within {PATIENCE:?}")
}

fn start(data: &Path, change: impl FnOnce(&mut Command)) -> (Running, Value) {
    let mut command = hub(&["serve", "--data", data.to_str().expect("text"), "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::null());
    change(&mut command);
    let running = Running(command.spawn().expect("the hub starts"));
    let json = poll(|| fs::read(data.join("hub.json")).ok(), "the hub is ready");
    (running, serde_json::from_slice(&json).expect("hub.json is whole whenever it is there"))
}

fn end(mut running: Running) -> ExitStatus {
    poll(|| running.0.try_wait().expect("a child"), "the hub ends")
}

fn terminate(running: &Running) {
    let status = Command::new("kill").arg(running.0.id().to_string()).status().expect("kill runs");
    assert!(status.success());
}

#[test]
fn announces_itself_ends_on_sigterm_and_comes_back_with_the_same_store() {
    let parent = tempfile::tempdir().expect("a folder");
    let data = parent.path().join("data");
    let (running, first) = start(&data, |_| {});
    let path = |name: &str| format!("{}/{name}", data.canonicalize().expect("a folder").display());
    assert_eq!(first["queue"], format!("sqlite://{}", path("queue.sqlite")));
    assert_eq!(first["keys"]["secret_key"], format!("file:{}", path("keys/secret_key")));
    assert_eq!((&first["input_bucket"], &first["output_bucket"]), (&"media-ingest".into(), &"media-output".into()));
    assert_eq!(first["queue_name"], "reelmill");
    assert!(first["api"].as_str().is_some_and(|a| a.starts_with("http://127.0.0.1:")));
    let secret = fs::read_to_string(data.join("keys/secret_key")).expect("a key");
    assert!(!first.to_string().contains(&secret));
    let mode = |p: &str| fs::metadata(data.join(p)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(
        [mode(""), mode("keys"), mode("keys/access_key"), mode("keys/secret_key")],
        [0o700, 0o700, 0o600, 0o600]
    );

    terminate(&running);
    assert!(end(running).success());
    assert!(!data.join("hub.json").exists(), "a hub that is gone announces nothing");

    let (running, second) = start(&data, |_| {});
    assert_eq!(first["store"], second["store"]);
    assert_eq!(fs::read_to_string(data.join("keys/secret_key")).expect("a key"), secret);
    terminate(&running);
    assert!(end(running).success());
}

#[test]
fn ends_with_the_program_that_started_it_where_that_is_wished() {
    let data = tempfile::tempdir().expect("a folder");
    let (mut running, _) = start(data.path(), |command| {
        command.env("REELMILL_EXIT_ON_STDIN_EOF", "1").stdin(Stdio::piped());
    });
    assert_eq!(running.0.try_wait().expect("a child"), None, "it runs while standard input is open");
    drop(running.0.stdin.take());
    assert!(end(running).success());
}

#[test]
fn tells_nothing_secret_in_its_log() {
    let data = tempfile::tempdir().expect("a folder");
    let log = data.path().join("log");
    let (running, _) = start(data.path(), |command| {
        command.env("REELMILL_LOG", "trace").stderr(fs::File::create(&log).expect("a file"));
    });
    terminate(&running);
    assert!(end(running).success());
    let log = fs::read_to_string(log).expect("text");
    assert!(log.contains("ready at"), "{log}");
    let secret = fs::read_to_string(data.path().join("keys/secret_key")).expect("a key");
    assert!(!log.contains(&secret));
}

fn refused(output: Output, parts: &[&str]) {
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success(), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn refuses_to_serve_the_network_and_a_folder_in_use() {
    let data = tempfile::tempdir().expect("a folder");
    let path = data.path().to_str().expect("text").to_owned();
    let run = |listen: &str| hub(&["serve", "--data", &path, "--listen", listen]).output().expect("it runs");
    refused(run("0.0.0.0:0"), &["error: ", "0.0.0.0:0", "hint: use 127.0.0.1"]);
    refused(run("[::]:0"), &["error: ", "hint: "]);
    let (_running, _) = start(data.path(), |_| {});
    refused(run("127.0.0.1:0"), &["another reelmill-hub", "hint: "]);
    refused(hub(&["serve"]).output().expect("it runs"), &["no data folder", "hint: give `--data DIR`"]);
}

#[test]
fn a_queue_that_is_not_there_is_told_with_its_address_and_without_its_password() {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = hub(&["serve", "--data", data.path().to_str().expect("text"), "--listen", "127.0.0.1:0"]);
    let output = command.envs([
        ("QUEUE_URL", "redis://:hunter2@127.0.0.1:1"),
        ("S3_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "hunter3"),
    ]);
    let output = output.output().expect("it runs");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter"));
    refused(output, &["error: ", "127.0.0.1:1", "hint: "]);
}

#[test]
fn settings_can_be_checked_where_neither_secrets_nor_presets_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hub.toml");
    let check = |text: &str, words: &[&str]| {
        fs::write(&file, text).expect("a file");
        hub(&["check-config", "--config", file.to_str().expect("text")]).args(words).output().expect("it runs")
    };
    let good = "preset_folder = \"/nowhere/presets\"\n\
                [queue]\nurl = \"file:/run/credentials/reelmill-hub.service/queue-url\"\n\
                [store]\nendpoint = \"http://127.0.0.1:3900\"\n\
                access_key = \"file:/run/credentials/reelmill-hub.service/access-key\"\n\
                secret_key = \"file:/run/credentials/reelmill-hub.service/secret-key\"\n";
    assert!(check(good, &["--settings-only"]).status.success());
    refused(check(good, &[]), &["/nowhere/presets"]);
    refused(check(&good.replace("secret_key", "session_token"), &["--settings-only"]), &["AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn check_config_says_what_is_wrong_without_starting_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hub.toml");
    let check = |text: &str| {
        fs::write(&file, text).expect("a file");
        hub(&["check-config", "--config", file.to_str().expect("text")]).output().expect("it runs")
    };
    assert!(check("[store]\ninput_bucket = \"films\"\n").status.success());
    refused(check("\n[store]\ninput_bukcet = \"films\"\n"), &["hub.toml:3:1", "input_bukcet"]);
    refused(check("listen = \"192.0.2.1:80\"\n"), &["192.0.2.1:80", "hint: "]);
    let hidden = check("[queue]\nurl = \"redis://:hunter2@hub\"\nnmae = 1\n");
    assert!(!String::from_utf8_lossy(&hidden.stderr).contains("hunter2"));
    refused(hidden, &["nmae"]);
}
