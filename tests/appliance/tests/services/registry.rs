//! The plain registry with what the module renders: an image goes in and comes out.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use reelmill_lab::{
    programs::{Running, eventually, free_port},
    redis::Redis,
};

use crate::place::{Place, fed, ran, script, served, tried};

fn serve(conf: &Path, port: u16) -> Running {
    let mut server = Command::new("docker-registry");
    server.arg("serve").arg(conf).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(server);
    eventually("the registry", || TcpStream::connect(("127.0.0.1", port)).ok());
    running
}

fn distribution(place: &Place, port: u16) -> Running {
    let conf = place.golden(
        "registry/distribution.yml",
        &[("127.0.0.1:5000", &format!("127.0.0.1:{port}")), ("/var/lib/docker-registry", &place.at("registry"))],
    );
    serve(&conf, port)
}

/// An image of one empty layer, as `docker save` would write it.
fn archive(place: &Place) -> String {
    let image = place.path("image");
    fs::create_dir(&image).expect("ours");
    let layer = image.join("layer.tar");
    ran(Command::new("tar").arg("-cf").arg(&layer).args(["--files-from", "/dev/null"]));
    let digest = ran(Command::new("sha256sum").arg(&layer)).split(' ').next().expect("a digest").to_owned();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}},"config":{{}}}}"#
    );
    fs::write(image.join("config.json"), config).expect("ours");
    let manifest = r#"[{"Config":"config.json","RepoTags":["worker:1"],"Layers":["layer.tar"]}]"#;
    fs::write(image.join("manifest.json"), manifest).expect("ours");
    let archive = place.at("worker.tar");
    ran(Command::new("tar").args(["-C", &image.display().to_string(), "-cf", &archive, "."]));

    archive
}

fn skopeo(words: &[&str]) -> String {
    ran(Command::new("skopeo").arg("--insecure-policy").args(words))
}

#[test]
fn an_image_goes_in_comes_out_and_can_be_deleted() {
    let (place, port) = (Place::new(), free_port());
    let _running = distribution(&place, port);
    let there = format!("docker://127.0.0.1:{port}/reelmill/worker:1");
    skopeo(&["copy", "--dest-tls-verify=false", &format!("docker-archive:{}", archive(&place)), &there]);
    let shown = skopeo(&["inspect", "--tls-verify=false", &there]);
    assert!(shown.contains(r#""Architecture": "amd64""#), "{shown}");
    skopeo(&["delete", "--tls-verify=false", &there]);
    assert!(!tried(Command::new("skopeo").args(["inspect", "--tls-verify=false", &there])).0, "it is gone");
}

#[test]
fn harbors_images_are_pinned_by_what_the_registry_has() {
    let (place, port) = (Place::new(), free_port());
    let _running = distribution(&place, port);
    let from = format!("docker-archive:{}", archive(&place));
    let containers = reelmill_appliance::text("registry/harbor/containers.json");
    let containers: serde_json::Value = serde_json::from_str(&containers).expect("JSON");
    let images: Vec<&str> =
        containers.as_object().expect("containers").values().filter_map(|c| c["image"].as_str()).collect();
    assert_eq!(images.len(), 9);
    for image in &images {
        let name = image.strip_prefix("docker.io/goharbor/").expect("Harbor's");
        skopeo(&["copy", "--dest-tls-verify=false", &from, &format!("docker://127.0.0.1:{port}/goharbor/{name}")]);
    }
    let registry = format!("127.0.0.1:{port}/goharbor");
    let pin = |version: &str| tried(script("harbor-pin-digests").args([version, &registry, "--tls-verify=false"]));
    let (good, printed, errors) = pin("v2.15.2");
    assert!(good, "{errors}");
    for image in images {
        let name = image.rsplit(['/']).next().and_then(|name| name.split(':').next()).expect("a name");
        assert!(printed.contains(&format!("  {name} = \"sha256:")), "no {name} in {printed}");
    }
    let (good, _, errors) = pin("v0.0.0");
    assert!(!good && errors.contains("hint:"), "{errors}");
}

#[test]
fn harbors_files_are_taken_by_the_programs_that_can_be_had() {
    let place = Place::new();
    place.secrets("registry/harbor/drawn");
    // Its users are not here.
    ran(script("harbor-setup").arg(place.path("harbor")).arg(place.path("secrets")).env("CHOWN", "true"));
    let config = place.path("harbor/config");
    let key = fs::read_to_string(config.join("private_key.pem")).expect("it was made");
    assert!(key.contains("PRIVATE KEY"));
    assert_eq!(fs::read_to_string(config.join("secretkey")).expect("it was copied").len(), 16);

    let (port, debug, redis) = (free_port(), free_port(), Redis::start());
    let registry = fs::read_to_string(config.join("registry/config.yml")).expect("it was copied");
    let changes = [
        (":5000", format!("127.0.0.1:{port}")),
        ("localhost:5001", format!("127.0.0.1:{debug}")),
        ("redis:6379", format!("127.0.0.1:{}", redis.port)),
        ("/etc/registry/passwd", place.at("harbor/config/registry/passwd")),
        ("/storage", place.at("harbor/registry")),
    ];
    let registry = changes.iter().fold(registry, |text, (from, to)| {
        assert!(text.contains(from), "no {from} in {text}");
        text.replace(from, to)
    });
    let _running = serve(&place.write("registry.yml", &registry), port);
    let status = |password: &str| {
        let url = format!("http://127.0.0.1:{port}/v2/");
        let user = format!("user = \"harbor_registry_user:{password}\"\n");
        fed("curl", &["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--config", "-", &url], &user)
    };
    assert_eq!((status(&place.secret("harbor-registry-password")).as_str(), status("guess").as_str()), ("200", "401"));

    for (name, hosts) in [("nginx.conf", ["core:8080", "portal:8080"].as_slice()), ("portal.conf", &[])] {
        let here = hosts.iter().map(|host| (*host, "127.0.0.1:8080")).collect::<Vec<_>>();
        let temporary = place.at("tmp-");
        let changes = [&here[..], &[("/tmp/", temporary.as_str())]].concat();
        let conf = place.golden(&format!("registry/harbor/{name}"), &changes);
        let (good, _, errors) = tried(Command::new(served("nginx")).args(["-t", "-c"]).arg(conf));
        assert!(good, "{errors}");
    }
    for name in
        ["harbor-core.env", "harbor-jobservice.env", "harbor-trivy.env", "harbor-db.env", "harbor-registryctl.env"]
    {
        let text = place.secret(name);
        assert!(text.lines().all(|line| line.split_once('=').is_some_and(|(_, value)| !value.is_empty())), "{text}");
    }
}
