//! Which crate may depend on which: the programs never on each other, the shared crates on none of ours but the words,
//! and the words on nothing that does IO.

use super::manifest::Manifest;

/// The programs' folders. They meet over HTTP, MQTT, the queue and S3, never in code.
const PROGRAMS: &[&str] = &["agent", "hub", "hub/cli", "worker"];
/// Below it lie the crates that programs share.
const SHARED: &str = "hub/shared/";
/// The words that cross a process border.
const WORDS: &str = "hub/shared/api";
/// All that the words may depend on: parsing and data. Adding a name here is a decision about the architecture.
const OF_WORDS: &[&str] = &["proptest", "serde", "serde_json", "thiserror", "toml", "url", "uuid"];
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
    /// The tests that cross programs may use all.
    Tests,
}

/// Complains of each dependency that goes the wrong way.
pub(super) fn check(all: &[Manifest]) -> Vec<String> {
    let ours = |name: &str| all.iter().find(|manifest| manifest.name == name);
    let mut complaints = Vec::new();
    for from in all {
        for name in &from.dependencies {
            if let Some(why) = wrong(from, name, ours(name)) {
                complaints.push(format!("{}/Cargo.toml: {} depends on {name}, but {why}", from.folder, from.name));
            }
        }
    }
    complaints
}

/// Why `from` may not depend on `name`, which is `ours` if it is in this repository.
fn wrong(from: &Manifest, name: &str, ours: Option<&Manifest>) -> Option<&'static str> {
    let to = ours.map(|manifest| place(&manifest.folder));
    match (place(&from.folder), to) {
        (Place::Words, _) if !OF_WORDS.contains(&name) => Some("the words depend on data and parsing only"),
        (Place::Xtask, _) if !OF_XTASK.contains(&name) => Some("xtask compiles in a second, with anyhow only"),
        (Place::Shared, Some(to)) if to != Place::Words => Some("a shared crate depends on none of ours but the words"),
        (Place::Program(own), Some(Place::Program(other))) if own != other => {
            Some("programs never depend on each other")
        }
        (Place::Program(_), Some(Place::Tests | Place::Xtask)) => Some("programs never depend on tests"),
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
        _ if folder.starts_with(SHARED) => Place::Shared,
        _ => program.map_or(Place::Tests, |program| Place::Program(program)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a repository where `folder` depends on `name`, beside packages named for their folders.
    fn check_one(folder: &str, name: &str, want: Option<&str>) {
        let folders = [
            "agent",
            "hub",
            "hub/cli",
            WORDS,
            "hub/shared/queue",
            "hub/shared/storage",
            "tests/e2e",
            XTASK,
            "worker",
            "worker/gst",
        ];
        let mut all: Vec<Manifest> = folders.map(|f| Manifest::parse(f, &format!("[package]\nname = \"{f}\""))).into();
        let from = all.iter_mut().find(|m| m.folder == folder).expect("one of them");
        from.dependencies.push(name.to_owned());
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
        check_one(XTASK, "anyhow", None);
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
