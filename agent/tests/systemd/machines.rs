//! The machines themselves: what these tests stand on.

use std::{fs, net::TcpListener, path::Path};

use reelmill_lab::nspawn::{Ended, Machine};

use crate::node::{OTHER, WORKER, node};

#[test]
fn two_machines_at_once_leave_each_other_alone_and_nothing_behind() {
    const TEST: &str = "two_machines_at_once_leave_each_other_alone_and_nothing_behind";
    let (Some(one), Some(two)) = (node(TEST), node(TEST)) else { return };
    let (one, mut two) = (one.boot(), two.boot());
    let disk = one.on_disk("/");

    one.ok(&["systemctl", "stop", OTHER]);
    assert_eq!(two.property(OTHER, "ActiveState"), "active", "a unit of that name in the other machine");
    one.write("/etc/which", "one");
    assert!(!two.run(&["cat", "/etc/which"]).status.success(), "each has a disk of its own");
    two.run(&["systemctl", "poweroff"]);
    assert_eq!(two.ended(), Ended::PoweredOff);
    assert_eq!(one.property(WORKER, "ActiveState"), "active");

    let groups = [one.control_group(), two.control_group()].map(Path::to_owned);
    assert!(groups[0] != groups[1] && groups.iter().all(|group| group.is_dir()), "{groups:?}");
    drop((one, two));
    assert!(!groups.iter().any(|group| group.exists()), "{groups:?}");
    assert!(!disk.exists());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc");
    assert!(!mounts.contains(&disk.display().to_string()), "{mounts}");
}

#[test]
fn a_cut_of_power_keeps_the_disk_and_ends_all_else() {
    let Some(setup) = node("a_cut_of_power_keeps_the_disk_and_ends_all_else") else { return };
    let mut machine = setup.boot();
    machine.write("/var/lib/kept", "kept");
    machine.write("/run/gone", "gone");
    machine.kill();
    assert_eq!(machine.ended(), Ended::Killed);
    let machine = machine.boot_again();
    assert_eq!(machine.ok(&["cat", "/var/lib/kept"]), "kept");
    assert!(!machine.run(&["cat", "/run/gone"]).status.success());
    assert_eq!(machine.property(WORKER, "ActiveState"), "active");
}

#[test]
fn a_machine_has_a_network_of_its_own_unless_it_shares_the_hosts() {
    const TEST: &str = "a_machine_has_a_network_of_its_own_unless_it_shares_the_hosts";
    let (Some(alone), Some(shared)) = (node(TEST), node(TEST)) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let reaches = |machine: &Machine| machine.run(&["bash", "-c", &connect]).status.success();
    assert!(!reaches(&alone.boot()));
    assert!(reaches(&shared.host_network().boot()));
}
