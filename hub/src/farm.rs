//! The queue and the stores that the hub works with: those of the configuration, or embedded ones.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context;
use reelmill_daemon::Hinted;
use reelmill_queue::{QueueError, SharedQueue};
use reelmill_storage::{FileRoots, S3Config, Storage, StorageError};
use tokio::net::TcpListener;
use url::Url;

use crate::{
    config::Config,
    folder::{Addresses, Folder, Keys},
    store::EmbeddedStore,
};

/// What the hub works with.
pub(crate) struct Farm {
    pub(crate) queue: SharedQueue,
    pub(crate) storage: Storage,
    /// The store to run, if it is ours.
    pub(crate) embedded: Option<EmbeddedStore>,
    pub(crate) addresses: Addresses,
}

impl Farm {
    /// Connects to what the configuration names, or builds what it leaves out.
    pub(crate) async fn open(config: &Config, folder: &Folder, api: String) -> anyhow::Result<Self> {
        match &config.store.endpoint {
            Some(endpoint) => Self::given(config, endpoint.url(), api).await,
            None => Self::embedded(config, folder, api).await,
        }
    }

    async fn given(config: &Config, endpoint: &Url, api: String) -> anyhow::Result<Self> {
        let s3 = given_store(config, endpoint)?;
        let store = s3.store();
        let url = config.queue.url.as_ref().context("QUEUE_URL is not set")?;
        let url = url.resolve().context("cannot use QUEUE_URL")?;
        let keys = config.store.keys()?.context("the store's keys are not set")?;
        let token = keys.session_token.as_ref().map(|token| token.expose());
        // SQS is opened by the keys of a store at AWS.
        let url = reelmill_queue::with_keys(url.expose(), keys.access.expose(), keys.secret.expose(), token);
        let addresses = Addresses { queue: None, keys: None, ..addresses(config, api, store) };
        Ok(Self { queue: connect(&url, config).await?, storage: storage(config, s3)?, embedded: None, addresses })
    }

    async fn embedded(config: &Config, folder: &Folder, api: String) -> anyhow::Result<Self> {
        let keys = folder.keys()?;
        let listener = store_listener(folder).await?;
        let store = format!("http://{}", listener.local_addr().context("cannot tell where the store listens")?);
        let buckets = [config.input_bucket(), config.output_bucket()];
        let pair = (keys.access.expose(), keys.secret.expose());
        let embedded = EmbeddedStore::new(&folder.store()?, &buckets, pair, listener)?;
        let url = folder.queue_url();
        let queue = connect(&url, config).await?;
        let s3 = embedded_store(config, &store, &keys)?;
        let addresses =
            Addresses { queue: Some(url), keys: Some(folder.key_references()), ..addresses(config, api, store) };
        Ok(Self { queue, storage: storage(config, s3)?, embedded: Some(embedded), addresses })
    }
}

fn addresses(config: &Config, api: String, store: String) -> Addresses {
    Addresses {
        api,
        store,
        queue: None,
        queue_name: config.queue.name.to_string(),
        input_bucket: config.input_bucket().to_owned(),
        output_bucket: config.output_bucket().to_owned(),
        keys: None,
        fleet: None,
    }
}

async fn connect(url: &str, config: &Config) -> anyhow::Result<SharedQueue> {
    let connected = reelmill_queue::connect(url, &config.queue.name).await;
    connected.map_err(|e| match &e {
        QueueError::BadAddress { hint, .. } => Hinted::new(e.to_string(), hint.clone()).into(),
        _ => Hinted::new(e, "is the queue server running, and is QUEUE_URL right?").into(),
    })
}

fn given_store(config: &Config, endpoint: &Url) -> anyhow::Result<S3Config> {
    let store = &config.store;
    let keys = store.keys()?.context("the store's keys are not set")?;
    let mut s3 = S3Config::new(Some(endpoint.clone()), &store.region, keys.access.expose(), keys.secret.expose());
    s3.session_token = keys.session_token.map(|token| token.expose().to_owned());
    s3.ca_file.clone_from(&store.ca_file);
    s3.path_style = store.path_style.unwrap_or(s3.path_style);
    if let Some(seconds) = store.stall_seconds {
        s3.patience.stall = Duration::from_secs(seconds.get().into());
    }
    Ok(s3)
}

fn embedded_store(config: &Config, store: &str, keys: &Keys) -> anyhow::Result<S3Config> {
    let endpoint = store.parse().context("the store's own address")?;
    Ok(S3Config::new(Some(endpoint), &config.store.region, keys.access.expose(), keys.secret.expose()))
}

fn storage(config: &Config, s3: S3Config) -> anyhow::Result<Storage> {
    let roots = config.files.read.iter().fold(FileRoots::none(), |roots, root| roots.reading(root));
    Storage::new(Some(s3), roots).map_err(|e: StorageError| match e.hint() {
        Some(hint) => Hinted::new(e, hint).into(),
        None => e.into(),
    })
}

/// The port of last time if it is free, else another one.
async fn store_listener(folder: &Folder) -> anyhow::Result<TcpListener> {
    let remembered = folder.port_of("store").unwrap_or(0);
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, remembered)).await {
        Ok(listener) => listener,
        Err(e) => {
            log::warn!("the embedded store cannot have port {remembered} again ({e}); it gets another one");
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen for the embedded store")?
        }
    };
    folder.remember_port_of("store", listener.local_addr().context("cannot tell where the store listens")?.port())?;
    Ok(listener)
}
