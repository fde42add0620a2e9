//! Whether a device may be written over: one function, and every way to say no.

use reelmill_daemon::report::Hinted;

use super::{
    super::size::size,
    disk::{Disk, Use, Way},
};

/// Where the system that runs has its own files.
const OWN: [&str; 10] = ["/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/etc", "/home", "/nix", "/usr", "/var"];

/// What is asked of the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The image's length in bytes.
    pub(super) length: u64,
    /// The size of the sectors that the image is made for.
    pub(super) sector: u64,
    /// The longest device.
    pub(super) most: u64,
    /// Whether it may be built in.
    pub(super) fixed: bool,
}

/// Refuses a device that must not or cannot be written.
pub(super) fn judge(disk: &Disk, limits: &Limits) -> Result<(), Hinted> {
    let no = |why: String, hint: String| Err(Hinted::new(format!("{} {why}", disk.path.display()), hint));
    if let Some(whole) = &disk.part_of {
        return no("is only a part of a device".to_owned(), format!("name all of it: /dev/{whole}"));
    }
    let own = disk.uses.iter().find(|used| match used {
        Use::Mounted(at) => OWN.contains(&at.as_str()) || at.starts_with("/nix/"),
        Use::Swap => true,
        Use::Holds(_) => false,
    });
    match own {
        Some(Use::Mounted(at)) => return no(format!("is the system's own: it holds {at}"), WHICH.to_owned()),
        Some(_) => return no("is the system's own: it is used as swap".to_owned(), WHICH.to_owned()),
        None => {}
    }
    for used in &disk.uses {
        match used {
            Use::Mounted(at) => {
                return no(format!("is mounted at {at}"), format!("if it is the right one: umount {at:?}"));
            }
            Use::Holds(by) => {
                return no(
                    format!("is in use by {by}"),
                    "is it part of a RAID, an LVM or an encrypted disk?".to_owned(),
                );
            }
            Use::Swap => {}
        }
    }
    if disk.length == 0 {
        return no("holds no medium".to_owned(), "is a card in the reader?".to_owned());
    }
    if disk.read_only {
        return no("cannot be written".to_owned(), "has the card a switch for that?".to_owned());
    }
    if disk.way == Way::Fixed && !limits.fixed {
        return no(
            "is built in: neither on USB nor a card".to_owned(),
            "if it is the right one: --allow-fixed".to_owned(),
        );
    }
    if disk.length > limits.most {
        let why = format!("has {}, which is more than {}", size(disk.length), size(limits.most));
        return no(why, format!("if it is the right one: --max-size {}", disk.length));
    }
    if disk.sector != limits.sector {
        let why = format!("has sectors of {} bytes, and the image is made for {}", disk.sector, limits.sector);
        return no(why, "firmware would not find the system there".to_owned());
    }
    if disk.length < limits.length {
        let why = format!("is too small: it has {}, and the image needs {}", size(disk.length), size(limits.length));
        return no(why, "take a larger one".to_owned());
    }
    Ok(())
}

const WHICH: &str = "`lsblk -o NAME,SIZE,TRAN,MODEL,MOUNTPOINTS` shows which device is which";

#[cfg(test)]
mod tests {
    use reelmill_daemon::report::render;

    use super::*;

    fn check(change: impl Fn(&mut Disk, &mut Limits), want: &str) {
        let mut disk = Disk {
            path: "/dev/sdb".into(),
            name: "sdb".to_owned(),
            length: 64_000_000_000,
            sector: 512,
            model: String::new(),
            way: Way::Usb,
            read_only: false,
            part_of: None,
            partitions: Vec::new(),
            uses: Vec::new(),
        };
        let mut limits = Limits { length: 3_000_000_000, sector: 512, most: 2 << 40, fixed: false };
        change(&mut disk, &mut limits);
        let told = judge(&disk, &limits).map_or_else(|no| render(&no), |()| "yes".to_owned());
        assert_eq!(told, want);
    }

    #[test]
    fn only_a_free_stick_or_card_of_fitting_size_is_written() {
        check(|_, _| (), "yes");
        check(|disk, _| disk.way = Way::Card, "yes");
        check(|disk, _| disk.way = Way::Removable, "yes");
        check(
            |disk, _| disk.way = Way::Fixed,
            "error: /dev/sdb is built in: neither on USB nor a card\nhint: if it is the right one: --allow-fixed",
        );
        check(
            |disk, limits| {
                disk.way = Way::Fixed;
                limits.fixed = true;
            },
            "yes",
        );
        check(
            |disk, _| disk.part_of = Some("sdb".to_owned()),
            "error: /dev/sdb is only a part of a device\nhint: name all of it: /dev/sdb",
        );
        check(
            |disk, _| disk.uses = vec![Use::Mounted("/run/media/anna/MY STICK".to_owned())],
            "error: /dev/sdb is mounted at /run/media/anna/MY STICK\n\
             hint: if it is the right one: umount \"/run/media/anna/MY STICK\"",
        );
        check(
            |disk, _| disk.uses = vec![Use::Holds("md0".to_owned())],
            "error: /dev/sdb is in use by md0\nhint: is it part of a RAID, an LVM or an encrypted disk?",
        );
        check(|disk, _| disk.length = 0, "error: /dev/sdb holds no medium\nhint: is a card in the reader?");
        check(
            |disk, _| disk.read_only = true,
            "error: /dev/sdb cannot be written\nhint: has the card a switch for that?",
        );
        check(
            |disk, _| disk.length = 4 << 40,
            "error: /dev/sdb has 4.4 TB, which is more than 2.2 TB\nhint: if it is the right one: --max-size 4398046511104",
        );
        check(
            |disk, _| disk.sector = 4096,
            "error: /dev/sdb has sectors of 4096 bytes, and the image is made for 512\n\
             hint: firmware would not find the system there",
        );
        check(
            |disk, _| disk.length = 2_000_000_000,
            "error: /dev/sdb is too small: it has 2.0 GB, and the image needs 3.0 GB\nhint: take a larger one",
        );
    }

    #[test]
    fn no_option_gives_away_the_systems_own_disk() {
        for at in ["/", "/boot", "/nix/store"] {
            let all = |disk: &mut Disk, limits: &mut Limits| {
                disk.uses = vec![Use::Holds("dm-0".to_owned()), Use::Mounted(at.to_owned())];
                limits.fixed = true;
                limits.most = u64::MAX;
            };
            check(all, &format!("error: /dev/sdb is the system's own: it holds {at}\nhint: {WHICH}"));
        }
        let swap = |disk: &mut Disk, _: &mut Limits| disk.uses = vec![Use::Swap];
        check(swap, &format!("error: /dev/sdb is the system's own: it is used as swap\nhint: {WHICH}"));
    }
}
