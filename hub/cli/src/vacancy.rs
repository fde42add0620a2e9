//! A destination folder that is not there at the start: if nothing comes to lie in it, it is not there at the end.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders that are missing on the way to a destination.
#[derive(Debug)]
pub(crate) struct Vacancy {
    innermost_first: Vec<PathBuf>,
}

impl Vacancy {
    /// What is missing of that folder now.
    pub(crate) fn of(folder: &Path) -> Self {
        let missing = folder.ancestors().take_while(|path| fs::symlink_metadata(path).is_err());
        Self { innermost_first: missing.map(Path::to_owned).collect() }
    }

    /// Removes those of them that were made meanwhile and are empty.
    pub(crate) fn restore(&self) {
        for folder in &self.innermost_first {
            // Only an empty folder can be removed so.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `there`, then of `there/new/deep`, after `made` was made in them and the rest restored.
    fn check(made: &[&str], left: &[&str]) {
        let at = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(at.path().join("there")).expect("our folder");
        let vacancy = Vacancy::of(&at.path().join("there/new/deep"));
        for name in made {
            fs::create_dir_all(at.path().join(name)).expect("our folder");
        }
        vacancy.restore();
        let all = ["there", "there/new", "there/new/deep", "there/new/deep/x", "there/new/other"];
        let found: Vec<_> = all.into_iter().filter(|name| at.path().join(name).exists()).collect();
        assert_eq!(found, left, "{made:?}");
    }

    #[test]
    fn only_what_was_made_and_is_empty_is_removed() {
        check(&[], &["there"]);
        check(&["there/new"], &["there"]);
        check(&["there/new/deep"], &["there"]);
        check(&["there/new/deep/x"], &["there", "there/new", "there/new/deep", "there/new/deep/x"]);
        check(&["there/new/deep", "there/new/other"], &["there", "there/new", "there/new/other"]);
    }
}
