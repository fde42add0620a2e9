//! A user's desk: a folder to work in with a short and a long video, quick presets, the settings of a store, and commands
//! run from there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reelmill_e2e::Farm;
use reelmill_lab::{
    media,
    programs::{Running, command, output},
};

/// A preset of two small rungs.
pub(crate) const QUICK: &str = "quick";
/// What is told of a ladder by it, masked.
pub(crate) const MADE: &str = "\
#p #x180 # fps avc1.#d # kb/s
#p #x90 # fps avc1.#d # kb/s
audio # ch # Hz mp4a.# # kb/s
changed: audio: # channels mixed down to #
";
/// The bundled clip, five seconds.
pub(crate) const CLIP: &str = "clip.mp4";
/// The clip over and over: long enough to be met in the middle.
pub(crate) const LONG: &str = "long.mp4";

/// The desk.
pub(crate) struct Desk {
    /// Its store; the queue is not used.
    pub(crate) farm: Farm,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    /// A desk with the clip on it.
    pub(crate) async fn new() -> Self {
        let desk = Self { farm: Farm::start().await };
        desk.farm.add_preset(QUICK, &[("180p", 320, 180), ("90p", 160, 90)]);
        fs::copy(media::clip(), desk.path(CLIP)).expect("the clip is copied");
        desk
    }

    /// A desk with the clip and its repetition.
    pub(crate) async fn with_long_video(times: u32) -> Self {
        let desk = Self::new().await;
        media::make(&desk.path(""), &format!("-stream_loop {} -i CLIP -c copy {LONG}", times - 1));
        desk
    }

    /// A path on the desk, as the kernel names it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let folder = self.farm.folder.path().canonicalize().expect("the folder is there");
        if name.is_empty() { folder } else { folder.join(name) }
    }

    /// `reelmill` with these words, run from the desk.
    pub(crate) fn reelmill(&self, words: &str) -> Command {
        let mut reelmill = command("reelmill");
        reelmill.args(words.split_whitespace()).current_dir(self.path(""));
        self.settings(&mut reelmill);
        reelmill
    }

    /// Gives a command the store's settings and the presets.
    pub(crate) fn settings(&self, command: &mut Command) {
        for (name, value) in self.farm.worker().get_envs() {
            command.env(name, value.expect("no setting is taken away"));
        }
    }

    /// Runs `reelmill` with these words to its end.
    pub(crate) fn run(&self, words: &str) -> Ended {
        Ended::from(output(self.reelmill(words), b""))
    }

    /// Starts a command; what it prints goes into files on the desk, which [`Desk::printed`] reads.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        let file = |name: &str| File::create(self.path(name)).expect("our folder");
        command.stdout(file("stdout")).stderr(file("stderr"));
        Running::start(command)
    }

    /// What the command that was started last has printed: standard output and standard error.
    pub(crate) fn printed(&self) -> (String, String) {
        let read = |name: &str| fs::read_to_string(self.path(name)).expect("text");
        (read("stdout"), read("stderr"))
    }

    /// A text in which this desk is called `DESK` and every number `#`.
    pub(crate) fn masked(&self, text: &str) -> String {
        masked(&text.replace(&self.path("").display().to_string(), "DESK"))
    }
}

/// A test that fails tells what the programs had printed.
impl Drop for Desk {
    fn drop(&mut self) {
        for name in ["stdout", "stderr"] {
            if std::thread::panicking()
                && let Ok(text) = fs::read_to_string(self.path(name))
            {
                eprintln!("--- {name} of the programs\n{text}");
            }
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A text with every number, with or without decimals, replaced by `#`, and runs of spaces by one. Digits behind a letter
/// belong to a name.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '0'..='9' if !out.ends_with(char::is_alphanumeric) => {
                while rest.next_if(|&c| c.is_ascii_digit() || c == '.').is_some() {}
                out.push('#');
            }
            ' ' if out.ends_with([' ', '\n']) || out.is_empty() => {}
            c => out.push(c),
        }
    }
    out
}

/// Everything in a folder, hidden or not: its path from there, and its bytes unless it is a folder. Empty if there is no
/// such folder.
pub(crate) fn everything(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("it lies there").to_owned();
            if path.is_dir() {
                folders.push(path);
                found.insert(name, None);
            } else {
                found.insert(name, Some(fs::read(&path).expect("a file")));
            }
        }
    }
    found
}
