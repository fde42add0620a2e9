//! The rules of the repository's structure, as code: see docs/architecture.md.

mod arrows;
mod manifest;
mod openings;
mod top_level;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use manifest::Manifest;

/// Looks at the whole repository and tells of everything that breaks a rule, not only of the first.
pub(crate) fn structure(root: &Path) -> Result<()> {
    let mut complaints = top_level::check(&names_in(root)?);
    let mut manifests = Vec::new();
    for file in files(root)? {
        let shown = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let read = || fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"));
        if shown.ends_with(".rs") {
            complaints.extend(openings::check(&shown, &read()?));
        } else if let Some(folder) = shown.strip_suffix("/Cargo.toml") {
            manifests.push(Manifest::parse(folder, &read()?));
        }
    }
    complaints.extend(arrows::check(&manifests));
    if !complaints.is_empty() {
        bail!("{} rules of the structure are broken\n{}", complaints.len(), complaints.join("\n"));
    }
    Ok(())
}

/// The names in a folder, in order.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// All files below `folder`, without hidden folders and what tools build.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in names_in(folder)? {
        let path = folder.join(&name);
        let kind = fs::symlink_metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() && !name.starts_with('.') && !top_level::BUILT.contains(&name.as_str()) {
            found.extend(files(&path)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_every_broken_rule_at_once() {
        let root = std::env::temp_dir().join(format!("xtask-lint-{}", std::process::id()));
        fs::create_dir_all(root.join("worker/src")).expect("a folder of our own");
        fs::create_dir_all(root.join("hub/target")).expect("a folder of our own");
        let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a folder of our own");
        write("notes.txt", "");
        write("hub/Cargo.toml", "[package]\nname = \"reelmill-hub\"\n");
        write("hub/target/built.rs", "fn no_opening_but_built() {}");
        write("worker/Cargo.toml", "[package]\nname = \"reelmill-worker\"\n[dependencies]\nreelmill-hub = \"0\"\n");
        write("worker/src/main.rs", "fn main() {}");
        let error = structure(&root).expect_err("three rules are broken").to_string();
        fs::remove_dir_all(&root).expect("a folder of our own");
        assert!(error.starts_with("3 rules"), "{error}");
        for part in ["notes.txt", "worker/src/main.rs", "worker/Cargo.toml: reelmill-worker"] {
            assert!(error.contains(part), "no word of {part} in: {error}");
        }
    }
}
