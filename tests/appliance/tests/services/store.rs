//! The stores with what the modules render: Garage itself where it is installed, and the script for others against the hub's own.

use std::{
    env, fs,
    net::TcpStream,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, command, eventually, free_port};
use serde_json::Value;

use crate::place::{Place, fed, script, tried};

/// The digest of nothing.
const NOTHING: &str = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// That of `a film`.
const FILM: &str = "x-amz-content-sha256: eb4d67fa94a1035e41117b2890d6281a1ad461ac0c9cfa6d3c0e94256a08532f";

/// A request that is signed with keys of a folder; its status.
fn asked(place: &Place, name: &str, words: &[&str]) -> String {
    let pair = format!(
        "user = \"{}:{}\"\n",
        place.secret(&format!("store-{name}-access")),
        place.secret(&format!("store-{name}-secret"))
    );
    let common =
        ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--config", "-", "--aws-sigv4", "aws:amz:us-east-1:s3"];
    fed("curl", &[&common[..], words].concat(), &pair)
}

#[test]
fn garage_has_the_buckets_and_keys_that_were_drawn() {
    let garage = env::var_os("GARAGE").unwrap_or_else(|| "garage".into());
    if !Command::new(&garage).arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        println!("SKIPPED: there is no garage; cargo install garage --locked, and GARAGE may name it");
        return;
    }
    let place = Place::new();
    place.secrets("store/garage-secrets");
    let (s3, rpc, admin) = (free_port(), free_port(), free_port());
    let at = |port: u16| format!("127.0.0.1:{port}");
    let conf = place.golden(
        "store/garage.toml",
        &[
            ("/var/lib/garage/data", &place.at("media")),
            ("/var/lib/garage/meta", &place.at("meta")),
            ("127.0.0.1:3900", &at(s3)),
            ("127.0.0.1:3901", &at(rpc)),
            ("127.0.0.1:3903", &at(admin)),
        ],
    );
    let mut server = Command::new(&garage);
    server.arg("-c").arg(conf).arg("server").stdout(Stdio::null()).stderr(Stdio::null());
    let variables = place.secret("garage.env");
    server.envs(variables.lines().filter_map(|line| line.split_once('=')));
    let _running = Running::start(server);
    eventually("garage", || TcpStream::connect(("127.0.0.1", admin)).ok());

    let rights = place.golden("store/garage-rights", &[]);
    let set_up =
        || tried(script("garage-setup").arg(format!("http://{}", at(admin))).arg(place.path("secrets")).arg(&rights));
    for _ in 0..2 {
        let (good, out, errors) = set_up();
        assert!(good, "{out}{errors}");
    }
    let url = |path: &str| format!("http://{}/{path}", at(s3));
    let film = place.write("film", "a film").display().to_string();
    let put = |name: &str, path: &str| asked(&place, name, &["-H", FILM, "-T", &film, &url(path)]);
    let get = |name: &str, path: &str| asked(&place, name, &["-H", NOTHING, &url(path)]);
    assert_eq!(put("hub", "media-ingest/a.mp4"), "200");
    assert_eq!(get("workers", "media-ingest/a.mp4"), "200");
    assert_eq!(put("workers", "media-ingest/b.mp4"), "403", "workers only read what comes in");
    assert_eq!(put("workers", "media-output/a/1.ts"), "200");
    assert_eq!(put("workers", "nix-cache/x"), "403");
    assert_eq!(put("cache", "nix-cache/x"), "200");
    assert_eq!(get("cache", "media-output/a/1.ts"), "403");
}

#[test]
fn buckets_are_made_once_with_keys_that_no_argument_shows() {
    let place = Place::new();
    let mut hub = command("reelmill-hub");
    hub.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.path("data")).stderr(Stdio::null());
    let _hub = Running::start(hub);
    let store = eventually("the hub", || {
        let said = fs::read_to_string(place.path("data/hub.json")).ok()?;
        Some(serde_json::from_str::<Value>(&said).ok()?["store"].as_str()?.to_owned())
    });
    fs::create_dir(place.path("secrets")).expect("ours");
    for (ours, theirs) in [("store-hub-access", "access_key"), ("store-hub-secret", "secret_key")] {
        fs::copy(place.path("data/keys").join(theirs), place.path("secrets").join(ours)).expect("ours");
    }
    let made =
        |words: &[&str]| tried(script("buckets").arg(&store).arg("us-east-1").arg(place.path("secrets")).args(words));
    for _ in 0..2 {
        let (good, out, errors) = made(&["media-ingest", "nix-cache"]);
        assert!(good, "{out}{errors}");
    }
    assert_eq!(asked(&place, "hub", &["-H", NOTHING, &format!("{store}/nix-cache")]), "200");
    fs::write(place.path("secrets/store-hub-secret"), "a guess").expect("ours");
    let (good, _, errors) = made(&["media-ingest"]);
    assert!(!good && errors.contains("status 403") && errors.contains("hint:"), "{errors}");
}
