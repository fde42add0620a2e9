//! Listing S3 objects and "folders", page by page.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use reelmill_api::{Location, S3Location};

use super::{Deed, S3};
use crate::{Listed, StorageError, retry::Tries};

impl S3 {
    /// All objects under a folder-like prefix.
    pub(crate) async fn list(&self, prefix: &S3Location) -> Result<Vec<Listed>, StorageError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(self, prefix, None);
        while let Some(page) = pages.next().await? {
            for object in page.contents() {
                let bytes = object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                match S3Location::new(prefix.bucket(), object.key().unwrap_or_default()) {
                    Ok(at) => found.push(Listed { location: Location::S3(at), bytes }),
                    Err(e) => log::debug!("skipped while listing: {e}"),
                }
            }
        }
        Ok(found)
    }

    /// The names of the "folders" directly under a prefix.
    pub(crate) async fn list_folders(&self, prefix: &S3Location) -> Result<Vec<String>, StorageError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(self, prefix, Some("/"));
        while let Some(page) = pages.next().await? {
            let names = page.common_prefixes().iter().filter_map(|p| p.prefix()?.strip_prefix(&*pages.prefix));
            found.extend(names.map(|name| name.trim_end_matches('/').to_owned()));
        }
        Ok(found)
    }

    /// Asks for one key under the prefix: proves address, keys and bucket.
    pub(crate) async fn probe_list(&self, prefix: &S3Location) -> Result<(), StorageError> {
        let mut pages = Pages::of(self, prefix, None);
        pages.deed = self.deed("use", prefix);
        pages.most = 1;
        pages.next().await.map(drop)
    }
}

/// The prefix of everything in a folder: `out` and `out/` both are `out/`, so that `out2/` is never meant.
pub(super) fn folder_prefix(at: &S3Location) -> String {
    match at.key().trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

/// The pages of one listing.
struct Pages<'a> {
    s3: &'a S3,
    deed: Deed,
    prefix: String,
    delimiter: Option<&'static str>,
    most: i32,
    token: Option<String>,
    done: bool,
}

impl<'a> Pages<'a> {
    fn of(s3: &'a S3, at: &S3Location, delimiter: Option<&'static str>) -> Self {
        let deed = s3.deed("list", at);
        Self { s3, deed, prefix: folder_prefix(at), delimiter, most: 1000, token: None, done: false }
    }

    async fn next(&mut self) -> Result<Option<ListObjectsV2Output>, StorageError> {
        if self.done {
            return Ok(None);
        }
        let mut tries = Tries::new(self.s3.known.patience);
        let page = loop {
            let request = self.s3.client.list_objects_v2().bucket(self.deed.at.bucket()).prefix(&self.prefix);
            let request = request.max_keys(self.most).set_delimiter(self.delimiter.map(str::to_owned));
            let request = request.set_continuation_token(self.token.clone()).send();
            match self.deed.within(self.s3.known.patience.stall, request).await {
                Ok(page) => break page,
                Err(fault) => tries.again(fault.error_of_list(&self.deed)).await?,
            }
        };
        let token = page.next_continuation_token().map(str::to_owned);
        if page.is_truncated() == Some(true) && (token.is_none() || token == self.token) {
            return Err(self.deed.broken("its listing does not go on"));
        }
        self.done = page.is_truncated() != Some(true);
        self.token = token;
        Ok(Some(page))
    }
}
