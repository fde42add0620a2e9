//! Nodes made up for the page: each file in `tests/data/page` is one, with five minutes behind it.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use reelmill_agent::{
    desk::Desk,
    page::{self, Guard},
};
use reelmill_api::snapshot::Snapshot;
use reelmill_daemon::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// The interval of looks, and how many lie behind a node.
const EVERY: Duration = Duration::from_secs(1);
const LOOKS: u32 = 300;

/// The names of all nodes.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the nodes lie there");
    let file = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| file(entry.expect("a file"))).collect();
    names.sort();
    names.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/page")
}

/// The node of that name.
pub(crate) fn snapshot(name: &str) -> Snapshot {
    let file = folder().join(format!("{name}.json"));
    let text = fs::read_to_string(&file).expect("a node of that name");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A desk with the node on it, and with what it may have been doing before.
pub(crate) fn desk(name: &str) -> Arc<Desk> {
    let now = snapshot(name);
    let desk = Desk::new(before(&now, LOOKS), EVERY);
    for ago in (0..LOOKS).rev() {
        desk.publish(before(&now, ago), EVERY * (LOOKS - ago));
    }
    Arc::new(desk)
}

/// Goes on looking at the node, which does not change: a page that hears nothing says that its node is gone.
#[allow(dead_code, reason = "not every test program needs all of it")]
pub(crate) async fn keep_looking(desk: Arc<Desk>, name: String) {
    for look in LOOKS.. {
        tokio::time::sleep(EVERY).await;
        desk.publish(snapshot(&name), EVERY * (look + 1));
    }
}

/// The node some looks ago: its figures sway, and the less the nearer it comes to now. Encoders were off for a while.
fn before(now: &Snapshot, ago: u32) -> Snapshot {
    let back = f64::from(ago);
    let sway = |value: f64, pace: f64| {
        let by = (back / pace).sin() * 0.13 + (back / (pace * 0.17)).sin() * 0.05;
        value * (1.0 + by * (back / 20.0).min(1.0))
    };
    let percent = |value: f64, pace: f64| sway(value, pace).clamp(0.0, 100.0);
    let rested = (140..200).contains(&ago);
    let mut then = now.clone();
    then.cpu.utilisation_percent = now.cpu.utilisation_percent.map(|p| percent(p, 23.0));
    for gpu in &mut then.gpus {
        let work = |value: f64| if rested { 0.0 } else { percent(value, 17.0) };
        gpu.encoder_percent = gpu.encoder_percent.map(work);
        gpu.decoder_percent = gpu.decoder_percent.map(work);
        gpu.utilisation_percent = gpu.utilisation_percent.map(work);
        gpu.power_milliwatts =
            gpu.power_milliwatts.map(|p| if rested { p / 3 } else { milli(sway(thousandth(p), 17.0)) });
    }
    for engine in then.engines.iter_mut().filter(|engine| engine.on) {
        engine.percent = engine.percent.map(|p| if rested { 0.0 } else { percent(p, 17.0) });
    }
    for rail in &mut then.rails {
        rail.milliwatts = rail.milliwatts.map(|p| if rested { p / 2 } else { milli(sway(thousandth(p), 31.0)) });
    }
    for part in &mut then.temperatures {
        part.celsius -= back / 25.0;
    }
    if let Some(memory) = &mut then.memory {
        memory.used_bytes -= memory.used_bytes / 1000 * u64::from(ago) / 2;
    }
    then
}

fn thousandth(milli: u64) -> f64 {
    f64::from(u32::try_from(milli).expect("a machine's power")) / 1000.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure made up for a curve")]
fn milli(value: f64) -> u64 {
    (value * 1000.0) as u64
}

/// A page that is served.
#[allow(dead_code, reason = "not every test program needs all of it")]
pub(crate) struct Served {
    /// Where.
    pub(crate) at: SocketAddr,
    /// What it tells of.
    pub(crate) desk: Arc<Desk>,
    /// Ends it.
    pub(crate) stop: CancellationToken,
    /// Ended when it is.
    pub(crate) task: tokio::task::JoinHandle<()>,
}

/// Serves a desk's page on a free port of loopback.
pub(crate) async fn serve(desk: Arc<Desk>, password: Option<&str>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    let stop = CancellationToken::new();
    let guard = Guard::new(["shelf-7".to_owned()], password.map(Secret::new));
    let router = page::router(desk.clone(), "http://127.0.0.1:1/status".parse().expect("a URL"), guard, stop.clone());
    let task = tokio::spawn(page::serve(listener, router, stop.clone()));
    Served { at, desk, stop, task }
}

/// The whole answer to a request line and some header lines, as it came.
#[allow(dead_code, reason = "not every test program asks by itself")]
pub(crate) async fn ask(at: SocketAddr, request: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let text = format!("{request} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer
}
