//! The machine: Debian's systemd, and the units as NixOS has them.

use reelmill_appliance::text;
use reelmill_lab::nspawn::{Machine, Setup};

pub(crate) const TOKEN: &str = "rmj_abababababababababababababababab";
pub(crate) const JOIN: &str = "hub = \"https://10.7.0.1:7443\"\n\
    ca_sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\
    token = \"rmj_abababababababababababababababab\"\nnode = \"orin-9\"\n\
    [network]\ninterface = \"lab0\"\naddress = \"10.7.0.3/24\"\ngateway = \"10.7.0.1\"\ndns = [\"10.7.0.1\"]\n";
pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsyJpGpeAZqyQlWmQE6wFBvbn5SkqFdsTfDFd0KVwtP anna@desk";
const WORKER_ENV: &str = "# the farm's\nQUEUE_URL=redis://:p%40ss@hub.lab:6379\nAWS_SECRET_ACCESS_KEY='a b\"c$d'\n";
/// Writes down what it was given.
const WORKER: &str = "[Unit]\nAfter=reelmill-first-boot.service\n[Service]\nType=exec\n\
    EnvironmentFile=-/var/lib/reelmill-host/worker.env\n\
    ExecStart=/usr/bin/sh -c 'echo \"$QUEUE_URL $AWS_SECRET_ACCESS_KEY\" > /run/worker-has; exec sleep infinity'\n";
/// A cable, and what is at its other end, which is no more than there.
const CABLE: &str = "[NetDev]\nName=lab0\nKind=veth\n[Peer]\nName=lab1\n";
const OTHER_END: &str = "[Match]\nName=lab1\n[Network]\nLinkLocalAddressing=no\n";

/// A machine that is not booted and was given nothing.
pub(crate) fn machine(test: &str) -> Option<Setup> {
    let unit = |name: &str| local(&text(&format!("appliance/{name}")));
    let setup = Setup::new(test)?
        .program("reelmill-agent")
        .program("reelmill-exec")
        .unit("reelmill-first-boot.service", &unit("reelmill-first-boot.service"))
        .enabled("reelmill-first-boot.service")
        .unit("reelmill-stick.service", &unit("reelmill-stick.service"))
        // There is no disk to mount; see the test.
        .unit(
            "run-reelmill-stick.mount",
            "[Mount]\nWhat=/run/reelmill/stick\nWhere=/run/reelmill/stick\nOptions=bind\n",
        )
        .unit("reelmill-agent.service", include_str!("../../../../agent/units/reelmill-agent.service"))
        .file(
            "/etc/systemd/system/reelmill-agent.service.d/host.conf",
            "[Service]\nReadWritePaths=-/var/lib/reelmill-host\n",
        )
        .enabled("reelmill-agent.service")
        .file(
            "/usr/lib/sysusers.d/reelmill-agent.conf",
            include_str!("../../../../agent/units/reelmill-agent.sysusers"),
        )
        .file("/etc/reelmill/agent.toml", "join = [\"/var/lib/reelmill-host/join.toml\"]\n")
        .unit("reelmill-worker.service", WORKER)
        .enabled("reelmill-worker.service")
        .file("/etc/systemd/network/lab0.netdev", CABLE)
        .file("/etc/systemd/network/lab1.network", OTHER_END)
        .file("/etc/systemd/network/80-reelmill-cable.network", &text("appliance/80-reelmill-cable.network"))
        .enabled("systemd-networkd.service");
    Some(setup)
}

/// The same with all four files in a folder.
pub(crate) fn given(setup: Setup, folder: &str) -> Setup {
    setup
        .file(&format!("{folder}/join.toml"), JOIN)
        .file(&format!("{folder}/authorized_keys"), &format!("# for the rack\r\n{KEY}\r\n"))
        .file(&format!("{folder}/worker.env"), WORKER_ENV)
        .file(&format!("{folder}/hostname"), "orin-3\n")
}

/// What the first boot said.
pub(crate) fn said(machine: &Machine) -> String {
    let told = machine.journal(&["--unit=reelmill-first-boot.service"]);
    let told: Vec<_> = told.iter().filter_map(|entry| entry["MESSAGE"].as_str()).collect();
    told.join("\n")
}

/// A unit's text for a machine whose programs are not in a Nix store.
fn local(text: &str) -> String {
    let store = format!("/nix/store/{}-", reelmill_appliance::DIGEST);
    let mut parts = text.split(&store);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (_, rest) = part.split_once('/').expect("a path in the store");
        text + "/usr/" + rest
    })
}
