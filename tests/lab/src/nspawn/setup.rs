//! What a machine is before it boots: programs, files and units laid over the Debian root.

use std::{
    fs,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Bridge, Machine, root};
use crate::programs::program;

/// Where units are installed.
const UNITS: &str = "/usr/lib/systemd/system";

/// A machine that is not booted yet.
pub struct Setup {
    pub(crate) root: PathBuf,
    /// `disk` is what the machine wrote, `work` is the overlay's own, `tree` is where both meet the root.
    pub(crate) folder: TempDir,
    /// What of this machine is seen in that one, read-only: from, to.
    pub(crate) binds: Vec<(PathBuf, String)>,
    pub(super) network: Network,
}

/// What of the host's network a machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Loopback of its own, and nothing else.
    None,
    /// The host's.
    Host,
    /// An interface `host0` of its own in a bridge of that name.
    Bridge(String),
}

impl Setup {
    /// An empty machine for the test of that name; `None`, loudly, where none can boot.
    pub fn new(test: &str) -> Option<Self> {
        Self::with_packages(test, &[])
    }

    /// The same on a root with more Debian packages.
    pub fn with_packages(test: &str, packages: &[&str]) -> Option<Self> {
        if let Some(why) = why_not() {
            // On the terminal itself, past the test program's capture; without one nobody could read it anyway.
            let _ = writeln!(std::io::stderr(), "\n==== SKIPPED: {test}: {why} ====\n");
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        for name in ["disk", "work", "tree"] {
            fs::create_dir(folder.path().join(name)).expect("the folder is ours");
        }
        // Others than root walk through it: the tree is theirs too.
        fs::set_permissions(folder.path().join("disk"), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Some(
            Self { root: root::with(packages), folder, binds: Vec::new(), network: Network::None }
                .file("/etc/hostname", "node\n"),
        )
    }

    /// With one of our programs in `/usr/bin`.
    pub fn program(self, name: &str) -> Self {
        let at = format!("/usr/bin/{name}");
        self.bind(&program(name), &at)
    }

    /// With a file or folder of the host, read-only.
    pub fn bind(mut self, from: &Path, to: &str) -> Self {
        self.binds.push((from.to_owned(), to.to_owned()));
        self
    }

    /// With a file, readable by all.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.file_with_mode(path, text, 0o644)
    }

    /// With a link at `path` that leads to `to`.
    pub fn link(self, path: &str, to: &str) -> Self {
        symlink(to, self.on_disk(path)).expect("the disk is ours");
        self
    }

    /// With a program that is a script.
    pub fn script(self, path: &str, text: &str) -> Self {
        self.file_with_mode(path, text, 0o755)
    }

    fn file_with_mode(self, path: &str, text: &str, mode: u32) -> Self {
        let file = self.on_disk(path);
        fs::write(&file, text).expect("the disk is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("the file is ours");
        self
    }

    /// With a unit.
    pub fn unit(self, name: &str, text: &str) -> Self {
        self.file(&format!("{UNITS}/{name}"), text)
    }

    /// With a unit started at boot.
    pub fn enabled(self, name: &str) -> Self {
        self.wanted("multi-user.target", name)
    }

    /// With a unit that another one wants.
    pub fn wanted(self, by: &str, name: &str) -> Self {
        let link = self.on_disk(&format!("/etc/systemd/system/{by}.wants/{name}"));
        symlink(format!("{UNITS}/{name}"), link).expect("the disk is ours");
        self
    }

    /// With the network of the host instead of one of its own, which has only loopback.
    pub fn host_network(mut self) -> Self {
        self.network = Network::Host;
        self
    }

    /// With an interface `host0` in that network and this name, up and without an address: what runs in the machine gives it one.
    pub fn in_network(mut self, bridge: &Bridge, name: &str) -> Self {
        self.network = Network::Bridge(bridge.name().to_owned());
        self.file("/etc/hostname", &format!("{name}\n"))
    }

    /// The same with an address.
    pub fn at(self, bridge: &Bridge, name: &str, address: Ipv4Addr) -> Self {
        let network = format!("[Match]\nName=host0\n[Network]\nAddress={address}/24\nGateway={}\n", bridge.host());
        self.in_network(bridge, name)
            .file("/etc/systemd/network/10-lab.network", &network)
            .enabled("systemd-networkd.service")
    }

    /// Boots it, until all that is started at boot has started or failed.
    pub fn boot(self) -> Machine {
        Machine::boot(self)
    }

    /// The path of a file that the machine will see, its folders made.
    fn on_disk(&self, path: &str) -> PathBuf {
        let relative = path.strip_prefix('/').expect("a path from the root");
        let file = self.folder.path().join("disk").join(relative);
        let parent = Path::new(relative).parent().expect("a file in a folder");
        // A folder laid over a link, such as /lib, would hide what it leads to.
        let link = parent.ancestors().find(|folder| self.root.join(folder).is_symlink());
        assert!(link.is_none(), "{path}: a folder on the way is a link in the root");
        fs::create_dir_all(file.parent().expect("a file in a folder")).expect("the disk is ours");
        file
    }
}

/// Why no machine can boot here.
fn why_not() -> Option<&'static str> {
    if fs::metadata("/proc/self").expect("proc").uid() != 0 {
        return Some("only root can boot a machine with systemd-nspawn");
    }
    let missing = |program: &str| !["/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    if missing("systemd-nspawn") {
        return Some("systemd-nspawn is not installed (apt-get install systemd-container)");
    }
    missing("mmdebstrap").then_some("mmdebstrap is not installed (apt-get install mmdebstrap)")
}
