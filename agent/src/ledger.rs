//! The ledger on disk: every change of a command is here before anything is done about it. A plain file of lines, each
//! a record with its checksum, only ever appended to; what was appended is on the disk when the call returns.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

mod line;

/// Below this many bytes nobody gains by a shorter file.
const WORTH_COMPACTING: u64 = 256 * 1024;

/// Why the ledger cannot be used. Nothing may be done for a command then.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it open.
    #[error("the ledger {0} is in use by another agent")]
    InUse(PathBuf),
    /// The disk or its file system refused.
    #[error("cannot {doing} the ledger {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The open file. The records themselves are the caller's to keep.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Bytes after the last compaction.
    compact: u64,
}

/// What a ledger held when it was opened.
#[derive(Debug)]
pub struct Opened<R> {
    /// The ledger, ready to take more.
    pub ledger: Ledger,
    /// Its records in the order in which they were written.
    pub records: Vec<R>,
    /// Bytes of a last record that was never finished, and so never acted upon; they are gone.
    pub torn: usize,
    /// What was broken elsewhere.
    pub damage: Option<Damage>,
}

/// A ledger that was broken in a place where no power cut breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Lines that could not be read, from 1.
    pub lines: Vec<usize>,
    /// Where the file was put aside, as it was found.
    pub aside: PathBuf,
}

impl Ledger {
    /// Opens the ledger at `path`, or makes it. Where it is damaged, the file is put aside, what can be read is written
    /// anew, and `mark` after it, so that also the next start knows that something is missing.
    ///
    /// # Errors
    /// If another process has it, or the disk refuses.
    pub fn open<R: Serialize + DeserializeOwned>(path: &Path, mark: R) -> Result<Opened<R>, LedgerError> {
        let file = open(path).map_err(failed("open", path))?;
        lock(&file, path)?;
        let bytes = fs::read(path).map_err(failed("read", path))?;
        let read = line::read::<R>(&bytes);
        let whole = bytes.len() - read.torn;
        let mut ledger = Self { path: path.to_owned(), file, bytes: whole as u64, compact: whole as u64 };
        let mut records = read.records;
        let mut damage = None;
        if read.bad.is_empty() {
            ledger.cut(read.torn)?;
        } else {
            let aside = ledger.put_aside()?;
            records.push(mark);
            ledger.rewrite(&records)?;
            damage = Some(Damage { lines: read.bad, aside });
        }
        // The file's name must be as lasting as what is in it.
        sync_folder(path).map_err(failed("keep", path))?;
        Ok(Opened { ledger, records, torn: read.torn, damage })
    }

    /// Appends a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses. What is in the file is unknown then: the ledger must be opened again before it is used.
    pub fn append(&mut self, record: &impl Serialize) -> Result<(), LedgerError> {
        let line = line::write(record).map_err(failed("write", &self.path))?;
        self.file.write_all(&line).map_err(failed("write", &self.path))?;
        self.file.sync_data().map_err(failed("write", &self.path))?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Whether most of the file is likely to be out of date.
    pub fn is_long(&self) -> bool {
        self.bytes > WORTH_COMPACTING && self.bytes > 2 * self.compact
    }

    /// Replaces all records by these, in one step that a power cut cannot halve.
    ///
    /// # Errors
    /// If the disk refuses; the ledger stays as it was.
    pub fn rewrite(&mut self, records: &[impl Serialize]) -> Result<(), LedgerError> {
        let fresh = self.path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let write = || {
            let mut file = open(&fresh)?;
            let mut bytes = 0;
            for record in records {
                let line = line::write(record)?;
                file.write_all(&line)?;
                bytes += line.len() as u64;
            }
            file.sync_all()?;
            Ok((file, bytes))
        };
        let (file, bytes) = write().map_err(failed("rewrite", &self.path))?;
        lock(&file, &self.path)?;
        fs::rename(&fresh, &self.path).map_err(failed("replace", &self.path))?;
        sync_folder(&self.path).map_err(failed("replace", &self.path))?;
        (self.file, self.bytes, self.compact) = (file, bytes, bytes);
        Ok(())
    }

    fn cut(&mut self, torn: usize) -> Result<(), LedgerError> {
        if torn > 0 {
            self.file.set_len(self.bytes).map_err(failed("mend", &self.path))?;
            self.file.sync_all().map_err(failed("mend", &self.path))?;
        }
        Ok(())
    }

    /// Gives the file a second name, under which it stays when the first one is taken by another.
    fn put_aside(&self) -> Result<PathBuf, LedgerError> {
        let name = |n: u32| self.path.with_extension(format!("damaged-{n}"));
        let aside = (1..).map(name).find(|aside| !aside.exists()).expect("there are more numbers than files");
        fs::hard_link(&self.path, &aside).map_err(failed("put aside", &self.path))?;
        Ok(aside)
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Commands name people and reasons; nobody else needs to read them.
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

fn lock(file: &File, path: &Path) -> Result<(), LedgerError> {
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => LedgerError::InUse(path.to_owned()),
        TryLockError::Error(source) => failed("lock", path)(source),
    })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError + use<> {
    let path = path.to_owned();
    move |source| LedgerError::Io { doing, path, source }
}

#[cfg(test)]
mod tests;
