//! The machines themselves: what these tests stand on.

use reelmill_lab::qemu::{Disk, Entry};

#[test]
#[ignore = "takes minutes; `cargo xtask test boot` runs it"]
fn a_cut_of_power_takes_what_was_not_synced_and_a_trial_boots_once() {
    const TEST: &str = "a_cut_of_power_takes_what_was_not_synced_and_a_trial_boots_once";
    let Some(setup) = Disk::setup(TEST, &[]) else { return };
    let mut vm = Disk::new(setup, &[Entry::new("old", "lab=old"), Entry::new("new", "lab=new")]).boot();
    assert!(vm.ok("cat /proc/cmdline").contains("lab=old"));
    vm.ok("echo kept > /var/lib/kept; sync; echo lost > /var/lib/lost; bootctl set-oneshot new.conf");
    vm = vm.cut();
    assert_eq!(vm.ok("cat /var/lib/kept"), "kept");
    assert_ne!(vm.script("cat /var/lib/lost").code, 0, "the kernel had not written it yet");
    assert!(vm.ok("cat /proc/cmdline").contains("lab=new"), "what is in the firmware's variables outlives the power");
    let before = vm.ok("cat /proc/sys/kernel/random/boot_id");
    vm.script("systemctl reboot");
    vm.wait_until_booted(Some(&before));
    assert!(vm.ok("cat /proc/cmdline").contains("lab=old"), "a trial is for one boot");
}
