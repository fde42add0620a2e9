//! Bytes of media in and out of stores: S3 and folders behind one set of verbs, with ranged reads, streaming writes of
//! bounded memory, conditional puts and a connectivity test that says exactly what is wrong.

mod buffer;
mod check;
mod config;
mod error;
mod folder;
mod object;
mod reader;
mod retry;
mod roots;
mod s3;
mod storage;
mod upload;

pub use config::{LEAST_PART, Patience, S3Config};
pub use error::{Denied, StorageError};
pub use object::{Access, CheckReport, Condition, Listed, ObjectInfo, Stored, Version};
pub use reader::Reader;
pub use roots::FileRoots;
pub use storage::Storage;
pub use upload::Upload;
