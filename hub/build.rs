//! Brings hls.js, as npm's lock file names it, to where the page's code embeds it.

use std::{env, fs, path::PathBuf, process::ExitCode};

/// Where `npm ci` in `hub/ui` puts it.
const FROM_NPM: &str = "ui/node_modules/hls.js/dist/hls.min.js";
/// Names another copy, for builds that fetch packages their own way.
const OVERRIDE: &str = "REELMILL_HLS_JS";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let from = env::var_os(OVERRIDE).map_or_else(|| PathBuf::from(FROM_NPM), PathBuf::from);
    println!("cargo::rerun-if-changed={}", from.display());
    let to = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("hls.min.js");
    match fs::copy(&from, &to) {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            println!("cargo::error=cannot copy the page's player {} into the build: {e}", from.display());
            println!("cargo::error=hint: run `cargo xtask ui` (npm ci in hub/ui), or set {OVERRIDE} to a hls.min.js");
            ExitCode::FAILURE
        }
    }
}
