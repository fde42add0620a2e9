//! What an image is, as it is told; images of others, and what is none.

use std::fs;

use crate::made::Desk;

const FRESH: &str = "  partition  1  esp   67.1 MB  EFI system
  partition  2  root  30.4 MB  root, arm64
  boots      systemd-boot 257.9
             NixOS, Generation 1 NixOS 26.05, /EFI/nixos/abc-linux-6.12-Image.efi
  version    26.11.1
  farm       none: the node waits for a join file
";

#[test]
fn an_image_tells_what_it_is_packed_or_not() {
    let desk = Desk::new(32);
    desk.check(&["inspect", "node.raw"], 0, &format!("node.raw: 101 MB\n{FRESH}"));
    desk.tool("zstd", &["--quiet", "node.raw"]);
    let length = fs::metadata(desk.path("node.raw.zst")).expect("ours").len();
    let (code, told) = desk.reelmill(&["inspect", "node.raw.zst"], "");
    let (first, rest) = told.split_once('\n').expect("lines");
    assert_eq!((code, rest), (Some(0), FRESH));
    let kilobytes = f64::from(u32::try_from(length).expect("small")) / 1000.0;
    assert_eq!(first, format!("node.raw.zst: {kilobytes:.1} kB packed by zstd, 101 MB unpacked"));
}

#[test]
fn the_document_shows_what_is_told() {
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/flash.md");
    let document = fs::read_to_string(document).expect("it is there");
    let shown = format!("$ reelmill image inspect node.raw\nnode.raw: 101 MB\n{FRESH}```\n");
    assert!(document.contains(&shown), "the document shows something else than\n{shown}");
    let desk = Desk::new(32);
    let given = ["--join", "join.toml", "--hostname", "orin-3", "--ssh-key", "id.pub", "--worker-env", "worker.env"];
    assert!(document.contains(&given.join(" ")), "the document gives something else");
    let (_, told) = desk.reelmill(&[&["configure", "node.raw"], &given[..]].concat(), "");
    let told = told.strip_prefix("node.raw is configured\n").expect("its first line");
    assert!(
        document.contains(&format!("as it should be\n{told}```\n")),
        "the document shows something else than\n{told}"
    );
    let (_, help) = desk.reelmill(&["configure", "--help"], "");
    let options = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .map(|word| word.trim_matches([',', ':', '.', ';']));
    for option in options.filter(|option| !["--help", "--node", "--hub"].contains(option)) {
        assert!(document.contains(option), "the document does not speak of {option}");
    }
}

#[test]
fn programs_are_told_the_same_as_json() {
    let desk = Desk::new(16);
    let (code, told) = desk.reelmill(&["inspect", "--json", "node.raw"], "");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let want = serde_json::json!({
        "image": "node.raw", "format": "raw", "bytes": 100_663_296, "unpacked_bytes": null, "sector_bytes": 512,
        "disk": "7e1f0d50-1f6a-4f5b-9a53-8f0b0c0d0e0f",
        "partitions": [
            {"number": 1, "label": "esp", "kind": "EFI system", "start_bytes": 1_048_576, "bytes": 67_108_864},
            {"number": 2, "label": "root", "kind": "root, arm64", "start_bytes": 68_157_440, "bytes": 30_408_704},
        ],
        "boot": {
            "file_system": "FAT16", "loader": "systemd-boot 257.9", "version": "26.11.1",
            "entries": [{
                "file": "nixos-generation-1.conf", "title": "NixOS", "version": "Generation 1 NixOS 26.05",
                "kernel": "/EFI/nixos/abc-linux-6.12-Image.efi",
            }],
        },
        "configured": {"join": null, "hostname": null, "ssh_keys": [], "worker_env": [], "mistakes": []},
    });
    assert_eq!((code, told), (Some(0), want));
}

#[test]
fn what_others_put_there_is_told_with_what_a_node_will_not_take() {
    let desk = Desk::new(12);
    fs::write(desk.path("bad.toml"), "hub = \"http://hub\"\n").expect("ours");
    desk.take_esp("node.raw");
    desk.tool("mcopy", &["-i", "esp", "bad.toml", "::reelmill/join.toml"]);
    desk.tool("mcopy", &["-i", "esp", "id.pub", "::reelmill/AUTHORIZED_KEYS"]);
    desk.put_esp("node.raw");
    let (code, told) = desk.reelmill(&["inspect", "node.raw"], "");
    let want = "  farm       none: the node waits for a join file\n  ssh key    \
                SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU ssh-ed25519 anna@desk\n  mistake    \
                join.toml:1:7: the hub must be written as https://HOST:PORT\n";
    assert_eq!((code, told.split_once("26.11.1\n").map(|(_, rest)| rest)), (Some(0), Some(want)));
}

#[test]
fn what_is_no_image_is_told_as_such() {
    let desk = Desk::new(32);
    desk.check(&["inspect", "gone.raw"], 1, "error: cannot open gone.raw: No such file or directory (os error 2)\n");
    desk.check(&["inspect", "."], 1, "error: cannot open .: it is a folder\n");
    desk.check(&["inspect", "id.pub"], 1, "error: cannot use the image id.pub: it has no GUID partition table\n");
    let image = fs::read(desk.path("node.raw")).expect("ours");
    fs::write(desk.path("cut.raw"), &image[..70 << 20]).expect("ours");
    desk.check(
        &["inspect", "cut.raw"],
        1,
        "error: cannot use the image cut.raw: it is 73400320 bytes long, and its partitions end at 98566144\n\
         hint: was it copied or downloaded to its end?\n",
    );
    let mut bad = image.clone();
    bad[1 << 20..(1 << 20) + 512].fill(0);
    fs::write(desk.path("bad.raw"), bad).expect("ours");
    desk.check(&["inspect", "bad.raw"], 1, "error: cannot inspect the image bad.raw: it holds no FAT file system\n");
    desk.tool("zstd", &["--quiet", "node.raw"]);
    let packed = fs::read(desk.path("node.raw.zst")).expect("ours");
    fs::write(desk.path("cut.zst"), &packed[..packed.len() / 2]).expect("ours");
    let (code, told) = desk.reelmill(&["inspect", "cut.zst"], "");
    assert!(code == Some(1) && told.starts_with("error: cannot unpack the image cut.zst: "), "{told}");
}

#[test]
fn an_image_without_a_boot_partition_is_told_as_far_as_it_goes() {
    let desk = Desk::new(32);
    desk.tool("sfdisk", &["--quiet", "--part-type", "node.raw", "1", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"]);
    let want = "node.raw: 101 MB\n  partition  1  esp   67.1 MB  Linux\n  partition  2  root  30.4 MB  root, arm64\n  \
                boots      no EFI system partition\n";
    desk.check(&["inspect", "node.raw"], 0, want);
    let want = "error: cannot use the image node.raw: it has no EFI system partition\n\
                hint: is this an image of Reelmill? see `reelmill image inspect`\n";
    desk.check(&["configure", "node.raw", "--hostname", "a"], 1, want);
}
