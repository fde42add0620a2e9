//! A running machine: commands in it, what its units and its journal say, and its end.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Setup, cgroup::Cgroup, setup::Network};
use crate::programs::{Running, eventually, output};

/// The overlay is mounted where only this process and its children see it, so it is gone when they are, however they
/// end. `$1` is the control group's file, `$2` the overlay's options, `$3` the place.
const BOOT: &str = r#"echo $$ > "$1" && mount -t overlay overlay -o "$2" "$3" && shift 3 && exec systemd-nspawn "$@""#;
/// A command in a machine that takes longer has hung, seconds.
const COMMAND_LIMIT: &str = "90";
/// The calls of Landlock.
const LANDLOCK: &str = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";
/// What systemd-nspawn answers when its guest wants to boot again.
const REBOOT: i32 = 133;

/// How a machine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is off.
    PoweredOff,
    /// It wants to boot again.
    Rebooting,
    /// Someone cut its power.
    Killed,
}

/// A booted machine; all of it ends when this is dropped, and when the thread that booted it ends.
pub struct Machine {
    // Dropped in this order: a group and a disk go when nobody uses them any more.
    guest: Guest,
    cgroup: Cgroup,
    setup: Setup,
}

/// The processes.
struct Guest {
    nspawn: Running,
    /// The first process of the machine, as the host counts.
    leader: Pid,
}

impl Guest {
    /// With its first process, the kernel ends all others of the machine; then systemd-nspawn ends by itself.
    fn kill(&mut self) {
        if !self.nspawn.has_ended() {
            // It may be ending.
            let _ = kill_process(self.leader, Signal::KILL);
        }
        self.nspawn.wait();
    }

    /// Runs a command as root to its end.
    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=1", COMMAND_LIMIT, "nsenter", "--all", "--target"]);
        command.arg(self.leader.as_raw_nonzero().to_string()).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        output(command, input)
    }

    /// A test that fails tells what its machine had to say.
    fn tell(&mut self) {
        if self.nspawn.has_ended() {
            return eprintln!("--- the machine is off");
        }
        let said = self.run(&["journalctl", "--no-pager", "--lines=80", "--output=short-precise"], "");
        eprintln!("--- journal of the machine\n{}", text(&said));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        self.kill();
    }
}

impl Machine {
    pub(super) fn boot(setup: Setup) -> Self {
        let machine = Self::switch_on(setup);
        machine.wait_until_booted();
        machine
    }

    fn switch_on(setup: Setup) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let cgroup = Cgroup::new(&format!("reelmill-lab-{}-{count}", std::process::id()));
        let mut nspawn = Running::start(command(&setup, &cgroup));
        let leader = eventually("the first process of the machine", || {
            assert!(!nspawn.has_ended(), "systemd-nspawn ended:\n{}", console(&setup));
            leader_of(nspawn.pid())
        });
        Self { guest: Guest { nspawn, leader }, cgroup, setup }
    }

    fn wait_until_booted(&self) {
        let state = eventually("the end of the boot", || {
            let state = text(&self.run(&["systemctl", "is-system-running", "--wait"]));
            // Before the first process listens, systemctl has nobody to ask.
            ["running", "degraded"].contains(&state.as_str()).then_some(state)
        });
        if state == "degraded" {
            eprintln!("some units failed at boot:\n{}", text(&self.run(&["systemctl", "--failed", "--plain"])));
        }
    }

    /// Runs a command as root to its end.
    pub fn run(&self, words: &[&str]) -> Output {
        self.guest.run(words, "")
    }

    /// Writes a file while the machine runs, its folders made.
    pub fn write(&self, path: &str, text: &str) {
        const SCRIPT: &str = r#"mkdir -p "${1%/*}" && cat > "$1""#;
        let ran = self.guest.run(&["sh", "-c", SCRIPT, "sh", path], text);
        assert!(ran.status.success(), "cannot write {path}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// The same as another user, in that user's groups.
    pub fn run_as(&self, user: &str, words: &[&str]) -> Output {
        self.run(&[&["runuser", "--user", user, "--"], words].concat())
    }

    /// Runs a command as root that must succeed; what it prints.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert!(ran.status.success(), "{}: {}{}", words.join(" "), text(&ran), String::from_utf8_lossy(&ran.stderr));
        text(&ran)
    }

    /// A property of a unit as systemctl shows it.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// Waits until a unit's property has that value.
    pub fn wait_for(&self, unit: &str, name: &str, value: &str) {
        eventually(&format!("{name}={value} of {unit}"), || (self.property(unit, name) == value).then_some(()));
    }

    /// The journal's entries that these words of journalctl select, oldest first.
    pub fn journal(&self, words: &[&str]) -> Vec<Value> {
        self.ok(&["journalctl", "--sync"]);
        let lines = self.ok(&[&["journalctl", "--output=json", "--no-pager", "--quiet"], words].concat());
        lines.lines().map(|line| serde_json::from_str(line).expect("journalctl prints JSON")).collect()
    }

    /// What the machine has shown on its console since it was booted.
    pub fn console(&self) -> String {
        console(&self.setup)
    }

    /// A file of the machine's disk as the host sees it, whether the machine runs or not.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.setup.folder.path().join("disk").join(path.trim_start_matches('/'))
    }

    /// The control group of its processes, as the host sees it.
    pub fn control_group(&self) -> &Path {
        self.cgroup.folder()
    }

    /// Ends it at once, as a power cut would, but for what the host's kernel still writes.
    pub fn kill(&mut self) {
        self.cgroup.kill();
        self.guest.kill();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> Ended {
        eventually("the end of the machine", || self.guest.nspawn.has_ended().then_some(()));
        match self.guest.nspawn.wait() {
            Some(0) => Ended::PoweredOff,
            Some(REBOOT) => Ended::Rebooting,
            _ => Ended::Killed,
        }
    }

    /// Boots it again on the same disk; a cut of its power before, if it still runs.
    pub fn boot_again(self) -> Self {
        Self::boot(self.off())
    }

    /// The same for one that may never come up: nobody waits for it.
    pub fn switch_on_again(self) -> Self {
        Self::switch_on(self.off())
    }

    fn off(self) -> Setup {
        let Self { guest, cgroup, setup } = self;
        drop(guest);
        drop(cgroup);
        setup
    }
}

fn command(setup: &Setup, cgroup: &Cgroup) -> Command {
    let folder = setup.folder.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let overlay = format!("lowerdir={},upperdir={},workdir={}", setup.root.display(), path("disk"), path("work"));
    let console = File::create(folder.join("console")).expect("the folder is ours");
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig=KILL",
        "--",
        "unshare",
        "--mount",
        "--propagation=private",
        "--",
        "sh",
        "-c",
        BOOT,
        "sh",
    ]);
    command.arg(cgroup.entrance()).args([overlay, path("tree")]);
    command
        .args(["--register=no", "--keep-unit", "--quiet", "--console=pipe", "--boot", "--directory"])
        .arg(path("tree"));
    // Older systemds let nobody in the guest confine himself.
    command.arg(format!("--system-call-filter={LANDLOCK}"));
    command.args(match &setup.network {
        Network::None => vec!["--private-network".to_owned()],
        Network::Host => Vec::new(),
        // The name of the machine names its interface on the host, of which there is one each.
        Network::Bridge(bridge) => {
            let machine = cgroup.name().replace("reelmill-lab-", "m");
            vec![format!("--network-bridge={bridge}"), format!("--machine={machine}")]
        }
    });
    for (from, to) in &setup.binds {
        command.arg(format!("--bind-ro={}:{to}", from.display()));
    }
    // Without the variable the guest gets the old control groups, where the host has both.
    command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stderr(Stdio::from(console.try_clone().expect("a file")));
    command.stdout(Stdio::from(console));
    command
}

/// The child of systemd-nspawn that is the first process of its own world.
fn leader_of(nspawn: u32) -> Option<Pid> {
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let leader = pids.find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let is_first = field("NSpid:").split_whitespace().skip(1).last() == Some("1");
        is_first && field("PPid:").trim() == nspawn.to_string()
    });
    leader.and_then(Pid::from_raw)
}

fn console(setup: &Setup) -> String {
    fs::read(setup.folder.path().join("console"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn text(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}
