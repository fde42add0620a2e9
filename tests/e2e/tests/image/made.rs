//! Images made by sfdisk, mkfs.vfat and mtools, and the command run on them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reelmill_lab::programs;
use tempfile::TempDir;

/// A key that others know too, so that its fingerprint can be looked up.
pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl anna@desk";
/// A token.
pub(crate) const TOKEN: &str = "rmj_abababababababababababababababab";
const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A mebibyte.
pub(crate) const MIB: u64 = 1 << 20;
/// Where images have their boot partition, and how long it is.
pub(crate) const ESP: (u64, u64) = (MIB, 64 * MIB);
/// How long images are.
pub(crate) const LENGTH: u64 = 96 * MIB;

/// A folder with an image and what a person has at hand to configure it.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    /// A desk with `node.raw`, whose boot partition is that kind of FAT.
    pub(crate) fn new(fat: u8) -> Self {
        let desk = Self { folder: tempfile::tempdir().expect("a folder") };
        desk.image("node.raw", fat);
        fs::write(desk.path("id.pub"), format!("{KEY}\n")).expect("ours");
        fs::write(desk.path("join.toml"), join()).expect("ours");
        fs::write(desk.path("worker.env"), "QUEUE_URL=redis://hub\nAWS_SECRET_ACCESS_KEY=hunter2\n").expect("ours");
        desk
    }

    /// A path on the desk.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes an image as other tools do.
    fn image(&self, name: &str, fat: u8) {
        let image = self.path(name);
        fs::File::create(&image).and_then(|file| file.set_len(LENGTH)).expect("ours");
        let table = "label: gpt\nlabel-id: 7e1f0d50-1f6a-4f5b-9a53-8f0b0c0d0e0f\n\
             start=2048, size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp\n\
             start=133120, size=59392, type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE, name=root\n";
        let mut sfdisk = Command::new("sfdisk");
        sfdisk.arg("--quiet").arg(&image);
        assert!(programs::output(sfdisk, table).status.success());
        let esp = self.path("esp");
        fs::File::create(&esp).and_then(|file| file.set_len(ESP.1)).expect("ours");
        self.tool("mkfs.vfat", &["-F", &fat.to_string(), "-n", "ESP", "esp"]);
        for folder in ["EFI", "EFI/BOOT", "EFI/systemd", "loader", "loader/entries", "reelmill"] {
            self.tool("mmd", &["-i", "esp", &format!("::{folder}")]);
        }
        let files = [
            ("EFI/systemd/systemd-bootaa64.efi", "MZ\0#### LoaderInfo: systemd-boot 257.9 ####\0"),
            ("loader/entries/nixos-generation-1.conf", ENTRY),
            ("reelmill/version", "26.11.1\n"),
        ];
        for (name, text) in files {
            fs::write(self.path("file"), text).expect("ours");
            self.tool("mcopy", &["-i", "esp", "file", &format!("::{name}")]);
        }
        self.put_esp(name);
        fs::set_permissions(image, fs::Permissions::from_mode(0o600)).expect("ours");
    }

    /// Runs another's tool on the desk; what it prints.
    pub(crate) fn tool(&self, name: &str, words: &[&str]) -> String {
        let mut command = Command::new(name);
        let output = command.args(words).current_dir(self.folder.path()).env("MTOOLS_SKIP_CHECK", "0").output();
        let Output { status, stdout, stderr } = output.unwrap_or_else(|e| panic!("{name}: {e}"));
        let told = String::from_utf8_lossy(&stdout).into_owned();
        assert!(status.success(), "{name} {words:?}: {told}{}", String::from_utf8_lossy(&stderr));
        told
    }

    /// Takes an image's boot partition out, as `esp`.
    pub(crate) fn take_esp(&self, image: impl AsRef<Path>) {
        let image = self.folder.path().join(image);
        let (skip, count) = (format!("skip={}", ESP.0 / MIB), format!("count={}", ESP.1 / MIB));
        self.tool("dd", &[&format!("if={}", image.display()), "of=esp", "bs=1M", &skip, &count, "status=none"]);
    }

    /// Puts it back.
    pub(crate) fn put_esp(&self, image: &str) {
        let seek = format!("seek={}", ESP.0 / MIB);
        self.tool("dd", &["if=esp", &format!("of={image}"), "bs=1M", &seek, "conv=notrunc", "status=none"]);
    }

    /// A file on an image's boot partition, as mtools read it, after fsck has found it clean.
    pub(crate) fn others_read(&self, image: impl AsRef<Path>, names: &[&str]) -> Vec<String> {
        self.take_esp(image);
        self.tool("fsck.vfat", &["-n", "esp"]);
        names.iter().map(|name| self.tool("mtype", &["-i", "esp", &format!("::reelmill/{name}")])).collect()
    }

    /// What mtools list in our folder.
    pub(crate) fn others_list(&self, image: impl AsRef<Path>) -> Vec<String> {
        self.take_esp(image);
        self.tool("fsck.vfat", &["-n", "esp"]);
        let listed = self.tool("mdir", &["-b", "-i", "esp", "::reelmill"]);
        listed.lines().map(|line| line.trim_start_matches("::/reelmill/").to_owned()).collect()
    }

    /// Runs `reelmill image` on the desk: its exit code, and all that it prints, with the desk's own path left out.
    pub(crate) fn reelmill(&self, words: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = programs::command("reelmill");
        command.arg("image").args(words).current_dir(self.folder.path());
        let Output { status, stdout, stderr } = programs::output(command, input);
        let told = [stdout, stderr].concat();
        (status.code(), String::from_utf8_lossy(&told).into_owned())
    }

    /// The same, compared whole.
    pub(crate) fn check(&self, words: &[&str], code: i32, want: &str) {
        assert_eq!(self.reelmill(words, ""), (Some(code), want.to_owned()), "{words:?}");
    }
}

const ENTRY: &str = "title NixOS\nversion Generation 1 NixOS 26.05\nlinux /EFI/nixos/abc-linux-6.12-Image.efi\n";

/// A join file as the hub prints it, good for long.
pub(crate) fn join() -> String {
    format!(
        "# Put this as reelmill/join.toml on the node's boot partition, or on a stick labelled REELMILL.\n\
         # The token lets one node in until 2126-11-24T02:30:00Z; `reelmill-hub token revoke abc` takes it back.\n\
         hub = \"https://hub.example:7443\"\nca_sha256 = \"{PIN}\"\ntoken = \"{TOKEN}\"\n"
    )
}
