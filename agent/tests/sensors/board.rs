//! Which board it is.

use std::path::Path;

use reelmill_agent::sensors::board::{Told, identify, read};
use reelmill_api::snapshot::{Board, BoardFamily, Soc};

use crate::support::root;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn jetson(compatible: &str, model: &str) -> Told {
    Told { compatible: text(compatible), model: text(model), ..Told::default() }
}

#[test]
fn modules_are_known_by_their_number() {
    let table = [
        ("nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0", "NVIDIA Jetson Orin NX 16GB", Some(1)),
        ("nvidia,p3768-0000+p3767-0001-super\0nvidia,tegra234\0", "NVIDIA Jetson Orin NX 8GB", Some(1)),
        ("nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0", "NVIDIA Jetson Orin Nano 8GB", Some(0)),
        ("nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0", "as told", Some(1)),
        ("nvidia,p3971-0080+p3834-0008\0nvidia,tegra264\0", "as told", Some(2)),
        ("acme,carrier\0nvidia,tegra234\0", "as told", None),
        ("nvidia,p2822-0000+p2888-0004\0nvidia,tegra194\0", "as told", Some(2)),
    ];
    for (compatible, model, engines) in table {
        let board = identify(&jetson(compatible, "as told"));
        assert_eq!((board.family, board.model.as_deref()), (BoardFamily::Jetson, Some(model)), "{compatible}");
        assert_eq!(board.nvenc_engines, engines, "{compatible}");
    }
}

#[test]
fn a_jetson_is_read_from_its_files() {
    let root = root(&[
        ("proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0"),
        ("proc/device-tree/model", "NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0"),
        ("proc/device-tree/serial-number", "1422523012345\0"),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64\n"),
        ("sys/devices/virtual/dmi/id/sys_vendor", "NVIDIA\n"),
        ("sys/devices/virtual/dmi/id/bios_version", "36.4.4-gcid-41062509\n"),
    ]);
    assert_eq!(
        identify(&read(root.path())),
        Board {
            family: BoardFamily::Jetson,
            model: text("NVIDIA Jetson Orin NX 16GB"),
            soc: Some(Soc::Tegra234),
            module: text("p3767-0000"),
            l4t: text("36.4.4"),
            firmware: text("36.4.4-gcid-41062509"),
            serial: text("1422523012345"),
            nvenc_engines: Some(1),
        }
    );
}

#[test]
fn others_are_known_by_dmi() {
    let dmi = |vendor: &str, product: &str| Told { vendor: text(vendor), product: text(product), ..Told::default() };
    let table = [
        (dmi("Supermicro", "SYS-741GE"), BoardFamily::Pc, "Supermicro SYS-741GE"),
        (dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)"), BoardFamily::Virtual, "QEMU Standard PC (Q35 + ICH9, 2009)"),
        (dmi("Dell Inc.", "Dell Inc. R760"), BoardFamily::Pc, "Dell Inc. R760"),
    ];
    for (told, family, model) in table {
        let board = identify(&told);
        assert_eq!((board.family, board.model.as_deref()), (family, Some(model)));
    }
    assert_eq!(identify(&read(Path::new("/nonexistent"))), Board::default());
    let rubbish =
        Told { compatible: text("\0,p-\0nvidia,p-0000\0nvidia,p37é7-0000"), release: text("# R"), ..dmi("", "") };
    assert_eq!(identify(&rubbish).module, None);
}
