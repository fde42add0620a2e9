//! NVIDIA's exporter on a server: its unit, by systemd's own judgement. The exporter itself needs a GPU.

use std::{fs, process::Command};

use reelmill_appliance::text;

#[test]
fn systemd_finds_no_fault_with_the_unit_of_dcgm() {
    let folder = tempfile::tempdir().expect("a folder");
    // The package is not here; any program in its place will do.
    let unit = text("monitoring/dcgm/reelmill-dcgm.service");
    let program = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a program");
    let program = program.split(' ').next().expect("a path");
    assert!(program.ends_with("/bin/dcgm-exporter"), "{program}");
    let analyze = |args: &[&str], unit: &str| {
        let file = folder.path().join("reelmill-dcgm.service");
        fs::write(&file, unit).expect("written");
        let ran = Command::new("systemd-analyze").args(args).arg(&file).output().expect("systemd-analyze is there");
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (ran.status.success(), said)
    };
    let (good, said) = analyze(&["verify", "--man=no"], &unit.replace(program, "/bin/true"));
    assert!(good && !said.contains("reelmill-dcgm"), "{said}");
    let (good, said) =
        analyze(&["verify", "--man=no"], &unit.replace(program, "/bin/true").replace("ProtectClock=", "ProtectClok="));
    assert!(!good || said.contains("ProtectClok"), "{said}");
    // As systemd counts, 10 is root with all doors open; this leaves the network and the cards.
    let (good, said) = analyze(&["security", "--offline=yes", "--threshold=25"], &unit.replace(program, "/bin/true"));
    assert!(good, "{said}");
}

#[test]
fn what_is_counted_is_a_list_of_three_columns() {
    let list = text("monitoring/dcgm/counters.csv");
    assert!(list.lines().count() > 10);
    for line in list.lines() {
        let columns: Vec<&str> = line.split(", ").collect();
        assert!(columns.len() == 3 && ["gauge", "counter", "label"].contains(&columns[1]), "{line}");
    }
}
