//! `reelmill keys`: keys that sign commands. A private key is a file that only its owner may read.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use reelmill_api::fleet::{PrivateKey, PublicKey, Role, Text, Trust, trust::TrustedKey};
use reelmill_daemon::report::Hinted;

use crate::{
    exit::DONE,
    screen::{self, Screen},
};

/// Make and show the keys that sign commands.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reelmill keys new anna.key                   anna.key is secret, anna.key.pub is for everybody
  reelmill keys show anna.key                  the public line and the key's name
  reelmill keys trust operator=anna.key.pub release=farm.key.pub admin=safe.key.pub > trust.json
  reelmill keys trust --ctr 2 operator=ben.key.pub admin=safe.key.pub --sign safe.key > next.json

A node trusts what its trust.json says. A later one is signed by admin keys of the one before, and given to nodes by
`reelmill send NODE trust document=@next.json`.";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a new key: FILE, which only you may read, and FILE.pub
    New {
        /// Where the private key goes; nothing may be there
        file: PathBuf,
        /// Whose it is, at the end of the line
        #[arg(long, value_name = "TEXT", default_value = "")]
        comment: String,
    },
    /// Print which keys nodes shall trust, for what
    Trust {
        /// A role (operator, release, admin) and a file with a public key; a file may be named once for each of its roles
        #[arg(value_name = "ROLE=FILE", required = true, value_parser = grant)]
        keys: Vec<(Role, PathBuf)>,
        /// How many admin keys must sign the next document
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        threshold: u32,
        /// The document's number; that of the next is higher
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        ctr: u64,
        /// Sign it with an admin key of the document before, and print the envelope
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
    },
    /// Show the public part and the name of a key, private or public
    Show {
        /// The key's file
        file: PathBuf,
    },
}

/// Runs the command and returns its exit code.
pub(crate) fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    match args.verb {
        Verb::New { file, comment } => {
            let public = new(&file, &comment)?;
            screen.note(&format!("wrote {} and {}", file.display(), beside(&file).display()));
            show(&public, &comment);
        }
        Verb::Trust { keys, threshold, ctr, sign } => {
            let trust = trust(&keys, threshold, ctr)?;
            let signed = sign.map(|file| read(&file)).transpose()?.map(|key| trust.signed(&key));
            let message = signed.map_or_else(|| trust.to_payload(), |envelope| envelope.to_message());
            screen::print(&format!("{}\n", String::from_utf8(message).context("a document is text")?));
        }
        Verb::Show { file } => {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let public = text.parse::<PublicKey>().or_else(|_| text.parse::<PrivateKey>().map(|key| key.public()));
            show(&public.with_context(|| format!("{} holds no key", file.display()))?, "");
        }
    }
    Ok(DONE)
}

/// Makes a new key: `file`, which only its owner may read, and `file.pub`.
pub(crate) fn new(file: &Path, comment: &str) -> anyhow::Result<PublicKey> {
    let mut seed = [0; 32];
    draw(&mut seed)?;
    make(file, &PrivateKey::from_seed(&seed), comment)
}

fn grant(word: &str) -> Result<(Role, PathBuf), String> {
    let (role, file) = word.split_once('=').ok_or_else(|| format!("`{word}` is not ROLE=FILE"))?;
    let role =
        serde_json::from_value(role.into()).map_err(|_| format!("`{role}` is not operator, release or admin"))?;
    Ok((role, file.into()))
}

/// The document that trusts the keys in these files.
pub(crate) fn trust(grants: &[(Role, PathBuf)], threshold: u32, ctr: u64) -> anyhow::Result<Trust> {
    let mut trusted: Vec<TrustedKey> = Vec::new();
    for (role, file) in grants {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let key: PublicKey = text.parse().with_context(|| format!("{} holds no public key", file.display()))?;
        match trusted.iter_mut().find(|known| known.key == key) {
            Some(known) => drop(known.roles.insert(*role)),
            None => {
                let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                let name = Text::cut(name.trim_end_matches(".pub"));
                trusted.push(TrustedKey { key, name, roles: [*role].into() });
            }
        }
    }
    Trust::new(ctr, threshold, trusted).map_err(|why| anyhow::anyhow!("nodes would refuse this: {why}"))
}

fn show(key: &PublicKey, comment: &str) {
    screen::print(&format!("{}\nkey {}\n", key.to_line(comment), key.id()));
}

/// Fills bytes from the kernel's generator, which is fit for secrets.
pub(crate) fn draw(bytes: &mut [u8]) -> anyhow::Result<()> {
    let drawn = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    if drawn.context("cannot draw random bytes")? != bytes.len() {
        bail!("the kernel gave fewer random bytes than it was asked for");
    }
    Ok(())
}

/// The private key of a file that nobody else may read.
pub(crate) fn read(file: &Path) -> anyhow::Result<PrivateKey> {
    let cannot = || format!("cannot read the key {}", file.display());
    let mode = fs::metadata(file).with_context(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        let error = format!("the key {} may be read by others (mode {:o})", file.display(), mode & 0o777);
        let hint = format!("chmod 600 {}, and make a new key if others had it", file.display());
        return Err(Hinted::new(error, hint).into());
    }
    let text = fs::read_to_string(file).with_context(cannot)?;
    text.parse().with_context(|| format!("{} holds no key that signs", file.display()))
}

fn make(file: &Path, key: &PrivateKey, comment: &str) -> anyhow::Result<PublicKey> {
    let public = key.public();
    write(file, 0o600, &key.to_secret_line(comment))?;
    write(&beside(file), 0o644, &public.to_line(comment))?;
    Ok(public)
}

fn write(file: &Path, mode: u32, line: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        writeln!(file, "{line}")?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Where the public part of a key lies.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_its_owners_alone_and_is_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("anna.key");
        let key = PrivateKey::from_seed(&[7; 32]);
        let public = make(&file, &key, "anna").expect("a new file");
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&file).expect("a key").public(), public);
        let line = fs::read_to_string(folder.path().join("anna.key.pub")).expect("it is there");
        assert_eq!(line.parse(), Ok(public));
        let error = make(&file, &key, "ben").expect_err("it is there");
        assert!(format!("{error:#}").contains("File exists"), "{error:#}");
    }

    #[test]
    fn a_key_that_others_may_read_signs_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("anna.key");
        make(&file, &PrivateKey::from_seed(&[7; 32]), "").expect("a new file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("our file");
        let told = reelmill_daemon::report::render(&*read(&file).expect_err("others may read it"));
        assert!(told.contains("may be read by others (mode 640)") && told.contains("hint: chmod 600"), "{told}");
        let public = folder.path().join("anna.key.pub");
        fs::set_permissions(&public, fs::Permissions::from_mode(0o600)).expect("our file");
        let error = read(&public).expect_err("it does not sign");
        assert!(format!("{error:#}").contains("this is a public key"), "{error:#}");
    }

    #[test]
    fn a_document_names_each_key_once_with_all_its_roles() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, seed) in [("anna", 1), ("safe", 5)] {
            make(&folder.path().join(name), &PrivateKey::from_seed(&[seed; 32]), "").expect("a new file");
        }
        let grant = |word: &str| {
            let (role, name) = grant(word).expect("a role and a file");
            (role, folder.path().join(name))
        };
        let words = ["operator=anna.pub", "admin=safe.pub", "release=anna.pub"].map(grant);
        let trust = trust(&words, 1, 2).expect("well formed");
        let named: Vec<_> = trust.keys().iter().map(|key| (key.name.as_str(), key.roles.len())).collect();
        assert_eq!((trust.ctr(), named), (2, vec![("anna", 2), ("safe", 1)]));
        let error = super::trust(&words[..1], 1, 1).expect_err("nobody could change it");
        assert!(error.to_string().contains("nodes would refuse this: a threshold of 1 with 0 admin keys"), "{error}");
        let error = super::trust(&[grant("admin=safe")], 1, 1).expect_err("a private key");
        assert!(format!("{error:#}").contains("this is a private key"), "{error:#}");
        assert_eq!(super::grant("root=a"), Err("`root` is not operator, release or admin".to_owned()));
    }

    #[test]
    fn two_keys_are_not_the_same() {
        let mut seeds = [[0; 32]; 2];
        seeds.iter_mut().for_each(|seed| draw(seed).expect("random bytes"));
        assert_ne!(seeds[0], seeds[1]);
    }
}
