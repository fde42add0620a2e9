//! `push-images` with a real registry and the real skopeo: images of several architectures become one, and who may not push
//! is told so.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

use reelmill_appliance::packages;
use reelmill_lab::programs::{Running, eventually, free_port, output};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Who may push: `farm` with the password `let-me-push`, as `htpasswd -B` writes it.
const USERS: &str = "farm:$2y$05$1/zdpOhKGTzE4n9dv87TFuoJeH6JZ/ihwyWnUfi7f/VY69MbBDYii\n";
/// The same as a client sends it.
const KNOWN: &str = "ZmFybTpsZXQtbWUtcHVzaA==";
/// Somebody else.
const STRANGER: &str = "ZmFybTpndWVzc2Vk";

/// A registry that asks for a password; stopped when dropped.
struct Registry {
    port: u16,
    folder: TempDir,
    _running: Running,
}

impl Registry {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("users"), USERS).expect("it is ours");
        let (port, running) = (0..5).find_map(|_| come_up(folder.path())).expect("it starts on one of five ports");
        Self { port, folder, _running: running }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file with credentials for it.
    fn login(&self, name: &str, auth: &str) -> std::path::PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, json!({"auths": {self.address(): {"auth": auth}}}).to_string()).expect("it is ours");
        file
    }

    /// What the registry has under that name.
    fn manifest(&self, reference: &str) -> Value {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false", "--authfile"]).arg(self.login("reader", KNOWN));
        let told = output(
            {
                skopeo.arg(format!("docker://{}/{reference}", self.address()));
                skopeo
            },
            "",
        );
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        serde_json::from_slice(&told.stdout).expect("a manifest")
    }
}

fn come_up(folder: &Path) -> Option<(u16, Running)> {
    let port = free_port();
    let shown = folder.display();
    let settings = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {shown}/data}}}}\n\
         http: {{addr: \"127.0.0.1:{port}\"}}\nauth: {{htpasswd: {{realm: farm, path: {shown}/users}}}}\n"
    );
    fs::write(folder.join("registry.yml"), settings).expect("it is ours");
    let mut registry = Command::new("docker-registry");
    registry.arg("serve").arg(folder.join("registry.yml"));
    // It tells of each request.
    registry.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(registry);
    let up = eventually("the registry", || {
        let ended = running.has_ended();
        (ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(!ended)
    });
    up.then_some((port, running))
}

/// An image as Nix builds one, with a file that says what it is for.
fn archive(folder: &Path, image: &str, architecture: &str) {
    let layer = tarball(&[("about", architecture.as_bytes())]);
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({"architecture": architecture, "os": "linux", "config": {"User": "900:900"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}})
    .to_string();
    let manifest =
        json!([{"Config": "config.json", "RepoTags": [format!("reelmill/{image}:1")], "Layers": ["layer.tar"]}]);
    let parts = [("layer.tar", layer.as_slice()), ("config.json", config.as_bytes())];
    let manifest = manifest.to_string();
    let all = tarball(&[parts[0], parts[1], ("manifest.json", manifest.as_bytes())]);
    fs::write(folder.join(format!("{image}-{architecture}.tar")), all).expect("it is ours");
}

fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, *content).expect("memory takes it");
    }
    tar.into_inner().expect("memory takes it")
}

fn push(registry: &Registry, archives: &Path, login: &Path, more: &[&str]) -> Output {
    let mut push = Command::new("bash");
    push.arg(packages().join("push-images.sh")).args(["--plain-http", "--tag", "7", "--from"]).arg(archives);
    push.arg("--authfile").arg(login).arg(registry.address()).args(more);
    output(push, "")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn images_of_several_architectures_are_pushed_as_one() {
    let (registry, archives) = (Registry::start(), TempDir::new().expect("a folder"));
    archive(archives.path(), "worker-cpu", "amd64");
    archive(archives.path(), "worker-cpu", "arm64");
    archive(archives.path(), "worker-jetson", "arm64");
    let pushed = push(&registry, archives.path(), &registry.login("pusher", KNOWN), &["worker-cpu", "worker-jetson"]);
    assert!(pushed.status.success(), "{}", said(&pushed));
    let platforms = |reference: &str| -> Vec<String> {
        let manifest = registry.manifest(reference);
        let all = manifest["manifests"].as_array().expect("an index").clone();
        all.iter().map(|one| one["platform"]["architecture"].as_str().expect("it has one").to_owned()).collect()
    };
    assert_eq!(platforms("reelmill/worker-cpu:7"), ["amd64", "arm64"]);
    assert_eq!(platforms("reelmill/worker-jetson:7"), ["arm64"]);
    // What it printed names exactly what the registry has.
    let printed = String::from_utf8(pushed.stdout).expect("a text");
    for line in printed.lines() {
        let reference = line.strip_prefix(&format!("{}/", registry.address())).expect("of this registry");
        let (name, digest) = reference.split_once('@').expect("with its digest");
        let by_digest = registry.manifest(&format!("{}@{digest}", name.split(':').next().expect("a name")));
        assert_eq!(by_digest, registry.manifest(name));
    }
    assert_eq!(printed.lines().count(), 2, "{printed}");
}

#[test]
fn a_registry_that_does_not_know_us_is_named_with_a_hint() {
    let (registry, archives) = (Registry::start(), TempDir::new().expect("a folder"));
    archive(archives.path(), "worker-nvenc", "amd64");
    let refused = push(&registry, archives.path(), &registry.login("pusher", STRANGER), &["worker-nvenc"]);
    assert!(!refused.status.success());
    let (said, address) = (said(&refused), registry.address());
    assert!(
        said.contains(&format!("error: cannot push {address}/reelmill/worker-nvenc:7\nhint: skopeo login")),
        "{said}"
    );
}

#[test]
fn what_is_not_there_is_told_before_anything_is_pushed() {
    let (registry, archives) = (Registry::start(), TempDir::new().expect("a folder"));
    let login = registry.login("pusher", KNOWN);
    let check = |images: &[&str], want: &str| {
        let refused = push(&registry, archives.path(), &login, images);
        assert!(!refused.status.success() && said(&refused).contains(want), "{}", said(&refused));
        assert!(refused.stdout.is_empty());
    };
    check(&["worker-gpu"], "error: there is no image worker-gpu\nhint: worker-cpu, worker-nvenc, worker-jetson\n");
    File::create(archives.path().join("worker-cpu-amd64.tar")).expect("it is ours");
    check(&["worker-cpu"], "error: cannot read the image ");
    check(&["worker-jetson"], "has no worker-jetson-arm64.tar[.gz]\n");
}
