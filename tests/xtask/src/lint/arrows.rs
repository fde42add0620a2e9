//! Which crate may depend on which: the programs never on each other, the shared crates on none of ours but the words,
//! and the words on nothing that does IO. The tests of each may use the lab, which uses none of ours.

use super::manifest::{Dependency, Manifest};

/// The programs' folders. They meet over HTTP, MQTT, the queue and S3, never in code.
const PROGRAMS: &[&str] = &["agent", "hub", "hub/cli", "worker"];
/// Below it lie the crates that programs share.
const SHARED: &str = "hub/shared/";
/// The words that cross a process border.
const WORDS: &str = "hub/shared/api";
/// All that the words may depend on: parsing and data. Adding a name here is a decision about the architecture.
const OF_WORDS: &[&str] =
    &["base64", "ed25519-dalek", "jiff", "proptest", "serde", "serde_json", "sha2", "thiserror", "toml", "url", "uuid"];
/// The servers and tools that tests share.
const LAB: &str = "tests/lab";
/// The crate of `cargo xtask` compiles before anything else can.
const XTASK: &str = "tests/xtask";
const OF_XTASK: &[&str] = &["anyhow"];

/// What a package is, by where it lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    Words,
    Shared,
    /// A program, or a part of the program in that folder.
    Program(&'a str),
    Xtask,
    Lab,
    /// The tests that cross programs may use all.
    Tests,
}

/// Complains of each dependency that goes the wrong way.
pub(super) fn check(all: &[Manifest]) -> Vec<String> {
    let ours = |name: &str| all.iter().find(|manifest| manifest.name == name);
    let mut complaints = Vec::new();
    for from in all {
        for dependency in &from.dependencies {
            let name = &dependency.name;
            if let Some(why) = wrong(from, dependency, ours(name)) {
                complaints.push(format!("{}/Cargo.toml: {} depends on {name}, but {why}", from.folder, from.name));
            }
        }
    }
    complaints
}

/// Why `from` may not have this dependency, which is `ours` if it is in this repository.
fn wrong(from: &Manifest, on: &Dependency, ours: Option<&Manifest>) -> Option<&'static str> {
    let (name, to) = (on.name.as_str(), ours.map(|manifest| place(&manifest.folder)));
    match (place(&from.folder), to) {
        (Place::Words, _) if !OF_WORDS.contains(&name) => Some("the words depend on data and parsing only"),
        (Place::Xtask, _) if !OF_XTASK.contains(&name) => Some("xtask compiles in a second, with anyhow only"),
        (Place::Lab, Some(_)) => Some("the lab depends on none of ours, so that the tests of all may use it"),
        (Place::Shared | Place::Program(_), Some(Place::Lab)) if on.for_tests => None,
        (Place::Shared, Some(to)) if to != Place::Words => Some("a shared crate depends on none of ours but the words"),
        (Place::Program(own), Some(Place::Program(other))) if own != other => {
            Some("programs never depend on each other")
        }
        (Place::Program(_), Some(Place::Tests | Place::Lab | Place::Xtask)) => Some("programs never depend on tests"),
        _ => None,
    }
}

fn place(folder: &str) -> Place<'_> {
    // The longest name first: hub/cli is not a part of hub.
    let program =
        PROGRAMS.iter().rev().find(|p| folder.strip_prefix(**p).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    match folder {
        WORDS => Place::Words,
        XTASK => Place::Xtask,
        LAB => Place::Lab,
        _ if folder.starts_with(SHARED) => Place::Shared,
        _ => program.map_or(Place::Tests, |program| Place::Program(program)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a repository where `folder` depends on `name`, beside packages named for their folders.
    fn check_one(folder: &str, name: &str, want: Option<&str>) {
        check_either(folder, name, false, want);
    }

    /// The same, where only the tests of `folder` need it.
    fn check_tests(folder: &str, name: &str, want: Option<&str>) {
        check_either(folder, name, true, want);
    }

    fn check_either(folder: &str, name: &str, for_tests: bool, want: Option<&str>) {
        let folders = [
            "agent",
            "hub",
            "hub/cli",
            WORDS,
            "hub/shared/queue",
            "hub/shared/storage",
            "tests/e2e",
            LAB,
            XTASK,
            "worker",
            "worker/gst",
        ];
        let mut all: Vec<Manifest> = folders.map(|f| Manifest::parse(f, &format!("[package]\nname = \"{f}\""))).into();
        let from = all.iter_mut().find(|m| m.folder == folder).expect("one of them");
        from.dependencies.push(Dependency { name: name.to_owned(), for_tests });
        let complaints = check(&all);
        match want {
            None => assert_eq!(complaints, Vec::<String>::new()),
            Some(why) => {
                let line = format!("{folder}/Cargo.toml: {folder} depends on {name}, but {why}");
                assert_eq!(complaints, [line]);
            }
        }
    }

    #[test]
    fn arrows_that_point_the_right_way_pass() {
        check_one("hub", "hub/shared/queue", None);
        check_one("hub/cli", WORDS, None);
        check_one("hub/shared/queue", WORDS, None);
        check_one("hub/shared/queue", "tokio", None);
        check_one(WORDS, "serde", None);
        check_one("worker", "worker/gst", None);
        check_one("tests/e2e", "hub/shared/queue", None);
        check_one("tests/e2e", LAB, None);
        check_one(LAB, "tokio", None);
        check_one(XTASK, "anyhow", None);
    }

    #[test]
    fn the_lab_is_for_tests_and_uses_none_of_ours() {
        check_tests("hub/shared/queue", LAB, None);
        check_tests("worker", LAB, None);
        check_one("hub/shared/queue", LAB, Some("a shared crate depends on none of ours but the words"));
        check_one("worker", LAB, Some("programs never depend on tests"));
        check_tests(WORDS, LAB, Some("the words depend on data and parsing only"));
        check_tests(XTASK, LAB, Some("xtask compiles in a second, with anyhow only"));
        for name in [WORDS, "hub/shared/storage", "worker", "tests/e2e"] {
            check_tests(LAB, name, Some("the lab depends on none of ours, so that the tests of all may use it"));
        }
    }

    #[test]
    fn tests_widen_no_other_arrow() {
        check_tests(
            "hub/shared/queue",
            "hub/shared/storage",
            Some("a shared crate depends on none of ours but the words"),
        );
        check_tests("hub", "worker", Some("programs never depend on each other"));
        check_tests("worker", "tests/e2e", Some("programs never depend on tests"));
    }

    #[test]
    fn programs_that_depend_on_each_other_are_refused() {
        let why = Some("programs never depend on each other");
        check_one("hub/cli", "hub", why);
        check_one("hub", "hub/cli", why);
        check_one("worker", "agent", why);
        check_one("agent", "worker/gst", why);
        check_one("worker/gst", "hub", why);
        check_one("worker", "tests/e2e", Some("programs never depend on tests"));
    }

    #[test]
    fn shared_crates_that_depend_on_others_of_ours_are_refused() {
        let why = Some("a shared crate depends on none of ours but the words");
        check_one("hub/shared/queue", "hub/shared/storage", why);
        check_one("hub/shared/queue", "worker", why);
        check_one("hub/shared/queue", "hub", why);
    }

    #[test]
    fn words_that_do_io_are_refused() {
        let why = Some("the words depend on data and parsing only");
        check_one(WORDS, "tokio", why);
        check_one(WORDS, "axum", why);
        check_one(WORDS, "hub/shared/queue", why);
    }

    #[test]
    fn an_xtask_that_compiles_long_is_refused() {
        check_one(XTASK, "tokio", Some("xtask compiles in a second, with anyhow only"));
    }
}
