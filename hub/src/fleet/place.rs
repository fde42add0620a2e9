//! Where the hub hears the fleet: at a broker of the configuration, or at one that it brings, with all identities that this
//! needs.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reelmill_api::{NodeId, nodes::BrokerLine};
use reelmill_daemon::Hinted;
use reelmill_mqtt::{Identity, Settings};
use tokio::net::TcpListener;

use crate::{
    broker::{Broker, Files},
    ca::{self, Ca},
    config::{self, Config},
    db::Db,
    folder::{FleetAddresses, Folder, NodeAddresses, write_atomically},
};

/// A certificate of the hub's own, whose end is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it is for: `hub` or `authority`.
    pub kind: &'static str,
    /// Its file's name.
    pub name: String,
    /// The file, PEM.
    pub path: PathBuf,
}

/// What the hub hears the fleet by.
pub struct Place {
    /// Our line to the broker.
    pub settings: Settings,
    /// The broker to run, if it is ours.
    pub embedded: Option<Broker>,
    /// Where it is, if it is ours.
    pub addresses: Option<FleetAddresses>,
}

impl Place {
    /// The place that the configuration names, if any.
    ///
    /// # Errors
    /// If our own broker cannot listen, or has no identity.
    pub async fn find(config: &Config, folder: &Folder, db: &Db) -> anyhow::Result<Option<Self>> {
        let broker = config.fleet.broker().map_err(|why| anyhow::anyhow!(why))?;
        match broker {
            None => Ok(None),
            Some(config::Broker::Given { host, port, ca, cert, key }) => {
                let identity = Identity { ca: ca.to_owned(), cert: cert.to_owned(), key: key.to_owned() };
                Ok(Some(Self { settings: super::line(host, port, identity), embedded: None, addresses: None }))
            }
            Some(config::Broker::Embedded { listen, names, node }) => {
                let listener = listener(listen, folder).await?;
                let at = listener.local_addr().context("cannot tell where the broker listens")?;
                Self::embedded(listener, at, names, node, folder, db).await.map(Some)
            }
        }
    }

    async fn embedded(
        listener: TcpListener,
        at: SocketAddr,
        names: &[String],
        node: Option<&NodeId>,
        folder: &Folder,
        db: &Db,
    ) -> anyhow::Result<Self> {
        let ca = Ca::open(&folder.ca())?;
        let home = folder.fleet()?;
        let own = home.join("ca.pem");
        write(&own, ca.pem())?;
        let server = Pair::new(&home, "broker", &ca.server(&all_names(at.ip(), names))?)?;
        let hub = Pair::new(&home, "hub", &ca.client("hub")?)?;
        let operator = Pair::new(&home, "operator", &ca.client("operator")?)?;
        let node = match node {
            Some(name) => {
                let Pair { cert, key } = Pair::new(&home, "node", &ca.client(name.as_str())?)?;
                Some(NodeAddresses { name: name.clone(), cert, key })
            }
            None => None,
        };
        let files = Files {
            ca: own.clone(),
            crl: folder.ca().join("crl.pem"),
            cert: server.cert,
            key: server.key,
            operators: vec![hub.cert.clone(), operator.cert.clone()],
        };
        let near = near(at);
        let identity = Identity { ca: own.clone(), cert: hub.cert, key: hub.key };
        let settings = super::line(&near.ip().to_string(), near.port(), identity);
        let embedded = Broker::open(listener, files, db.clone()).await.context("cannot open the broker")?;
        log::info!("the broker for nodes listens at {at}");
        let broker = near.to_string();
        let addresses = FleetAddresses { broker, ca: own, cert: operator.cert, key: operator.key, node };
        Ok(Self { settings, embedded: Some(embedded), addresses: Some(addresses) })
    }

    /// The certificates that the line needs.
    pub fn shown(&self) -> Vec<Shown> {
        let Identity { ca, cert, .. } = &self.settings.identity;
        let shown = |kind, path: &PathBuf| Shown {
            kind,
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: path.clone(),
        };
        vec![shown("authority", ca), shown("hub", cert)]
    }

    /// How the line is before it was tried.
    pub fn line(&self) -> BrokerLine {
        let Settings { host, port, .. } = &self.settings;
        BrokerLine { address: format!("{host}:{port}"), connected: false, why: None }
    }
}

/// A certificate and its key, in files.
struct Pair {
    cert: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// Writes an identity, new at each start: nothing needs it to be the one of last time.
    fn new(home: &Path, name: &str, identity: &ca::Identity) -> anyhow::Result<Self> {
        let pair = Self { cert: home.join(format!("{name}.pem")), key: home.join(format!("{name}.key")) };
        write(&pair.key, &identity.key_pem)?;
        write(&pair.cert, &identity.cert_pem)?;
        Ok(pair)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_atomically(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// A listener there; on port 0 that of last time if it is free, so that nodes find the broker again.
async fn listener(at: SocketAddr, folder: &Folder) -> anyhow::Result<TcpListener> {
    let remembered = (at.port() == 0).then(|| folder.port_of("fleet")).flatten();
    let again = match remembered {
        Some(port) => TcpListener::bind((at.ip(), port)).await.ok(),
        None => None,
    };
    let listener = match again {
        Some(listener) => listener,
        None => TcpListener::bind(at).await.map_err(|e| {
            Hinted::new(format!("the broker cannot listen at {at}: {e}"), "is another broker there? give another port")
        })?,
    };
    let port = listener.local_addr().context("cannot tell where the broker listens")?.port();
    folder.remember_port_of("fleet", port)?;
    Ok(listener)
}

/// Where the broker is reached from this machine.
fn near(at: SocketAddr) -> SocketAddr {
    if at.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, at.port()).into() } else { at }
}

/// What the broker is called in its certificate.
pub(crate) fn all_names(at: IpAddr, names: &[String]) -> Vec<String> {
    let own = [near((at, 0).into()).ip().to_string(), "localhost".to_owned()];
    let mut all: Vec<String> = own.into_iter().chain(names.iter().cloned()).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_called_what_it_is_reached_by() {
        let names = |at: &str, more: &[&str]| {
            let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
            all_names(at.parse().expect("an address"), &more)
        };
        assert_eq!(names("127.0.0.1", &[]), ["127.0.0.1", "localhost"]);
        assert_eq!(names("0.0.0.0", &["hub.lan"]), ["127.0.0.1", "localhost", "hub.lan"]);
        assert_eq!(names("10.0.0.2", &[]), ["10.0.0.2", "localhost"]);
    }
}
