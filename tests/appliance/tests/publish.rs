//! `publish` with the real Nix: what it puts into a cache is signed and whole, a node that trusts the key takes it from
//! there, and what it prints is what `reelmill send` understands.

use reelmill_appliance::packages;
use reelmill_lab::nspawn::{Machine, Setup};
use serde_json::Value;

/// A flake as ours is, with a system as small as one can be, which a shell builds.
const FLAKE: &str = r#"{
  outputs = _: {
    nixosConfigurations = builtins.mapAttrs (name: script: {
      config.system.build.toplevel = derivation {
        inherit name script;
        system = "SYSTEM";
        builder = "/bin/sh";
        args = ["-c" "PATH=/usr/bin:/bin; mkdir -p $out/bin; eval \"$script\""];
      };
    }) {
      node = "printf '#!/bin/sh\n' > $out/bin/switch-to-configuration; echo node > $out/name";
      hollow = "true";
      broken = "exit 1";
    };
  };
}
"#;

fn machine(test: &str) -> Option<Machine> {
    let flake = FLAKE.replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH));
    let setup = Setup::with_packages(test, &["nix-bin"])?
        .file("/etc/nix/nix.conf", "sandbox = false\nbuild-users-group =\nsubstituters =\n")
        .file("/root/flake/flake.nix", &flake)
        .bind(&packages().join("publish.sh"), "/usr/bin/publish.sh");
    let machine = setup.boot();
    run(&machine, "nix key generate-secret --key-name farm-1 > /root/key");
    Some(machine)
}

/// What a shell in the machine printed; it must succeed.
fn run(machine: &Machine, script: &str) -> String {
    let done = machine.run(&["bash", "-c", &with_nix(script)]);
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// What it said when it failed, as it must.
fn refused(machine: &Machine, script: &str) -> String {
    let done = machine.run(&["bash", "-c", &with_nix(script)]);
    assert!(!done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn with_nix(script: &str) -> String {
    let features = "experimental-features = nix-command flakes";
    format!("export HOME=/root NIX_CONFIG='{features}'; publish() {{ bash /usr/bin/publish.sh \"$@\"; }}; {script}")
}

#[test]
fn what_is_published_is_signed_whole_and_what_a_node_is_told() {
    let Some(machine) = machine("what_is_published_is_signed_whole_and_what_a_node_is_told") else { return };
    let publish = "publish --cache file:///cache --key-file /root/key --flake path:/root/flake";
    let told = run(&machine, &format!("{publish} --release 41 --json node"));
    let told: Value = serde_json::from_str(&told).expect("one object");
    let word = |name: &str| told[name].as_str().expect("a text").to_owned();
    assert_eq!((word("system").as_str(), told["release_ctr"].as_u64()), ("node", Some(41)));
    let (path, hash) = (word("store_path"), word("nar_hash"));
    // A store path that was built before does as well, and the same is told.
    let line = run(&machine, &format!("{publish} --release 41 {path}"));
    assert_eq!(line, format!("reelmill send NODE switch store_path={path} nar_hash={hash} release_ctr=41"));
    // Without a number, the flake's newest change is one.
    let line = run(&machine, &format!("{publish} node"));
    let number = line.split_once(" release_ctr=").expect("a number").1;
    assert!(number.parse::<u64>().is_ok_and(|n| n > 0), "{line}");

    // A node takes it from the cache only with the key.
    let take = format!(
        "nix-store --delete {path} > /dev/null && nix-store --realise {path} --option substituters file:///cache"
    );
    assert!(refused(&machine, &take).contains("not signed by any of the keys"));
    let trusted = "--option trusted-public-keys \"$(nix key convert-secret-to-public < /root/key)\"";
    let take = take.split_once("&& ").expect("two commands").1.to_owned();
    assert_eq!(
        run(&machine, &format!("{take} {trusted} 2>/dev/null; cat {path}/name; nix hash path {path}")),
        format!("{path}\nnode\n{hash}")
    );
}

#[test]
fn what_cannot_be_published_is_told_with_a_hint() {
    let Some(machine) = machine("what_cannot_be_published_is_told_with_a_hint") else { return };
    let publish = "publish --cache file:///cache --key-file /root/key --release 1 --flake path:/root/flake";
    let check = |script: &str, want: &str| {
        let said = refused(&machine, script);
        assert!(said.contains(want), "{script}: {said}");
    };
    check(&format!("{publish} broken"), "error: cannot build broken\nhint: ");
    check(&format!("{publish} hollow"), "is no system: it has no bin/switch-to-configuration\n");
    check(&format!("{publish} --release two node"), "error: --release takes a whole number\n");
    check(
        "publish --cache file:///cache --key-file /no/key node",
        "error: cannot read /no/key\nhint: nix key generate-secret",
    );
    check("publish --key-file /root/key node", "error: no cache is named\nhint: --cache URL\n");
    check("ls -d /cache", "No such file");
}
