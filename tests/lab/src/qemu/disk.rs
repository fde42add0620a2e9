//! A disk that boots by UEFI: a GPT with an EFI system partition, which has systemd-boot and its entries, and an ext4 root.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::Vm;
use crate::{nspawn::Setup, programs::output};

/// What a machine's root has besides that of a container.
const PACKAGES: &[&str] =
    &["linux-image-cloud-amd64", "initramfs-tools", "systemd-boot", "systemd-boot-efi", "kmod", "udev"];
/// Where the firmware lies that Debian's package brings.
const FIRMWARE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// The boot loader, in the root.
const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const SECTOR: u64 = 512;
/// Where the first partition begins; tools align by it.
const MEGABYTE: u64 = 1 << 20;
const ESP_MEGABYTES: u64 = 160;
const ROOT_MEGABYTES: u64 = 2000;

/// A line to a root shell over the machine's own network: one connection, one script. Only the host reaches it, and only
/// through the port that QEMU hands on.
const SHELL: [(&str, &str); 2] = [
    ("lab-shell.socket", "[Socket]\nListenStream=2222\nAccept=yes\n"),
    (
        "lab-shell@.service",
        "[Service]\nExecStart=/bin/sh -s\nStandardInput=socket\nStandardOutput=socket\nStandardError=socket\n",
    ),
];
const NETWORK: &str = "[Match]\nName=e*\n[Network]\nDHCP=yes\n";
const MOUNTS: &str = "LABEL=root / ext4 defaults 0 1\nLABEL=ESP /boot vfat umask=0077 0 2\n";

/// What the kernel is told in every entry. `panic=5` is that of the appliance: a kernel that stands still starts again. On a busy
/// host the machine's timer may stand still for so long that the kernel takes it for broken, and panics, unless it is told not to
/// look; and what it measures the processor's counter to be may be so wrong that minutes go by in seconds, so it is to read the
/// one clock whose rate it is told.
pub const KERNEL_WORDS: &str = "root=LABEL=root rw console=ttyS0 quiet panic=5 no_timer_check clocksource=hpet \
    systemd.mask=serial-getty@ttyS0.service";
/// What takes a machine with hardware help a second takes this one minutes on a busy host.
const PATIENT: &str = "[Manager]\nDefaultTimeoutStartSec=900s\nDefaultDeviceTimeoutSec=900s\n";

/// A way to boot, as systemd-boot lists it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file name without `.conf`.
    pub name: String,
    /// More words for the kernel.
    pub words: String,
}

impl Entry {
    /// The entry of that name, with these words more for the kernel.
    pub fn new(name: &str, words: &str) -> Self {
        Self { name: name.to_owned(), words: words.to_owned() }
    }

    /// Its file.
    pub fn text(&self) -> String {
        let Self { name, words } = self;
        format!("title {name}\nlinux /debian/linux\ninitrd /debian/initrd\noptions {KERNEL_WORDS} {words}\n")
    }
}

/// A disk and the firmware's variables; gone when dropped.
pub struct Disk {
    folder: TempDir,
    pub(super) tpm: bool,
}

impl Disk {
    /// The disk of such a machine, which boots the first of the entries by itself. `setup` is from [`Disk::setup`].
    pub fn new(setup: Setup, entries: &[Entry]) -> Self {
        let setup = whole(setup.file("/etc/fstab", MOUNTS));
        let folder = TempDir::new().expect("a temporary folder");
        let place = |name: &str| folder.path().join(name);
        let root = make_root(&setup, &place("root.ext4"));
        let esp = make_esp(&setup.root, entries, &place("esp.fat"));
        join(&place("disk.raw"), [(&esp, ESP_MEGABYTES, "U"), (&root, ROOT_MEGABYTES, "L")]);
        for part in [root, esp] {
            fs::remove_file(part).expect("a file of ours");
        }
        Self::in_folder(folder)
    }

    /// What lies in a folder as `disk.raw`, with firmware that knows nothing of it.
    pub(super) fn in_folder(folder: TempDir) -> Self {
        let variables = folder.path().join("variables");
        fs::copy(FIRMWARE_VARIABLES, variables).expect("the firmware that `cargo xtask test boot` installs");
        Self { folder, tpm: false }
    }

    /// An empty machine for the test of that name, with more Debian packages; `None`, loudly, where none can boot.
    pub fn setup(test: &str, packages: &[&str]) -> Option<Setup> {
        Setup::with_packages(test, &[PACKAGES, packages].concat())
    }

    /// In a machine with a TPM.
    pub fn with_tpm(self) -> Self {
        Self { tpm: true, ..self }
    }

    /// Boots it.
    pub fn boot(self) -> Vm {
        Vm::boot(self)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// With the line to it, and with what would be bound into a container as files of its own.
pub(super) fn whole(setup: Setup) -> Setup {
    let setup = SHELL.iter().fold(setup, |setup, (name, text)| setup.unit(name, text));
    let setup = setup.file("/etc/systemd/network/lab.network", NETWORK);
    let setup = setup.file("/etc/systemd/system.conf.d/lab.conf", PATIENT);
    let wants = |target: &str| setup.folder.path().join(format!("disk/etc/systemd/system/{target}.wants"));
    for (target, unit) in [("sockets.target", "lab-shell.socket"), ("multi-user.target", "systemd-networkd.service")] {
        fs::create_dir_all(wants(target)).expect("the disk is ours");
        symlink(format!("/usr/lib/systemd/system/{unit}"), wants(target).join(unit)).expect("the disk is ours");
    }
    let tree = setup.folder.path().join("disk");
    for (from, to) in &setup.binds {
        let to = tree.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a file in a folder")).expect("the disk is ours");
        fs::copy(from, to).expect("a program that was built");
    }
    setup
}

/// The root with what the machine has of its own laid over it, as a file system.
fn make_root(setup: &Setup, to: &Path) -> PathBuf {
    const MERGE: &str =
        r#"mount -t overlay overlay -o "lowerdir=$1:$2" "$3" && exec mke2fs -q -t ext4 -L root -d "$3" "$4" "$5""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "--", "sh", "-c", MERGE, "sh"]);
    command.arg(setup.folder.path().join("disk")).arg(&setup.root).arg(setup.folder.path().join("tree"));
    command.arg(to).arg(format!("{ROOT_MEGABYTES}M"));
    done(command);
    to.to_owned()
}

fn make_esp(root: &Path, entries: &[Entry], to: &Path) -> PathBuf {
    let file = fs::File::create(to).expect("the folder is ours");
    file.set_len(ESP_MEGABYTES * MEGABYTE).expect("room on the disk");
    mtools("mformat", to, &["-F", "-v", "ESP", "::"]);
    let folders = ["/EFI", "/EFI/BOOT", "/EFI/systemd", "/loader", "/loader/entries", "/debian"];
    mtools("mmd", to, &folders.map(|folder| format!("::{folder}")));
    let put = |from: &Path, name: &str| mtools("mcopy", to, &[from.display().to_string(), format!("::{name}")]);
    put(&root.join(LOADER), "/EFI/BOOT/BOOTX64.EFI");
    put(&root.join(LOADER), "/EFI/systemd/systemd-bootx64.efi");
    put(&in_boot(root, "vmlinuz-"), "/debian/linux");
    put(&in_boot(root, "initrd.img-"), "/debian/initrd");
    let first = &entries.first().expect("something to boot").name;
    let texts = entries.iter().map(|entry| (format!("/loader/entries/{}.conf", entry.name), entry.text()));
    for (name, text) in texts.chain([("/loader/loader.conf".to_owned(), format!("timeout 0\ndefault {first}.conf\n"))])
    {
        let file = to.with_file_name("entry");
        fs::write(&file, text).expect("the folder is ours");
        put(&file, &name);
    }
    to.to_owned()
}

fn in_boot(root: &Path, prefix: &str) -> PathBuf {
    let files = fs::read_dir(root.join("boot")).expect("a root with a kernel").flatten();
    let mut paths = files.map(|file| file.path());
    paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .unwrap_or_else(|| panic!("{prefix} is missing in the root"))
}

fn mtools(program: &str, image: &Path, words: &[impl AsRef<std::ffi::OsStr>]) {
    let mut command = Command::new(program);
    command.arg("-i").arg(image).args(words);
    done(command);
}

pub(super) fn done(command: Command) -> String {
    let shown = format!("{command:?}");
    let ran = output(command, "");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{shown}: {out}{err}");
    out.into_owned()
}

/// Lays partitions of these sizes, MB, and types, as sfdisk knows them, one after the other.
fn join(to: &Path, parts: [(&Path, u64, &str); 2]) {
    let disk = OpenOptions::new().create(true).truncate(true).write(true).open(to);
    let mut disk = disk.expect("the folder is ours");
    let whole: u64 = parts.iter().map(|(_, size, _)| size).sum();
    // The table is at both ends.
    disk.set_len((whole + 2) * MEGABYTE).expect("room on the disk");
    let (mut table, mut start) = ("label: gpt\n".to_owned(), MEGABYTE);
    for (from, size, kind) in parts {
        let size = size * MEGABYTE;
        table += &format!("start={}, size={}, type={kind}\n", start / SECTOR, size / SECTOR);
        copy_sparse(from, &mut disk, start);
        start += size;
    }
    let mut command = Command::new("sfdisk");
    command.args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(to);
    let ran = output(command, table);
    assert!(ran.status.success(), "sfdisk: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Copies what is not zero.
fn copy_sparse(from: &Path, to: &mut fs::File, at: u64) {
    let mut from = fs::File::open(from).expect("it was made");
    let (mut block, mut at) = (vec![0; 64 * 1024], at);
    loop {
        let read = match from.read(&mut block) {
            Ok(0) => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.expect("a file of ours"),
        };
        if block[..read].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at)).and_then(|_| to.write_all(&block[..read])).expect("room on the disk");
        }
        at += read as u64;
    }
}
