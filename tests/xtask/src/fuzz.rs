//! `cargo xtask fuzz`: the parsers of outside text under libFuzzer, each for as long as wanted, from real outputs on.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, program};

/// The targets, and where real outputs lie beside their own corpus.
const TARGETS: &[(&str, &[&str])] = &[
    ("boxes", &["worker/tests/segments"]),
    ("message", &["hub/shared/api/tests/golden"]),
    ("movie", &[]),
    ("playlist", &[]),
    ("preset", &["hub/presets"]),
    ("probe", &["worker/tests/probes"]),
    ("tegrastats", &["agent/tests/data/tegrastats"]),
];
/// Coverage for libFuzzer, by LLVM's own pass: the stable toolchain has it, where cargo-fuzz asks for a nightly one.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// A time for each target that a person waits for.
pub(crate) const SECONDS: u32 = 60;

/// Builds the targets, runs the wanted one or all in turn, and tells where finds lie.
pub(crate) fn run(checkout: &Checkout, wanted: Option<&str>, seconds: u32) -> Result<ExitCode> {
    let chosen: Vec<_> = TARGETS.iter().filter(|(name, _)| wanted.is_none_or(|w| w == *name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("there is no fuzz target `{}`\nhint: {}", wanted.unwrap_or_default(), names.join(", "));
    }
    let leavings = checkout.leavings("fuzz");
    let host = host()?;
    let mut cargo = checkout.cargo(&["build", "--release", "--bins", "--target", &host]);
    cargo.args(["--manifest-path", "tests/fuzz/targets/Cargo.toml", "--target-dir"]).arg(leavings.join("build"));
    // Build scripts and macros run here and now: with a target named, they are spared the coverage.
    program::run(cargo.env("RUSTFLAGS", COVERAGE))?;
    let built = leavings.join("build").join(&host).join("release");
    let mut found = Vec::new();
    for (name, seeds) in chosen {
        println!("== {name}: {seconds} s");
        if let Err(error) = one(checkout, &leavings, &built.join(name), (name, seeds), seconds) {
            found.push(format!("{name}: {error:#}"));
        }
    }
    if found.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: something was found; it lies in {}\n{}", leavings.join("finds").display(), found.join("\n"));
    Ok(ExitCode::FAILURE)
}

fn one(
    checkout: &Checkout,
    leavings: &Path,
    target: &Path,
    (name, seeds): (&str, &[&str]),
    seconds: u32,
) -> Result<()> {
    let folder = |kind: &str| {
        let folder = leavings.join(kind).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok::<_, anyhow::Error>(folder)
    };
    let (corpus, finds) = (folder("corpus")?, folder("finds")?);
    let mut fuzzer = std::process::Command::new(target);
    // libFuzzer keeps what it learns in the first folder, for the next run; the others it only reads.
    fuzzer.arg(corpus).arg(checkout.root().join("tests/fuzz/corpus").join(name));
    fuzzer.args(seeds.iter().map(|seeds| checkout.root().join(seeds)));
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", finds.display()));
    fuzzer.args(["-max_len=16384", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1"]);
    program::run(&mut fuzzer)
}

/// This machine by rustc's name.
fn host() -> Result<String> {
    let told = program::output(std::process::Command::new("rustc").arg("-vV"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("rustc does not tell its host")
}
