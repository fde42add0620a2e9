//! The generations of Nix's profile of systems: numbered links beside it, of which the profile itself names the present one.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::fleet::{
    StorePath,
    args::{self, Previous},
};

use super::{
    programs::{Failed, Program},
    toplevel,
};

/// Links are written, nothing else.
const SOON: Duration = Duration::from_secs(120);

/// The profile of systems.
#[derive(Debug)]
pub struct Profile<'a>(pub &'a Path);

impl Profile<'_> {
    /// The numbers of all generations, from the lowest.
    pub fn numbers(&self) -> Vec<u32> {
        let names = fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut numbers: Vec<u32> = names.filter_map(|name| self.number(name.to_str()?)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The system of a generation.
    pub fn system(&self, number: u32) -> Option<StorePath> {
        toplevel::at(&self.link(number))
    }

    /// The present generation.
    pub fn present(&self) -> Option<(u32, StorePath)> {
        let link = fs::read_link(self.0).ok()?;
        Some((self.number(link.file_name()?.to_str()?)?, toplevel::at(self.0)?))
    }

    /// The generation of a system; the newest, if it has several.
    pub fn of(&self, system: &StorePath) -> Option<u32> {
        self.numbers().into_iter().rev().find(|number| self.system(*number).as_ref() == Some(system))
    }

    /// The number that a new generation gets.
    pub fn next(&self) -> u32 {
        self.numbers().last().map_or(1, |last| last + 1)
    }

    /// Adds a generation without making it the present one; one that is there already may stay.
    ///
    /// # Errors
    /// If the disk refuses, or another system has that number.
    pub fn add(&self, number: u32, system: &StorePath) -> io::Result<()> {
        let link = self.link(number);
        match symlink(system.as_str(), &link) {
            Err(e)
                if e.kind() == io::ErrorKind::AlreadyExists && fs::read_link(&link)? == Path::new(system.as_str()) => {}
            made => made?,
        }
        fs::File::open(self.folder())?.sync_all()
    }

    /// Takes a generation away. It must not be the present one.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn drop(&self, number: u32) -> io::Result<()> {
        match fs::remove_file(self.link(number)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => fs::File::open(self.folder())?.sync_all(),
        }
    }

    /// Makes a system the present generation: one that it has already, or a new one.
    ///
    /// # Errors
    /// What Nix says.
    pub async fn choose(&self, system: &StorePath, number: Option<u32>) -> Result<(), Failed> {
        let profile = self.0.display().to_string();
        let known =
            number.filter(|number| self.system(*number).as_ref() == Some(system)).map(|number| number.to_string());
        let words = match &known {
            Some(number) => ["--profile", &profile, "--switch-generation", number],
            None => ["--profile", &profile, "--set", system.as_str()],
        };
        Program::new("nix-env", words, SOON).answer().await?;
        let synced = fs::File::open(self.folder()).and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
        let failed = |e: io::Error| Failed { command: "sync".to_owned(), how: e.to_string(), said: String::new() };
        synced.map_err(failed)
    }

    fn folder(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new("/"))
    }

    fn link(&self, number: u32) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(format!("-{number}-link"));
        self.folder().join(name)
    }

    fn number(&self, name: &str) -> Option<u32> {
        let profile = self.0.file_name()?.to_str()?;
        name.strip_prefix(profile)?.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
    }
}

/// The number that a `rollback` means, among these.
pub fn meant(to: args::Generation, numbers: &[u32], present: Option<u32>) -> Option<u32> {
    match to {
        args::Generation::Number(number) => numbers.contains(&number).then_some(number),
        args::Generation::Previous(Previous::Previous) => {
            let present = present?;
            numbers.iter().copied().filter(|number| *number < present).max()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_means_a_generation_that_is_there() {
        let previous = args::Generation::Previous(Previous::Previous);
        assert_eq!(meant(previous, &[1, 4, 7, 9], Some(7)), Some(4));
        assert_eq!(meant(previous, &[7, 9], Some(7)), None, "a newer one is not the one before");
        assert_eq!(meant(previous, &[1, 2], None), None);
        assert_eq!(meant(args::Generation::Number(9), &[1, 9], Some(1)), Some(9));
        assert_eq!(meant(args::Generation::Number(3), &[1, 9], Some(1)), None);
    }

    #[test]
    fn generations_are_links_beside_the_profile() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("system");
        let profile = Profile(&path);
        assert_eq!((profile.numbers(), profile.present()), (vec![], None));
        let system: StorePath = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-a".parse().expect("a path");
        profile.add(profile.next(), &system).expect("a link");
        profile.add(1, &system).expect("it is there");
        profile.add(profile.next(), &system).expect("a link");
        let other: StorePath = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-b".parse().expect("a path");
        profile.add(2, &other).expect_err("the number is taken");
        for other in ["system-x-link", "other-3-link", "system-4-links", "system"] {
            fs::write(folder.path().join(other), "").expect("a file");
        }
        assert_eq!(profile.numbers(), [1, 2]);
        profile.drop(2).expect("removed");
        profile.drop(2).expect("again");
        assert_eq!(profile.numbers(), [1]);
        assert_eq!(fs::read_link(folder.path().join("system-1-link")).expect("a link"), Path::new(system.as_str()));
    }
}
