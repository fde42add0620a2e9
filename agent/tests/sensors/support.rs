//! Files of known answers, the lines of tegrastats, and folders that stand for a root directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The agent's program.
pub(crate) fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_reelmill-agent"))
}

/// Compares text with a file of `tests/data`, which `REELMILL_BLESS=1` writes anew.
pub(crate) fn check(name: &str, text: &str) {
    let path = data(name);
    if std::env::var_os("REELMILL_BLESS").is_some() {
        fs::write(&path, text).expect("the file can be written");
    }
    let known = fs::read_to_string(&path).expect("the file exists");
    let differs = text.lines().zip(known.lines()).position(|(got, want)| got != want);
    assert_eq!(text, known, "{name} differs from line {differs:?} on (REELMILL_BLESS=1 writes it anew)");
}

/// What real boards printed: where it is from, and the line.
pub(crate) fn lines() -> Vec<(String, String)> {
    let text = fs::read_to_string(data("tegrastats/lines.txt")).expect("the file exists");
    let mut lines = Vec::new();
    let mut heading = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(of) => heading = of.to_owned(),
            None => lines.push((heading.clone(), line.to_owned())),
        }
    }
    lines
}

/// A folder that stands for a root directory, with these files in it.
pub(crate) fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder of our own");
    for (path, text) in files {
        put(folder.path(), path, text);
    }
    folder
}

/// Writes a file below a folder.
pub(crate) fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder of our own");
    fs::write(path, text).expect("a folder of our own");
}
