//! Real block devices, through the loop driver: written, read back, and found good by others; refused where they must not be
//! written; and without a system where somebody pulled the plug.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use reelmill_lab::programs;

use crate::made::{Desk, LENGTH, MIB, join};

/// A loop device on a file of junk.
struct Device {
    path: String,
    file: PathBuf,
}

impl Device {
    /// A device of so many bytes, and of sectors of that size; `None`, loudly, where none can be had.
    fn new(desk: &Desk, test: &str, length: u64, sector: u32) -> Option<Self> {
        let file = desk.path(&format!("disk-{length}-{sector}"));
        let junk = vec![0xa5; 1 << 20];
        let mut disk = File::create(&file).expect("ours");
        (0..length / MIB).for_each(|_| disk.write_all(&junk).expect("ours"));
        disk.set_len(length).expect("ours");
        let made = Command::new("losetup")
            .args(["--find", "--show", "--sector-size", &sector.to_string()])
            .arg(&file)
            .output();
        match made {
            Ok(output) if output.status.success() => {
                let path = String::from_utf8(output.stdout).expect("a path").trim().to_owned();
                Some(Self { path, file })
            }
            _ => {
                let why = "no loop device can be made here: is this root, and outside of a container?";
                let _ = writeln!(std::io::stderr(), "\n==== SKIPPED: {test}: {why} ====\n");
                None
            }
        }
    }

    fn name(&self) -> &str {
        self.path.trim_start_matches("/dev/")
    }

    /// Its first bytes, past the kernel's memory.
    fn begins(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        File::open(&self.file).and_then(|mut file| file.read_exact(&mut bytes)).expect("ours");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

const MARK: &str = "reelmill image flash did not end here: this device holds no system; flash it again\n";

/// What is told, without the progress, and without how long it took.
fn steady(told: &str) -> String {
    let lines = told.lines().filter(|line| !line.starts_with("writing ") && !line.starts_with("reading back "));
    let number = |word: &str| word.parse::<f64>().map_or_else(|_| word.to_owned(), |_| "N".to_owned());
    let words = |line: &str| match line.strip_prefix("wrote ") {
        Some(rest) => {
            format!("wrote {}", rest.split(' ').map(number).collect::<Vec<_>>().join(" ").replace("N MB", "101 MB"))
        }
        None => line.to_owned(),
    };
    lines.map(|line| words(line) + "\n").collect()
}

fn flash(desk: &Desk, words: &[&str], input: &str) -> (Option<i32>, String) {
    let (code, told) = desk.reelmill(&[&["flash"], words].concat(), input);
    (code, steady(&told))
}

#[test]
fn a_device_is_written_configured_and_found_good_by_others() {
    let test = "a_device_is_written_configured_and_found_good_by_others";
    let desk = Desk::new(32);
    desk.tool("zstd", &["--quiet", "node.raw"]);
    // As long as the image, a little longer than it, and much longer.
    for length in [LENGTH, LENGTH + 8 * 512, 160 * MIB] {
        let Some(device) = Device::new(&desk, test, length, 512) else { return };
        let (path, name) = (device.path.as_str(), device.name());
        let size = if length == 160 * MIB { "168 MB" } else { "101 MB" };
        let words = [
            "node.raw.zst",
            path,
            "--allow-fixed",
            "--join",
            "join.toml",
            "--hostname",
            "orin-3",
            "--ssh-key",
            "id.pub",
        ];
        let (code, told) = flash(&desk, &words, &format!("{name}\n"));
        let want = format!(
            "wrote node.raw.zst to {path} in N s and read it back in N s: 101 MB, as it should be\n  \
             farm       https://hub.example:7443\n  \
             authority  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n  \
             token      set, good until 2126-11-24T02:30:00Z\n  node       orin-3\n  hostname   orin-3\n  \
             ssh key    SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU ssh-ed25519 anna@desk\n\
             {path}: {size}, built in, without partitions\nall of it will be lost; type {name} to go on:\n"
        );
        let told =
            told.lines().filter(|line| !line.starts_with("note: ")).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!((code, told), (Some(0), want));

        let verified = desk.tool("sfdisk", &["--verify", path]);
        assert!(verified.contains("No errors detected."), "{verified}");
        let dump = desk.tool("sfdisk", &["--dump", path]);
        assert!(dump.contains(&format!("last-lba: {}\n", length / 512 - 34)), "the table ends with the device: {dump}");
        assert_eq!(
            desk.others_read(path, &["join.toml", "hostname"]),
            [join() + "node = \"orin-3\"\n", "orin-3\n".to_owned()]
        );
        let (image, disk) = (fs::read(desk.path("node.raw")).expect("ours"), fs::read(&device.file).expect("ours"));
        let root = 65 << 20..94 << 20;
        assert!(image[root.clone()] == disk[root], "the other partition is as it was");
        let (code, told) = desk.reelmill(&["inspect", path], "");
        assert!(code == Some(0) && told.contains("  node       orin-3\n"), "{told}");
    }
    assert_eq!(desk.others_list("node.raw"), ["version"], "the image stays as it is");
}

#[test]
fn a_device_that_must_not_be_written_is_left_alone() {
    let test = "a_device_that_must_not_be_written_is_left_alone";
    let desk = Desk::new(32);
    let Some(device) = Device::new(&desk, test, 128 * MIB, 512) else { return };
    let (path, name) = (device.path.as_str(), device.name());
    let check = |words: &[&str], input: &str, want: &str| {
        assert_eq!(flash(&desk, &[&["node.raw"], words].concat(), input), (Some(1), want.to_owned()), "{words:?}");
    };
    check(
        &[path, "--yes"],
        "",
        &format!("error: {path} is built in: neither on USB nor a card\nhint: if it is the right one: --allow-fixed\n"),
    );
    for answer in ["", "\n", "yes\n", "sdz\n"] {
        check(
            &[path, "--allow-fixed"],
            answer,
            &format!(
                "{path}: 134 MB, built in, without partitions\nall of it will be lost; type {name} to go on:\n\
                 error: that is not {name}: nothing was written\n"
            ),
        );
    }
    check(
        &[path, "--allow-fixed", "--yes", "--max-size", "100MB"],
        "",
        &format!(
            "error: {path} has 134 MB, which is more than 100 MB\nhint: if it is the right one: --max-size 134217728\n"
        ),
    );
    check(
        &["node.raw", "--yes"],
        "",
        "error: cannot use node.raw: it is no block device\nhint: name a whole device such as /dev/sdb; `lsblk` lists them\n",
    );
    check(&["/dev/gone", "--yes"], "", "error: cannot use /dev/gone: No such file or directory (os error 2)\n");
    check(
        &[path, "--join", "-"],
        "",
        "error: standard input cannot be both the join file and your answer\nhint: give --yes, or --join FILE\n",
    );
    for (length, sector, want) in [
        (64 * MIB, 512, "is too small: it has 67.1 MB, and the image needs 98.6 MB\nhint: take a larger one\n"),
        (
            128 * MIB,
            4096,
            "has sectors of 4096 bytes, and the image is made for 512\nhint: firmware would not find the system there\n",
        ),
    ] {
        let Some(other) = Device::new(&desk, test, length, sector) else { return };
        check(&[&other.path, "--allow-fixed", "--yes"], "", &format!("error: {} {want}", other.path));
    }
    let junk = device.begins(64);
    assert_eq!(junk, "\u{fffd}".repeat(64), "nothing was written");

    desk.tool("mke2fs", &["-q", "-F", path]);
    fs::create_dir(desk.path("stick")).expect("ours");
    desk.tool("mount", &[path, "stick"]);
    let at = desk.path("stick");
    let mounted = flash(&desk, &["node.raw", path, "--allow-fixed", "--yes"], "");
    let configured = desk.reelmill(&["configure", path, "--hostname", "a"], "");
    desk.tool("umount", &["stick"]);
    let at = at.display();
    let want = format!("error: {path} is mounted at {at}\nhint: if it is the right one: umount \"{at}\"\n");
    assert_eq!(mounted, (Some(1), want));
    let want = format!(
        "error: cannot open {path}: Device or resource busy (os error 16)\n\
         hint: may you write it? a device needs root, and must not be mounted\n"
    );
    assert_eq!(configured, (Some(1), want));
}

#[test]
fn a_device_whose_flashing_was_cut_short_says_so_and_starts_nothing() {
    let test = "a_device_whose_flashing_was_cut_short_says_so_and_starts_nothing";
    let desk = Desk::new(32);
    let Some(device) = Device::new(&desk, test, 600 * MIB, 512) else { return };
    let path = device.path.as_str();
    assert_eq!(
        flash(&desk, &["node.raw", path, "--allow-fixed", "--yes"], "").0,
        Some(0),
        "an earlier system is there"
    );
    // Long enough to be killed in the middle of it.
    File::options().write(true).open(desk.path("node.raw")).and_then(|image| image.set_len(512 * MIB)).expect("ours");
    let mut command = programs::command("reelmill");
    command.args(["image", "flash"]).arg(desk.path("node.raw")).args([path, "--allow-fixed", "--yes"]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("writing ")).expect("it begins to write");
    child.kill().expect("it can be killed");
    assert_eq!(child.wait().expect("it was killed").code(), None, "killed at {line}");

    assert_eq!(device.begins(MARK.len()), MARK);
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.args(["--dump", path]);
    assert!(!programs::output(sfdisk, "").status.success(), "others see no partitions");
    let want = format!("error: {path} was not written to its end: it holds no system\nhint: flash it again\n");
    desk.check(&["inspect", path], 1, &want);
    File::options().write(true).open(desk.path("node.raw")).and_then(|image| image.set_len(LENGTH)).expect("ours");
    assert_eq!(flash(&desk, &["node.raw", path, "--allow-fixed", "--yes"], "").0, Some(0));
    assert!(desk.tool("sfdisk", &["--verify", path]).contains("No errors detected."));
}

#[test]
fn an_image_that_ends_early_makes_no_system() {
    let test = "an_image_that_ends_early_makes_no_system";
    let desk = Desk::new(32);
    let Some(device) = Device::new(&desk, test, 128 * MIB, 512) else { return };
    let image = fs::read(desk.path("node.raw")).expect("ours");
    fs::write(desk.path("cut.raw"), &image[..80 << 20]).expect("ours");
    desk.tool("zstd", &["--quiet", "cut.raw"]);
    let (code, told) = flash(&desk, &["cut.raw.zst", &device.path, "--allow-fixed", "--yes"], "");
    let want = format!(
        "{}: 134 MB, built in, without partitions\n\
         error: the image cut.raw.zst ends after 83886080 bytes, and its partitions at 98566144\n\
         hint: was it copied or downloaded to its end?\n",
        device.path
    );
    assert_eq!((code, told), (Some(1), want));
    assert_eq!(device.begins(MARK.len()), MARK);
}

#[test]
fn a_drive_of_large_sectors_takes_an_image_made_for_it() {
    let test = "a_drive_of_large_sectors_takes_an_image_made_for_it";
    let desk = Desk::new(16);
    let Some(first) = Device::new(&desk, test, 96 * MIB, 4096) else { return };
    let Some(second) = Device::new(&desk, test, 128 * MIB, 4096) else { return };
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.args(["--quiet", &first.path]);
    let table = "label: gpt\nstart=256, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp\n";
    let output = programs::output(sfdisk, table);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    File::create(desk.path("esp")).and_then(|file| file.set_len(64 * MIB)).expect("ours");
    desk.tool("mkfs.vfat", &["-F", "16", "-S", "4096", "-s", "1", "esp"]);
    desk.put_esp(&first.path);

    let (code, told) = desk.reelmill(&["configure", &first.path, "--hostname", "orin-3"], "");
    assert_eq!(code, Some(0), "{told}");
    desk.take_esp(&first.path);
    desk.tool("fsck.vfat", &["-n", "esp"]);
    fs::copy(&first.file, desk.path("large.raw")).expect("ours");
    let (code, told) = flash(&desk, &["large.raw", &second.path, "--allow-fixed", "--yes", "--hostname", "orin-4"], "");
    assert_eq!(code, Some(0), "{told}");
    assert!(desk.tool("sfdisk", &["--verify", &second.path]).contains("No errors detected."));
    let (code, told) = desk.reelmill(&["inspect", &second.path], "");
    let want = format!(
        "{}: 134 MB\n  partition  1  esp  67.1 MB  EFI system\n  boots      no loader that is known\n  \
         farm       none: the node waits for a join file\n  hostname   orin-4\n",
        second.path
    );
    assert_eq!((code, told), (Some(0), want));
    let want = format!(
        "error: {} has sectors of 4096 bytes, and the image is made for 512\n\
         hint: firmware would not find the system there\n",
        second.path
    );
    assert_eq!(flash(&desk, &["node.raw", &second.path, "--allow-fixed", "--yes"], ""), (Some(1), want));
}
