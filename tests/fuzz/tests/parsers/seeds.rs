//! Real outputs to start from: those that the repository keeps for its tests, and the corpus.

use std::{fs, path::Path};

/// Folders of seeds besides the corpus, as `cargo xtask fuzz` takes them too.
const MORE: &[(&str, &str)] = &[
    ("boxes", "worker/tests/segments"),
    ("message", "hub/shared/api/tests/golden"),
    ("preset", "hub/presets"),
    ("probe", "worker/tests/probes"),
    ("tegrastats", "agent/tests/data/tegrastats"),
];

/// The seeds of a question.
pub(crate) fn seeds(name: &str) -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let more = MORE.iter().filter(|(of, _)| *of == name).map(|(_, folder)| here.join("../..").join(folder));
    more.chain([here.join("corpus").join(name)]).flat_map(|folder| files(&folder)).collect()
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}
