//! Store paths and digests of Nix, as commands name systems by them.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::error::printable;

/// Where the store lies.
const STORE: &str = "/nix/store/";
/// Digits of Nix's base 32.
const DIGITS: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A text that is not what Nix writes.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not {what}", printable(.text))]
pub struct NotOfNix {
    text: String,
    what: &'static str,
}

/// A path in the store: `/nix/store/<32 digits>-<name>`, and nothing below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// A file in the store: a store path and a way below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreFile(String);

/// The digest of a store path's content, `sha256-` and 44 characters of base 64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NarHash(String);

impl FromStr for StorePath {
    type Err = NotOfNix;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let ok = s.strip_prefix(STORE).is_some_and(is_store_name);
        if ok { Ok(Self(s.to_owned())) } else { Err(NotOfNix { text: s.to_owned(), what: "a path in the Nix store" }) }
    }
}

impl FromStr for StoreFile {
    type Err = NotOfNix;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let below = |part: &str| is_name(part) && part != "." && part != "..";
        let ok = s
            .strip_prefix(STORE)
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(name, rest)| s.len() <= 1024 && is_store_name(name) && rest.split('/').all(below));
        if ok { Ok(Self(s.to_owned())) } else { Err(NotOfNix { text: s.to_owned(), what: "a file in the Nix store" }) }
    }
}

impl FromStr for NarHash {
    type Err = NotOfNix;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let digest = s.strip_prefix("sha256-").and_then(|text| STANDARD.decode(text).ok());
        if digest.is_some_and(|bytes| bytes.len() == 32) {
            Ok(Self(s.to_owned()))
        } else {
            Err(NotOfNix { text: s.to_owned(), what: "a digest like sha256-<44 characters of base 64>" })
        }
    }
}

fn is_store_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(digits, name)| {
        digits.len() == 32
            && digits.bytes().all(|b| DIGITS.contains(&b))
            && name.len() <= 211
            && is_name(name)
            && !name.starts_with('.')
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b))
}

/// What texts that are checked once have in common.
macro_rules! text {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotOfNix;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )*};
}

text!(StorePath, StoreFile, NarHash);

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";

    #[test]
    fn a_store_path_cannot_climb() {
        assert_eq!(PATH.parse::<StorePath>().map(String::from).as_deref(), Ok(PATH));
        for bad in [
            "",
            "/nix/store/",
            "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg",
            "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-",
            "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-.hidden",
            "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najve-a",
            "/nix/store/../etc/passwd",
            &format!("{PATH}/bin"),
            &format!("{PATH} --option"),
            &format!("x{PATH}"),
        ] {
            assert!(bad.parse::<StorePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_file_lies_below_one_path() {
        let file = format!("{PATH}/share/TEGRA_BL.Cap");
        assert_eq!(file.parse::<StoreFile>().map(String::from), Ok(file));
        for bad in [PATH, &format!("{PATH}/"), &format!("{PATH}/../a"), &format!("{PATH}/a//b"), "/boot/a.Cap"] {
            assert!(bad.parse::<StoreFile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_has_one_form() {
        let empty = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(empty.parse::<NarHash>().map(String::from).as_deref(), Ok(empty));
        for bad in ["", "sha256-", "sha256-47DEQpj8", "md5-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", &empty[..50]]
        {
            assert!(bad.parse::<NarHash>().is_err(), "{bad}");
        }
    }
}
