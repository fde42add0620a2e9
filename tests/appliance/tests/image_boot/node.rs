//! The node in the image: what stands in for its NixOS system, what it is told before it boots, and what is asked of it.

use std::{
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use reelmill_appliance::text;
use reelmill_lab::{nspawn::Setup, programs::output, qemu::Vm};

/// Whose image is made.
pub(crate) const BOARD: &str = "x86-cpu";
/// What NixOS' own kernel words do for a NixOS system.
pub(crate) const KERNEL_WORDS: &str =
    "root=PARTLABEL=reelmill-root rw console=ttyS0 quiet panic=5 systemd.mask=serial-getty@ttyS0.service";
/// Everything takes long without hardware help.
const PATIENCE: Duration = Duration::from_secs(600);

/// The machine as the board's system has it, where its golden files say how.
pub(crate) fn stand_in(setup: Setup) -> Setup {
    let golden = |name: &str| local(&text(&format!("images/{BOARD}/{name}")));
    setup
        .file("/etc/fstab", &golden("fstab"))
        .file("/etc/repart.d/50-root.conf", &golden("grow/50-root.conf"))
        .unit("reelmill-store.service", &golden("reelmill-store.service"))
        .wanted("sysinit.target", "reelmill-store.service")
        .program("reelmill-agent")
        .program("reelmill-exec")
        .unit("reelmill-agent.service", include_str!("../../../../agent/units/reelmill-agent.service"))
        .unit("reelmill-exec.service", include_str!("../../../../agent/units/reelmill-exec.service"))
        .unit("reelmill-exec.socket", include_str!("../../../../agent/units/reelmill-exec.socket"))
        .unit("reelmill-deadman.service", include_str!("../../../../agent/units/reelmill-deadman.service"))
        .file(
            "/usr/share/polkit-1/rules.d/reelmill-agent.rules",
            include_str!("../../../../agent/units/reelmill-agent.rules"),
        )
        .file(
            "/usr/lib/sysusers.d/reelmill-agent.conf",
            include_str!("../../../../agent/units/reelmill-agent.sysusers"),
        )
        .file("/etc/reelmill/agent.toml", "[broker]\nclock_is_right = true\n")
        .file("/etc/machine-id", "uninitialized\n")
        .enabled("reelmill-agent.service")
        .enabled("reelmill-exec.socket")
        .enabled("reelmill-deadman.service")
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

/// Gives the image its name and its farm.
pub(crate) fn configure(image: &Path, join: &Path) {
    let mut command = Command::new("mcopy");
    command.arg("-i").arg(format!("{}@@1M", image.display())).arg(join).arg("::/reelmill/join.toml");
    let ran = output(command, "");
    assert!(ran.status.success(), "mcopy: {}", String::from_utf8_lossy(&ran.stderr));
}

/// The machine.
pub(crate) struct Node {
    vm: Vm,
}

impl Node {
    pub(crate) fn of(vm: Vm) -> Self {
        Self { vm }
    }

    /// What a person would look at first.
    pub(crate) fn story(&self) -> String {
        self.vm.ok("bootctl status --no-pager; lsblk -o NAME,PARTLABEL,FSTYPE,SIZE,MOUNTPOINTS; df -h / /boot; systemctl --failed; \
            journalctl -b --no-pager -u systemd-repart -u 'systemd-growfs*' -u reelmill-store -u reelmill-agent -o cat; ls -R /boot")
    }

    /// Its root fills the disk.
    pub(crate) fn has_grown(&self, disk: u64) {
        let size: u64 = self.vm.ok("df --output=size --block-size=1 / | tail -n 1").trim().parse().expect("a number");
        assert!(size > disk / 10 * 8, "the root has {size} bytes of {disk}");
    }

    /// Nix knows what the image brought, and which system is in force: what a change of the system begins with.
    pub(crate) fn knows_its_store(&self) {
        self.vm.ok("test ! -e /nix-path-registration");
        self.vm.ok("nix-store --verify --check-contents");
        let paths = self.vm.ok("nix-store --query --requisites /run/current-system");
        for name in ["-linux", "-initrd", "-nixos-system-first"] {
            assert!(paths.lines().any(|path| path.ends_with(name)), "{name}: {paths}");
        }
        let generations = self.vm.ok("nix-env --profile /nix/var/nix/profiles/system --list-generations");
        assert_eq!(generations.lines().count(), 1, "{generations}");
        let links = self.vm.ok("readlink -f /nix/var/nix/profiles/system /run/booted-system");
        let mut links = links.lines();
        assert_eq!(links.next(), links.next());
    }

    /// The agent has said that it is ready, and nothing failed on the way.
    pub(crate) fn is_ready(&self) {
        self.vm.ok("systemctl is-active reelmill-agent.service");
        assert_eq!(self.vm.ok("systemctl --failed --plain --no-legend"), "");
    }

    /// Waits until its page says that to programs.
    pub(crate) fn says(&self, what: &str, words: &str) {
        const ASK: &str = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/9310; \
            printf \"GET /api/status HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n\" >&3; cat <&3'";
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.vm.script(ASK).text;
            if said.contains(words) {
                return;
            }
            assert!(Instant::now() < until, "waited in vain for {what}: {said}");
            sleep(Duration::from_secs(2));
        }
    }

    /// What must outlast a boot.
    pub(crate) fn state(&self) -> String {
        self.vm.ok("cat /etc/machine-id; cd /var/lib/reelmill-agent; ls; sha256sum key.pem cert.pem; stat -c %s /dev/disk/by-partlabel/*; \
            df --output=size / | tail -n 1; cat /proc/cmdline")
    }

    pub(crate) fn reboot(&mut self) {
        let before = self.vm.ok("cat /proc/sys/kernel/random/boot_id");
        self.vm.script("systemctl reboot");
        self.vm.wait_until_booted(Some(&before));
    }
}
