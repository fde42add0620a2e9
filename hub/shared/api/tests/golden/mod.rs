//! Golden files: what a value looks like on the wire, byte for byte.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

/// Writes the value as the golden file has it, and reads the file as the value.
pub(crate) fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = serde_json::to_string_pretty(value).expect("it can be written") + "\n";
    if std::env::var_os("REELMILL_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file exists");
    assert_eq!(text, golden, "{name} (REELMILL_BLESS=1 writes it anew, with a decision record)");
    assert_eq!(serde_json::from_str::<T>(&golden).as_ref().ok(), Some(value), "{name} is read back");
}
