//! Files that are wiped: what was in them may open a farm, and the medium may come into other hands.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::Step;

/// A file with this at the end of its name was taken, and only has to be wiped.
const TAKEN: &str = "taken";

/// The name under which a file lies that has been taken.
pub fn taken(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TAKEN);
    PathBuf::from(name)
}

/// Writes over a file and removes it, on the medium when this returns. It gets another name first, so that one which is cut off
/// in the midst is never read again, and only wiped.
///
/// # Errors
/// If the medium cannot be written.
pub fn wipe(path: &Path, step: Step<'_>) -> io::Result<()> {
    let taken = taken(path);
    fs::rename(path, &taken)?;
    sync_folder(&taken)?;
    step("renamed");
    finish(&taken, step)
}

/// Ends what was begun: `path` is that of [`taken`].
///
/// # Errors
/// If the medium cannot be written.
pub fn finish(path: &Path, step: Step<'_>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).custom_flags(no_links()).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(1 << 20);
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    step("written over");
    fs::remove_file(path)?;
    sync_folder(path)?;
    step("removed");
    Ok(())
}

/// What opens a file and follows no link.
pub fn no_links() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
