//! Cuts, damage, and files that others hold.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

type Text = String;

fn open_at(path: &Path) -> Opened<Text> {
    Ledger::open(path, "a mark".to_owned()).expect("a folder of our own")
}

fn scene() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("ledger");
    (folder, path)
}

/// A file with these records.
fn written(records: &[&str]) -> (TempDir, PathBuf) {
    let (folder, path) = scene();
    let mut ledger = open_at(&path).ledger;
    for record in records {
        ledger.append(record).expect("there is room");
    }
    (folder, path)
}

#[test]
fn keeps_records_in_their_order() {
    let (_folder, path) = written(&["one", "two\nlines", ""]);
    let opened = open_at(&path);
    assert_eq!(
        (opened.records, opened.torn, opened.damage),
        (vec!["one".into(), "two\nlines".into(), "".into()], 0, None)
    );
}

#[test]
fn takes_records_after_a_torn_one() {
    let (_folder, path) = written(&["one", "two"]);
    let bytes = fs::read(&path).expect("ours");
    fs::write(&path, &bytes[..bytes.len() - 3]).expect("ours");
    let mut opened = open_at(&path);
    assert_eq!(
        (opened.records.as_slice(), opened.torn > 0, opened.damage.is_none()),
        (&["one".to_owned()][..], true, true)
    );
    opened.ledger.append(&"three").expect("there is room");
    drop(opened.ledger);
    assert_eq!(open_at(&path).records, ["one", "three"]);
}

#[test]
fn blocks_that_never_reached_the_disk_are_a_torn_record() {
    let (_folder, path) = written(&["one"]);
    let mut bytes = fs::read(&path).expect("ours");
    bytes.extend([0; 512]);
    fs::write(&path, &bytes).expect("ours");
    let opened = open_at(&path);
    assert_eq!((opened.records, opened.torn, opened.damage), (vec!["one".to_owned()], 512, None));
}

#[test]
fn damage_is_put_aside_and_leaves_a_mark() {
    let (_folder, path) = written(&["one", "two", "three"]);
    let found = fs::read_to_string(&path).expect("ours").replace("two", "tvo");
    fs::write(&path, &found).expect("ours");
    let opened = open_at(&path);
    let aside = path.with_extension("damaged-1");
    assert_eq!(opened.records, ["one", "three", "a mark"]);
    assert_eq!(opened.damage, Some(Damage { lines: vec![2], aside: aside.clone() }));
    assert_eq!(fs::read_to_string(aside).expect("put aside"), found);
    drop(opened.ledger);
    let again = open_at(&path);
    assert_eq!((again.records, again.damage), (vec!["one".into(), "three".into(), "a mark".into()], None));
}

#[test]
fn a_last_line_that_is_whole_but_wrong_is_damage() {
    let (_folder, path) = written(&["one", "two"]);
    let found = fs::read_to_string(&path).expect("ours").replace("two", "tvo");
    fs::write(&path, found).expect("ours");
    assert_eq!(open_at(&path).damage.map(|d| d.lines), Some(vec![2]));
}

#[test]
fn is_rewritten_whole_and_goes_on() {
    let (_folder, path) = written(&["one", "two"]);
    let mut opened = open_at(&path);
    opened.ledger.rewrite(&["three"]).expect("there is room");
    opened.ledger.append(&"four").expect("there is room");
    assert!(matches!(Ledger::open(&path, String::new()), Err(LedgerError::InUse(_))), "the new file is ours too");
    drop(opened.ledger);
    assert_eq!(open_at(&path).records, ["three", "four"]);
}

#[test]
fn gets_long_when_most_of_it_is_old() {
    let (_folder, path) = scene();
    let mut ledger = open_at(&path).ledger;
    let record = "x".repeat(60 * 1024);
    let long: Vec<bool> = (0..6)
        .map(|_| {
            ledger.append(&record).expect("there is room");
            ledger.is_long()
        })
        .collect();
    assert_eq!(long, [false, false, false, false, true, true]);
    ledger.rewrite(&[&record]).expect("there is room");
    assert!(!ledger.is_long());
}

#[test]
fn belongs_to_one_agent() {
    let (_folder, path) = written(&["one"]);
    let _held = open_at(&path);
    let error = Ledger::open(&path, String::new()).expect_err("held");
    assert_eq!(error.to_string(), format!("the ledger {} is in use by another agent", path.display()));
}

proptest! {
    #[test]
    fn any_truncation_loads_to_a_prefix(records: Vec<String>, cut: prop::sample::Index) {
        let bytes: Vec<u8> = records.iter().flat_map(|r| line::write(r).expect("text")).collect();
        let read = line::read::<Text>(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(read.bad.is_empty());
        prop_assert_eq!(&read.records[..], &records[..read.records.len()]);
    }

    #[test]
    fn any_flipped_bit_is_found(records in prop::collection::vec(".{1,8}", 1..5), at: prop::sample::Index, bit in 0..8u8) {
        let mut bytes: Vec<u8> = records.iter().flat_map(|r| line::write(r).expect("text")).collect();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = line::read::<Text>(&bytes);
        prop_assert!(!read.bad.is_empty() || read.torn > 0);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let read = line::read::<Text>(&bytes);
        prop_assert!(read.torn <= bytes.len());
    }
}
