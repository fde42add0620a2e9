//! The shell scripts of the packages: shellcheck finds nothing in them, and a package has what its programs need.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use reelmill_appliance::packages;
use reelmill_lab::programs::output;

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let scripts: Vec<PathBuf> = fs::read_dir(packages())
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sh"))
        .collect();
    assert!(scripts.len() >= 3, "{scripts:?}");
    let mut shellcheck = Command::new("shellcheck");
    let said = output(
        {
            shellcheck.args(["--shell", "bash"]).args(&scripts);
            shellcheck
        },
        "",
    );
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

/// Makes a package as Nix would, of programs that are empty.
fn package(out: &Path, names: &[&str], folders: &[&str]) {
    let programs = tempfile::tempdir().expect("a folder");
    fs::create_dir(programs.path().join("bin")).expect("it is ours");
    for name in names {
        let file = programs.path().join("bin").join(name);
        fs::write(&file, "").expect("it is ours");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let mut install = Command::new("bash");
    install.args(["-euo", "pipefail"]).arg(packages().join("install.sh"));
    install.env("out", out).env("programs", programs.path()).env("units", packages().join("../.."));
    install.env("names", names.join(" ")).env("folders", folders.join(" "));
    let done = output(install, "");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// All files below `folder`, by their paths in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the package has folders") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn a_package_has_the_units_of_its_programs_and_they_start_these() {
    let root = tempfile::tempdir().expect("a folder");
    let out = root.path().join("reelmill");
    let names = ["reelmill", "reelmill-hub", "reelmill-worker", "reelmill-agent", "reelmill-exec"];
    package(&out, &names, &["agent", "hub", "worker"]);
    let here: Vec<String> = ["agent", "hub", "worker"]
        .iter()
        .map(|part| packages().join("../..").join(part).join("units"))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| files(&folder))
        .collect();
    let installed = files(&out);
    assert_eq!(installed.len(), here.len() + names.len(), "{installed:?}");
    for file in installed.iter().filter(|file| file.starts_with("lib/systemd/")) {
        let unit = fs::read_to_string(out.join(file)).expect("a text");
        assert!(!unit.contains("/usr/bin/reelmill"), "{file}: {unit}");
    }
    let agent = fs::read_to_string(out.join("lib/systemd/system/reelmill-agent.service")).expect("a unit");
    assert!(agent.contains(&format!("ExecStart={}/bin/reelmill-agent --config", out.display())), "{agent}");
}

#[test]
fn a_package_leaves_out_units_of_programs_that_it_has_not() {
    let root = tempfile::tempdir().expect("a folder");
    let out = root.path().join("reelmill-agent");
    package(&out, &["reelmill-agent", "reelmill-exec"], &["agent"]);
    let installed = files(&out);
    let has = |file: &str| installed.iter().any(|one| one == file);
    assert!(has("lib/systemd/system/reelmill-agent.service") && has("lib/systemd/system/reelmill-exec.socket"));
    assert!(has("lib/sysusers.d/reelmill-agent.conf") && has("share/polkit-1/rules.d/reelmill-agent.rules"));
    assert!(!has("lib/systemd/system/reelmill-batch@.service"), "it starts the worker: {installed:?}");
}

#[test]
fn the_document_on_releases_shows_only_options_that_the_scripts_have() {
    let document = packages().join("../../docs/operate/releases.md");
    let document = fs::read_to_string(document).expect("the document is in the repository");
    // A command goes on where its line ends so.
    let document = document.replace("\\\n", " ");
    for script in ["publish", "push-images"] {
        let mut bash = Command::new("bash");
        let help = output(
            {
                bash.arg(packages().join(format!("{script}.sh"))).arg("--help");
                bash
            },
            "",
        );
        assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let shown: Vec<_> = document.lines().filter(|line| line.starts_with(&format!("nix run .#{script} "))).collect();
        assert!(!shown.is_empty(), "{script} is not shown");
        for option in
            shown.iter().flat_map(|line| line.split(' ')).filter(|word| word.len() > 2 && word.starts_with("--"))
        {
            assert!(help.contains(&format!("  {option} ")), "{script} has no {option}");
        }
    }
}
