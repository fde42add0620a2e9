//! Live sources and those who watch: a sender that can drop, and a reader that looks at every playlist all the time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use reelmill_lab::programs::Running;

/// How an encoder sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It listens for SRT callers.
    Srt,
    /// It calls an SRT listener.
    SrtCalling,
    /// It listens for RTMP players.
    Rtmp,
}

/// A real ffmpeg that sends a moving picture and a tone, again and again, as an encoder does that is on.
pub struct Sender {
    on: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    running: Arc<Mutex<Option<Running>>>,
    keeper: Option<JoinHandle<()>>,
}

impl Sender {
    /// Sends over a port of loopback.
    pub fn start(sending: Sending, port: u16) -> Self {
        let (on, over) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let running = Arc::new(Mutex::new(None::<Running>));
        let kept = (on.clone(), over.clone(), running.clone());
        let keeper = thread::spawn(move || {
            let (on, over, running) = kept;
            while !over.load(Ordering::Relaxed) {
                let mut now = running.lock().expect("nobody panics with it");
                if now.as_mut().is_none_or(Running::has_ended) {
                    *now = on.load(Ordering::Relaxed).then(|| Running::start(command(sending, port)));
                }
                drop(now);
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self { on, over, running, keeper: Some(keeper) }
    }

    /// Pulls the plug.
    pub fn drop_out(&self) {
        self.on.store(false, Ordering::Relaxed);
        *self.running.lock().expect("nobody panics with it") = None;
    }

    /// Plugs it in again.
    pub fn come_back(&self) {
        self.on.store(true, Ordering::Relaxed);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        self.drop_out();
    }
}

fn command(sending: Sending, port: u16) -> Command {
    let words = "-nostdin -v error -re -f lavfi -i testsrc2=size=640x360:rate=25 -re -f lavfi -i sine=sample_rate=48000 -c:v \
                 libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 800k -g 25 -c:a aac";
    let (form, to) = match sending {
        Sending::Srt => ("-f mpegts", format!("srt://127.0.0.1:{port}?mode=listener")),
        Sending::SrtCalling => ("-f mpegts", format!("srt://127.0.0.1:{port}?mode=caller")),
        Sending::Rtmp => ("-f flv -listen 1", format!("rtmp://127.0.0.1:{port}/live/x")),
    };
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(words.split_whitespace()).args(form.split_whitespace()).arg(to);
    // What it says of a receiver that went away is no news.
    ffmpeg.stdout(Stdio::null()).stderr(Stdio::null());
    ffmpeg
}

/// Looks at all playlists of a live output many times a second until it is dropped.
pub struct Watcher {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    looking: Option<JoinHandle<()>>,
}

/// What a watcher saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What can be said against the output.
    pub complaints: BTreeSet<String>,
    /// How many listed segments were looked for.
    pub looked: u64,
}

impl Watcher {
    /// Watches the output in a folder.
    pub fn start(folder: PathBuf) -> Self {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (ending, noting) = (over.clone(), seen.clone());
        let looking = thread::spawn(move || {
            let mut last = std::collections::BTreeMap::new();
            while !ending.load(Ordering::Relaxed) {
                for rendition in renditions(&folder) {
                    let mut seen = noting.lock().expect("nobody panics with it");
                    look(&folder, &rendition, last.entry(rendition.clone()).or_insert(0), &mut seen);
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { over, seen, looking: Some(looking) }
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            let _ = looking.join();
        }
    }
}

/// The playlists that the multivariant one names.
pub fn renditions(folder: &Path) -> Vec<String> {
    let master = std::fs::read_to_string(folder.join("master.m3u8")).unwrap_or_default();
    let lines = master.lines().filter_map(|line| match line.split_once("URI=\"") {
        Some((_, rest)) => rest.split('"').next(),
        None if line.starts_with('#') => None,
        None => Some(line),
    });
    lines.map(str::to_owned).collect()
}

fn look(folder: &Path, playlist: &str, last: &mut u64, seen: &mut Seen) {
    let text = std::fs::read_to_string(folder.join(playlist)).unwrap_or_default();
    let Some(window) = Window::read(&text) else {
        seen.complaints.insert(format!("{playlist} is named and cannot be read: {text}"));
        return;
    };
    if window.first < *last {
        seen.complaints.insert(format!("{playlist} went back from {last} to {}", window.first));
    }
    *last = window.first;
    let here = folder.join(playlist);
    let here = here.parent().expect("a playlist lies in a folder");
    for file in &window.files {
        seen.looked += 1;
        if !std::fs::metadata(here.join(file)).is_ok_and(|meta| meta.len() > 0) {
            seen.complaints.insert(format!("{playlist} lists {file}, which is not there"));
        }
    }
}

/// A live media playlist.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its media sequence number.
    pub first: u64,
    /// Its discontinuity sequence number.
    pub discontinuities: u64,
    /// Segments, and init segments before the first that needs them.
    pub files: Vec<String>,
    /// Lengths of its segments.
    pub seconds: Vec<f64>,
    /// Breaks within it.
    pub breaks: usize,
    /// Whether it is over.
    pub ended: bool,
}

impl Window {
    /// What a playlist says.
    pub fn read(text: &str) -> Option<Self> {
        let number = |tag: &str| text.lines().find_map(|l| l.strip_prefix(tag)?.parse().ok());
        let init = |l: &str| Some(l.strip_prefix("#EXT-X-MAP:URI=\"")?.trim_end_matches('"').to_owned());
        let file = |l: &str| (!l.starts_with('#') && !l.is_empty()).then(|| l.to_owned());
        let seconds = text.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok());
        Some(Self {
            first: number("#EXT-X-MEDIA-SEQUENCE:")?,
            discontinuities: number("#EXT-X-DISCONTINUITY-SEQUENCE:")?,
            files: text.lines().filter_map(|l| init(l).or_else(|| file(l))).collect(),
            seconds: seconds.collect(),
            breaks: text.lines().filter(|l| *l == "#EXT-X-DISCONTINUITY").count(),
            ended: text.lines().any(|l| l == "#EXT-X-ENDLIST"),
        })
    }

    /// The number of its last segment.
    pub fn last(&self) -> u64 {
        self.first + self.seconds.len() as u64
    }
}
