//! The texts that come of evaluating the flake, against the files that hold them in the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::DIGEST;

/// What a store path begins with.
const STORE: &str = "/nix/store/";
/// Below these folders, a file that no text belongs to is a leftover.
const WHOLE: [&str; 1] = ["tests/nix/golden"];

/// Texts by their paths in the repository, without what differs from machine to machine.
pub type Texts = BTreeMap<String, String>;

/// Reads texts as Nix prints them: one JSON object.
///
/// # Errors
/// If it is something else, or if a path leads out of the repository.
pub fn parse(json: &str) -> Result<Texts, String> {
    let texts: Texts =
        serde_json::from_str(json).map_err(|e| format!("the texts are no JSON object of strings: {e}"))?;
    if let Some(path) = texts.keys().find(|path| path.split('/').any(|part| matches!(part, "" | "." | ".."))) {
        return Err(format!("`{path}` is no path inside the repository"));
    }
    Ok(texts.into_iter().map(|(path, text)| (path, without_digests(&text))).collect())
}

/// The text with every store path's digest made the same.
pub fn without_digests(text: &str) -> String {
    let mut parts = text.split(STORE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(STORE);
        let digest =
            part.get(..DIGEST.len()).filter(|d| d.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        match digest.and_then(|_| part.get(DIGEST.len()..)) {
            Some(rest) if rest.starts_with('-') => {
                out.push_str(DIGEST);
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// What is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// There is no such file.
    Missing(String),
    /// The file says something else; the first line that differs, as it is here and as it came.
    Changed(String, usize, String, String),
    /// No text belongs to the file.
    Left(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path}: missing"),
            Self::Left(path) => write!(f, "{path}: left over, nothing produces it"),
            Self::Changed(path, line, here, came) => write!(f, "{path}:{line}: changed\n  - {here}\n  + {came}"),
        }
    }
}

/// All differences between `texts` and the files below `root`.
///
/// # Errors
/// If a file cannot be read.
pub fn compare(root: &Path, texts: &Texts) -> io::Result<Vec<Difference>> {
    let mut found = Vec::new();
    for (path, text) in texts {
        match fs::read_to_string(root.join(path)) {
            Ok(here) if here == *text => {}
            Ok(here) => {
                let (line, old, new) = first_difference(&here, text);
                found.push(Difference::Changed(path.clone(), line, old, new));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => found.push(Difference::Missing(path.clone())),
            Err(e) => return Err(e),
        }
    }
    found.extend(left(root, texts)?.into_iter().map(Difference::Left));
    Ok(found)
}

/// Makes the files what `texts` say, and removes what is left over.
///
/// # Errors
/// If a file cannot be written or removed.
pub fn write(root: &Path, texts: &Texts) -> io::Result<()> {
    for (path, text) in texts {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap_or(root))?;
        fs::write(file, text)?;
    }
    left(root, texts)?.iter().try_for_each(|path| fs::remove_file(root.join(path)))
}

fn left(root: &Path, texts: &Texts) -> io::Result<BTreeSet<String>> {
    let mut files = Vec::new();
    for folder in WHOLE.map(|folder| root.join(folder)).iter().filter(|folder| folder.is_dir()) {
        collect(folder, &mut files)?;
    }
    let shown = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    Ok(files.iter().map(shown).filter(|path| !texts.contains_key(path)).collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The number of the first line in which they differ, and it in both.
fn first_difference(here: &str, came: &str) -> (usize, String, String) {
    let (mut old, mut new, mut number) = (here.split('\n'), came.split('\n'), 0);
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (a, b) if a == b && a.is_some() => {}
            (a, b) => return (number, a.unwrap_or("(end)").to_owned(), b.unwrap_or("(end)").to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_lose_their_digests_and_nothing_else_changes() {
        let digest = "0123456789abcdfghijklmnpqrsvwxyz";
        let text =
            format!("a /nix/store/{digest}-agent.toml b /nix/store/{digest}-x/bin/y, /nix/store/short-x /nix/store/");
        let want =
            format!("a /nix/store/{DIGEST}-agent.toml b /nix/store/{DIGEST}-x/bin/y, /nix/store/short-x /nix/store/");
        assert_eq!(without_digests(&text), want);
        assert_eq!(without_digests("/nix/store/ä"), "/nix/store/ä");
    }

    #[test]
    fn tells_missing_changed_and_left_files_and_writing_mends_them() {
        let root = tempfile::tempdir().expect("a folder");
        let file = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().expect("it has one"))
                .and_then(|()| fs::write(file, text))
                .expect("it is ours");
        };
        file("tests/nix/golden/a/same", "one\n");
        file("tests/nix/golden/a/changed", "one\ntwo\n");
        file("tests/nix/golden/b/left", "");
        file("docs/other.md", "nobody's");
        let texts =
            r#"{"tests/nix/golden/a/same": "one\n", "tests/nix/golden/a/changed": "one\n2\n", "docs/new.md": "new"}"#;
        let texts = parse(texts).expect("texts");
        let golden = |name: &str| format!("tests/nix/golden/{name}");
        let want = [
            Difference::Missing("docs/new.md".to_owned()),
            Difference::Changed(golden("a/changed"), 2, "two".to_owned(), "2".to_owned()),
            Difference::Left(golden("b/left")),
        ];
        assert_eq!(compare(root.path(), &texts).expect("readable"), want);
        write(root.path(), &texts).expect("writable");
        assert_eq!(compare(root.path(), &texts).expect("readable"), []);
        assert!(root.path().join("docs/other.md").exists());
    }

    #[test]
    fn a_text_may_not_leave_the_repository() {
        for path in ["../x", "/etc/x", "a/./b", "a//b"] {
            let json = serde_json::json!({ path: "" }).to_string();
            assert_eq!(parse(&json), Err(format!("`{path}` is no path inside the repository")));
        }
    }
}
