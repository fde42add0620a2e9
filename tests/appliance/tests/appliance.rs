//! What the appliance tells the programs of its system: each is asked itself whether it understands, and some whether they do it.
//! Only root can boot machines; without root these tests are skipped, loudly.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reelmill_appliance::{DIGEST, golden, text};
use reelmill_lab::{
    nspawn::{Ended, Machine, Setup},
    programs::{eventually, output},
};

/// As systemd counts: 0 is locked in, 10 is root with all doors open.
const MOST: f64 = 4.5;
/// What is asked here, besides systemd.
const PACKAGES: &[&str] = &["nix-bin", "openssh-server", "openssh-client", "udev"];
const SSHD: &str = "[Service]\nType=notify\nRuntimeDirectory=sshd\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/appliance\n";

/// A unit's text for a machine whose programs are not in a Nix store.
fn local(text: &str) -> String {
    let store = format!("/nix/store/{DIGEST}-");
    let mut parts = text.split(&store);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.split_once('/').map_or(part, |(_, rest)| rest);
        text + "/usr/" + rest
    })
}

/// The units of a golden folder.
fn units(folder: &str) -> Vec<(String, String)> {
    let names = fs::read_dir(golden().join(folder)).expect("a golden folder").flatten();
    let names = names.map(|entry| entry.file_name().display().to_string());
    let kinds = [".service", ".socket", ".timer", ".mount"];
    let mut units: Vec<_> = names.filter(|name| kinds.iter().any(|kind| name.ends_with(kind))).collect();
    units.sort();
    units.into_iter().map(|name| (name.clone(), local(&text(&format!("{folder}/{name}"))))).collect()
}

fn told(ran: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    const TEST: &str = "systemd_finds_nothing_wrong_with_the_units";
    // These run a whole system's programs, which may do anything.
    const OPEN: &[&str] = &["reelmill-tidy.service", "reelmill-codec-clocks.service"];
    for folder in ["appliance", "appliance/cloud", "hardware/jetson"] {
        let Some(mut setup) = Setup::new(TEST) else { return };
        let units = units(folder);
        assert!(!units.is_empty(), "{folder}");
        for (name, text) in &units {
            setup = setup.unit(name, text);
            for line in text.lines().filter(|line| line.starts_with("Exec")) {
                let program =
                    line.split_once('=').map(|(_, words)| words.trim_start_matches(['-', '+'])).unwrap_or_default();
                setup = setup.script(program.split(' ').next().expect("a word"), "#!/bin/sh\n");
            }
        }
        let machine = setup.boot();
        for (name, _) in &units {
            let at = format!("/usr/lib/systemd/system/{}", name.replace("@.", "@x."));
            machine.run(&["cp", "--no-clobber", &format!("/usr/lib/systemd/system/{name}"), &at]);
            let ran = machine.run(&["systemd-analyze", "verify", "--man=no", &at]);
            assert!(ran.status.success() && ran.stderr.is_empty(), "{folder}/{name}: {}", told(&ran));
            if name.ends_with(".service") && !OPEN.contains(&name.as_str()) {
                let score = score(&machine, &at);
                println!("{folder}/{name}: {score}");
                assert!(score <= MOST, "the exposure of {folder}/{name} is {score}");
            }
        }
    }
}

/// The last words of `Overall exposure level for UNIT: 1.3 OK :-)` but its opinion.
fn score(machine: &Machine, unit: &str) -> f64 {
    let told = machine.ok(&["systemd-analyze", "security", "--offline=true", "--no-pager", unit]);
    let level = told.lines().last().and_then(|line| line.rsplit_once(".service: ")).expect("a level").1;
    level.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn the_filter_of_packets_can_be_loaded() {
    if fs::metadata("/proc/self").expect("proc").uid() != 0 {
        let _ = writeln!(
            std::io::stderr(),
            "\n==== SKIPPED: the_filter_of_packets_can_be_loaded: only root may ask nft ====\n"
        );
        return;
    }
    let check = |rules: &str| {
        let mut nft = Command::new("unshare");
        nft.args(["--net", "nft", "--check", "--file", "-"]);
        output(nft, rules)
    };
    for name in ["node", "hub"] {
        let ran = check(&text(&format!("appliance/{name}.nft")));
        assert!(ran.status.success(), "{name}: {}", told(&ran));
    }
    let hub = text("appliance/hub.nft");
    assert!(!check(&hub.replace("ip6 saddr", "ip saddr")).status.success(), "the check can fail");
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let scripts = ["nixos/modules/appliance/leave.sh", "nixos/modules/hardware/jetson/clocks.sh"].map(repository);
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.args(["--shell", "bash"]).args(scripts);
    let ran = output(shellcheck, "");
    assert!(ran.status.success(), "{}", told(&ran));
}

#[test]
fn the_codecs_are_clocked_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = || {
        let mut script = Command::new("bash");
        script.arg(repository("nixos/modules/hardware/jetson/clocks.sh")).arg(folder.path());
        output(script, "")
    };
    let none = clock();
    assert!(!none.status.success() && told(&none).contains("hint: reelmill.hardware.jetson.clocks"), "{}", told(&none));
    let governor = |name: &str| folder.path().join(name).join("governor");
    for name in ["154c0000.nvenc", "15480000.nvdec", "15340000.vic", "17000000.gpu"] {
        fs::create_dir(folder.path().join(name)).expect("ours");
        fs::write(governor(name), "nvhost_podgov\n").expect("ours");
    }
    let ran = clock();
    assert_eq!(told(&ran), "as fast as the power mode allows: 154c0000.nvenc 15480000.nvdec 15340000.vic\n");
    assert_eq!(fs::read_to_string(governor("154c0000.nvenc")).expect("ours"), "performance\n");
    assert_eq!(fs::read_to_string(governor("17000000.gpu")).expect("ours"), "nvhost_podgov\n");
}

#[test]
fn each_program_understands_what_it_is_told() {
    const TEST: &str = "each_program_understands_what_it_is_told";
    let Some(setup) = Setup::with_packages(TEST, PACKAGES) else { return };
    let machine = setup
        .file("/etc/systemd/system.conf.d/appliance.conf", &text("appliance/system.conf"))
        .file("/etc/systemd/journald.conf.d/appliance.conf", &text("appliance/journald.conf"))
        .file("/etc/systemd/network/80-reelmill-cable.network", &text("appliance/80-reelmill-cable.network"))
        .enabled("systemd-networkd.service")
        .file("/etc/nix/nix.conf", &text("appliance/nix.conf"))
        .file("/etc/udev/rules.d/99-local.rules", &text("appliance/udev.rules"))
        .boot();
    let networkd = |machine: &Machine| {
        machine.ok(&["journalctl", "--sync"]);
        let said = machine.ok(&["journalctl", "--no-pager", "--output=cat", "--unit=systemd-networkd.service"]);
        assert!(said.contains("Link UP"), "{said}");
        said.lines()
            .filter(|line| line.contains("Unknown") || line.contains("parse"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(networkd(&machine), Vec::<String>::new());
    let watched = [("Runtime", "30s"), ("Reboot", "5min"), ("KExec", "5min")];
    for (name, want) in watched {
        let property = format!("{name}WatchdogUSec");
        assert_eq!(machine.ok(&["systemctl", "show", "--value", "--property", &property]), want, "{name}");
    }
    let journal = machine.ok(&["journalctl", "--no-pager", "--output=cat", "--unit=systemd-journald.service"]);
    assert!(journal.contains("System Journal (/var/log/journal/") && journal.contains(", max 500M, "), "{journal}");

    let nix = machine.run(&["nix", "--extra-experimental-features", "nix-command", "config", "show"]);
    let said = told(&nix);
    assert!(nix.status.success() && !said.contains("unknown setting"), "{said}");
    assert!(
        said.contains("max-jobs = 0\n") && said.contains("require-sigs = true\n") && said.contains("substituters = \n"),
        "{said}"
    );
    let udev = machine.run(&["udevadm", "verify", "/etc/udev/rules.d/99-local.rules"]);
    assert!(udev.status.success(), "{}", told(&udev));

    // The checks can fail.
    machine.write("/etc/systemd/network/81-wrong.network", "[Match]\nName=x\n[Network]\nDHPC=yes\n");
    machine.ok(&["systemctl", "restart", "systemd-networkd.service"]);
    eventually("a complaint", || (!networkd(&machine).is_empty()).then_some(()));
    machine.write("/etc/nix/nix.conf", "max-job = 0\n");
    assert!(
        told(&machine.run(&["nix", "--extra-experimental-features", "nix-command", "config", "show"]))
            .contains("unknown setting")
    );
    machine.write("/etc/udev/rules.d/99-local.rules", "SUBSYSTEM=\"block\", TAG+=systemd\n");
    assert!(!machine.run(&["udevadm", "verify", "/etc/udev/rules.d/99-local.rules"]).status.success());
}

#[test]
fn a_key_lets_root_in_and_nothing_else_does() {
    const TEST: &str = "a_key_lets_root_in_and_nothing_else_does";
    let Some(setup) = Setup::with_packages(TEST, PACKAGES) else { return };
    // Where NixOS' module makes the key at the first start.
    let config = format!("Port 2222\nListenAddress 127.0.0.1\n{}", text("appliance/sshd_config"));
    let machine = setup.file("/etc/ssh/appliance", &config).unit("appliance-ssh.service", SSHD).boot();
    machine.ok(&["sh", "-c", "systemctl stop ssh.service ssh.socket; mkdir -p -m 700 /var/lib/reelmill-host/ssh; chmod 711 /var/lib/reelmill-host"]);
    for key in ["/var/lib/reelmill-host/ssh/host_ed25519", "/root/key", "/root/other"] {
        machine.ok(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    }
    machine.ok(&[
        "sh",
        "-c",
        "umask 077; cp /root/key.pub /var/lib/reelmill-host/authorized_keys; useradd --create-home anna",
    ]);
    machine.ok(&[
        "sh",
        "-c",
        "echo root:hunter2 | chpasswd; mkdir -p /root/.ssh; cp /root/other.pub /root/.ssh/authorized_keys",
    ]);
    machine.ok(&["systemctl", "start", "appliance-ssh.service"]);
    let log_in = |user: &str, key: &str| {
        let options =
            ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", "2222"];
        machine.run(&[&["ssh", "-i", key], &options[..], &[&format!("{user}@127.0.0.1"), "id", "-un"]].concat())
    };
    let well = log_in("root", "/root/key");
    assert_eq!(String::from_utf8_lossy(&well.stdout), "root\n", "{}", told(&well));
    for (user, key, why) in [
        ("root", "/root/other", "root's own folder has no say"),
        ("anna", "/root/key", "the keys of the first boot are root's"),
    ] {
        let refused = log_in(user, key);
        assert!(told(&refused).contains("Permission denied (publickey)"), "{why}: {}", told(&refused));
    }
}

/// A worker that ends when it is told to, as one does that drains.
const DRAINS: &str = "#!/bin/sh\ntrap 'exit 0' TERM\nsystemd-notify --ready\nwhile [ ! -e /run/lanes-are-empty ]; do sleep 0.1; done\n\
    exit \"$(cat /run/lanes-are-empty)\"\n";

#[test]
fn a_rented_machine_switches_itself_off_when_there_is_nothing_left_to_do() {
    const TEST: &str = "a_rented_machine_switches_itself_off_when_there_is_nothing_left_to_do";
    let Some(setup) = Setup::new(TEST) else { return };
    let unit = local(&text("appliance/cloud/reelmill-worker.service"));
    let leave =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/modules/appliance/leave.sh"));
    let mut machine = setup
        .unit("reelmill-worker.service", &unit)
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../../agent/units/reelmill-agent.sysusers"))
        // The stand-in is a shell whose children speak for it.
        .file("/etc/systemd/system/reelmill-worker.service.d/lab.conf", "[Service]\nNotifyAccess=all\nWatchdogSec=0\n")
        .script("/usr/bin/reelmill-worker", DRAINS)
        .script("/usr/bin/reelmill-leave", &format!("#!/bin/bash\n{}", leave.expect("the script")))
        .enabled("reelmill-worker.service")
        .boot();
    let unit = "reelmill-worker.service";
    machine.wait_for(unit, "ActiveState", "active");
    // Stopped or restarted by somebody, as in a change of the system, it is not done.
    machine.ok(&["systemctl", "restart", unit]);
    machine.ok(&["systemctl", "stop", unit]);
    machine.ok(&["systemctl", "start", unit]);
    // One that fails is tried again.
    machine.write("/run/lanes-are-empty", "7");
    machine.wait_for(unit, "NRestarts", "1");
    machine.ok(&["rm", "/run/lanes-are-empty"]);
    machine.wait_for(unit, "ActiveState", "active");
    assert!(!machine.ok(&["systemctl", "list-jobs"]).contains("poweroff"), "nothing of that switches it off");
    machine.write("/run/lanes-are-empty", "0");
    assert_eq!(machine.ended(), Ended::PoweredOff);
}

/// A program that prints as a board's does, to whom it is root.
const TEGRASTATS: &str =
    "#!/bin/sh\n[ \"$(id -u)\" = 0 ] || exit 1\nwhile echo \"$(cat /usr/share/line)\"; do sleep 0.2; done\n";

#[test]
fn the_agent_hears_what_tegrastats_tells_root() {
    let Some(setup) = Setup::new("the_agent_hears_what_tegrastats_tells_root") else { return };
    let lines =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../agent/tests/data/tegrastats/lines.txt"));
    let lines = lines.expect("the recordings");
    let line =
        lines.lines().find(|line| line.contains("NVENC") && !line.starts_with('#')).expect("one with an encoder");
    let machine = setup
        .program("reelmill-agent")
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../../agent/units/reelmill-agent.sysusers"))
        .unit("reelmill-tegrastats.socket", &local(&text("hardware/jetson/reelmill-tegrastats.socket")))
        .unit("reelmill-tegrastats@.service", &local(&text("hardware/jetson/reelmill-tegrastats@.service")))
        .enabled("reelmill-tegrastats.socket")
        .script("/usr/bin/tegrastats", TEGRASTATS)
        .file("/usr/share/line", line)
        .boot();
    // No board is here for the agent to see, so its user listens, and its program reads.
    let listen =
        "$s = IO::Socket::UNIX->new(Peer => '/run/reelmill-tegrastats/socket') or die $!; print scalar <$s> for 1..3";
    let hear = format!("perl -MIO::Socket::UNIX -e \"{}\" | reelmill-agent tegrastats -", listen.replace('$', "\\$"));
    let heard = machine.run_as("reelmill-agent", &["bash", "-o", "pipefail", "-c", &hear]);
    let said = told(&heard);
    assert!(heard.status.success() && said.lines().count() == 3 && said.contains("nvenc"), "{said}");
    let stranger = machine.run_as("nobody", &["bash", "-o", "pipefail", "-c", &hear]);
    assert!(!stranger.status.success() && told(&stranger).contains("Permission denied"), "{}", told(&stranger));
    // Nothing goes on for those who are gone.
    eventually("its end", || {
        machine
            .ok(&["systemctl", "list-units", "--plain", "--no-legend", "reelmill-tegrastats@*"])
            .is_empty()
            .then_some(())
    });
}
