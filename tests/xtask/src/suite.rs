//! `cargo xtask test` and `cargo xtask lint`: the list of all checks, and which of them a run wants.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{
    aarch64, browser,
    checkout::Checkout,
    ffmpeg8, gstreamer, lint, moto, nixfiles, npm, program,
    steps::{Outcome, Steps},
};

/// Which checks a run wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All.
    All,
    /// Those that take seconds.
    Quick,
    /// Those that execute nothing of ours.
    Lint,
    /// One step by its name, else the tests whose names contain this.
    Named(String),
}

/// A check.
struct Step {
    name: &'static str,
    kind: Kind,
    /// Whether it starts the farm's programs, which must then be those of this source.
    starts_farm: bool,
    work: fn(&Checkout, Option<&str>) -> Result<Outcome>,
}

/// What a check costs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Looks at the text only.
    Lint,
    /// Runs our code, in seconds.
    Quick,
    /// Takes minutes, or needs more tools.
    Slow,
    /// Takes ten minutes and more: runs when it is asked for by name.
    Long,
}

const BUILD: &str = "build";
const TESTS: &str = "tests";
const STEPS: &[Step] = &[
    Step { name: "format", kind: Kind::Lint, starts_farm: false, work: format },
    Step { name: "structure", kind: Kind::Lint, starts_farm: false, work: structure },
    Step { name: "clippy", kind: Kind::Lint, starts_farm: false, work: clippy },
    Step { name: BUILD, kind: Kind::Quick, starts_farm: false, work: build },
    Step { name: TESTS, kind: Kind::Quick, starts_farm: true, work: tests },
    Step { name: "doctests", kind: Kind::Slow, starts_farm: false, work: doctests },
    Step { name: "checkers", kind: Kind::Slow, starts_farm: false, work: checkers },
    Step { name: "sources-ffmpeg8", kind: Kind::Slow, starts_farm: true, work: sources_ffmpeg8 },
    Step { name: "browser", kind: Kind::Slow, starts_farm: true, work: browser },
    Step { name: "live-long", kind: Kind::Long, starts_farm: true, work: live },
    Step { name: "boot", kind: Kind::Long, starts_farm: true, work: boot },
    Step { name: "aarch64", kind: Kind::Long, starts_farm: false, work: aarch64 },
    Step { name: "image", kind: Kind::Long, starts_farm: true, work: image },
    Step { name: "nix-lint", kind: Kind::Slow, starts_farm: false, work: nix_lint },
    Step { name: "nix", kind: Kind::Slow, starts_farm: false, work: nix },
    Step { name: "licences", kind: Kind::Slow, starts_farm: false, work: licences },
    Step { name: "advisories", kind: Kind::Slow, starts_farm: false, work: advisories },
];

/// Runs the selected checks, all of them even after a failure, and sums up.
pub(crate) fn run(checkout: &Checkout, selection: &Selection) -> Result<ExitCode> {
    let mut steps = Steps::default();
    for step in STEPS {
        let filter = match selection.wants(step) {
            Want::Run(filter) => filter,
            Want::Skip(why) => {
                steps.skip(step.name, why.to_owned());
                continue;
            }
            Want::Nothing => continue,
        };
        if step.starts_farm && steps.has_failed(BUILD) {
            steps.skip(step.name, "the build failed".to_owned());
            continue;
        }
        steps.run(step.name, || (step.work)(checkout, filter));
    }
    Ok(steps.close())
}

/// What a run wants of a step.
#[derive(Debug, PartialEq, Eq)]
enum Want<'a> {
    /// To run it; if there is a filter, only the tests whose names contain it.
    Run(Option<&'a str>),
    /// To say that it did not run, because a whole run would have.
    Skip(&'static str),
    /// Nothing: something else was asked for.
    Nothing,
}

impl Selection {
    fn wants(&self, step: &Step) -> Want<'_> {
        match self {
            Self::All | Self::Quick if step.kind == Kind::Long => Want::Skip("only by its name"),
            Self::All => Want::Run(None),
            Self::Quick if step.kind == Kind::Slow => Want::Skip("not with --quick"),
            Self::Quick => Want::Run(None),
            Self::Lint if step.kind == Kind::Lint => Want::Run(None),
            Self::Lint => Want::Nothing,
            Self::Named(name) => named(name, step),
        }
    }
}

fn named<'a>(name: &'a str, step: &Step) -> Want<'a> {
    match STEPS.iter().find(|s| s.name == name) {
        Some(one) if one.name == step.name || (one.starts_farm && step.name == BUILD) => Want::Run(None),
        None if step.name == TESTS => Want::Run(Some(name)),
        None if step.name == BUILD => Want::Run(None),
        _ => Want::Nothing,
    }
}

fn passed(done: Result<()>) -> Result<Outcome> {
    done.map(|()| Outcome::Passed)
}

fn format(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    passed(program::run(&mut checkout.cargo(&["fmt", "--all", "--check"])))
}

fn structure(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    passed(lint::structure(checkout.root()))
}

fn clippy(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let mut cargo = checkout.cargo(&["clippy", "--locked", "--workspace", "--all-targets"]);
    passed(program::run(cargo.args(gstreamer::features()).args(["--", "--deny", "warnings"])))
}

/// All of the workspace at once: the programs alone would be built with other features of their dependencies than beside
/// the tests, and so twice.
fn build(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let mut cargo = checkout.cargo(&["build", "--locked", "--workspace", "--all-targets"]);
    passed(program::run(cargo.args(gstreamer::features())))
}

fn tests(checkout: &Checkout, filter: Option<&str>) -> Result<Outcome> {
    moto::install(checkout)?;
    let mut cargo = checkout.cargo(runner(checkout));
    cargo.args(["--locked", "--workspace"]).args(gstreamer::features()).args(filter);
    passed(program::run(&mut cargo))
}

/// The tables of sources once more, with a worker that uses a newer ffmpeg; the judge stays the system's.
fn sources_ffmpeg8(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    if let Some(why) = ffmpeg8::why_not() {
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    let ffmpeg = ffmpeg8::install(checkout)?;
    let mut cargo = checkout.cargo(runner(checkout));
    cargo.args(["--locked", "--workspace", "--test", "sources"]).args(gstreamer::features());
    cargo.env("REELMILL_SOURCES_FFMPEG", ffmpeg);
    passed(program::run(&mut cargo))
}

/// nextest where it is, which runs the tests of all programs at once.
fn runner(checkout: &Checkout) -> &'static [&'static str] {
    let nextest = program::answers(&mut checkout.cargo(&["nextest", "--version"]));
    if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] }
}

fn doctests(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    passed(program::run(&mut checkout.cargo(&["test", "--quiet", "--locked", "--workspace", "--doc"])))
}

/// The browser checks are fed bad playlists and bad pages, and must refuse each.
fn checkers(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let folder = checkout.browser();
    npm::install(&folder)?;
    passed(program::run(Command::new("node").arg("--test").current_dir(folder)))
}

fn browser(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    passed(browser::check(checkout))
}

/// Ten minutes of a live stream with two drops of its source and a kill of its worker, watched in a browser.
fn live(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let folder = checkout.browser();
    npm::install(&folder)?;
    let programs = checkout.built("reelmill-worker");
    let programs = programs.parent().unwrap_or(programs.as_path());
    passed(program::run(Command::new("node").arg(folder.join("live.mjs")).arg(programs)))
}

/// Machines with firmware, boot loader and kernel, whose power is cut: a minute a boot, one machine at a time.
fn boot(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let mut cargo = checkout.cargo(&["test", "--locked", "--package", "reelmill-agent", "--test", "boot"]);
    passed(program::run(cargo.args(["--", "--ignored", "--nocapture", "--test-threads=1"])))
}

/// The compiler of another Debian, and another processor, which is emulated.
fn aarch64(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    match aarch64::why_not() {
        Some(why) => Ok(Outcome::Skipped(why.to_owned())),
        None => passed(aarch64::check(checkout)),
    }
}

/// A disk image of the boards' definitions that boots by UEFI, twice, as a node of a real hub.
fn image(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let mut cargo = checkout.cargo(&["test", "--locked", "--package", "reelmill-appliance", "--test", "image_boot"]);
    passed(program::run(cargo.args(["--", "--ignored", "--nocapture", "--test-threads=1"])))
}

fn nix_lint(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    nixfiles::format(checkout, true)?;
    passed(nixfiles::dead_code(checkout))
}

/// The flake is evaluated, and what its modules produce is compared with the golden files.
fn nix(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    match nixfiles::why_not() {
        Some(why) => Ok(Outcome::Skipped(why)),
        None => passed(nixfiles::evaluate(checkout)),
    }
}

fn licences(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    deny(checkout, &["licenses", "bans", "sources"])
}

/// The advisories come from the network, and the tests must not need it: a copy that lies here is used.
fn advisories(checkout: &Checkout, _: Option<&str>) -> Result<Outcome> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
    if !home.join("advisory-dbs").is_dir() {
        return Ok(Outcome::Skipped("there is no copy of the advisories (cargo deny fetch db)".to_owned()));
    }
    deny(checkout, &["advisories"])
}

fn deny(checkout: &Checkout, what: &[&str]) -> Result<Outcome> {
    if !program::answers(&mut checkout.cargo(&["deny", "--version"])) {
        return Ok(Outcome::Skipped("cargo-deny is not installed (cargo install --locked cargo-deny)".to_owned()));
    }
    let mut cargo = checkout.cargo(&["deny", "--offline", "--workspace", "--config", ".deny.toml", "check"]);
    passed(program::run(cargo.args(what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selection: Selection, want: &[(&str, Option<&str>)]) {
        let runs = |step: &Step| match selection.wants(step) {
            Want::Run(filter) => Some((step.name, filter.map(str::to_owned))),
            Want::Skip(_) | Want::Nothing => None,
        };
        let got: Vec<_> = STEPS.iter().filter_map(runs).collect();
        let want: Vec<_> = want.iter().map(|(name, filter)| (*name, filter.map(str::to_owned))).collect();
        assert_eq!(got, want, "{selection:?}");
    }

    #[test]
    fn a_filter_is_a_step_or_a_part_of_a_tests_name() {
        check(Selection::Named("clippy".to_owned()), &[("clippy", None)]);
        check(Selection::Named("checkers".to_owned()), &[("checkers", None)]);
        check(Selection::Named("nix".to_owned()), &[("nix", None)]);
        check(Selection::Named("browser".to_owned()), &[("build", None), ("browser", None)]);
        check(Selection::Named("leases".to_owned()), &[("build", None), ("tests", Some("leases"))]);
    }

    #[test]
    fn quick_leaves_out_what_takes_minutes() {
        let want = ["format", "structure", "clippy", "build", "tests"].map(|name| (name, None));
        check(Selection::Quick, &want);
        check(Selection::Lint, &want[..3]);
        let skipped = STEPS.iter().filter(|step| matches!(Selection::Quick.wants(step), Want::Skip(_)));
        assert_eq!(skipped.count(), STEPS.len() - want.len(), "what --quick leaves out is told");
    }
}
