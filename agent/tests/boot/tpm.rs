//! Where a machine has a TPM, its disk alone is no node: the key lies there sealed.

use reelmill_lab::qemu::{Disk, Entry};

/// What systemd loads to speak to a TPM, and only if it is there.
const PACKAGES: &[&str] =
    &["libtss2-esys-3.0.2-0t64", "libtss2-mu-4.0.1-0t64", "libtss2-rc0t64", "libtss2-tcti-device0t64"];
const AGENT: &str = "reelmill-agent.service";
/// A hub that is not there: the node makes its key, and waits.
const JOIN: &str = "hub = \"https://127.0.0.1:1\"\n\
    ca_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
/// The code that is made of the key, once the page shows it.
const CODE: &str = "for _ in $(seq 300); do \
    code=$(curl -s http://127.0.0.1:9310/api/status | grep -o '\"pairing_code\":\"[^\"]*\"') && echo $code && exit; sleep 1; \
    done; journalctl -u reelmill-agent | tail -5; exit 1";

#[test]
#[ignore = "takes minutes; `cargo xtask test boot` runs it"]
fn a_nodes_key_is_sealed_to_its_machine() {
    const TEST: &str = "a_nodes_key_is_sealed_to_its_machine";
    let Some(setup) = Disk::setup(TEST, &[PACKAGES, &["curl"]].concat()) else { return };
    let setup = setup
        .program("reelmill-agent")
        .unit(AGENT, include_str!("../../units/reelmill-agent.service"))
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .file("/etc/reelmill/agent.toml", "join = [\"/etc/reelmill/join.toml\"]\n")
        .file("/etc/reelmill/join.toml", JOIN)
        .enabled(AGENT);
    let vm = Disk::new(setup, &[Entry::new("debian", "")]).with_tpm().boot();
    let code = vm.ok(CODE);
    let key = "/var/lib/reelmill-agent/key.pem";
    assert_eq!(
        vm.script(&format!("grep -q BEGIN {key}")).code,
        1,
        "it is sealed: {}",
        vm.ok("journalctl -u reelmill-agent")
    );
    assert_eq!(vm.ok(&format!("stat -c '%U %a' {key}")), "reelmill-agent 600");

    // The machine opens it again after a boot, and no other user does.
    let vm = vm.cut();
    assert_eq!(vm.ok(CODE), code);
    let other = format!(
        "cp {key} /run/key && chmod 644 /run/key && \
        runuser -u nobody -- systemd-creds --user --name=reelmill-node-key decrypt /run/key -"
    );
    assert_ne!(vm.script(&other).code, 0);
    let own = other.replace("nobody", "reelmill-agent");
    assert!(vm.ok(&own).contains("-----BEGIN"));
}
