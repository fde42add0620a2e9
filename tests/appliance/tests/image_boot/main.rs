//! An image, made by systemd-repart from what the modules say of images, boots by UEFI on a disk that is larger, comes into a
//! farm, and keeps its state. Its system is a stand-in: Debian, with our programs, units and a Nix store. It takes minutes:
//! `cargo xtask test image`.

mod farm;
mod node;

use std::{fs, path::Path};

use farm::Farm;
use node::{BOARD, NAME, Node};
use reelmill_lab::{
    programs::eventually,
    qemu::{Disk, Image},
};

/// What the stand-in is made of and made by, besides what every machine in QEMU has.
const PACKAGES: &[&str] = &["nix-bin", "jq", "systemd-repart", "dosfstools", "mtools", "e2fsprogs", "fdisk"];
/// The disk that the image is written to.
const DISK: u64 = 8 << 30;

#[test]
#[ignore = "takes minutes; `cargo xtask test image` runs it"]
fn an_image_boots_grows_comes_into_the_farm_and_keeps_its_state() {
    const TEST: &str = "an_image_boots_grows_comes_into_the_farm_and_keeps_its_state";
    let Some(setup) = Disk::setup(TEST, PACKAGES) else { return };
    let image = make(setup);
    let small = fs::metadata(image.path()).expect("an image").len();
    println!("the image: {} MiB, to be written to a disk of {} MiB", small >> 20, DISK >> 20);

    let farm = Farm::start();
    let (join, token) = farm.join(NAME);
    node::configure(&image.path(), &join);
    let mut node = Node::of(image.on_disk(DISK).boot());

    println!("{}", node.story());
    node.has_grown(DISK);
    node.knows_its_store();
    node.is_ready();
    in_the_farm(&farm, &node);
    node.has_taken_its_files(&token);
    let first = node.state();

    node.reboot();
    node.is_ready();
    in_the_farm(&farm, &node);
    assert_eq!(node.state(), first, "what the node is outlasts a boot");
    node.knows_its_store();
    node.takes_another_system();
}

/// The image of a board, as its golden files say it is made.
fn make(setup: reelmill_lab::nspawn::Setup) -> Image {
    let golden = reelmill_appliance::golden().join("images").join(BOARD);
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut files: Vec<(String, String)> =
        ["contents", "mkfs", "loader.conf"].map(|name| (name.to_owned(), read(&golden.join(name)))).into();
    for definition in fs::read_dir(golden.join("image")).expect("golden files").flatten() {
        let name = definition.file_name().into_string().expect("a name");
        files.push((format!("image/{name}"), read(&definition.path())));
    }
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images");
    files.extend(["esp.sh", "reelmill.txt"].map(|name| (name.to_owned(), read(&images.join(name)))));
    files.push(("system.nix".to_owned(), include_str!("system.nix").to_owned()));
    files.push(("params".to_owned(), node::KERNEL_WORDS.to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (image, said) = Image::new(node::stand_in(setup), include_str!("make.sh"), &files);
    println!("{said}");
    assert!(!said.contains("Unknown"), "systemd-repart does not know a word of the definitions: {said}");
    image
}

/// The hub's word that the node is there, by a line to its broker.
fn in_the_farm(farm: &Farm, node: &Node) {
    eventually("the hub's word of the node", || {
        farm.operator("node list").lines().any(|line| line.starts_with(&format!("{NAME} "))).then_some(())
    });
    node.says("a line to the broker", r#""connected":true"#);
}
