//! A running machine: scripts in it, its console, and the end of its power.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::Disk;
use crate::programs::{Running, eventually, free_port};

/// A boot takes half a minute of an idle processor, and many times that on a machine with much else to do.
const BOOT: Duration = Duration::from_secs(1800);
/// A script that takes longer has hung.
const SCRIPT: Duration = Duration::from_secs(600);
/// What stands before the exit code of a script.
const END: &str = "\n==== ended with ";

/// A machine that has been switched on.
pub struct Vm {
    // Dropped first: it uses the disk and the TPM.
    qemu: Running,
    _tpm: Option<Running>,
    disk: Disk,
    port: u16,
}

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed on both outputs, without spaces at the end.
    pub text: String,
}

impl Vm {
    pub(super) fn boot(disk: Disk) -> Self {
        let port = free_port();
        let tpm = disk.tpm.then(|| tpm(&disk));
        let qemu = Running::start(command(&disk, port));
        let mut vm = Self { qemu, _tpm: tpm, disk, port };
        vm.wait_until_booted(None);
        vm
    }

    /// Waits until all that is started at boot has started or failed, in a boot of another id than that one; the boot's id.
    pub fn wait_until_booted(&mut self, other_than: Option<&str>) -> String {
        let until = Instant::now() + BOOT;
        loop {
            assert!(!self.qemu.has_ended(), "QEMU ended:\n{}", self.console());
            assert!(Instant::now() < until, "the machine did not come up:\n{}", self.console());
            let state = self.try_script("systemctl is-system-running --wait; cat /proc/sys/kernel/random/boot_id");
            let words = state.map(|ran| ran.text).unwrap_or_default();
            match words.split_once('\n') {
                Some(("running" | "degraded", id)) if other_than != Some(id.trim()) => return id.trim().to_owned(),
                _ => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }

    /// Runs a script of `sh` as root to its end.
    pub fn script(&self, script: &str) -> Ran {
        self.try_script(script).unwrap_or_else(|| panic!("the machine did not answer: {script}\n{}", self.console()))
    }

    /// The same for one that must succeed; what it prints.
    pub fn ok(&self, script: &str) -> String {
        let ran = self.script(script);
        assert_eq!(ran.code, 0, "{script}: {}", ran.text);
        ran.text
    }

    fn try_script(&self, script: &str) -> Option<Ran> {
        let mut line = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        line.set_read_timeout(Some(SCRIPT)).ok()?;
        let whole = format!("(\n{script}\n) </dev/null\nprintf '{}%s\\n' $?\nexit\n", END.replace('\n', "\\n"));
        line.write_all(whole.as_bytes()).ok()?;
        let mut said = Vec::new();
        // A machine whose power goes meanwhile ends the line in its own way.
        let _ = line.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        let (text, code) = said.rsplit_once(END)?;
        Some(Ran { code: code.trim().parse().ok()?, text: text.trim_end().to_owned() })
    }

    /// What it has shown on its console since it was switched on.
    pub fn console(&self) -> String {
        fs::read(self.disk.path("console")).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Cuts its power, and gives it back: what its disk was not told to keep is lost.
    pub fn cut(self) -> Self {
        let Self { mut qemu, disk, .. } = self;
        qemu.kill();
        Self::boot(disk)
    }
}

fn command(disk: &Disk, port: u16) -> Command {
    let console = File::create(disk.path("console")).expect("the folder is ours");
    let file = |name: &str| disk.path(name).display().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig=KILL", "--", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg"]);
    // One processor: with two, QEMU 7.2 on a busy host loses the race when the kernel patches its own code ("Oops: int3"), and a
    // panic of the machine's own passes for one of the system that is tried.
    command.args(["-cpu", "max", "-smp", "1", "-m", "1024", "-nographic", "-vga", "none"]);
    command.args(["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"]);
    command.args(["-drive", &format!("if=pflash,format=raw,unit=1,file={}", file("variables"))]);
    command.args(["-drive", &format!("file={},format=raw,if=virtio,cache=writeback", file("disk.raw"))]);
    command.args(["-nic", &format!("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:2222")]);
    if disk.tpm {
        command.args(["-chardev", &format!("socket,id=tpm,path={}", file("tpm/socket"))]);
        command.args(["-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"]);
    }
    command.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
    command.stderr(Stdio::from(console.try_clone().expect("a file"))).stdout(Stdio::from(console));
    command
}

/// A TPM in software, which keeps what it holds beside the disk and ends with its machine.
fn tpm(disk: &Disk) -> Running {
    let folder = disk.path("tpm");
    fs::create_dir_all(&folder).expect("the folder is ours");
    let socket = folder.join("socket");
    let _ = fs::remove_file(&socket);
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--terminate", "--flags", "not-need-init,startup-clear"]);
    command.args(["--tpmstate", &format!("dir={}", folder.display())]);
    command.args(["--ctrl", &format!("type=unixio,path={}", socket.display())]).stdout(Stdio::null());
    let running = Running::start(command);
    eventually("the TPM", || socket.exists().then_some(()));
    running
}
