//! An image as a person gets one: a file, as small as its content, that is written to a disk which is larger.

use std::{
    fs,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    Disk,
    disk::{done, whole},
};
use crate::nspawn::Setup;

/// Runs a script in the machine's Debian, which finds at `/source` all that the machine is, and at `/making` our folder.
const INSIDE: &str = r#"
set -e
root=$1 disk=$2 work=$3 ours=$4
tree=$ours/tree
mkdir -p "$ours/up" "$ours/scratch" "$tree"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$ours/up,workdir=$ours/scratch" "$tree"
mkdir -p "$tree/source" "$tree/making"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$disk,workdir=$work" "$tree/source"
mount --bind "$ours/making" "$tree/making"
for folder in "$tree" "$tree/source"; do
    mount -t proc proc "$folder/proc"
    mount --rbind /dev "$folder/dev"
done
mount --bind "$ours/making" "$tree/source/mnt"
exec chroot "$tree" /bin/sh -e /making/script
"#;

/// A disk image in a file.
pub struct Image {
    folder: TempDir,
}

impl Image {
    /// Makes one: a script run as root, in the Debian of a machine that is [`Disk::setup`]'s, writes `/making/disk.raw`. There
    /// it finds at `/source` the machine's root, and in `/making` these files, by name; seen from the root that is `/mnt`.
    /// What the script prints is given back too.
    pub fn new(setup: Setup, script: &str, files: &[(&str, &str)]) -> (Self, String) {
        let setup = whole(setup);
        let folder = TempDir::new().expect("a temporary folder");
        let making = folder.path().join("making");
        for (name, text) in files.iter().chain(&[("script", script)]) {
            let file = making.join(name);
            fs::create_dir_all(file.parent().expect("a file in a folder")).expect("the folder is ours");
            fs::write(file, text).expect("the folder is ours");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "--", "sh", "-c", INSIDE, "sh"]).arg(&setup.root);
        command.args(["disk", "work"].map(|name| setup.folder.path().join(name))).arg(folder.path());
        let said = done(command);
        for rest in ["up", "scratch", "tree"] {
            fs::remove_dir_all(folder.path().join(rest)).expect("the folder is ours");
        }
        (Self { folder }, said)
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("making/disk.raw")
    }

    /// A disk of that many bytes that the image was written to.
    pub fn on_disk(self, bytes: u64) -> Disk {
        let Self { folder } = self;
        let disk = folder.path().join("disk.raw");
        fs::rename(folder.path().join("making/disk.raw"), &disk).expect("the folder is ours");
        grow(&disk, bytes);
        Disk::in_folder(folder)
    }
}

fn grow(file: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(file).expect("the folder is ours");
    assert!(file.metadata().expect("a file").len() <= bytes, "the image is larger than the disk");
    file.set_len(bytes).expect("room on the disk");
}
