//! Where Nix is, its development shell brings the tools, and apt-get is left alone.

use std::{
    env, fs,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{checkout::Checkout, program};

/// Starts this command again inside `nix develop`, if that is possible and not done yet.
pub(crate) fn reenter(checkout: &Checkout) -> Result<()> {
    let flake = fs::read_to_string(checkout.root().join("flake.nix")).ok();
    // Nix sets this variable in each of its shells.
    let inside = env::var_os("IN_NIX_SHELL").is_some();
    if !wanted(program::on_path("nix"), flake.as_deref(), inside) {
        return Ok(());
    }
    println!("entering the flake's development shell: it brings ffmpeg, Node.js, Redis and Chromium");
    let mut nix = Command::new("nix");
    nix.args(["--extra-experimental-features", "nix-command flakes", "develop"]).arg(checkout.root());
    nix.args(["--command", "cargo", "xtask"]).args(env::args_os().skip(1));
    program::become_it(&mut nix).map(|_: ExitCode| ())
}

fn wanted(nix: bool, flake: Option<&str>, inside: bool) -> bool {
    nix && !inside && flake.is_some_and(|text| text.contains("devShells"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enters_the_shell_once_and_only_if_the_flake_has_one() {
        let flake = Some("{ outputs = _: { devShells = {}; }; }");
        assert!(wanted(true, flake, false));
        assert!(!wanted(true, flake, true));
        assert!(!wanted(false, flake, false));
        assert!(!wanted(true, Some("{ outputs = _: { }; }"), false));
        assert!(!wanted(true, None, false));
    }
}
