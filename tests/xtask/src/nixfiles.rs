//! The Nix files: their form, the flake's evaluation, and the texts that come of it, compared with the files here.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, program};

/// The finder of dead code, by its version on crates.io.
const DEADNIX: (&str, &str) = ("deadnix", "1.3.1");
/// What a machine without nixpkgs needs in order to evaluate the flake: a program that does so over a stand-in of nixpkgs
/// with the real module system, and the two repositories that it takes the real part from.
const CHECKER: [&str; 3] = ["NIX_CHECK", "NIXPKGS_LIB", "JETPACK_NIXOS"];
/// All texts that come of the evaluation, by their paths in the repository.
const TEXTS: &str = "legacyPackages.x86_64-linux.texts";

/// Formats all Nix files, or only tells which are not formatted.
pub(crate) fn format(checkout: &Checkout, check: bool) -> Result<()> {
    // Built apart from the farm: one that builds the farm needs no formatter.
    let build = checkout.leavings("alejandra");
    let manifest = ["--manifest-path", "tests/alejandra/Cargo.toml"];
    let mut cargo = checkout.cargo(&["run", "--quiet", "--release", "--locked"]);
    cargo.args(manifest).arg("--target-dir").arg(build).arg("--");
    program::run(cargo.args(check.then_some("--check")).args(["."]))
}

/// Looks for what no Nix file uses.
pub(crate) fn dead_code(checkout: &Checkout) -> Result<()> {
    let tools = checkout.leavings("tools");
    let (name, version) = DEADNIX;
    let list = fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    if !has_crate(&list, name, version) {
        println!("installing {name} {version}: finds dead code in Nix files");
        let version = format!("={version}");
        let mut cargo = checkout.cargo(&["install", "--locked", "--quiet", "--version", &version, name, "--root"]);
        program::run(cargo.arg(&tools))?;
    }
    let deadnix = tools.join("bin").join(name);
    program::run(Command::new(deadnix).args(["--fail", "."]).current_dir(checkout.root()))
}

/// Whether cargo's list of what it installed names that crate in that version.
fn has_crate(list: &str, name: &str, version: &str) -> bool {
    list.lines().any(|line| line.starts_with(&format!("\"{name} {version} ")))
}

/// Which of the variables that name the checker and what it needs is not set, in words; `None` if all are.
pub(crate) fn why_not() -> Option<String> {
    missing(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn missing(is_set: impl Fn(&str) -> bool) -> Option<String> {
    let unset: Vec<_> = CHECKER.into_iter().filter(|name| !is_set(name)).collect();
    (!unset.is_empty()).then(|| format!("the flake is not evaluated here: that needs {}", unset.join(", ")))
}

/// Evaluates the whole flake, and compares the texts that come of it with the files here, or writes these where GOLDEN=write.
pub(crate) fn evaluate(checkout: &Checkout) -> Result<()> {
    let checker = PathBuf::from(env::var_os(CHECKER[0]).context("the variable was looked at before")?);
    program::run(Command::new(&checker).arg(checkout.root()))?;
    let texts = program::output(Command::new(&checker).arg(checkout.root()).args(["--eval", TEXTS]))?;
    let file = checkout.leavings("nix").join("texts.json");
    write(&file, &texts)?;
    let mut cargo =
        checkout.cargo(&["run", "--quiet", "--locked", "--package", "reelmill-appliance", "--bin", "texts"]);
    program::run(cargo.arg("--").arg(&file))
}

fn write(file: &Path, text: &str) -> Result<()> {
    let told = || format!("cannot write {}", file.display());
    let folder = file.parent().with_context(told)?;
    fs::create_dir_all(folder).and_then(|()| fs::write(file, text)).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_variables_are_missing() {
        let check = |set: &[&str], want: Option<&str>| assert_eq!(missing(|name| set.contains(&name)).as_deref(), want);
        check(&CHECKER, None);
        check(&["NIX_CHECK"], Some("the flake is not evaluated here: that needs NIXPKGS_LIB, JETPACK_NIXOS"));
    }

    #[test]
    fn installs_a_tool_only_in_another_version() {
        let list = "[v1]\n\"deadnix 1.3.1 (registry+https://github.com/rust-lang/crates.io-index)\" = [\"deadnix\"]\n";
        assert!(has_crate(list, "deadnix", "1.3.1"));
        assert!(!has_crate(list, "deadnix", "1.3"));
        assert!(!has_crate(list, "nix", "1.3.1"));
    }
}
