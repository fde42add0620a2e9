//! How an operator reaches the broker: the command line, over the environment, over a file.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reelmill_daemon::report::Hinted;
use reelmill_mqtt::{Address, Identity};
use serde::Deserialize;

/// Where brokers listen for hubs and operators.
const PORT: u16 = 8884;
/// The file with the settings, in the user's folder of settings.
const FILE: &str = "reelmill/operator.toml";

/// The way to the broker, as far as the command line and the environment tell it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Way {
    /// The farm's broker, by the name in its certificate; port 8884 unless told otherwise
    #[arg(long, value_name = "HOST[:PORT]", env = "REELMILL_BROKER")]
    broker: Option<String>,
    /// The authorities that may vouch for the broker, PEM
    #[arg(long, value_name = "FILE", env = "REELMILL_BROKER_CA")]
    ca: Option<PathBuf>,
    /// Your certificate for the broker, PEM
    #[arg(long, value_name = "FILE", env = "REELMILL_BROKER_CERT")]
    cert: Option<PathBuf>,
    /// The certificate's key, PEM; not the key that signs commands
    #[arg(long, value_name = "FILE", env = "REELMILL_BROKER_KEY")]
    key: Option<PathBuf>,
    /// Where these are told otherwise, and `sign`; by default ~/.config/reelmill/operator.toml if it is there
    #[arg(long, value_name = "FILE", env = "REELMILL_OPERATOR")]
    settings: Option<PathBuf>,
}

/// The file. Relative paths in it begin at its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    broker: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    sign: Vec<PathBuf>,
}

/// All that is needed to reach the broker.
#[derive(Debug)]
pub(super) struct Access {
    /// Where it is.
    pub(super) at: Address,
    /// What we show.
    pub(super) identity: Identity,
    /// The keys that sign unless others are named.
    pub(super) sign: Vec<PathBuf>,
}

impl Way {
    /// The whole way.
    ///
    /// # Errors
    /// If a part of it is told nowhere, or the file cannot be used.
    pub(super) fn access(&self) -> anyhow::Result<Access> {
        let file = self.settings.clone().or_else(|| usual_file().filter(|file| file.exists()));
        let settings = file.as_deref().map(load).transpose()?.unwrap_or_default();
        let broker = self.broker.clone().or(settings.broker).ok_or_else(|| untold("the broker", "--broker"))?;
        let at = Address::parse(&broker, PORT).with_context(|| format!("`{broker}` is no broker"))?;
        let of = |given: &Option<PathBuf>, set: Option<PathBuf>, what, option| {
            given.clone().or(set).ok_or_else(|| untold(what, option))
        };
        let identity = Identity {
            ca: of(&self.ca, settings.ca, "the authority that vouches for the broker", "--ca")?,
            cert: of(&self.cert, settings.cert, "your certificate for the broker", "--cert")?,
            key: of(&self.key, settings.key, "the key of your certificate", "--key")?,
        };
        Ok(Access { at, identity, sign: settings.sign })
    }
}

fn untold(what: &str, option: &str) -> Hinted {
    let name = option.trim_start_matches('-');
    let variable = if name == "broker" { String::new() } else { format!("_{}", name.to_uppercase()) };
    let hint = format!("name it with {option}, REELMILL_BROKER{variable}, or `{name}` in ~/.config/{FILE}");
    Hinted::new(format!("nobody told {what}"), hint)
}

fn usual_file() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join(FILE))
}

fn load(file: &Path) -> anyhow::Result<Settings> {
    let Settings { broker, ca, cert, key, sign } = reelmill_daemon::load_toml(file)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let beside = |path: Option<PathBuf>| path.map(|path| folder.join(path));
    let sign = sign.into_iter().map(|path| folder.join(path)).collect();
    Ok(Settings { broker, ca: beside(ca), cert: beside(cert), key: beside(key), sign })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(way: &Way, want: &str) {
        let got = way.access().map_or_else(
            |e| reelmill_daemon::report::render(&*e),
            |Access { at, identity, sign }| format!("{at} {:?} {:?} {sign:?}", identity.ca, identity.cert),
        );
        assert_eq!(got, want);
    }

    #[test]
    fn the_command_line_wins_over_the_file_whose_paths_begin_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let file = folder.path().join("operator.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("ours");
        write("broker = \"a\"\nca = \"ca.pem\"\ncert = \"/b.pem\"\nkey = \"b.key\"\nsign = [\"anna.key\"]\n");
        let way = Way { settings: Some(file.clone()), ..Way::default() };
        check(&way, &format!("a:8884 \"{at}/ca.pem\" \"/b.pem\" [\"{at}/anna.key\"]"));
        let named = Way { broker: Some("b:1".to_owned()), ca: Some("c".into()), ..way.clone() };
        check(&named, &format!("b:1 \"c\" \"/b.pem\" [\"{at}/anna.key\"]"));
        write("broker = \"a b\"");
        check(
            &way,
            "error: `a b` is no broker: it must be a host's name or address, such as broker.example.net, and may have a \
             port, such as :8884",
        );
        write("[page]");
        let told =
            format!("error: {at}/operator.toml:1:2: unknown key `page`; known are `broker`, `ca`, `cert`, `key`");
        check(&way, &format!("{told}, `sign`"));
        write("");
        check(
            &way,
            "error: nobody told the broker\nhint: name it with --broker, REELMILL_BROKER, or `broker` in \
             ~/.config/reelmill/operator.toml",
        );
        check(
            &Way { broker: Some("b".to_owned()), ..way },
            "error: nobody told the authority that vouches for the broker\nhint: name it with --ca, REELMILL_BROKER_CA, or \
             `ca` in ~/.config/reelmill/operator.toml",
        );
    }
}
