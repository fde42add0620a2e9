//! `join.toml`: what a person puts on a node's boot partition or on a stick, so that the node finds its farm.

use std::{
    fs::{self, OpenOptions},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use reelmill_api::enrol::MAX_JOIN_FILE;
pub use reelmill_api::enrol::{HubUrl, JoinFile};
use reelmill_daemon::{ConfigError, config::parse_toml};

/// Where a stick or a partition with this label is mounted, below a user's folder or not.
const LABEL: &str = "REELMILL";

/// Reads what a file says; `path` names it in errors.
///
/// # Errors
/// What is wrong, with line and column, and never what stands for the token.
pub fn parse(path: &Path, text: &str) -> Result<JoinFile, ConfigError> {
    parse_toml(path, text)
}

/// Writes over the token where it lies, byte for byte, so that on most media it is gone.
///
/// # Errors
/// If the medium cannot be written.
pub fn wipe(path: &Path) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let Some(span) = parse(path, &text).ok().and_then(|file| file.token_span()) else { return Ok(()) };
    // An empty text and blanks after it: the file stays as long, and can still be read.
    let blank = format!("{:<1$}", "\"\"", span.len());
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(io::SeekFrom::Start(span.start as u64))?;
    file.write_all(blank.as_bytes())?;
    file.sync_all()
}

/// Where the file may lie unless settings name other places: the boot partition, then whatever has our label.
pub fn usual_places() -> Vec<PathBuf> {
    let boot = ["/boot/reelmill/join.toml", "/efi/reelmill/join.toml"].map(PathBuf::from);
    let users = fs::read_dir("/run/media").into_iter().flatten().flatten().map(|user| user.path());
    let parents = [PathBuf::from("/run/media"), PathBuf::from("/mnt")].into_iter().chain(users);
    let labelled = parents.map(|parent| parent.join(LABEL));
    let sticks = labelled.flat_map(|stick| [stick.join("reelmill/join.toml"), stick.join("join.toml")]);
    boot.into_iter().chain(sticks).collect()
}

/// The first file that is there, with its text.
///
/// # Errors
/// If it cannot be read.
pub fn find(places: &[PathBuf]) -> Result<Option<(PathBuf, String)>, String> {
    for path in places {
        let told = |e: &dyn std::fmt::Display| format!("cannot read {}: {e}", path.display());
        match fs::metadata(path) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            // Only root may look at most boot partitions; then nothing is known of a file there.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => log::debug!("{}", told(&e)),
            Err(e) => return Err(told(&e)),
            Ok(meta) if !meta.is_file() || meta.len() > MAX_JOIN_FILE => return Err(told(&"this is no join.toml")),
            Ok(_) => return fs::read_to_string(path).map(|text| Some((path.clone(), text))).map_err(|e| told(&e)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reelmill_api::enrol::{JoinToken, Subnet};

    use super::*;

    const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const TOKEN: &str = "rmj_abababababababababababababababab";

    fn whole() -> String {
        format!(
            "hub = \"https://hub.example:7443\"\nca_sha256 = \"{PIN}\"\n  token = \"{TOKEN}\" # once\nnode = \"orin-3\"\n\
             tags = [\"lan\"]\n[network]\naddress = \"10.0.0.7/24\"\ngateway = \"10.0.0.1\"\ndns = [\"10.0.0.1\"]\n"
        )
    }

    fn parse(text: &str) -> Result<JoinFile, String> {
        super::parse(Path::new("join.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn a_whole_file_is_read_and_its_token_never_shown() {
        let file = parse(&whole()).expect("a good file");
        assert_eq!((file.hub.to_string().as_str(), file.hub.port), ("https://hub.example:7443", 7443));
        assert_eq!(file.token().map(JoinToken::expose), Some(TOKEN));
        assert!(!format!("{file:?}").contains("rmj_"));
        assert_eq!(file.network.map(|network| network.address), Some(Subnet([10, 0, 0, 7].into(), 24)));
        let short = format!("hub = \"https://[fd00::1]\"\nca_sha256 = \"{PIN}\"\ntoken = \"\"\n");
        let file = parse(&short).expect("a good file");
        assert_eq!((file.hub.to_string().as_str(), file.token().is_none()), ("https://[fd00::1]:443", true));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let check = |from: &str, to: &str, want: &str| {
            assert_eq!(parse(&whole().replacen(from, to, 1)).expect_err(to), format!("join.toml:{want}"));
        };
        check(
            "node =",
            "nod =",
            "4:1: unknown key `nod`; known are `hub`, `ca_sha256`, `token`, `node`, `tags`, `network`",
        );
        check("https://hub.example:7443", "http://hub", "1:7: the hub must be written as https://HOST:PORT");
        check("https://hub.example", "https://anna:x@hub.example", "1:7: the hub must be written as https://HOST:PORT");
        check(PIN, "abc", "2:13: a SHA-256 is 64 lower-case hex digits");
        check("10.0.0.7/24", "10.0.0.7/33", "7:11: an address must be written as 10.0.0.7/24");
        check("gateway", "gatway", "8:1: unknown key `gatway`; known are `interface`, `address`, `gateway`, `dns`");
        let error = parse(&whole().replacen("rmj_ab", "rmj_hunter2", 1)).expect_err("no token");
        assert!(error.starts_with("join.toml:3:11: a join token is `rmj_`") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn the_token_is_written_over_and_all_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("join.toml");
        for text in [whole(), whole().replace(&format!("\"{TOKEN}\""), &format!("'''\n{TOKEN}'''"))] {
            fs::write(&path, &text).expect("ours");
            wipe(&path).expect("wiped");
            let left = fs::read_to_string(&path).expect("ours");
            assert_eq!(left.len(), text.len());
            assert!(!left.contains("rmj_") && left.contains("# once\nnode"), "{left}");
            assert!(parse(&left).expect("a good file").token().is_none());
            wipe(&path).expect("a second time does no harm");
            assert_eq!(fs::read_to_string(&path).expect("ours"), left);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String, from in 0..200_usize, with: String) {
            let _ = parse(&text);
            let mut whole = whole();
            if whole.is_char_boundary(from) {
                whole.insert_str(from, &with);
            }
            let _ = parse(&whole);
        }
    }
}
