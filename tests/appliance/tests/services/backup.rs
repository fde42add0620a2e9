//! A backup of a hub that runs, and what comes of it when the hub is lost: with the real hub, age and restic.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, command, eventually};
use serde_json::Value;

use crate::place::{Place, fed, ran, script, tried};

struct Farm {
    place: Place,
    hub: Option<Running>,
}

impl Farm {
    fn start() -> Self {
        let place = Place::new();
        for folder in ["target", "metrics", "cache"] {
            fs::create_dir(place.path(folder)).expect("ours");
        }
        let mut farm = Self { place, hub: None };
        farm.serve("data");
        farm.place.hub(&["token", "join", "--hub", "https://hub:7443", "--tag", "before-the-backup"]);
        farm
    }

    fn serve(&mut self, data: &str) {
        let mut hub = command("reelmill-hub");
        hub.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.place.path(data));
        hub.stdout(Stdio::null()).stderr(Stdio::null());
        self.hub = Some(Running::start(hub));
        eventually("the hub", || self.api(data).map(|_| ()));
    }

    fn api(&self, data: &str) -> Option<String> {
        let said = fs::read_to_string(self.place.path(data).join("hub.json")).ok()?;
        Some(serde_json::from_str::<Value>(&said).ok()?["api"].as_str()?.to_owned())
    }

    fn backup(&self, target: &str) -> Command {
        let mut backup = script("backup");
        backup.env("DATA", self.place.path("data")).env("TARGET", target).env("KEEP", "2");
        backup.env("METRICS", self.place.path("metrics")).env("CACHE_DIRECTORY", self.place.path("cache"));
        backup
    }

    fn job(&self, data: &str, id: &str) {
        let api = self.api(data).expect("it runs");
        fs::write(self.place.path("source.mp4"), "no film").expect("ours");
        let upload = format!("{api}/v1/uploads/{id}.mp4");
        ran(Command::new("curl").args(["-sSf", "-T"]).arg(self.place.path("source.mp4")).arg(upload));
        let job = format!(r#"{{"id":"{id}","input":"s3://media-ingest/{id}.mp4","preset":"hls-ladder"}}"#);
        let asked = ["-sSf", "-H", "content-type: application/json", "--data-binary", "@-"];
        fed("curl", &[&asked[..], &[&format!("{api}/v1/jobs")]].concat(), &job);
    }

    fn jobs(&self, data: &str) -> String {
        let api = self.api(data).expect("it runs");
        ran(Command::new("curl").args(["-sSf", &format!("{api}/v1/jobs")]))
    }
}

fn key(place: &Place) -> (PathBuf, PathBuf) {
    let (identity, recipients) = (place.path("identity"), place.path("recipients"));
    ran(Command::new("age-keygen").arg("-o").arg(&identity));
    fs::write(&recipients, ran(Command::new("age-keygen").arg("-y").arg(&identity))).expect("ours");
    (identity, recipients)
}

fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(folder).expect("there").map(|e| e.expect("readable").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next_back().expect("one")
}

#[test]
fn a_hub_that_was_lost_is_back_with_its_jobs_its_authority_and_its_tokens() {
    let mut farm = Farm::start();
    let (identity, recipients) = key(&farm.place);
    farm.job("data", "0190a0b0-0000-7000-8000-000000000001");
    ran(farm.backup(&farm.place.at("target")).env("RECIPIENTS", &recipients));
    farm.job("data", "0190a0b0-0000-7000-8000-000000000002");

    let archive = only_file(&farm.place.path("target"));
    assert_eq!(fs::metadata(&archive).expect("there").permissions().mode() & 0o777, 0o600);
    let sealed = fs::read(&archive).expect("there");
    assert!(sealed.starts_with(b"age-encryption.org"), "it is encrypted");
    let metric = fs::read_to_string(farm.place.path("metrics/reelmill-backup.prom")).expect("it succeeded");
    assert!(metric.contains("\nreelmill_backup_last_success_timestamp_seconds 1"), "{metric}");
    assert_eq!(fs::read_dir(farm.place.path("cache")).expect("there").count(), 0, "nothing is left behind");

    let restore = |data: &str| {
        let mut restore = script("restore");
        restore.arg(&archive).arg(farm.place.path(data)).arg(&identity);
        restore
    };
    let (good, _, errors) = tried(&mut restore("data"));
    assert!(!good && errors.contains("a hub uses") && errors.contains("hint:"), "{errors}");
    let ca = fs::read(farm.place.path("data/ca/ca.pem")).expect("there");
    farm.hub = None;
    let (good, _, errors) = tried(&mut restore("data"));
    assert!(!good && errors.contains("not overwritten"), "{errors}");
    fs::rename(farm.place.path("data"), farm.place.path("lost")).expect("ours");
    fs::create_dir(farm.place.path("data")).expect("ours");
    ran(&mut restore("data"));

    farm.serve("data");
    let jobs = farm.jobs("data");
    assert!(jobs.contains("8000-000000000001") && !jobs.contains("8000-000000000002"), "{jobs}");
    assert_eq!(fs::read(farm.place.path("data/ca/ca.pem")).expect("there"), ca);
    let tokens = farm.place.hub(&["token", "list"]);
    assert!(tokens.contains("before-the-backup"), "{tokens}");
}

#[test]
fn a_backup_that_was_changed_is_not_put_back_and_an_old_one_goes() {
    let farm = Farm::start();
    let (identity, recipients) = key(&farm.place);
    for name in ["20200101T000000Z", "20200102T000000Z"] {
        fs::write(farm.place.path("target").join(format!("reelmill-hub-{name}.tar.zst.age")), "old").expect("ours");
    }
    let made = ran(farm.backup(&farm.place.at("target")).env("RECIPIENTS", &recipients));
    assert_eq!(fs::read_dir(farm.place.path("target")).expect("there").count(), 2, "as many as are to be kept");
    assert!(!farm.place.path("target/reelmill-hub-20200101T000000Z.tar.zst.age").exists());
    let mut bytes = fs::read(made.trim()).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(made.trim(), bytes).expect("ours");
    let mut restore = script("restore");
    restore.arg(made.trim()).arg(farm.place.path("new")).arg(identity);
    fs::create_dir(farm.place.path("new")).expect("ours");
    assert!(!tried(&mut restore).0);
    assert_eq!(fs::read_dir(farm.place.path("new")).expect("there").count(), 0, "nothing of it");
}

#[test]
fn a_backup_that_fails_does_not_say_that_it_succeeded() {
    let farm = Farm::start();
    let (_, recipients) = key(&farm.place);
    let (good, _, _) = tried(farm.backup("/no/such/folder").env("RECIPIENTS", &recipients));
    assert!(!good && !farm.place.path("metrics/reelmill-backup.prom").exists());
    let (good, _, errors) = tried(
        farm.backup(&farm.place.at("target")).env("RECIPIENTS", &recipients).env("DATA", farm.place.path("none")),
    );
    assert!(!good && errors.contains("hint:"), "{errors}");
}

#[test]
fn restic_keeps_backups_and_gives_the_newest_back() {
    let mut farm = Farm::start();
    let (repository, password) = (farm.place.at("repository"), farm.place.write("password", "correct horse"));
    // A folder here; what restic does with other places is restic's.
    let target = format!("local:{repository}");
    for id in ["0190a0b0-0000-7000-8000-000000000001", "0190a0b0-0000-7000-8000-000000000002"] {
        farm.job("data", id);
        ran(farm.backup(&target).env("RESTIC_PASSWORD_FILE", &password));
    }
    ran(farm.backup(&target).env("RESTIC_PASSWORD_FILE", &password));
    let mut restic = Command::new("restic");
    restic.args(["--no-cache", "--repo", &target, "snapshots", "--json"]).env("RESTIC_PASSWORD_FILE", &password);
    let snapshots: Value = serde_json::from_str(&ran(&mut restic)).expect("JSON");
    assert_eq!(snapshots.as_array().map(Vec::len), Some(2), "as many as are to be kept");

    farm.hub = None;
    fs::create_dir(farm.place.path("new")).expect("ours");
    let mut restore = script("restore");
    ran(restore.arg(&target).arg(farm.place.path("new")).env("RESTIC_PASSWORD_FILE", &password));
    farm.serve("new");
    let jobs = farm.jobs("new");
    assert!(jobs.contains("8000-000000000001") && jobs.contains("8000-000000000002"), "{jobs}");
}
