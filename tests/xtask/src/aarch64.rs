//! `cargo xtask test aarch64`: our programs built for the processors of Jetson boards, and the unit tests of what runs on a
//! node on such a processor, which qemu emulates. Debian's own compiler for it lives in a root of its own.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{checkout::Checkout, program};

/// The Debian release with a recent compiler for other processors, which its updates of browsers need.
const SUITE: &str = "bookworm";
/// The compiler and its library for both processors, what links, what emulates, and what tests unpack with and make media with.
const PACKAGES: &str = "rustc-web,cargo-web,libstd-rust-web-dev,libstd-rust-web-dev:arm64,gcc,libc6-dev,\
                        gcc-aarch64-linux-gnu,libc6-dev-arm64-cross,qemu-user-static,zstd,ffmpeg";
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// What a farm and its nodes run.
const PROGRAMS: [&str; 4] = ["reelmill", "reelmill-agent", "reelmill-hub", "reelmill-worker"];
/// Tests of programs that cannot be started: qemu's emulation of `vfork` does not tell the parent, which sees an exit with 127
/// instead, as it would nowhere else.
const NOT_EMULATED: [&str; 3] = [
    "a_machine_without_modes_says_so",
    "a_program_that_fails_is_told_with_its_words_and_its_last_lines",
    "an_answer_is_left_for_all_to_read_and_an_older_one_never_counts",
];
/// What runs on a node, whose tests are run.
const TESTED: [&str; 3] = ["reelmill-api", "reelmill-agent", "reelmill-worker"];

/// Why it cannot be done on this machine, if it cannot.
pub(crate) fn why_not() -> Option<&'static str> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    (!root).then_some("making a Debian root and entering it needs root")
}

/// Builds the programs and runs the tests.
pub(crate) fn check(checkout: &Checkout) -> Result<()> {
    let folder = checkout.leavings("aarch64");
    fs::create_dir_all(folder.join("target")).with_context(|| format!("cannot make {}", folder.display()))?;
    let root = root(&folder)?;
    // Inside, the network is not asked for crates.
    program::run(&mut checkout.cargo(&["fetch", "--locked"]))?;
    let inside = |words: &[&str], packages: &[&str], rest: &[&str]| {
        let packages = packages.iter().flat_map(|package| ["--package", package]);
        let mut cargo = cargo(checkout, &folder, &root)?;
        cargo.args(words).args(["--locked", "--offline", "--target", TARGET]).args(packages).args(rest);
        program::run(&mut cargo)
    };
    let skipped: Vec<_> = NOT_EMULATED.into_iter().flat_map(|test| ["--skip", test]).collect();
    for package in TESTED {
        inside(&["test", "--lib", "--no-fail-fast"], &[package], &[&["--"], &skipped[..]].concat())?;
    }
    inside(&["build", "--bins"], &PROGRAMS, &[])?;
    let built = folder.join("target").join(TARGET).join("debug");
    for name in PROGRAMS {
        let version =
            program::output(enter(&root, &[&built]).arg("qemu-aarch64-static").arg(built.join(name)).arg("--version"))?;
        println!("{version}, on {TARGET}");
    }
    Ok(())
}

/// The Debian root, made once for these packages; under another name until it is whole.
fn root(folder: &Path) -> Result<PathBuf> {
    let (root, half, made_of) = (folder.join("root"), folder.join("root.half"), folder.join("root.packages"));
    if root.is_dir() && fs::read_to_string(&made_of).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(root);
    }
    for old in [&root, &half] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    println!("making a Debian root with compilers in {}, once: some minutes and 1.5 GB", root.display());
    let mut command = Command::new("mmdebstrap");
    command.args(["--architectures=amd64,arm64", "--variant=minbase"]);
    command.args(["doc", "man", "locale"].map(|left_out| format!("--dpkgopt=path-exclude=/usr/share/{left_out}/*")));
    command.arg(format!("--include={PACKAGES}")).arg(SUITE).arg(&half);
    program::run(&mut command)?;
    fs::rename(&half, &root).with_context(|| format!("cannot rename {}", half.display()))?;
    fs::write(&made_of, PACKAGES).with_context(|| format!("cannot write {}", made_of.display()))?;
    Ok(root)
}

/// cargo in the root, with the repository and the crates of outside where they are here.
fn cargo(checkout: &Checkout, folder: &Path, root: &Path) -> Result<Command> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"))).context("there is no HOME")?;
    let target = folder.join("target");
    let mut command = enter(root, &[checkout.root(), &home, &target]);
    let compiler = "aarch64-linux-gnu-gcc";
    let variables = [
        ("CARGO_HOME", home.to_string_lossy().into_owned()),
        ("CARGO_TARGET_DIR", target.to_string_lossy().into_owned()),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", compiler.to_owned()),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64-static".to_owned()),
        ("CC_aarch64_unknown_linux_gnu", compiler.to_owned()),
        ("CARGO_PROFILE_DEV_DEBUG", "0".to_owned()),
        ("CARGO_INCREMENTAL", "0".to_owned()),
    ];
    let jobs = env::var("CARGO_BUILD_JOBS").ok().map(|jobs| ("CARGO_BUILD_JOBS", jobs));
    command.arg("env").arg("--chdir").arg(checkout.root());
    command.args(variables.into_iter().chain(jobs).map(|(name, value)| format!("{name}={value}")));
    command.arg("cargo");
    Ok(command)
}

/// A command in the root, which sees these folders where they are here.
fn enter(root: &Path, folders: &[&Path]) -> Command {
    let mut command = Command::new("systemd-nspawn");
    command.args(["--quiet", "--pipe", "--register=no", "--keep-unit", "--as-pid2", "--directory"]).arg(root);
    command.args(folders.iter().map(|folder| format!("--bind={}", folder.display())));
    command.arg("--");
    command
}
