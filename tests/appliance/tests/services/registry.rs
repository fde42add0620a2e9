//! The plain registry with what the module renders: an image goes in and comes out.

use std::{
    fs,
    net::TcpStream,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, eventually, free_port};

use crate::place::{Place, ran};

#[test]
fn an_image_goes_in_comes_out_and_can_be_deleted() {
    let place = Place::new();
    let port = free_port();
    let conf = place.golden(
        "registry/distribution.yml",
        &[("127.0.0.1:5000", &format!("127.0.0.1:{port}")), ("/var/lib/docker-registry", &place.at("registry"))],
    );
    let mut server = Command::new("docker-registry");
    server.arg("serve").arg(conf).stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running::start(server);
    eventually("the registry", || TcpStream::connect(("127.0.0.1", port)).ok());

    // An image of one empty layer.
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

    let there = format!("docker://127.0.0.1:{port}/reelmill/worker:1");
    let skopeo = |words: &[&str]| ran(Command::new("skopeo").arg("--insecure-policy").args(words));
    skopeo(&["copy", "--dest-tls-verify=false", &format!("docker-archive:{archive}"), &there]);
    let shown = skopeo(&["inspect", "--tls-verify=false", &there]);
    assert!(shown.contains(r#""Architecture": "amd64""#), "{shown}");
    skopeo(&["delete", "--tls-verify=false", &there]);
}
