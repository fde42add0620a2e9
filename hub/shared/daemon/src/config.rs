//! Configuration: a TOML file whose errors name file, line and column, and over it the environment, whose mistakes are
//! collected and told at once.

use std::{
    any::Any,
    collections::BTreeMap,
    ffi::OsString,
    fmt::Display,
    fs, io,
    num::{ParseFloatError, ParseIntError},
    path::{Path, PathBuf},
    str::{FromStr, ParseBoolError},
};

use reelmill_api::preset::line_and_column;
use serde::de::DeserializeOwned;

use crate::secret::SecretRef;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}", path = .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file says something it must not.
    #[error("{path}:{line}:{column}: {message}", path = .path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Variables of the environment cannot be used: one sentence each.
    #[error("{}", mistakes(.0))]
    Environment(Vec<String>),
}

fn mistakes(all: &[String]) -> String {
    match all {
        [one] => one.clone(),
        many => format!("{} mistakes in the environment:\n  {}", many.len(), many.join("\n  ")),
    }
}

/// The configuration in a TOML file. A key that the type does not know is refused where the type says
/// `deny_unknown_fields`, and the message lists the keys it does know.
///
/// # Errors
/// If the file cannot be read or says something it must not; then with line and column.
pub fn load_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T, ConfigError> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse_toml(path, &text)
}

/// The configuration in TOML text; `path` names it in errors.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((1, 1), |s| line_and_column(text, s.start));
        ConfigError::Parse { path: path.to_owned(), line, column, message: plain_words(e.message()) }
    })
}

/// The TOML files of a folder by name, as (path, text).
///
/// # Errors
/// If the folder or a file in it cannot be read.
pub fn toml_files(folder: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let cannot = |path: &Path, source| ConfigError::Read { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| cannot(folder, e))? {
        paths.push(entry.map_err(|e| cannot(folder, e))?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(|e| cannot(path, e));
    paths.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect()
}

/// serde speaks of fields and variants; a configuration has keys and values.
fn plain_words(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let words = [
        ("unknown field `", "unknown key `"),
        ("missing field `", "missing key `"),
        ("duplicate field `", "doubled key `"),
        ("unknown variant `", "unknown value `"),
    ];
    let found = words.iter().find_map(|(from, to)| message.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    found.unwrap_or(message).replace("`, expected one of `", "`; known are `").replace("`, expected `", "`; known is `")
}

/// The environment as an overlay on a configuration: a variable that is set and not empty wins. Mistakes are collected,
/// so call [`Env::finish`] after the last read.
#[derive(Debug)]
pub struct Env {
    vars: Vars,
    mistakes: Vec<String>,
}

struct Vars(BTreeMap<OsString, OsString>);

/// Values may be secrets, so only the count is shown.
impl std::fmt::Debug for Vars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

impl Env {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self { vars: Vars(std::env::vars_os().collect()), mistakes: Vec::new() }
    }

    /// An environment made up for a test.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { vars: Vars(vars), mistakes: Vec::new() }
    }

    /// The text of a variable; `None` if it is not set or empty, or no UTF-8 (which is a mistake).
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.vars.0.get(std::ffi::OsStr::new(name)).filter(|v| !v.is_empty())?;
        let text = value.to_str().map(str::to_owned);
        if text.is_none() {
            self.mistake(format!("{name} is not UTF-8 text"));
        }
        text
    }

    /// Puts the variable's value into `field` if it is set.
    pub fn read<T: FromStr<Err: Display + 'static>>(&mut self, name: &str, field: &mut T) {
        if let Some(value) = self.parse(name) {
            *field = value;
        }
    }

    /// Puts the variable's value into an optional `field` if it is set.
    pub fn read_some<T: FromStr<Err: Display + 'static>>(&mut self, name: &str, field: &mut Option<T>) {
        if let Some(value) = self.parse(name) {
            *field = Some(value);
        }
    }

    /// Puts a list separated by commas into `field` if it is set; white space around the parts does not count.
    pub fn read_list<T: FromStr<Err: Display + 'static>>(&mut self, name: &str, field: &mut Vec<T>) {
        self.read_separated(name, ',', field);
    }

    /// Puts a list separated by colons, as in `PATH`, into `field` if it is set.
    pub fn read_paths<T: FromStr<Err: Display + 'static>>(&mut self, name: &str, field: &mut Vec<T>) {
        self.read_separated(name, ':', field);
    }

    fn read_separated<T: FromStr<Err: Display + 'static>>(&mut self, name: &str, by: char, field: &mut Vec<T>) {
        let Some(text) = self.text(name) else { return };
        let parts: Result<Vec<T>, String> =
            text.split(by).map(str::trim).filter(|p| !p.is_empty()).map(|p| parsed(name, p)).collect();
        match parts {
            Ok(parts) => *field = parts,
            Err(mistake) => self.mistake(mistake),
        }
    }

    /// Puts a value that may hold a secret (such as an address with a password) into `field` if it is set. A mistake
    /// shows neither the value nor the parser's words, only what is `allowed`.
    pub fn read_hidden<T: FromStr>(&mut self, name: &str, field: &mut Option<T>, allowed: &str) {
        let Some(text) = self.text(name) else { return };
        match text.parse() {
            Ok(value) => *field = Some(value),
            Err(_) => self.mistake(format!("{name} must be {allowed} (what is set is not shown)")),
        }
    }

    /// Puts a reference to a secret into `field` if it is set.
    pub fn secret(&mut self, name: &str, field: &mut Option<SecretRef>) {
        let Some(text) = self.text(name) else { return };
        match text.parse() {
            Ok(value) => *field = Some(value),
            Err(e) => self.mistake(format!("{name}: {e}")),
        }
    }

    /// Adds a mistake that only the caller can see, such as two settings that exclude each other.
    pub fn mistake(&mut self, sentence: impl Into<String>) {
        self.mistakes.push(sentence.into());
    }

    /// Ends reading.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Environment(self.mistakes)) }
    }

    fn parse<T: FromStr<Err: Display + 'static>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        parsed(name, &text).map_err(|mistake| self.mistake(mistake)).ok()
    }
}

fn parsed<T: FromStr<Err: Display + 'static>>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|e: T::Err| {
        let given: String = text.chars().take(80).collect();
        format!("{name} is {given:?}: {}", allowed::<T>(&e))
    })
}

/// What is allowed, where the standard library's parsers only say what they met; else the parser's own words.
fn allowed<T: FromStr<Err: Display + 'static>>(error: &T::Err) -> String {
    let takes = |text: &str| T::from_str(text).is_ok();
    let error_type: &dyn Any = error;
    if error_type.is::<ParseIntError>() {
        let from = if takes("-1") {
            ""
        } else if takes("0") {
            " from 0"
        } else {
            " from 1"
        };
        let most = [u64::MAX, u64::from(u32::MAX), u64::from(u16::MAX), u64::from(u8::MAX)];
        let to = most.into_iter().filter(|m| takes(&m.to_string())).max();
        let to = to.filter(|m| *m < u64::MAX && !from.is_empty()).map(|m| format!(" to {m}")).unwrap_or_default();
        format!("it must be a whole number{from}{to}")
    } else if error_type.is::<ParseFloatError>() {
        "it must be a number".to_owned()
    } else if error_type.is::<ParseBoolError>() {
        "it must be true or false".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU16, os::unix::ffi::OsStringExt};

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[allow(dead_code, reason = "only its parsing is looked at")]
    struct Config {
        concurrency: u8,
        node: String,
        key: Option<SecretRef>,
        engine: Engine,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Engine {
        #[default]
        Software,
        Nvenc,
    }

    fn check_toml(text: &str, want: &str) {
        let error = parse_toml::<Config>(Path::new("worker.toml"), text).expect_err("a bad configuration");
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn a_bad_key_or_value_is_named_with_its_place_and_what_is_known() {
        check_toml(
            "node = \"a\"\nconcurency = 2\n",
            "worker.toml:2:1: unknown key `concurency`; known are `concurrency`, `node`, `key`, `engine`",
        );
        check_toml("engine = \"cuda\"", "worker.toml:1:10: unknown value `cuda`; known is `software` or `nvenc`");
        check_toml("concurrency = 300", "worker.toml:1:15: invalid value: integer `300`, expected u8");
        check_toml("node = \"é\" node", "worker.toml:1:12: unexpected key or value, expected newline, `#`");
        check_toml("node = 1\nnode = 2", "worker.toml:2:1: duplicate key");
    }

    #[test]
    fn a_secret_that_is_no_text_is_refused_without_showing_it() {
        check_toml(
            "key = 12345",
            "worker.toml:1:7: a secret must be a quoted text such as \"file:/path\" or \"env:NAME\"",
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load_toml::<Config>("/nowhere/worker.toml").expect_err("no such file");
        assert_eq!(
            crate::report::render(&error),
            "error: cannot read the configuration /nowhere/worker.toml: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn reads_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), "concurrency = 3\nkey = \"env:KEY\"").expect("the file is ours");
        let config: Config = load_toml(file.path()).expect("a good file");
        assert_eq!((config.concurrency, config.key.map(|k| k.to_string())), (3, Some("env:KEY".to_owned())));
    }

    #[test]
    fn the_environment_wins_where_it_says_something() {
        let mut env = Env::from_pairs([("CONCURRENCY", " 4 "), ("NODE", ""), ("PRESET", "a, b,"), ("ROOTS", "/a:/b")]);
        let (mut concurrency, mut node) = (1_usize, "kept".to_owned());
        let (mut presets, mut roots): (Vec<String>, Vec<PathBuf>) = Default::default();
        env.read("CONCURRENCY", &mut concurrency);
        env.read("NODE", &mut node);
        env.read_list("PRESET", &mut presets);
        env.read_paths("ROOTS", &mut roots);
        env.finish().expect("no mistakes");
        assert_eq!((concurrency, node.as_str()), (4, "kept"));
        assert_eq!(presets, ["a", "b"]);
        assert_eq!(roots, [Path::new("/a"), Path::new("/b")]);
    }

    fn check_env<T: FromStr<Err: Display + 'static>>(value: &str, mut field: T, want: &str) {
        let mut env = Env::from_pairs([("X", value)]);
        env.read("X", &mut field);
        assert_eq!(env.finish().expect_err("a mistake").to_string(), want);
    }

    #[test]
    fn a_bad_variable_is_told_with_what_was_given_and_what_is_allowed() {
        check_env("many", 1_usize, "X is \"many\": it must be a whole number from 0");
        check_env("0", NonZeroU16::MIN, "X is \"0\": it must be a whole number from 1 to 65535");
        check_env("-1", 1_u32, "X is \"-1\": it must be a whole number from 0 to 4294967295");
        check_env("1.5", 1_i64, "X is \"1.5\": it must be a whole number");
        check_env("a\nb", 1.0_f64, "X is \"a\\nb\": it must be a number");
        check_env("yes", true, "X is \"yes\": it must be true or false");
        check_env(
            "nowhere",
            std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
            "X is \"nowhere\": invalid socket address syntax",
        );
    }

    #[test]
    fn tells_all_mistakes_at_once_and_no_secret() {
        let mut env = Env::from_pairs([("A", "x"), ("KEY", "vault:kv/media#key"), ("QUEUE_URL", "redis//:hunter2@h")]);
        env.read("A", &mut 1_u8);
        env.secret("KEY", &mut None);
        env.read_hidden::<std::net::IpAddr>("QUEUE_URL", &mut None, "an address such as redis://host:6379");
        assert_eq!(format!("{env:?}").matches("hunter2").count(), 0);
        assert_eq!(
            env.finish().expect_err("three mistakes").to_string(),
            "3 mistakes in the environment:\n  \
             A is \"x\": it must be a whole number from 0 to 255\n  \
             KEY: this build cannot read secrets by `vault:` yet; use `file:/path` or `env:NAME`, which another program \
             may fill from Vault\n  \
             QUEUE_URL must be an address such as redis://host:6379 (what is set is not shown)"
        );
    }

    #[test]
    fn a_variable_that_is_no_text_is_a_mistake() {
        let mut env = Env::from_pairs([("X", OsString::from_vec(vec![0xff]))]);
        assert_eq!(env.text("X"), None);
        assert_eq!(env.finish().expect_err("a mistake").to_string(), "X is not UTF-8 text");
    }
}
