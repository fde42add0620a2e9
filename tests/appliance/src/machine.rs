//! A Debian machine with the units and files that the modules produce: what NixOS would have in its store is laid where the units
//! name it, our programs are the real ones, and other packages' are Debian's.

use std::{collections::BTreeSet, fs};

use reelmill_lab::nspawn::Setup;

use crate::{DIGEST, golden, text};

/// Our programs, as the package has them.
const PROGRAMS: [&str; 5] = ["reelmill", "reelmill-hub", "reelmill-worker", "reelmill-agent", "reelmill-exec"];
/// The package's name in the store.
const PACKAGE: &str = "reelmill-0.1.0";

/// The machine with all units of that folder of golden files, started as they say that NixOS starts them, and the files below its
/// `etc`. `scripts` are programs of the store that are shell scripts of the repository: name and text.
///
/// # Panics
/// If there is no such folder.
pub fn lay(setup: Setup, folder: &str, scripts: &[(&str, &str)]) -> Setup {
    let names = files(folder);
    let units: Vec<_> = names.iter().filter(|name| is_unit(name)).collect();
    let mut store = BTreeSet::new();
    let setup = units.into_iter().fold(setup, |setup, name| {
        let unit = text(&format!("{folder}/{name}"));
        store.extend(in_store(&unit));
        started(setup, name, &unit).file(&format!("/etc/systemd/system/{name}"), &unit)
    });
    let etc = format!("{folder}/etc/reelmill");
    let settings = files(&etc);
    let setup = settings
        .iter()
        .fold(setup, |setup, name| setup.file(&format!("/etc/reelmill/{name}"), &text(&format!("{etc}/{name}"))));
    let setup = setup
        .file("/usr/lib/sysusers.d/reelmill.conf", &text(&format!("{folder}/sysusers.conf")))
        .file("/etc/polkit-1/rules.d/10-nixos.rules", &text(&format!("{folder}/polkit.rules")));
    store.into_iter().fold(setup, |setup, name| {
        let at = format!("/nix/store/{DIGEST}-{name}");
        if name == PACKAGE {
            PROGRAMS.iter().fold(setup, |setup, program| {
                setup.bind(&reelmill_lab::programs::program(program), &format!("{at}/bin/{program}"))
            })
        } else if let Some((_, script)) = scripts.iter().find(|(program, _)| *program == name) {
            setup.script(&format!("{at}/bin/{name}"), &format!("#!/bin/bash\n{script}"))
        } else if let Some(settings) =
            settings.iter().find(|settings| name.ends_with(*settings) || is_default(&name, settings))
        {
            setup.file(&at, &text(&format!("{etc}/{settings}")))
        } else {
            assert!(!name.contains(".toml"), "{folder} names {name}, and nothing has its text");
            setup.link(&at, "/usr")
        }
    })
}

/// The default worker's settings, which lie below /etc too for whoever asks by hand.
fn is_default(name: &str, settings: &str) -> bool {
    name == "worker-default.toml" && settings == "worker.toml"
}

/// What a folder of golden files holds itself.
fn files(folder: &str) -> Vec<String> {
    let path = golden().join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn is_unit(name: &str) -> bool {
    [".service", ".socket", ".path", ".timer", ".slice", ".mount"].iter().any(|kind| name.ends_with(kind))
}

/// The names of what a text takes from the store, without digests.
fn in_store(text: &str) -> BTreeSet<String> {
    let store = format!("/nix/store/{DIGEST}-");
    let names = text.split(&store).skip(1).filter_map(|rest| rest.split(|c: char| "/\" :;\n".contains(c)).next());
    names.map(str::to_owned).collect()
}

/// NixOS links units instead of writing `[Install]`; a golden unit says so in its first lines.
fn started(setup: Setup, name: &str, unit: &str) -> Setup {
    let said = |word: &str| {
        unit.lines().find_map(|line| line.strip_prefix(&format!("# {word}="))).unwrap_or_default().to_owned()
    };
    [("WantedBy", "wants"), ("RequiredBy", "requires")].into_iter().fold(setup, |setup, (word, folder)| {
        let to = format!("/etc/systemd/system/{name}");
        said(word)
            .split_whitespace()
            .fold(setup, |setup, by| setup.link(&format!("/etc/systemd/system/{by}.{folder}/{name}"), &to))
    })
}
