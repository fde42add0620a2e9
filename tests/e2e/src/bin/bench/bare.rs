//! The same encode by ffmpeg alone: the worker's own command line, with files in place of the gateway.

use std::{fs, path::Path, process::Command};

/// What the worker's log says before a command line.
const STARTING: &str = "starting ";

/// The last command line in a worker's log.
pub(crate) fn command_line(log: &str) -> Vec<String> {
    let line =
        log.lines().rev().find(|l| l.contains(STARTING) && l.contains("-filter_complex")).expect("it started ffmpeg");
    let (_, command) = line.split_once(STARTING).expect("it was looked for");
    command.split_whitespace().map(str::to_owned).collect()
}

/// Runs that command with `source` as its input and files under `folder` as its output.
pub(crate) fn run(line: &[String], source: &Path, folder: &Path) {
    let mut words = line.iter();
    let mut command = Command::new(words.next().expect("the program"));
    while let Some(word) = words.next() {
        match word.as_str() {
            // Only for the way over the gateway.
            "-protocol_whitelist" | "-format_whitelist" | "-method" | "-http_persistent" | "-protocol_opts" => {
                let _ = words.next();
            }
            url if url.ends_with("/in/source") => drop(command.arg(source)),
            url if url.contains("/out/") => {
                let (_, relative) = url.split_once("/out/").expect("it was looked for");
                let file = folder.join(relative);
                fs::create_dir_all(file.parent().expect("a rendition's folder")).expect("a folder");
                command.arg(file);
            }
            other => drop(command.arg(other)),
        }
    }
    let ran = command.output().expect("ffmpeg is installed");
    assert!(ran.status.success(), "bare ffmpeg: {}", String::from_utf8_lossy(&ran.stderr));
}
