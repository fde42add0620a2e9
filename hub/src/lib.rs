//! The hub of a Reelmill farm: takes jobs over HTTP, keeps them in a database, sends their tasks to the queue, follows
//! what the workers tell, and shows it on a page. On one machine it also brings the store and the queue.

pub mod admission;
pub mod apply;
pub mod args;
mod backoff;
pub mod broker;
pub mod ca;
pub mod clock;
pub mod config;
pub mod db;
pub mod enrol;
mod farm;
pub mod feed;
pub mod fleet;
pub mod folder;
pub mod follower;
pub mod gauges;
pub mod outbox;
#[cfg(test)]
mod sample;
pub mod store;
pub mod web;

use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use reelmill_daemon::{http, notify};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Overrides};
use {
    admission::Terms,
    ca::Ca,
    db::Db,
    enrol::{Desk, Door},
    farm::Farm,
    feed::Feed,
    fleet::{Fleet, Nodes},
    folder::{Addresses, FleetAddresses, Folder},
    follower::Follower,
    gauges::Gauges,
    outbox::Outbox,
    web::App,
};

/// Where nodes reach a broker unless told otherwise.
const NODE_PORT: u16 = 8883;

/// A hub that serves.
#[derive(Debug)]
pub struct Hub {
    addresses: Addresses,
    folder: Folder,
    db: Db,
    parts: JoinSet<&'static str>,
    store: JoinSet<()>,
    stop: CancellationToken,
    stop_store: CancellationToken,
}

impl Hub {
    /// Builds the parts and starts them. When this returns, the hub is ready and `hub.json` says where it is.
    ///
    /// # Errors
    /// If a part cannot start.
    pub async fn start(config: Config, stop: CancellationToken) -> anyhow::Result<Self> {
        let folder = Folder::open(config.data()?)?;
        let listener = http::bind(config.listen).await?;
        let api = format!("http://{}", listener.local_addr().context("cannot tell where the hub listens")?);
        let Farm { queue, storage, embedded, addresses } = Farm::open(&config, &folder, api).await?;
        let db = Db::open(&folder.database()).await.context("cannot open the hub's database")?;
        let place = fleet::Place::find(&config, &folder, &db).await?;
        let nodes = Nodes::new(db.nodes().await?, place.as_ref().map(fleet::Place::line));
        let addresses = Addresses { fleet: place.as_ref().and_then(|place| place.addresses.clone()), ..addresses };

        let door = door(&config, &folder, &db, addresses.fleet.as_ref()).await?;
        let told = door.as_ref().map(|door| config.fleet.door_url(door.at()));
        let addresses = Addresses { door: told, ..addresses };
        let (feed, added, stop_store) = (Feed::new(), Arc::new(Notify::new()), CancellationToken::new());
        let input_bucket = config.input_bucket().to_owned();
        let terms = Terms { presets: config.presets()?, output_bucket: config.output_bucket().to_owned() };
        let outbox = Outbox { db: db.clone(), queue: queue.clone(), name: config.queue.name.clone() };
        let follower = Follower { queue: queue.clone(), db: db.clone(), feed: feed.clone() };
        let app = App {
            db: db.clone(),
            feed,
            nodes: nodes.clone(),
            added: added.clone(),
            queue,
            queue_name: config.queue.name,
            storage,
            terms,
            input_bucket,
            gauges: Gauges::new(place.as_ref().map(fleet::Place::shown).unwrap_or_default()),
            stop: stop.clone(),
        };

        let (mut parts, mut store) = (JoinSet::new(), JoinSet::new());
        if let Some(embedded) = embedded {
            store.spawn(embedded.run(stop_store.clone()));
        }
        parts.spawn(named("outbox", {
            let stop = stop.clone();
            async move { outbox.run(&added, stop).await }
        }));
        parts.spawn(named("follower of events", follower.run(stop.clone())));
        if let Some(place) = place {
            let fleet = Fleet { nodes, db: db.clone(), settings: place.settings };
            parts.spawn(named("listener to the fleet", fleet.run(stop.clone())));
            if let Some(broker) = place.embedded {
                parts.spawn(named("broker", broker.run(stop.clone())));
            }
        }
        if let Some(door) = door {
            parts.spawn(named("door for nodes", door.run(stop.clone())));
        }
        parts.spawn(named("HTTP server", serve(listener, app, stop.clone())));
        parts.spawn(named("watchdog", watchdog(stop.clone())));
        folder.announce(&addresses)?;
        notify::ready();
        log::info!("ready at {}", addresses.api);
        Ok(Self { addresses, folder, db, parts, store, stop, stop_store })
    }

    /// Where it and its store and queue can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits for the stop, or for a part that ends too early, and then ends all parts in order.
    ///
    /// # Errors
    /// If a part ended by itself.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let first = self.parts.join_next().await;
        let result = if self.stop.is_cancelled() { Ok(()) } else { Err(ended_early(first)) };
        self.stop.cancel();
        notify::stopping();
        self.folder.withdraw_addresses();
        while self.parts.join_next().await.is_some() {}
        // The store last: requests of the others may still be in it.
        self.stop_store.cancel();
        while self.store.join_next().await.is_some() {}
        self.db.close().await;
        result
    }
}

/// The door at which nodes ask to be taken in, if there is one.
async fn door(
    config: &Config,
    folder: &Folder,
    db: &Db,
    own_broker: Option<&FleetAddresses>,
) -> anyhow::Result<Option<Door>> {
    let Some(at) = config.fleet.enrol else { return Ok(None) };
    let listener = http::bind(at).await?;
    let at = listener.local_addr().context("cannot tell where the door for nodes is")?;
    let own_port = own_broker.and_then(|own| own.broker.rsplit_once(':')?.1.parse().ok());
    let desk = Desk {
        db: db.clone(),
        ca: Ca::open(&folder.ca())?,
        broker_host: config.fleet.broker.clone(),
        broker_port: config.fleet.node_port.map(u16::from).or(own_port).unwrap_or(NODE_PORT),
        trust: config.fleet.trust.clone().unwrap_or_else(|| folder.trust()),
        own: config.fleet.node.clone(),
    };
    desk.write_crl(Timestamp::now()).await?;
    let own_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let names = fleet::all_names(at.ip(), &[config.fleet.names.clone(), vec![own_name]].concat());
    log::info!("nodes ask at https://{at} to be taken in");
    Ok(Some(Door::new(listener, &names, Arc::new(desk))?))
}

async fn named(name: &'static str, part: impl Future<Output = ()>) -> &'static str {
    part.await;
    name
}

fn ended_early(part: Option<Result<&'static str, JoinError>>) -> anyhow::Error {
    match part {
        Some(Ok(name)) => anyhow::anyhow!("the {name} ended by itself; this is a bug"),
        Some(Err(e)) => anyhow::anyhow!("a part of the hub failed: {e}; this is a bug"),
        None => anyhow::anyhow!("nothing runs; this is a bug"),
    }
}

async fn serve(listener: tokio::net::TcpListener, app: App, stop: CancellationToken) {
    if let Err(e) = http::serve(listener, web::router(Arc::new(app)), stop).await {
        log::error!("the HTTP server failed: {e}");
    }
}

/// Ends only with the hub, also where no watchdog is asked for.
async fn watchdog(stop: CancellationToken) {
    notify::watchdog(|| true, stop.clone()).await;
    stop.cancelled().await;
}
