//! The four files, what may stand in them, and what becomes of each. Whoever can write them has the machine in his hands, so
//! this is against mistakes, and against a line that would say more than it seems to.

use std::path::Path;

use reelmill_api::enrol::given;

use super::{network, state, worker_env};
use crate::enrol::join_file;

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Who may log in.
    Keys,
    /// The machine's name.
    HostName,
    /// The worker's settings, which may have secrets.
    WorkerEnv,
    /// The farm, and the network to it.
    Join,
}

/// A file of the state: its name, and what it holds or that it goes.
pub type Kept = (&'static str, Option<String>);

impl Kind {
    /// All of them; a machine that people can log in to can be mended, so the keys come first.
    pub const ALL: [Self; 4] = [Self::Keys, Self::HostName, Self::WorkerEnv, Self::Join];

    /// The name of the file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Keys => "authorized_keys",
            Self::HostName => "hostname",
            Self::WorkerEnv => "worker.env",
            Self::Join => "join.toml",
        }
    }

    /// What is to be kept of a file of this kind; `path` names it in errors.
    ///
    /// # Errors
    /// What is wrong with it, with the line, and never with what stands there.
    pub fn understand(self, path: &Path, bytes: &[u8]) -> Result<Vec<Kept>, String> {
        let told = |why: String| format!("{}: {why}", path.display());
        let text = given::text(bytes).map_err(told)?;
        match self {
            Self::Keys => keys(&text).map(|keys| vec![(state::KEYS, Some(keys))]).map_err(told),
            Self::HostName => given::host_name(&text).map(|name| vec![(state::HOST_NAME, Some(name))]).map_err(told),
            Self::WorkerEnv => {
                worker_env::rewritten(&text).map(|env| vec![(state::WORKER_ENV, Some(env))]).map_err(told)
            }
            Self::Join => {
                let join = join_file::parse(path, &text).map_err(|e| e.to_string())?;
                let network = join.network.as_ref().map(network::file).transpose().map_err(told)?;
                let node = join.node.as_ref().map(|node| given::host_name(node.as_str())).transpose().map_err(told)?;
                // The join file itself comes last: where it is, all of it was taken.
                Ok(vec![(state::NETWORK, network), (state::NODE, node), (state::JOIN, Some(text))])
            }
        }
    }
}

/// Public keys, one a line, with what may stand before and after them.
fn keys(text: &str) -> Result<String, String> {
    given::ssh_keys(text).map(|keys| keys.iter().map(|(_, line)| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsyJpGpeAZqyQlWmQE6wFBvbn5SkqFdsTfDFd0KVwtP anna@desk";
    const PIN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn understand(kind: Kind, text: &str) -> Result<Vec<Kept>, String> {
        kind.understand(Path::new(kind.file()), text.as_bytes())
    }

    #[test]
    fn keys_are_kept_without_what_is_no_key() {
        let text = format!("\u{feff}# mine\r\n\r\n{KEY}\r\nno-pty,command=\"echo a b\" {KEY}\n");
        let kept = format!("{KEY}\nno-pty,command=\"echo a b\" {KEY}\n");
        assert_eq!(understand(Kind::Keys, &text), Ok(vec![(state::KEYS, Some(kept))]));
        let bad = "line 2 is no public key of SSH such as `ssh-ed25519 AAAA... anna`";
        for line in [
            "hello",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIKsy",
            "ssh-ed25519",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            assert_eq!(
                understand(Kind::Keys, &format!("{KEY}\n{line}\n")),
                Err(format!("authorized_keys: {bad}")),
                "{line}"
            );
        }
        assert_eq!(understand(Kind::Keys, "# none\n"), Err("authorized_keys: there is no key in it".to_owned()));
    }

    #[test]
    fn a_name_is_one_label() {
        assert_eq!(understand(Kind::HostName, " orin-3\r\n"), Ok(vec![(state::HOST_NAME, Some("orin-3".to_owned()))]));
        let long = "a".repeat(64);
        for name in ["", "Orin", "orin.lan", "-orin", "orin-", "a\nb", "ö", &long] {
            let told = understand(Kind::HostName, name).expect_err(name);
            assert!(told.starts_with("hostname: a machine's name is 1 to 63"), "{told}");
        }
        assert_eq!(Kind::HostName.understand(Path::new("h"), b"\xff"), Err("h: this is no text".to_owned()));
    }

    #[test]
    fn a_join_file_brings_its_network_and_name_along() {
        let text = format!(
            "hub = \"https://hub:7443\"\nca_sha256 = \"{PIN}\"\nnode = \"orin-3\"\n[network]\naddress = \"10.0.0.7/24\"\n"
        );
        let kept = understand(Kind::Join, &text).expect("a good file");
        let names: Vec<_> = kept.iter().map(|(name, content)| (*name, content.is_some())).collect();
        assert_eq!(names, [(state::NETWORK, true), (state::NODE, true), (state::JOIN, true)]);
        assert_eq!(kept[2].1.as_deref(), Some(text.as_str()));
        let plain = understand(Kind::Join, &format!("hub = \"https://hub:7443\"\nca_sha256 = \"{PIN}\"\n"))
            .expect("a good file");
        assert_eq!(plain[..2], [(state::NETWORK, None), (state::NODE, None)], "what an earlier one brought goes");
        let told = understand(Kind::Join, &text.replace("[network]", "[net]")).expect_err("a typo");
        assert!(told.starts_with("join.toml:4:2: unknown key `net`"), "{told}");
        let told =
            understand(Kind::Join, &format!("{text}interface = \"eth0\\n[Network]\"\n")).expect_err("a line more");
        assert!(told.starts_with("join.toml: `network.interface`"), "{told}");
    }

    proptest! {
        #[test]
        fn whatever_lies_there_is_read(bytes: Vec<u8>, text in "\\PC*(\n\\PC*){0,4}") {
            for kind in Kind::ALL {
                let _ = kind.understand(Path::new("x"), &bytes);
                let _ = kind.understand(Path::new("x"), text.as_bytes());
            }
        }
    }
}
