//! The node in the image: what stands in for its NixOS system, what it is told before it boots, and what is asked of it.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use reelmill_appliance::text;
use reelmill_lab::{
    nspawn::Setup,
    programs::{command, output},
    qemu::Vm,
};

/// Whose image is made.
pub(crate) const BOARD: &str = "x86-cpu";
/// The node's name.
pub(crate) const NAME: &str = "edge-1";
/// Who may log in.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8fXGhWc0Qm2xkEYyq1mDvP9yqjQXHTO4aNwz1bJ2oQ anna";
/// What NixOS' own kernel words do for a NixOS system.
pub(crate) const KERNEL_WORDS: &str =
    "root=PARTLABEL=reelmill-root rw console=ttyS0 quiet panic=5 systemd.mask=serial-getty@ttyS0.service";
/// Everything takes long without hardware help.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the stand-in leaves out: the worker, and with it half a gigabyte of media programs.
const LEFT_OUT: &[&str] = &["worker", "batch", "exec-check"];

/// The machine as the board's system has it, where its golden files say how.
pub(crate) fn stand_in(setup: Setup) -> Setup {
    let golden = |name: &str| local(&text(&format!("images/{BOARD}/{name}")));
    // A minute and a half is plenty for a disk that the root has come from, and little without hardware help.
    let fstab = golden("fstab").replace("nofail", "nofail,x-systemd.device-timeout=10min");
    let setup = setup
        .file("/etc/fstab", &fstab)
        .file("/etc/repart.d/50-root.conf", &golden("grow/50-root.conf"))
        .file("/usr/share/polkit-1/rules.d/reelmill-agent.rules", &golden("system/polkit.rules"))
        .file("/etc/reelmill/agent.toml", &golden("system/etc/reelmill/agent.toml"))
        .file("/etc/reelmill/exec.env", &golden("system/etc/reelmill/exec.env"))
        .file(
            "/usr/lib/sysusers.d/reelmill-agent.conf",
            include_str!("../../../../agent/units/reelmill-agent.sysusers"),
        )
        // NixOS writes it at the first boot.
        .file("/etc/machine-id", "uninitialized\n")
        .file("/etc/system.nix", include_str!("system.nix"))
        .program("reelmill-agent")
        .program("reelmill-exec");
    let units =
        fs::read_dir(reelmill_appliance::golden().join(format!("images/{BOARD}/system"))).expect("golden files");
    let names = units.flatten().filter_map(|unit| unit.file_name().into_string().ok());
    let kinds = [".service", ".socket", ".path", ".timer"];
    let mut names: Vec<String> = names
        .filter(|name| kinds.iter().any(|kind| name.ends_with(kind)))
        .filter(|name| !LEFT_OUT.iter().any(|word| name.contains(word)))
        .collect();
    names.sort();
    names.iter().fold(setup, |setup, name| {
        let unit = golden(&format!("system/{name}"));
        let wanted = unit.lines().filter_map(|line| line.strip_prefix("# WantedBy=")).flat_map(str::split_whitespace);
        wanted.fold(setup.unit(name, &unit), |setup, by| setup.wanted(by, name))
    })
}

/// A text for a machine whose programs and settings are not in a Nix store.
fn local(text: &str) -> String {
    let store = format!("/nix/store/{}-", reelmill_appliance::DIGEST);
    let mut parts = text.split(&store);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| c == '/' || c == '"' || c.is_whitespace()).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        if rest.starts_with('/') { text + "/usr" + rest } else { text + "/etc/reelmill/" + name + rest }
    })
}

/// Gives the image its name, its farm and a key, as a person would.
pub(crate) fn configure(image: &Path, join: &Path) {
    let mut command = command("reelmill");
    command.args(["image", "configure"]).arg(image).arg("--join").arg(join);
    command.args(["--hostname", NAME, "--ssh-key", KEY]);
    let ran = output(command, "");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    println!("{told}");
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

    /// Another system can be made from what the image brought and put into force, and the first one stays to go back to.
    pub(crate) fn takes_another_system(&self) {
        const PROFILE: &str = "--profile /nix/var/nix/profiles/system";
        const BUILD: &str = "export HOME=/root; nix-build --no-out-link /etc/system.nix --argstr name second";
        let built = self.vm.ok(&format!("{BUILD} 2>&1 >/root/second"));
        // The kernel and the initrd are those of the image, which Nix knew.
        let made: Vec<&str> = built.lines().filter(|line| line.starts_with("building ")).collect();
        assert!(made.len() == 1 && made[0].contains("nixos-system-second.drv"), "{built}");
        self.vm.ok(&format!("export HOME=/root; nix-env {PROFILE} --set $(cat /root/second) && nix-store --gc"));
        let generations = self.vm.ok(&format!("nix-env {PROFILE} --list-generations"));
        assert_eq!(generations.lines().count(), 2, "{generations}");
        self.vm.ok("test -e $(readlink -f /nix/var/nix/profiles/system-1-link)/init && test -e /nix/var/nix/profiles/system/init");
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

    /// It is what it was told to be, and what it was told of secrets is gone from where it was told.
    pub(crate) fn has_taken_its_files(&self, token: &str) {
        assert_eq!(self.vm.ok("hostname"), NAME);
        assert_eq!(self.vm.ok("ls /boot/reelmill"), "README.txt");
        assert_eq!(self.vm.ok("cat /var/lib/reelmill-host/authorized_keys"), KEY);
        let everywhere = "grep -rlF rmj_ /boot /var/lib/reelmill-host /var/lib/reelmill-agent /run/reelmill";
        assert_eq!(self.vm.script(everywhere).text, "");
        let raw = format!("tr -d '\\0' < /dev/disk/by-partlabel/ESP | grep -acF {token}");
        assert_eq!(self.vm.script(&raw).text, "0", "the token can still be read from the boot partition's blocks");
    }

    /// What must outlast a boot.
    pub(crate) fn state(&self) -> String {
        self.vm.ok("cat /etc/machine-id; cd /var/lib/reelmill-agent; ls; sha256sum key.pem cert.pem; \
            df --output=size / | tail -n 1; cat /proc/cmdline")
    }

    pub(crate) fn reboot(&mut self) {
        let before = self.vm.ok("cat /proc/sys/kernel/random/boot_id");
        self.vm.script("systemctl reboot");
        self.vm.wait_until_booted(Some(&before));
    }
}
