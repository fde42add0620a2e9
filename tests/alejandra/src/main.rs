//! `alejandra [--check] [PATH...]`: formats Nix files, or says which are not formatted. A folder stands for all `.nix` files
//! below it, no path for the folder where we are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use alejandra::format::{Status, in_memory};
use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all files are as they should be, now.
fn run(words: Vec<String>) -> Result<bool> {
    let (options, paths): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.starts_with('-'));
    let check = match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!("the only option is --check"),
    };
    let paths = if paths.is_empty() { vec![".".to_owned()] } else { paths };
    let mut files = Vec::new();
    for path in paths {
        collect(Path::new(&path), true, &mut files)?;
    }
    let mut good = true;
    for file in files {
        good &= format(&file, check)?;
    }
    Ok(good)
}

/// The Nix files at and below `path`; hidden folders and those of build tools are left out.
fn collect(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let told = || format!("cannot read {}", path.display());
    if path.is_dir() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !named && (name.starts_with('.') || name == "node_modules" || name == "target") {
            return Ok(());
        }
        let entries = fs::read_dir(path).and_then(|all| all.collect::<Result<Vec<_>, _>>()).with_context(told)?;
        let mut below: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(|p| !p.is_symlink()).collect();
        below.sort();
        return below.iter().try_for_each(|p| collect(p, false, files));
    }
    if named || path.extension().is_some_and(|ending| ending == "nix") {
        files.push(path.to_owned());
    }
    Ok(())
}

fn format(file: &Path, check: bool) -> Result<bool> {
    let shown = file.display();
    let before = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    match in_memory(shown.to_string(), before) {
        (Status::Error(why), _) => bail!("{shown}: {why}"),
        (Status::Changed(false), _) => Ok(true),
        (Status::Changed(true), _) if check => {
            eprintln!("{shown}: not formatted\nhint: cargo xtask fmt");
            Ok(false)
        }
        (Status::Changed(true), after) => {
            fs::write(file, after).with_context(|| format!("cannot write {shown}"))?;
            eprintln!("{shown}: formatted");
            Ok(true)
        }
    }
}
