//! `texts FILE.json`: compares the texts that came of evaluating the flake with the files that hold them; with GOLDEN=write
//! it writes these. `cargo xtask test nix` runs it.

use std::{env, fs, path::Path, process::ExitCode};

use reelmill_appliance::texts;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let file = env::args().nth(1).ok_or("usage: texts FILE.json")?;
    let json = fs::read_to_string(&file).map_err(|e| format!("cannot read {file}: {e}"))?;
    let texts = texts::parse(&json)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if env::var("GOLDEN").is_ok_and(|value| value == "write") {
        texts::write(&root, &texts).map_err(|e| format!("cannot write the files: {e}"))?;
        println!("{} texts written", texts.len());
        return Ok(());
    }
    let differences = texts::compare(&root, &texts).map_err(|e| format!("cannot read the files: {e}"))?;
    if differences.is_empty() {
        println!("{} texts are as the files say", texts.len());
        return Ok(());
    }
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    let hint = "hint: if that is meant, GOLDEN=write cargo xtask test nix";
    Err(format!("{} files are not what the flake produces\n{}\n{hint}", told.len(), told.join("\n")))
}
