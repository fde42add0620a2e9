//! `reelmill-agent simulate N`: many light nodes in one process, for load tests against a real broker. Each has an identity,
//! a session and a ledger of its own and speaks the whole protocol; only what it does is pretended.

mod pretend;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::future::try_join_all;
use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{Trust, state::Teller},
    preset::Tag,
};
use reelmill_daemon::{Hinted, Shutdown};
use reelmill_mqtt::Address;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use self::pretend::{Waits, world};
use crate::{
    broker::{self, Desk, Identity, Line, Settings, World},
    core::{ANSWERED, Core, Own},
    deeds::Deeds as _,
    ledger::LedgerError,
};

/// Where nodes reach a broker unless told otherwise.
const PORT: u16 = 8883;
/// The nodes come one after the other: a broker takes a while for each handshake.
const BETWEEN: Duration = Duration::from_millis(10);
/// How often the nodes' figures change.
const FIGURES_EVERY: Duration = Duration::from_secs(15);

/// Pretend to be many nodes, for load tests against a real broker.
#[derive(Debug, clap::Args)]
pub struct Simulate {
    /// How many.
    pub nodes: usize,
    /// The broker, by the name in its certificate; port 8883 unless told otherwise.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub broker: String,
    /// The authorities that may vouch for the broker, PEM.
    #[arg(long, value_name = "FILE")]
    pub ca: PathBuf,
    /// A folder with the nodes' certificates and keys, NAME.pem and NAME.key; the first ones by name are taken.
    #[arg(long, value_name = "FOLDER")]
    pub certs: PathBuf,
    /// Whose commands the nodes obey, as `reelmill keys trust` writes it.
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// A tag that all of them have; may be told more than once.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<Tag>,
    /// How many milliseconds each deed takes.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub deed_ms: u64,
    /// Where their ledgers lie, which a later run goes on with; by default in a folder that goes with this run.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
}

/// Runs the nodes until SIGTERM.
///
/// # Errors
/// If there are fewer identities than nodes, or files cannot be read or written.
pub fn run(args: &Simulate) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(args: &Simulate) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    shutdown.also_on_stdin_eof();
    let at = Address::parse(&args.broker, PORT).with_context(|| format!("`{}` is no broker", args.broker))?;
    let trust = trust(&args.trust)?;
    let names = names(&args.certs, args.nodes)?;
    let folder = Folder::open(args.state.clone())?;
    let deeds = Arc::new(Waits(Duration::from_millis(args.deed_ms)));
    let mut worlds = Vec::new();
    let mut nodes = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let identity = Identity {
            ca: args.ca.clone(),
            cert: args.certs.join(format!("{name}.pem")),
            key: args.certs.join(format!("{name}.key")),
        };
        let host = at.host.clone();
        let settings = Settings { node: name, host, port: at.port, identity, keep_alive: Settings::KEEP_ALIVE };
        let (tell, world) = watch::channel(world(n, &args.tag));
        worlds.push(tell);
        let desk = desk(&settings, &trust, &folder.0, deeds.clone(), world)?;
        nodes.push(live(n, settings, desk, shutdown.clone()));
    }
    log::info!("{} nodes at the broker at {at}", nodes.len());
    let figures = tokio::spawn(change(worlds, args.tag.clone()));
    try_join_all(nodes).await?;
    figures.abort();
    folder.leave(args.state.is_none());
    Ok(())
}

fn trust(file: &Path) -> anyhow::Result<Trust> {
    let read = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Trust::parse(&read).with_context(|| format!("{} is no trust document", file.display()))
}

/// The first so many nodes of whom there is a certificate.
fn names(certs: &Path, count: usize) -> anyhow::Result<Vec<NodeId>> {
    let entries = fs::read_dir(certs).with_context(|| format!("cannot read the folder {}", certs.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {}", certs.display()))?.path();
        let is_one = path.extension().is_some_and(|end| end == "pem") && path.with_extension("key").is_file();
        let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        names.extend(name.filter(|_| is_one));
    }
    names.sort_unstable();
    if names.len() < count {
        let error = format!("{} holds {} identities, and {count} nodes are wanted", certs.display(), names.len());
        return Err(Hinted::new(error, "each is NAME.pem and NAME.key; NAME is the certificate's common name").into());
    }
    names.truncate(count);
    Ok(names)
}

fn desk(
    settings: &Settings,
    trust: &Trust,
    folder: &Path,
    deeds: Arc<Waits>,
    world: watch::Receiver<World>,
) -> anyhow::Result<Desk<Waits>> {
    let (ledger, memory) = broker::recall(&folder.join(settings.node.as_str()), Timestamp::now())?;
    let around = world.borrow().around.clone();
    let own = Own {
        node: settings.node.clone(),
        teller: Teller { boot_id: around.facts.boot_id.clone(), agent: env!("CARGO_PKG_VERSION").to_owned() },
        trust: trust.clone(),
        enrolled_at: None,
        able: deeds.able().into_iter().chain(ANSWERED).collect(),
    };
    let core = Core::new(own, memory, around);
    let (line, _) = watch::channel(Line::default());
    let (anew, said) = (Arc::default(), mpsc::channel(1).1);
    Ok(Desk { core, ledger, deeds, world, line, anew, said })
}

/// One node, from its turn to the end.
async fn live(n: usize, settings: Settings, desk: Desk<Waits>, shutdown: Shutdown) -> Result<(), LedgerError> {
    let turn = BETWEEN.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    tokio::select! {
        () = shutdown.graceful().cancelled() => Ok(()),
        () = tokio::time::sleep(turn) => broker::run(&settings, desk, &shutdown).await,
    }
}

/// Lets the nodes' figures change, all at once.
async fn change(worlds: Vec<watch::Sender<World>>, tags: Vec<Tag>) {
    let mut tick = tokio::time::interval(FIGURES_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        worlds.iter().enumerate().for_each(|(n, tell)| drop(tell.send_replace(world(n, &tags))));
    }
}

/// Where the ledgers lie.
struct Folder(PathBuf);

impl Folder {
    fn open(kept: Option<PathBuf>) -> anyhow::Result<Self> {
        let own = || std::env::temp_dir().join(format!("reelmill-simulate-{}", uuid::Uuid::new_v4().simple()));
        let folder = kept.unwrap_or_else(own);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Takes it away, if nobody wants it.
    fn leave(self, gone: bool) {
        if let (true, Err(e)) = (gone, fs::remove_dir_all(&self.0)) {
            log::warn!("cannot take {} away: {e}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_nodes_that_have_both_files_are_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["sim-2.pem", "sim-2.key", "sim-1.pem", "sim-1.key", "sim-0.pem", "Sim.pem", "Sim.key", "a.txt"] {
            fs::write(folder.path().join(name), "").expect("ours");
        }
        let shown = |count| {
            names(folder.path(), count).map_or_else(
                |e| reelmill_daemon::report::render(&*e).replace(&folder.path().display().to_string(), "FOLDER"),
                |names| names.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" "),
            )
        };
        assert_eq!(shown(1), "sim-1");
        assert_eq!(shown(2), "sim-1 sim-2");
        assert_eq!(
            shown(3),
            "error: FOLDER holds 2 identities, and 3 nodes are wanted\n\
             hint: each is NAME.pem and NAME.key; NAME is the certificate's common name"
        );
    }
}
