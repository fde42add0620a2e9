//! The kernel's small files, which say something else each time they are read.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The kernel's files of one value are shorter.
const LONGEST: usize = 256;

/// A small file that is kept open and read anew each time: one system call instead of three.
#[derive(Debug)]
pub(crate) struct SmallFile {
    path: PathBuf,
    file: Option<File>,
}

impl SmallFile {
    /// The file at `path`, if it can be opened and read now or later: a sensor without power cannot be read.
    pub(crate) fn find(path: PathBuf) -> Option<Self> {
        let file = File::open(&path).ok()?;
        Some(Self { path, file: Some(file) })
    }

    /// What it says, parsed; `None` where it says nothing that fits.
    pub(crate) fn value<T: FromStr>(&mut self) -> Option<T> {
        let mut bytes = [0; LONGEST];
        let count = self.fill(&mut bytes).ok()?;
        str::from_utf8(&bytes[..count]).ok()?.trim().parse().ok()
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path)?);
        }
        let count = self.file.as_ref().map_or(Ok(0), |file| file.read_at(bytes, 0));
        if count.as_ref().is_err_and(|error| error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())) {
            // The device is another one now.
            self.file = None;
        }
        count
    }
}

/// What a small file says now, without blanks around it; `None` where it cannot be read or is empty.
pub(crate) fn text(path: &Path) -> Option<String> {
    // A device tree's texts end with a NUL.
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a small file says now, parsed.
pub(crate) fn value<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// What lies in a folder, in the order of its names with numbers by their value; nothing where there is no folder.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort_by_cached_key(|path| {
        let name = name(path);
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let number: u64 = name[stem.len()..].parse().unwrap_or(0);
        (stem, number)
    });
    paths
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
