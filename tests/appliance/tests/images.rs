//! What images are made of, by those who read it: systemd-repart its definitions, and a boot loader the partition that
//! `images/esp.sh` fills.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_appliance::golden;
use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::output,
};
use tempfile::TempDir;

/// What makes the file systems of an image.
const PACKAGES: &[&str] = &["systemd-repart", "dosfstools", "mtools", "e2fsprogs", "fdisk"];
const DIGEST: &str = "0123456789abcdfghijklmnpqrsvwxyz";

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    files.flatten().map(|file| file.file_name().into_string().expect("a name")).collect()
}

/// What systemd-repart says against definitions that are in a folder of the machine, made into a new image or laid over it.
fn complaints(machine: &Machine, folder: &str, empty: &str) -> Vec<String> {
    let definitions = format!("--definitions={folder}");
    let size = if empty == "create" { "--size=auto" } else { "--size=8G" };
    let empty = format!("--empty={empty}");
    let ran = machine.run(&[
        "systemd-repart",
        "--offline=yes",
        "--sector-size=512",
        "--architecture=x86-64",
        &empty,
        size,
        &definitions,
        "--dry-run=no",
        "--no-pager",
        "/root/disk.raw",
    ]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let mut complaints: Vec<String> =
        said.lines().filter(|line| line.contains(&format!("{folder}/"))).map(str::to_owned).collect();
    if !ran.status.success() {
        complaints.push(said);
    }
    complaints
}

#[test]
fn systemd_makes_and_grows_a_disk_by_every_boards_definitions() {
    const TEST: &str = "systemd_makes_and_grows_a_disk_by_every_boards_definitions";
    let Some(setup) = Setup::with_packages(TEST, PACKAGES) else { return };
    let machine = setup.boot();
    let mut boards = names(&golden().join("images"));
    boards.retain(|name| golden().join("images").join(name).is_dir());
    assert!(boards.contains("jetson-orin-nx-nvme") && boards.contains("x86-server"), "{boards:?}");
    for board in &boards {
        for kind in ["image", "grow"] {
            for name in names(&golden().join("images").join(board).join(kind)) {
                let text = text(&golden().join("images").join(board).join(kind).join(&name));
                machine.write(&format!("/root/{board}/{kind}/{name}"), &text);
            }
        }
        machine.ok(&["rm", "-f", "/root/disk.raw"]);
        assert_eq!(complaints(&machine, &format!("/root/{board}/image"), "create"), [""; 0], "{board}");
        let made = machine.ok(&["sfdisk", "--json", "/root/disk.raw"]);
        assert_eq!(complaints(&machine, &format!("/root/{board}/grow"), "allow"), [""; 0], "{board}");
        let grown = machine.ok(&["sfdisk", "--json", "/root/disk.raw"]);
        let [made, grown] = [made, grown].map(|table| partitions(&table));
        let labels = |table: &[(String, u64)]| table.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&made), ["ESP", "reelmill-root"], "{board}");
        assert_eq!(labels(&grown), labels(&made), "{board}: a disk that grows gets no other partitions");
        assert_eq!(grown[0], made[0], "{board}");
        assert!(made[1].1 < 1 << 30 && grown[1].1 > 6 << 30, "{board}: {made:?} {grown:?}");
    }
    machine.write("/root/wrong/10-esp.conf", "[Partition]\nType=esp\nFromat=vfat\n");
    machine.ok(&["rm", "-f", "/root/disk.raw"]);
    assert!(complaints(&machine, "/root/wrong", "create")[0].contains("Fromat"), "systemd says what it does not know");
}

/// Labels and bytes.
fn partitions(table: &str) -> Vec<(String, u64)> {
    let table: serde_json::Value = serde_json::from_str(table).expect("JSON");
    let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
    let label = |p: &serde_json::Value| p["name"].as_str().unwrap_or_default().to_owned();
    partitions.iter().map(|p| (label(p), p["size"].as_u64().expect("sectors") * 512)).collect()
}

/// What `images/esp.sh` makes of a system that says this of its boot.
struct Partition {
    folder: TempDir,
}

impl Partition {
    fn of(boot: &serde_json::Value, loader: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = folder.path().join("nix/store");
        let put = |path: &str, text: &str| {
            let file = store.join(path);
            fs::create_dir_all(file.parent().expect("a folder")).and_then(|()| fs::write(&file, text)).expect("ours");
        };
        put(&format!("{DIGEST}-linux-6.12/Image"), "the kernel");
        put(&format!("{DIGEST}-initrd-linux-6.12/initrd-1"), "the initrd");
        symlink("initrd-1", store.join(format!("{DIGEST}-initrd-linux-6.12/initrd"))).expect("ours");
        put(&format!("{DIGEST}-dtbs/nvidia/board.dtb"), "the device tree");
        let boot = boot.to_string().replace("/nix/store", &store.display().to_string());
        put(&format!("{DIGEST}-system/boot.json"), &boot);
        for name in [loader, "loader.conf", "README"] {
            fs::write(folder.path().join(name), name).expect("ours");
        }
        let mut command = Command::new("sh");
        command.arg(images().join("esp.sh")).arg(store.join(format!("{DIGEST}-system")));
        command.args([loader, "loader.conf", "README", "esp"]).current_dir(folder.path());
        let ran = output(command, "");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Self { folder }
    }

    /// The file's text, without where the store is in this test.
    fn text(&self, name: &str) -> String {
        let here = self.folder.path().join("nix/store").display().to_string();
        text(&self.folder.path().join("esp").join(name)).replace(&here, "/nix/store")
    }

    fn files(&self) -> Vec<String> {
        let mut command = Command::new("find");
        command.args([".", "-type", "f", "-printf", "%P\n"]).current_dir(self.folder.path().join("esp"));
        let found = output(command, "");
        let mut files: Vec<String> = String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect();
        files.sort();
        files
    }
}

fn boot_json(kernel: &str) -> serde_json::Value {
    serde_json::json!({
        "org.nixos.bootspec.v1": {
            "init": format!("/nix/store/{DIGEST}-system/init"),
            "kernel": kernel,
            "initrd": format!("/nix/store/{DIGEST}-initrd-linux-6.12/initrd"),
            "kernelParams": ["console=ttyTCU0,115200", "panic=10"],
            "label": "NixOS Yarara 26.05 (Linux 6.12)",
            "system": "aarch64-linux",
            "toplevel": format!("/nix/store/{DIGEST}-system"),
        },
        "org.nixos.specialisation.v1": {},
    })
}

#[test]
fn the_boot_partition_has_what_nixos_would_have_put_there() {
    let esp = Partition::of(&boot_json(&format!("/nix/store/{DIGEST}-linux-6.12/Image")), "systemd-bootx64.efi");
    let kernel = format!("EFI/nixos/{DIGEST}-linux-6.12-Image.efi");
    // The name is that of the file behind the link, as NixOS has it.
    let initrd = format!("EFI/nixos/{DIGEST}-initrd-linux-6.12-initrd-1.efi");
    let entry = "loader/entries/nixos-generation-1.conf";
    let want = [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/systemd/systemd-bootx64.efi",
        &initrd,
        &kernel,
        entry,
        "loader/entries.srel",
        "loader/loader.conf",
        "reelmill/README.txt",
    ];
    let mut want = want.map(str::to_owned).to_vec();
    want.sort();
    assert_eq!(esp.files(), want);
    assert_eq!(
        esp.text(entry),
        format!(
            "title NixOS\nsort-key nixos\nversion Generation 1 NixOS Yarara 26.05 (Linux 6.12)\nlinux /{kernel}\n\
             initrd /{initrd}\noptions init=/nix/store/{DIGEST}-system/init console=ttyTCU0,115200 panic=10\n"
        )
    );
    assert_eq!(esp.text(&kernel), "the kernel");
    assert_eq!(esp.text(&initrd), "the initrd");
    assert_eq!(esp.text("loader/loader.conf"), "loader.conf");
}

#[test]
fn a_boards_device_tree_is_beside_its_kernel() {
    let mut boot = boot_json(&format!("/nix/store/{DIGEST}-linux-6.12/Image"));
    boot["org.nixos.systemd-boot"] =
        serde_json::json!({"sortKey": "reelmill", "devicetree": format!("/nix/store/{DIGEST}-dtbs/nvidia/board.dtb")});
    let esp = Partition::of(&boot, "systemd-bootaa64.efi");
    let entry = esp.text("loader/entries/nixos-generation-1.conf");
    assert!(entry.ends_with(&format!("devicetree /EFI/nixos/{DIGEST}-dtbs-board.dtb.efi\n")), "{entry}");
    assert!(entry.contains("sort-key reelmill\n"), "{entry}");
    assert_eq!(esp.text(&format!("EFI/nixos/{DIGEST}-dtbs-board.dtb.efi")), "the device tree");
    assert_eq!(esp.text("EFI/BOOT/BOOTAA64.EFI"), "systemd-bootaa64.efi");
}

#[test]
#[should_panic(expected = "realpath: ")]
fn a_system_without_its_kernel_makes_no_partition() {
    Partition::of(&boot_json(&format!("/nix/store/{DIGEST}-gone/Image")), "systemd-bootx64.efi");
}

#[test]
fn the_scripts_have_no_known_mistakes() {
    for script in ["esp.sh", "install.sh"] {
        let mut command = Command::new("shellcheck");
        command.arg(images().join(script));
        let ran = output(command, "");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
}
