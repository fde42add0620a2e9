//! A server that speaks SQS, and a client of it: Python packages of pinned versions with pinned hashes, in a folder of
//! ours. The tests find them there.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, ffmpeg8, program};

/// What pip installs, relative to the repository's top folder.
const LIST: &str = "tests/xtask/moto.txt";
/// In the folder: the text of the list that it was made from, and the Python that it was made for.
const STAMP: &str = "installed";

/// Installs it, unless it is there already: then nobody is asked.
pub(crate) fn install(checkout: &Checkout) -> Result<()> {
    let folder = ffmpeg8::cache("moto")?;
    let list = checkout.root().join(LIST);
    let list_text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let wanted = format!("{}{list_text}", python()?);
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing a server for SQS in {}", folder.display());
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    program::run(pip.arg("--target").arg(&folder).arg("--requirement").arg(&list))?;
    fs::write(folder.join(STAMP), wanted).with_context(|| format!("cannot write to {}", folder.display()))
}

/// Which Python it is: some of the packages are made for one version.
fn python() -> Result<String> {
    let told = Command::new("python3").arg("--version").output().context("cannot run python3")?;
    String::from_utf8(told.stdout).context("python3 says its version in no text")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_package_is_pinned_by_version_and_hash() {
        let list = include_str!("../moto.txt");
        let packages: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(packages.iter().any(|line| line.starts_with("moto==")));
        for package in packages {
            let mut words = package.split(' ');
            assert!(words.next().is_some_and(|name| name.contains("==")), "{package}");
            let mut hashes = words.map(|word| word.strip_prefix("--hash=sha256:").expect("a hash").len()).peekable();
            assert!(hashes.peek().is_some() && hashes.all(|length| length == 64), "{package}");
        }
    }
}
