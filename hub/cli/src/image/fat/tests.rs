//! File systems made here: what is put is read again, whoever is stopped on the way, and damaged ones are refused. That others
//! read the same is tried with their programs, in `tests/e2e/tests/image`.

use proptest::prelude::*;

use super::*;

const NOON: [u8; 4] = [0, 0x60, 0x77, 0x5d];

/// A file system with nothing in it, of 512 bytes a cluster.
fn blank(kind: Kind) -> Vec<u8> {
    let (sectors, reserved, table, root): (u16, u16, u16, u16) = match kind {
        Kind::Fat12 => (2048, 1, 6, 64),
        Kind::Fat16 => (8192, 1, 32, 64),
        Kind::Fat32 => (4096, 32, 33, 0),
    };
    let mut bytes = vec![0; usize::from(sectors) * 512];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &[0xeb, 0x3c, 0x90]);
    put(11, &512_u16.to_le_bytes());
    put(13, &[1]);
    put(14, &reserved.to_le_bytes());
    put(16, &[2]);
    put(17, &root.to_le_bytes());
    put(19, &sectors.to_le_bytes());
    put(510, &[0x55, 0xaa]);
    if kind == Kind::Fat32 {
        put(36, &u32::from(table).to_le_bytes());
        put(44, &2_u32.to_le_bytes());
        put(48, &1_u16.to_le_bytes());
        put(512, b"RRaA");
        put(512 + 484, b"rrAa");
    } else {
        put(22, &table.to_le_bytes());
    }
    for copy in 0..2 {
        let at = usize::from(reserved + copy * table) * 512;
        let used: &[u32] = if kind == Kind::Fat32 { &[0x0fff_fff8, 0x0fff_ffff, 0x0fff_ffff] } else { &[0xff8, 0xfff] };
        used.iter().zip(0..).for_each(|(value, cluster)| set(&mut bytes[at..], kind, cluster, *value));
    }
    bytes
}

fn file(name: &'static str, text: &str) -> NewFile {
    NewFile { name, bytes: Some(text.as_bytes().to_vec()) }
}

fn apply(disk: &mut [u8], steps: &Steps) {
    steps.iter().flatten().for_each(|patch| patch.apply(0, disk));
}

fn put(disk: &mut [u8], folder: &'static str, files: &[NewFile]) {
    let steps = Volume::read(&*disk).expect("a file system").put(folder, files, NOON).expect("room");
    apply(disk, &steps);
}

/// The folder's files with their texts; long ones by their length.
fn listing(disk: &[u8], folder: &str) -> Result<Vec<String>, FatError> {
    let volume = Volume::read(disk)?;
    let entries = volume.list(folder)?.unwrap_or_default();
    let line = |entry: Entry| -> Result<String, FatError> {
        let bytes = volume.file(&format!("{folder}/{}", entry.name), 1 << 20)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        Ok(if text.len() > 40 { format!("{}={}", entry.name, text.len()) } else { format!("{}={text}", entry.name) })
    };
    entries.into_iter().map(line).collect()
}

/// How many clusters are in use.
fn used(disk: &[u8]) -> usize {
    let volume = Volume::read(disk).expect("a file system");
    let clusters = 2..volume.shape.clusters + 2;
    clusters.filter(|cluster| get(&volume.table, volume.shape.kind, *cluster) != 0).count()
}

const KINDS: [Kind; 3] = [Kind::Fat12, Kind::Fat16, Kind::Fat32];

#[test]
fn what_is_put_is_read_and_replaced_whole() {
    for kind in KINDS {
        let mut disk = blank(kind);
        assert_eq!(Volume::read(&*disk).expect("a file system").kind(), kind);
        put(&mut disk, "reelmill", &[file("notes of somebody else.txt", "stay"), file("empty", "")]);
        let before = used(&disk);
        let long = "x".repeat(5000);
        put(&mut disk, "reelmill", &[file("join.toml", &long), file("hostname", "a\n")]);
        let own = ["notes of somebody else.txt=stay", "empty="];
        let listed = listing(&disk, "reelmill").expect("readable");
        assert_eq!(listed, [own[0], own[1], "join.toml=5000", "hostname=a\n"], "{kind:?}");
        put(&mut disk, "reelmill", &[file("JOIN.TOML", "new"), NewFile { name: "hostname", bytes: None }]);
        assert_eq!(listing(&disk, "REELMILL").expect("readable"), [own[0], own[1], "JOIN.TOML=new"]);
        assert_eq!(used(&disk), before + 1, "{kind:?}: what was replaced is free again");
        assert!(!disk.windows(600).any(|window| window == &long.as_bytes()[..600]), "and nothing of it is left");
    }
}

/// Every write may be the last one: a reader finds all of the old files or all of the new.
#[test]
fn whoever_is_stopped_leaves_the_old_or_the_new() {
    for kind in KINDS {
        let mut disk = blank(kind);
        put(&mut disk, "other", &[file("a", "untouched")]);
        for (old, new) in [("", "first"), ("first", "second")] {
            let files = |word: &str| [file("join.toml", &word.repeat(300)), file("hostname", word)];
            let steps = Volume::read(&*disk).expect("a file system").put("reelmill", &files(new), NOON).expect("room");
            let told = |word: &str| match word {
                "" => Vec::new(),
                word => vec![format!("join.toml={}", word.len() * 300), format!("hostname={word}")],
            };
            let mut seen = Vec::new();
            let mut state = disk.clone();
            for patch in steps.iter().flatten() {
                patch.apply(0, &mut state);
                let found = listing(&state, "reelmill").expect("readable");
                assert!(found == told(old) || found == told(new), "{kind:?}: {found:?}");
                assert_eq!(listing(&state, "other").expect("readable"), ["a=untouched"]);
                seen.push(found == told(new));
            }
            assert!(!seen[0] && seen[seen.len() - 1] && seen.is_sorted(), "once, and not back: {seen:?}");
            assert_eq!(steps[2].len(), 1, "one sector decides");
            // Within a step, the order is the medium's.
            let mut state = disk.clone();
            apply(&mut state, &steps[..2].to_vec());
            assert_eq!(listing(&state, "reelmill").expect("readable"), told(old));
            apply(&mut disk, &steps);
        }
    }
}

#[test]
fn the_root_grows_for_a_folder_where_it_can() {
    const NAMES: [&str; 20] =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
    let mut disk = blank(Kind::Fat32);
    NAMES.iter().for_each(|name| put(&mut disk, name, &[file("who", name)]));
    let root: Vec<_> = Volume::read(&*disk).and_then(|v| v.list("")).expect("readable").into_iter().flatten().collect();
    assert_eq!(root.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), NAMES);
    assert!(NAMES.iter().all(|name| listing(&disk, name).expect("readable") == [format!("who={name}")]));
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_written() {
    let disk = blank(Kind::Fat12);
    let told = |folder, files: &[NewFile]| {
        let disk: &[u8] = &disk;
        Volume::read(disk).expect("a file system").put(folder, files, NOON).expect_err("no room").to_string()
    };
    assert_eq!(told("reelmill", &[file("join.toml", &"x".repeat(2 << 20))]), "its FAT file system has no room left");
    let mut disk = blank(Kind::Fat16);
    let mut raw = entry::plain(b"REELMILL   ", 0, entry::New { folder: false, cluster: 0, length: 0, time: NOON });
    let at =
        usize::try_from(Volume::read(&*disk).expect("a file system").root().expect("readable").at(0)).expect("small");
    disk[at..at + 32].copy_from_slice(&raw);
    let told =
        |disk: &[u8]| Volume::read(disk).expect("one").put("reelmill", &[], NOON).expect_err("no folder").to_string();
    assert_eq!(told(&disk), "reelmill is a file there, not a folder");
    raw[11] = 0x10;
    entry::point(&mut raw, 60_000);
    disk[at..at + 32].copy_from_slice(&raw);
    assert_eq!(told(&disk), "its FAT file system is damaged: a chain of clusters leaves the volume");
}

#[test]
fn a_file_of_ours_that_is_none_is_left_alone() {
    let mut disk = blank(Kind::Fat16);
    put(&mut disk, "reelmill", &[file("join.toml", &"x".repeat(1 << 20))]);
    put(&mut disk, "reelmill", &[file("join.toml", &"x".repeat((1 << 20) + 1))]);
    let error = Volume::read(&*disk).expect("one").put("reelmill", &[file("join.toml", "y")], NOON).expect_err("long");
    assert_eq!(error.to_string(), "its FAT file system is damaged: a file of ours is far too long");
}

#[test]
fn a_chain_that_goes_in_a_circle_ends() {
    for kind in KINDS {
        let mut disk = blank(kind);
        put(&mut disk, "reelmill", &[file("join.toml", &"x".repeat(2000))]);
        let volume = Volume::read(&*disk).expect("a file system");
        let cluster = volume.list("").expect("readable").expect("the root")[0].cluster;
        let (at, mut table) = (usize::try_from(volume.shape.tables).expect("small"), volume.table.clone());
        set(&mut table, kind, cluster, cluster);
        disk[at..at + table.len()].copy_from_slice(&table);
        let error = listing(&disk, "reelmill").expect_err("endless").to_string();
        assert!(error.starts_with("its FAT file system is damaged: a "), "{error}");
        let error = Volume::read(&*disk).expect("one").put("reelmill", &[], NOON).expect_err("endless").to_string();
        assert!(error.starts_with("its FAT file system is damaged: a "), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_damaged_file_system_is_read_without_harm(
        kind in 0..3_usize,
        hits in prop::collection::vec((0..40_000_usize, any::<u8>()), 1..40),
        boot in prop::collection::vec((0..64_usize, any::<u8>()), 0..3),
    ) {
        let mut disk = blank(KINDS[kind]);
        put(&mut disk, "reelmill", &[file("join.toml", "x"), file("a long name of a file", "y")]);
        hits.into_iter().chain(boot).for_each(|(at, byte)| disk[at] = byte);
        let _ = listing(&disk, "reelmill");
        let length = disk.len() as u64;
        if let Ok(steps) = Volume::read(&*disk).and_then(|v| v.put("reelmill", &[file("hostname", "z")], NOON)) {
            prop_assert!(steps.iter().flatten().all(|patch| patch.at + patch.bytes.len() as u64 <= length));
        }
    }

    #[test]
    fn names_are_read_as_they_are_written(name in "[a-z0-9._]{1,40}", taken in "[a-z]{1,8}") {
        prop_assume!(!name.starts_with('.') && !name.ends_with('.'));
        let name: &'static str = Box::leak(name.into_boxed_str());
        let taken: &'static str = Box::leak(taken.into_boxed_str());
        prop_assume!(name != taken);
        let mut disk = blank(Kind::Fat16);
        put(&mut disk, "reelmill", &[file(taken, "1"), file(name, "2")]);
        prop_assert_eq!(listing(&disk, "reelmill").expect("readable"), [format!("{taken}=1"), format!("{name}=2")]);
    }
}
