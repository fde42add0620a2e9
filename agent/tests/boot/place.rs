//! A machine that boots systems from a Nix store, as a node of a real broker on the host.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use reelmill_api::fleet::{Command, State};
use reelmill_lab::{
    mosquitto::Mosquitto,
    qemu::{Disk, Entry, KERNEL_WORDS, Vm},
};
use serde_json::{Value, json};

use crate::{
    farm::{NODE, WORKER, at_broker},
    hub::{Ear, command, send},
};

/// Without hardware help everything takes minutes.
const PATIENCE: Duration = Duration::from_secs(1800);
/// A dead-man of four minutes: an idle machine without hardware help confirms a trial 15 seconds after its dead-man is armed.
const HELPER: &str = "STORE_SPARE_MIB=1\nBOOT_SPARE_MIB=1\nACTIVATE_SECONDS=60\nDEAD_MAN_SECONDS=60\n\
    DEAD_MAN_GRACE_SECONDS=60\nGUARD=false\n";
/// How long the new system has to become well, seconds.
const VERIFY: u32 = 120;

/// A release in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) path: String,
    hash: String,
}

/// The machine and its broker.
pub(crate) struct Place {
    vm: Option<Vm>,
    broker: Mosquitto,
    pub(crate) ear: Ear,
}

impl Place {
    /// A machine that runs its first system, and has told what it can do.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let setup = Disk::setup(test, &["nix-bin"])?;
        let broker = Mosquitto::start();
        let ear = Ear::open(&broker);
        // What listens on the host's loopback is reached through QEMU's address of it, and the certificate is for loopback.
        let to_host =
            format!("[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 10.0.2.2:{}\n", broker.fleet);
        let setup = at_broker(setup, &broker, HELPER)
            .unit("to-host.socket", &format!("[Socket]\nListenStream=127.0.0.1:{}\n", broker.fleet))
            .unit("to-host.service", &to_host)
            .enabled("to-host.socket")
            .enabled(WORKER)
            .unit("reelmill-deadman.service", include_str!("../../units/reelmill-deadman.service"))
            .enabled("reelmill-deadman.service")
            .file("/etc/nix/nix.conf", "sandbox = false\nbuild-users-group =\nsubstituters = file:///cache\n")
            .file("/etc/kernel-words", KERNEL_WORDS)
            // Where there is the folder, the journal outlasts a boot.
            .file("/var/log/journal/.keep", "")
            .file("/usr/lib/lab/release.nix", include_str!("release.nix"))
            .script("/usr/bin/lab", include_str!("lab.sh"));
        let mut vm = Disk::new(setup, &[Entry::new("debian", "")]).boot();
        vm.ok("lab install");
        let before = vm.ok("cat /proc/sys/kernel/random/boot_id");
        vm.script("systemctl reboot");
        vm.wait_until_booted(Some(&before));
        let place = Self { vm: Some(vm), broker, ear };
        assert_eq!(place.systems(), ["old", "old", "old"]);
        place.until("the node's word of what it can do", || {
            let told = place.ear.on(&format!("reelmill/1/n/{NODE}/cap")).pop()?;
            told.contains("switch").then_some(())
        });
        Some(place)
    }

    pub(crate) fn vm(&self) -> &Vm {
        self.vm.as_ref().expect("it is only away while its power is")
    }

    /// Cuts its power, and gives it back.
    pub(crate) fn cut(&mut self) {
        self.vm = self.vm.take().map(Vm::cut);
    }

    /// Waits, as long as such a machine may need.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < until, "waited in vain for {what}:\n{}", self.vm().console());
            sleep(Duration::from_millis(50));
        }
    }

    /// A signed release that only the cache has. `early` is done by its first process before systemd.
    pub(crate) fn release(&self, name: &str, early: &str) -> Release {
        let told = self.vm().ok(&format!("lab release {name} --argstr words lab={name} --argstr early '{early}'"));
        let (path, hash) = told.lines().last().and_then(|line| line.split_once(' ')).expect("a path and a digest");
        Release { path: path.to_owned(), hash: hash.to_owned() }
    }

    /// Gives the command to change to it.
    pub(crate) fn switch(&self, release: &Release, ctr: u64) -> Command {
        let args = json!({"store_path": release.path, "nar_hash": release.hash, "release_ctr": ctr,
            "verify": {"timeout_s": VERIFY}});
        let switch = command(NODE, "switch", args);
        send(&self.broker, NODE, &switch, &[1, 2]);
        switch
    }

    /// Waits until a command is told of in a way; that word.
    pub(crate) fn told(&self, command: &Command, what: &str, is_it: impl Fn(&State) -> bool) -> State {
        let states = || self.ear.states(NODE, command.id).into_iter().rfind(|state| is_it(state));
        self.until(&format!("{what} of {}", command.id), states)
    }

    /// Waits for a command's end.
    pub(crate) fn end(&self, command: &Command) -> State {
        self.told(command, "the end", |state| state.state.is_final())
    }

    /// The words in which a command was told of, each once.
    pub(crate) fn ways(&self, command: &Command) -> Vec<String> {
        let states = self.ear.states(NODE, command.id);
        let way = |state: &State| {
            let told = json!(state);
            let word = |name: &str| told[name].as_str().map(str::to_owned);
            word("phase").or_else(|| word("state"))
        };
        let mut ways: Vec<String> = states.iter().filter_map(way).collect();
        ways.dedup();
        ways
    }

    /// What was booted, what the profile names, and what the boot loader starts next, by their names.
    pub(crate) fn systems(&self) -> [String; 3] {
        const NEXT: &str = "entry=$(sed -n 's/^default //p' /boot/loader/loader.conf); \
            sed -n 's/.* init=\\([^ ]*\\)\\/init.*/\\1/p' /boot/loader/entries/$entry";
        let vm = self.vm();
        let name = |path: String| path.split_once('-').map(|(_, name)| name.to_owned()).unwrap_or(path);
        let booted = vm.ok("readlink -f /run/booted-system");
        [booted, vm.ok("readlink -f /nix/var/nix/profiles/system"), vm.ok(NEXT)].map(name)
    }

    /// A file of the helper's record.
    pub(crate) fn record(&self, name: &str) -> Option<Value> {
        let ran = self.vm().script(&format!("cat /var/lib/reelmill-exec/{name}.json"));
        (ran.code == 0).then(|| serde_json::from_str(&ran.text).expect("JSON"))
    }

    /// What the machine says of a change, for people: over all its boots.
    pub(crate) fn story(&self) -> String {
        const STORY: &str = "cat /proc/cmdline; readlink -f /run/booted-system /run/current-system \
            /nix/var/nix/profiles/system; cat /boot/loader/loader.conf; head -v -n 9 /boot/loader/entries/*; \
            bootctl --no-pager status; cat /var/lib/reelmill-exec/systems.json; \
            journalctl --no-pager --lines=400 --output=short-precise -u reelmill-agent -u reelmill-exec -u reelmill-deadman \
            -u 'reelmill-switch-*' -u 'reelmill-dead-man-*'";
        self.vm().script(STORY).text
    }

    /// The names of the systems that were undone.
    pub(crate) fn bad(&self) -> Vec<String> {
        let systems = self.record("systems").unwrap_or_default();
        let name = |bad: &Value| bad["system"].as_str().and_then(|path| Some(path.split_once('-')?.1.to_owned()));
        systems["bad"].as_array().into_iter().flatten().filter_map(name).collect()
    }
}
