//! A machine's first boot under a real systemd, with the units as NixOS has them: what a person laid on its boot partition is
//! its name, its network, its keys, its worker's settings and its farm, and nothing of it is left where it lay. Only root can boot
//! machines; without root these tests are skipped, loudly.

mod machine;

use machine::{JOIN, KEY, TOKEN, given, machine, said};
use reelmill_lab::programs::eventually;

#[test]
fn what_was_laid_on_the_boot_partition_is_in_force_and_gone_from_there() {
    const TEST: &str = "what_was_laid_on_the_boot_partition_is_in_force_and_gone_from_there";
    let Some(setup) = machine(TEST) else { return };
    let machine = given(setup, "/boot/reelmill").boot();
    assert_eq!(machine.property("reelmill-first-boot.service", "Result"), "success", "{}", said(&machine));
    assert_eq!(machine.ok(&["uname", "-n"]), "orin-3");

    // The network is up by the file, and no other is asked for.
    let network = machine.ok(&["cat", "/run/systemd/network/10-reelmill-join.network"]);
    assert!(network.contains("Name=lab0\n") && network.contains("Address=10.7.0.3/24\n"), "{network}");
    eventually("the address", || {
        machine.ok(&["ip", "-4", "addr", "show", "lab0"]).contains("10.7.0.3/24").then_some(())
    });
    eventually("the way out", || machine.ok(&["ip", "route"]).contains("default via 10.7.0.1 dev lab0").then_some(()));

    // Keys let in root alone, the agent has its join file, and the worker its settings.
    let kept = machine.ok(&["sh", "-c", "cd /var/lib/reelmill-host; stat --format '%n %U %a' . *"]);
    let want = ". root 711\n10-reelmill-join.network root 600\nauthorized_keys root 600\nhostname root 600\n\
        join.toml reelmill-agent 600\nnode root 600\nworker.env root 600";
    assert_eq!(kept, want);
    assert_eq!(machine.ok(&["cat", "/var/lib/reelmill-host/authorized_keys"]), KEY);
    assert_eq!(machine.ok(&["cat", "/run/worker-has"]), "redis://:p%40ss@hub.lab:6379 a b\"c$d");
    let ran = machine.run_as("reelmill-agent", &["cat", "/var/lib/reelmill-host/join.toml"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), JOIN);
    for name in ["authorized_keys", "worker.env"] {
        let ran = machine.run_as("reelmill-agent", &["cat", &format!("/var/lib/reelmill-host/{name}")]);
        assert!(!ran.status.success(), "the agent has no business with {name}");
    }

    // The agent asks the hub that the file names.
    eventually("the agent's question", || {
        let told = machine.journal(&["--unit=reelmill-agent.service"]);
        told.iter()
            .any(|entry| entry["MESSAGE"].as_str().is_some_and(|m| m.contains("https://10.7.0.1:7443")))
            .then_some(())
    });

    // Nothing is left, not even as bytes.
    assert_eq!(machine.ok(&["find", "/boot", "-type", "f"]), "");
    let journal = machine.ok(&["journalctl", "--no-pager"]);
    assert!(!journal.contains(TOKEN) && !journal.contains("p%40ss"), "a secret is in the journal");

    // The next boot finds none of it there, and is the same machine.
    let machine = machine.boot_again();
    assert_eq!(machine.ok(&["uname", "-n"]), "orin-3");
    eventually("the address", || {
        machine.ok(&["ip", "-4", "addr", "show", "lab0"]).contains("10.7.0.3/24").then_some(())
    });
    let ran = machine.run_as("reelmill-agent", &["sh", "-c", "echo >> /var/lib/reelmill-host/join.toml"]);
    assert!(ran.status.success(), "the agent can wipe its token");
}

#[test]
fn a_bad_file_is_told_and_keeps_the_machine_from_nothing_else() {
    const TEST: &str = "a_bad_file_is_told_and_keeps_the_machine_from_nothing_else";
    let Some(setup) = machine(TEST) else { return };
    let machine = given(setup, "/boot/reelmill")
        .file("/boot/reelmill/join.toml", &JOIN.replace("ca_sha256", "ca_sha"))
        .file("/boot/reelmill/worker.env", "QUEUE_URL=redis://hub\nhunter2\n")
        .boot();
    assert_eq!(machine.property("reelmill-first-boot.service", "Result"), "exit-code");
    let told = said(&machine);
    for want in [
        "/boot/reelmill/worker.env: line 2: it is no NAME=value",
        "/boot/reelmill/join.toml:2:1: unknown key `ca_sha`",
        "hint: mend the file where it lies",
    ] {
        assert!(told.contains(want), "{want}: {told}");
    }
    assert!(!told.contains("hunter2") && !told.contains(TOKEN), "{told}");
    assert_eq!(machine.ok(&["uname", "-n"]), "orin-3", "the name was good");
    assert_eq!(machine.property("reelmill-agent.service", "ActiveState"), "active");
    assert_eq!(machine.ok(&["sh", "-c", "ls /boot/reelmill"]), "join.toml\nworker.env");

    // Mended, and asked again.
    machine.write("/boot/reelmill/join.toml", JOIN);
    machine.write("/boot/reelmill/worker.env", "QUEUE_URL=redis://hub\n");
    machine.ok(&["systemctl", "restart", "reelmill-first-boot.service"]);
    assert_eq!(machine.ok(&["sh", "-c", "ls /boot/reelmill"]), "");
}

#[test]
fn a_stick_is_read_until_the_machine_has_its_join_file() {
    const TEST: &str = "a_stick_is_read_until_the_machine_has_its_join_file";
    let Some(setup) = machine(TEST) else { return };
    let machine = given(setup, "/run-stick/reelmill").boot();
    // The kernel has no disks of this machine: where a stick would be mounted, its content is.
    let plug = "mkdir -p /run/reelmill/stick && cp -r /run-stick/. /run/reelmill/stick/ && systemctl start reelmill-stick.service";
    machine.ok(&["sh", "-c", plug]);
    assert_eq!(machine.ok(&["uname", "-n"]), "orin-3");
    eventually("the address", || {
        machine.ok(&["ip", "-4", "addr", "show", "lab0"]).contains("10.7.0.3/24").then_some(())
    });
    assert_eq!(machine.ok(&["find", "/run/reelmill/stick", "-type", "f"]), "");

    machine.write("/run/reelmill/stick/hostname", "thief\n");
    machine.write("/run/reelmill/stick/authorized_keys", KEY);
    machine.ok(&["systemctl", "start", "reelmill-stick.service"]);
    assert_eq!(machine.ok(&["uname", "-n"]), "orin-3");
    assert_eq!(
        machine.ok(&["ls", "/run/reelmill/stick"]),
        "authorized_keys\nhostname\nreelmill",
        "it is left as it was"
    );
}
