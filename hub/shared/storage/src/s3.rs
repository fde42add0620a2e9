//! The S3 driver: each verb as requests that are watched for stalls and tried again.

mod body;
mod client;
mod delete;
mod fault;
mod list;
mod read;
mod upload;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use reelmill_api::S3Location;

use crate::{LEAST_PART, Patience, S3Config, StorageError, buffer::Gauge};
use body::Activity;
use fault::Fault;
pub(crate) use upload::S3Upload;

/// One S3 store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct S3 {
    client: Client,
    known: Arc<Known>,
    gauge: Gauge,
}

/// What messages and time limits need to know of the store.
#[derive(Debug)]
struct Known {
    store: String,
    endpoint: Option<String>,
    region: String,
    access_key: String,
    patience: Patience,
    part_bytes: usize,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}

impl S3 {
    /// The driver for a store; connects to nothing yet.
    pub(crate) fn new(config: &S3Config, gauge: Gauge) -> Result<Self, StorageError> {
        let known = Known {
            store: config.store(),
            endpoint: config.endpoint.as_ref().map(|_| config.store()),
            region: config.region.clone(),
            access_key: config.access_key.clone(),
            patience: config.patience,
            part_bytes: config.part_bytes.max(LEAST_PART),
        };
        Ok(Self { client: client::build(config)?, known: Arc::new(known), gauge })
    }

    /// The store's name in messages.
    pub(crate) fn store(&self) -> &str {
        &self.known.store
    }

    fn deed(&self, verb: &'static str, at: &S3Location) -> Deed {
        Deed { verb, at: at.clone(), known: self.known.clone() }
    }
}

/// What is being done, to which object, at which store: all that an error message names.
#[derive(Clone, Debug)]
struct Deed {
    verb: &'static str,
    at: S3Location,
    known: Arc<Known>,
}

impl Deed {
    fn what(&self) -> String {
        format!("{} {}", self.verb, self.at)
    }

    fn store(&self) -> String {
        self.known.store.clone()
    }

    fn bucket(&self) -> String {
        self.at.bucket().to_owned()
    }

    fn region(&self) -> String {
        self.known.region.clone()
    }

    fn access_key(&self) -> String {
        self.known.access_key.clone()
    }

    fn patience(&self) -> &Patience {
        &self.known.patience
    }

    fn not_found(&self) -> StorageError {
        let folder = self.at.key().rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let endpoint = self.known.endpoint.as_ref().map(|e| format!("--endpoint-url {e} ")).unwrap_or_default();
        let list = format!("aws {endpoint}s3 ls s3://{}/{folder}", self.at.bucket());
        StorageError::NotFound { what: self.what(), bucket: Some(self.bucket()), list }
    }

    fn changed(&self) -> StorageError {
        StorageError::Changed { what: self.what() }
    }

    fn broken(&self, why: impl Into<String>) -> StorageError {
        StorageError::Broken { what: self.what(), store: self.store(), why: why.into() }
    }

    fn stalled(&self, silent: Duration) -> StorageError {
        StorageError::Stalled { what: self.what(), store: self.store(), silent }
    }

    /// Waits for an answer no longer than a store may be silent.
    async fn within<T, E>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match tokio::time::timeout(limit, request).await {
            Ok(done) => done.map_err(|e| Fault::of(self, e)),
            Err(_) => Err(Fault::Transport(self.stalled(limit))),
        }
    }

    /// Waits for the answer to a request with a body for as long as its bytes go out.
    async fn sending<T, E>(
        &self,
        activity: &Activity,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let stall = self.patience().stall;
        let mut request = std::pin::pin!(request);
        loop {
            let deadline = activity.deadline(stall);
            match tokio::time::timeout_at(deadline, &mut request).await {
                Ok(done) => return done.map_err(|e| Fault::of(self, e)),
                Err(_) if activity.deadline(stall) <= tokio::time::Instant::now() => {
                    return Err(Fault::Transport(self.stalled(stall)));
                }
                Err(_) => {}
            }
        }
    }
}
