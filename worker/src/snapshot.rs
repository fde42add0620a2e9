//! Whole texts that tests compare, in files beside them: a change of one is seen in review.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where a text or a folder of them lies.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Holds a text against the file of that name; `REELMILL_BLESS=1` writes the file anew.
pub(crate) fn check(got: &str, name: &str) {
    let path = path(name);
    if std::env::var_os("REELMILL_BLESS").is_some() {
        std::fs::write(path, got).expect("the snapshot can be written");
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(got, want, "{} (REELMILL_BLESS=1 writes it anew)", path.display());
}

/// The names of the texts in a folder.
pub(crate) fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path(folder)).expect("the texts lie in a folder");
    entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name")).collect()
}
