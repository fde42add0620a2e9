//! Secrets and references to them: a configuration says where a secret lies, and no log, error or debug output shows it.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// Longest secret read from a file; anything longer is some other file.
const LONGEST: u64 = 64 * 1024;

/// A secret. It shows itself as `[secret]` everywhere but in [`Secret::expose`].
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A secret from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a secret lies: `file:/path`, `env:NAME`, or the secret itself as plain text.
#[derive(Clone, Debug)]
pub enum SecretRef {
    /// The secret itself.
    Plain(Secret),
    /// In a file, by its absolute path.
    File(PathBuf),
    /// In a variable of this program's environment.
    Env(String),
}

/// Why a reference is none, or cannot be resolved. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A kind of reference that is known but not built in.
    #[error(
        "this build cannot read secrets by `{scheme}:` yet; use `file:/path` or `env:NAME`, which another program may fill from {service}"
    )]
    Unsupported {
        /// The word before the colon.
        scheme: &'static str,
        /// Whose secrets these are.
        service: &'static str,
    },
    /// A `file:` reference without an absolute path.
    #[error("`file:{0}` must name an absolute path, as in file:/run/credentials/key")]
    RelativePath(String),
    /// An `env:` reference without a name.
    #[error("`env:` must be followed by the name of a variable, as in env:S3_KEY")]
    NoName,
    /// Nothing where something must be.
    #[error("a secret must not be empty")]
    Empty,
    /// The file cannot be read.
    #[error("cannot read the secret file {path}", path = .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no secret.
    #[error("the secret file {path} {why}", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The variable is not there.
    #[error("the variable {0}, which a secret refers to, is not set or empty")]
    NotSet(String),
}

impl SecretRef {
    /// The secret.
    ///
    /// # Errors
    /// If the file or variable is missing, empty or no text.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Plain(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok(Secret(text)),
                _ => Err(SecretError::NotSet(name.clone())),
            },
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, SecretError> {
    let cannot = |source| SecretError::Read { path: path.to_owned(), source };
    let bad = |why| SecretError::File { path: path.to_owned(), why };
    let file = fs::File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if meta.is_file() && meta.permissions().mode() & 0o004 != 0 {
        log::warn!("every user of this machine can read the secret file {}; chmod 600 it", path.display());
    }
    let mut text = String::new();
    match file.take(LONGEST + 1).read_to_string(&mut text) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(bad("is not UTF-8 text")),
        other => other.map_err(cannot)?,
    };
    if text.len() as u64 > LONGEST {
        return Err(bad("is longer than 64 KiB"));
    }
    let line = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    if line.is_empty() { Err(bad("is empty")) } else { Ok(Secret(line.to_owned())) }
}

/// Only what is no secret: a path or a variable's name, else `[secret]`.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(secret) => secret.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once(':') {
            Some(("file", path)) => {
                let plain = path.strip_prefix("//").unwrap_or(path);
                if Path::new(plain).is_absolute() {
                    Ok(Self::File(plain.into()))
                } else {
                    Err(SecretError::RelativePath(path.to_owned()))
                }
            }
            Some(("env", "")) => Err(SecretError::NoName),
            Some(("env", name)) => Ok(Self::Env(name.to_owned())),
            Some(("vault", _)) => Err(SecretError::Unsupported { scheme: "vault", service: "Vault" }),
            Some(("awssm", _)) => Err(SecretError::Unsupported { scheme: "awssm", service: "AWS Secrets Manager" }),
            _ if s.is_empty() => Err(SecretError::Empty),
            _ => Ok(Self::Plain(Secret(s.to_owned()))),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        /// serde's own message would show a number that stands where the secret should.
        fn no_text<E: de::Error>() -> Result<SecretRef, E> {
            Err(E::custom("a secret must be a quoted text such as \"file:/path\" or \"env:NAME\""))
        }
        impl de::Visitor<'_> for Text {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret as quoted text")
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<SecretRef, E> {
                s.parse().map_err(E::custom)
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
                no_text()
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                no_text()
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
                no_text()
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                no_text()
            }
        }
        from.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<&str, &str>) {
        let got = text.parse::<SecretRef>();
        let shown = got.as_ref().map(ToString::to_string).map_err(ToString::to_string);
        assert_eq!(shown.as_deref(), want.map_err(str::to_owned).as_ref().copied(), "{text}");
    }

    #[test]
    fn knows_the_kinds_of_references() {
        check("hunter2", Ok("[secret]"));
        check("hunter:2", Ok("[secret]"));
        check("file:/run/key", Ok("file:/run/key"));
        check("file:///run/key", Ok("file:/run/key"));
        check("env:KEY", Ok("env:KEY"));
        check("env:", Err("`env:` must be followed by the name of a variable, as in env:S3_KEY"));
        check("file:key", Err("`file:key` must name an absolute path, as in file:/run/credentials/key"));
        check("", Err("a secret must not be empty"));
        check(
            "awssm:prod/media#key",
            Err(
                "this build cannot read secrets by `awssm:` yet; use `file:/path` or `env:NAME`, which another program \
                 may fill from AWS Secrets Manager",
            ),
        );
    }

    #[test]
    fn never_shows_a_secret() {
        let plain: SecretRef = "hunter2".parse().expect("plain text");
        let secret = plain.resolve().expect("plain text");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{plain:?} {plain} {secret:?} {secret}"), "Plain([secret]) [secret] [secret] [secret]");
    }

    fn check_file(bytes: &[u8], want: Result<&str, &str>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), bytes).expect("the file is ours");
        let got = SecretRef::File(file.path().to_owned()).resolve();
        match (got, want) {
            (Ok(secret), Ok(want)) => assert_eq!(secret.expose(), want),
            (Err(e), Err(want)) => {
                assert_eq!(e.to_string(), format!("the secret file {} {want}", file.path().display()));
            }
            (got, want) => panic!("{got:?} is not {want:?}"),
        }
    }

    #[test]
    fn takes_one_new_line_off_a_file() {
        check_file(b"hunter2", Ok("hunter2"));
        check_file(b"hunter2\n", Ok("hunter2"));
        check_file(b"hunter2\r\n", Ok("hunter2"));
        check_file(b"two\n\n", Ok("two\n"));
        check_file(b"\n", Err("is empty"));
        check_file(b"", Err("is empty"));
        check_file(b"\xff\xfe", Err("is not UTF-8 text"));
        check_file(&vec![b'a'; 64 * 1024 + 1], Err("is longer than 64 KiB"));
    }

    #[test]
    fn says_what_is_missing() {
        let render = |text: &str| {
            let e = text.parse::<SecretRef>().expect("a reference").resolve().expect_err("nothing there");
            crate::report::render(&e)
        };
        assert_eq!(
            render("file:/nowhere/key"),
            "error: cannot read the secret file /nowhere/key: No such file or directory (os error 2)"
        );
        assert_eq!(
            render("env:REELMILL_NOT_SET"),
            "error: the variable REELMILL_NOT_SET, which a secret refers to, is not set or empty"
        );
    }

    #[test]
    fn warns_of_a_file_that_everyone_can_read() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), "hunter2").expect("the file is ours");
        let log_of = |mode: u32| {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("the file is ours");
            let mut child = crate::child::test_as_child("secret::tests::child_resolves_a_secret");
            child.env("SECRET_FILE", file.path()).env_remove("JOURNAL_STREAM").env("REELMILL_LOG", "info");
            String::from_utf8_lossy(&child.output().expect("the child runs").stderr).into_owned()
        };
        let warning = format!("every user of this machine can read the secret file {}", file.path().display());
        assert!(log_of(0o644).contains(&warning));
        let quiet = log_of(0o600);
        assert!(!quiet.contains("every user") && quiet.contains("resolved [secret]"), "{quiet}");
    }

    #[test]
    #[ignore = "started by the test above"]
    fn child_resolves_a_secret() {
        if !crate::child::is_child() {
            return;
        }
        crate::log::init("test");
        let path = std::env::var("SECRET_FILE").expect("given by the parent");
        let secret = SecretRef::File(path.into()).resolve().expect("the parent wrote it");
        log::info!("resolved {secret}");
    }
}
