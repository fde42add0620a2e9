//! What the NixOS modules produce, as the golden files hold it: `tests/nix/golden/FOLDER/...`, written by
//! `GOLDEN=write cargo xtask test nix` where Nix is, and compared there on every run. The tests of this crate hand them to the
//! real programs everywhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Machines that are made of golden files.
pub mod machine;
/// The comparison with what was evaluated.
pub mod texts;

/// What stands in golden files where a store path has its digest.
pub const DIGEST: &str = "00000000000000000000000000000000";

/// The folder of golden files.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nix/golden")
}

/// The folder of the packages' Nix files and scripts.
pub fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/packages")
}

/// The text of a golden file.
///
/// # Panics
/// If there is none.
pub fn text(path: &str) -> String {
    let file = golden().join(path);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
