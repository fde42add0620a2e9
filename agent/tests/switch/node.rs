//! A node with a Nix store, and what its root helper is asked.

use reelmill_lab::{
    nspawn::{Machine, Setup},
    programs::eventually,
};
use serde_json::{Value, json};

/// Replaces what a unit runs by the same of the program that these tests have.
fn by_hand(words: &str) -> String {
    format!("[Service]\nExecStart=\nExecStart=/usr/bin/reelmill-agent system {words}\n")
}

/// Not the user's own limits: a test waits for seconds, never for minutes.
const SETTINGS: &str = "STATE_DIRECTORY=/var/lib/reelmill-exec\nSTORE_SPARE_MIB=1\nACTIVATE_SECONDS=60\nGUARD_STEADY_SECONDS=1\n\
    GUARD_SECONDS=15\n";
/// A boot before everything else is the machine's.
const BOOTS: &str = "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target reelmill-deadman.service\n\
    [Service]\nType=oneshot\nExecStart=/usr/bin/lab boot\n[Install]\nWantedBy=sysinit.target\n";

/// A node that is not booted.
pub(crate) fn node(test: &str) -> Option<Setup> {
    let setup = Setup::with_packages(test, &["nix-bin"])?
        .program("reelmill-agent")
        .file("/etc/nix/nix.conf", "sandbox = false\nbuild-users-group =\nsubstituters = file:///cache\n")
        .file("/usr/lib/lab/release.nix", include_str!("release.nix"))
        .script("/usr/bin/lab", include_str!("lab.sh"))
        .script("/usr/bin/bootctl", include_str!("bootctl.sh"))
        .unit("lab-boot.service", BOOTS)
        .enabled("lab-boot.service")
        .unit("reelmill-deadman.service", include_str!("../../units/reelmill-deadman.service"))
        .file("/etc/systemd/system/reelmill-deadman.service.d/lab.conf", &by_hand("deadman --after-boot"))
        .enabled("reelmill-deadman.service")
        .unit("reelmill-guard.service", include_str!("../../units/reelmill-guard.service"))
        .unit("reelmill-guard.path", include_str!("../../units/reelmill-guard.path"))
        .file("/etc/systemd/system/reelmill-guard.service.d/lab.conf", &by_hand("guard"))
        .file("/etc/reelmill/exec.env", SETTINGS);
    Some(setup)
}

/// A release in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) path: String,
    pub(crate) hash: String,
}

/// A booted node with its first system.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) old: String,
}

impl Node {
    /// Boots it.
    pub(crate) fn start(setup: Setup) -> Self {
        Self::start_with(setup, "")
    }

    /// The same with a first system that does something when it comes into force.
    pub(crate) fn start_with(setup: Setup, activate: &str) -> Self {
        let machine = setup.boot();
        let old = lab(&machine, &["install", "--argstr", "activate", activate]);
        Self { machine, old }
    }

    /// A release of that name, signed, in the cache only.
    pub(crate) fn release(&self, name: &str, more: &[(&str, &str)]) -> Release {
        self.made("release", name, more)
    }

    /// The same as `unsigned`.
    pub(crate) fn made(&self, how: &str, name: &str, more: &[(&str, &str)]) -> Release {
        let told = lab(&self.machine, &[&[how, name], words(more).as_slice()].concat());
        let (path, hash) = told.split_once(' ').expect("a path and a digest");
        Release { path: path.to_owned(), hash: hash.to_owned() }
    }

    /// Somebody builds a system on the node itself.
    pub(crate) fn local(&self, name: &str, more: &[(&str, &str)]) -> String {
        lab(&self.machine, &[&["local", name], words(more).as_slice()].concat())
    }

    /// Writes a command to change to a release.
    pub(crate) fn order(&self, id: &str, release: &Release, ctr: u64, more: Value) -> Order<'_> {
        let mut args = json!({"store_path": release.path, "nar_hash": release.hash, "release_ctr": ctr,
            "verify": {"timeout_s": 1}});
        args.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.give(id, "switch", args)
    }

    /// Writes a command.
    pub(crate) fn give(&self, id: &str, op: &str, args: Value) -> Order<'_> {
        let id = format!("01M81B5H80NENTQAXBNENTQAX{id}");
        let command = json!({"v": 1, "id": id, "op": op, "node": "node", "by": "test", "args": args,
            "issued_at": "2026-11-22T10:00:00Z", "exp": "2026-11-23T10:00:00Z"});
        let file = format!("/root/{id}.json");
        self.machine.write(&file, &command.to_string());
        Order { node: self, file, env: Vec::new() }
    }

    /// What a link leads to.
    pub(crate) fn link(&self, path: &str) -> String {
        self.machine.ok(&["readlink", "-f", path])
    }

    /// What is in force, what the profile names, and what the boot loader starts, by their names.
    pub(crate) fn systems(&self) -> [String; 3] {
        let default = self.machine.ok(&["cat", "/boot/default"]);
        let name = |path: String| path.split_once('-').map(|(_, name)| name.to_owned()).unwrap_or_default();
        [self.link("/run/current-system"), self.link("/nix/var/nix/profiles/system"), default].map(name)
    }

    /// A file of the helper's record.
    pub(crate) fn record(&self, name: &str) -> Option<Value> {
        let ran = self.machine.run(&["cat", &format!("/var/lib/reelmill-exec/{name}.json")]);
        ran.status.success().then(|| serde_json::from_slice(&ran.stdout).expect("JSON"))
    }

    /// The names of the systems that were undone.
    pub(crate) fn bad(&self) -> Vec<String> {
        let standing = self.record("systems").unwrap_or_default();
        let name = |bad: &Value| bad["system"].as_str().and_then(|path| Some(path.split_once('-')?.1.to_owned()));
        standing["bad"].as_array().into_iter().flatten().filter_map(name).collect()
    }

    /// The timers of dead-men.
    pub(crate) fn dead_men(&self) -> String {
        self.machine.ok(&["systemctl", "list-units", "--plain", "--no-legend", "reelmill-dead-man-*.timer"])
    }

    /// Waits until no change is pending.
    pub(crate) fn wait_until_over(&self) {
        eventually("the end of the change", || self.record("pending").is_none().then_some(()));
    }

    /// Boots the machine that has ended, or cuts its power.
    pub(crate) fn boot_again(self) -> Self {
        let Self { machine, old } = self;
        Self { machine: machine.boot_again(), old }
    }
}

fn words<'a>(more: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    more.iter().flat_map(|(name, value)| ["--argstr", *name, *value]).collect()
}

fn lab(machine: &Machine, words: &[&str]) -> String {
    let ran = machine.run(&[&["/usr/bin/lab"], words].concat());
    assert!(ran.status.success(), "lab {words:?}: {}", machine.ok(&["cat", "/run/lab.log"]));
    String::from_utf8(ran.stdout).expect("text").trim_end().to_owned()
}

/// A command that lies on the node.
pub(crate) struct Order<'a> {
    node: &'a Node,
    pub(crate) file: String,
    env: Vec<String>,
}

impl Order<'_> {
    /// With another setting of the helper.
    pub(crate) fn with(mut self, setting: &str) -> Self {
        self.env.push(setting.to_owned());
        self
    }

    /// The words that do a part.
    pub(crate) fn words(&self, phase: &str) -> Vec<String> {
        let settings = "/etc/reelmill/exec.env";
        let script = format!("set -a; . {settings}; exec env \"$@\"");
        let mut words = vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
        words.extend(self.env.iter().cloned());
        words.extend(["/usr/bin/reelmill-agent", "system", "part", phase, &self.file].map(str::to_owned));
        words
    }

    /// Begins a part in a unit of its own, `helper.service`.
    pub(crate) fn begin(&self, phase: &str) {
        let words = self.words(phase);
        let mut run = vec!["systemd-run", "--quiet", "--collect", "--unit=helper", "--property=KillMode=process"];
        run.extend(words.iter().map(String::as_str));
        self.node.machine.ok(&run);
    }

    /// Does a part, and tells its answer: a result, or a code with a message.
    pub(crate) fn part(&self, phase: &str) -> Result<Value, (String, String)> {
        let words = self.words(phase);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = self.node.machine.run(&words);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let last = text.lines().last().unwrap_or_else(|| panic!("{phase}: no answer: {ran:?}"));
        let answer: Value = serde_json::from_str(last).expect("JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let undone = &answer["undone"];
        if undone.is_null() {
            Ok(answer["done"].clone())
        } else {
            Err((text(&undone["code"]), text(&undone["message"])))
        }
    }

    /// Does these parts, which must go well; the result of the last.
    pub(crate) fn parts(&self, phases: &[&str]) -> Value {
        phases.iter().fold(Value::Null, |_, phase| {
            self.part(phase).unwrap_or_else(|(code, message)| panic!("{phase}: {code}: {message}"))
        })
    }

    /// The code with which a part is refused.
    pub(crate) fn refused(&self, phase: &str) -> String {
        match self.part(phase) {
            Ok(result) => panic!("{phase} was to be refused: {result}"),
            Err((code, message)) => {
                eprintln!("{phase}: {code}: {message}");
                code
            }
        }
    }
}

/// All that comes before a change.
pub(crate) const BEFORE: [&str; 3] = ["preflight", "fetch", "check"];
