//! Files that a power cut leaves as they were or as they are to be, never in between.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Only root may read it.
pub const PRIVATE: u32 = 0o600;
/// Everybody may read it.
pub const PUBLIC: u32 = 0o644;

/// Puts `bytes` in place of the file at `path`, or makes it. It is on the disk when this returns.
///
/// # Errors
/// If the disk refuses; then the file is what it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    forget(&fresh)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
    file.write_all(bytes)?;
    // The process's mask may have taken away what others are to have.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.sync_all()?;
    take_over(&fresh, path)
}

/// Gives the file at `from` the name `to`, whatever had it before, on the disk too.
///
/// # Errors
/// If the disk refuses.
pub fn take_over(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file, on the disk too; one that is not there is gone already.
///
/// # Errors
/// If the disk refuses.
pub fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// What is in a file; `None` where there is none.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_forgotten_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("worker.env");
        assert_eq!(read(&path).expect("none is fine"), None);
        // Left by somebody who died at it.
        fs::write(folder.path().join("worker.env.new"), "half").expect("ours");
        replace(&path, b"one", PRIVATE).expect("there is room");
        replace(&path, b"two", PUBLIC).expect("there is room");
        assert_eq!(read(&path).expect("it is there").as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, PUBLIC);
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 1, "nothing else is left");
        forget(&path).expect("it is there");
        forget(&path).expect("it is gone");
        assert_eq!(
            replace(&folder.path().join("no/x"), b"", PRIVATE).map_err(|e| e.kind()),
            Err(io::ErrorKind::NotFound)
        );
    }
}
