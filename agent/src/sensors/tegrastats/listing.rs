//! `reelmill-agent tegrastats FILE`: what tegrastats printed, as one JSON object a line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use reelmill_daemon::{Hinted, WithHint as _, report, report::visible};

use super::{BadLine, LONGEST_LINE, parse};

/// The name of standard input.
const STDIN: &str = "-";

/// Reads a file, or standard input for `-`, and prints what its lines say. Lines that say nothing are told on standard
/// error, and the exit code is 1.
///
/// # Errors
/// If the file cannot be read.
pub fn print_file(path: &Path) -> anyhow::Result<ExitCode> {
    let shown = visible(&path.display().to_string());
    let out = io::stdout().lock();
    let all_good = if path == Path::new(STDIN) {
        print_lines(io::stdin().lock(), out, "standard input")
    } else {
        let file = File::open(path).hint("give the file that tegrastats wrote, or - for standard input");
        print_lines(BufReader::new(file.with_context(|| format!("cannot read {shown}"))?), out, &shown)
    };
    match all_good {
        Ok(all_good) => Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).with_context(|| format!("cannot tell what {shown} says")),
    }
}

/// Whether every line could be read.
fn print_lines(mut from: impl BufRead, mut to: impl Write, shown: &str) -> io::Result<bool> {
    let mut all_good = true;
    let mut line = Vec::new();
    for number in 1_u64.. {
        if !read_line(&mut from, &mut line)? {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match parse(text) {
            Ok(sample) => writeln!(to, "{}", serde_json::to_string(&sample)?)?,
            Err(why) => {
                all_good = false;
                tell(shown, number, &why);
            }
        }
    }
    to.flush()?;
    Ok(all_good)
}

fn tell(shown: &str, number: u64, why: &BadLine) {
    let hint = "each line is to be one that tegrastats printed, whole";
    report(&Hinted::new(format!("line {number} of {shown}: {why}"), hint));
}

/// Reads the next line, of which only the beginning is kept if it is too long; `false` at the end.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let count = from.by_ref().take(LONGEST_LINE as u64 + 2).read_until(b'\n', line)?;
    if count > LONGEST_LINE && !line.ends_with(b"\n") {
        from.skip_until(b'\n')?;
    }
    Ok(count > 0)
}
