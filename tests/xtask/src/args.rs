//! The words after `cargo xtask`.

use std::fmt;

use crate::{fuzz, suite::Selection};

/// What `cargo xtask help` prints.
pub(crate) const USAGE: &str = "\
cargo xtask demo [-- ARGS]           build, then run `reelmill demo ARGS`
cargo xtask test [--quick] [FILTER]  every check; FILTER is a step's name or a part of a test's name
cargo xtask lint                     formatting, clippy and the rules of the repository's structure
cargo xtask fmt                      formats the Rust and the Nix files
cargo xtask bench [NAME]             the benchmarks, in release mode
cargo xtask fuzz [TARGET] [--seconds N]  the parsers of outside text under libFuzzer, a minute each
cargo xtask damage [--count N] [--first N] [--minutes N]  damaged sources through one worker
cargo xtask kill [--rounds N] [--queue NAME] [--seed N]  kills of workers, queues and connections
cargo xtask ui                       fetch the player that the hub's page embeds

Each installs what it misses with apt-get (by sudo if not root), and says what and why.
";

/// A command that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print the usage.
    Help,
    /// Run the farm on this machine with a sample job.
    Demo {
        /// What `reelmill demo` gets.
        args: Vec<String>,
    },
    /// Run the checks.
    Test(Selection),
    /// Run the checks that execute nothing of ours.
    Lint,
    /// Format the files.
    Format,
    /// Run the benchmarks.
    Bench {
        /// What the bench program gets.
        args: Vec<String>,
    },
    /// Give damaged sources to one worker.
    Damage {
        /// What the damage program gets.
        args: Vec<String>,
    },
    /// Kill workers, queue servers and connections while jobs are done.
    Kill {
        /// What the kill program gets.
        args: Vec<String>,
    },
    /// Run the fuzz targets.
    Fuzz {
        /// The only one; none means all.
        target: Option<String>,
        /// How long each runs.
        seconds: u32,
    },
    /// Fetch what the hub's page embeds.
    Ui,
}

/// A command line that was not understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.0, USAGE.trim_end())
    }
}

impl std::error::Error for Misuse {}

/// Understands the words after `cargo xtask`.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Command, Misuse> {
    let mut words = words.into_iter();
    let Some(command) = words.next() else { return Ok(Command::Help) };
    let rest: Vec<String> = words.collect();
    match command.as_str() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "demo" => Ok(Command::Demo { args: passed_on(rest) }),
        "test" => selection(rest).map(Command::Test),
        "bench" => Ok(Command::Bench { args: passed_on(rest) }),
        "damage" => Ok(Command::Damage { args: passed_on(rest) }),
        "kill" => Ok(Command::Kill { args: passed_on(rest) }),
        "fuzz" => fuzzing(rest),
        "lint" => none(rest, Command::Lint),
        "fmt" => none(rest, Command::Format),
        "ui" => none(rest, Command::Ui),
        other => Err(Misuse(format!("`{other}` is no xtask command"))),
    }
}

/// What follows the `--` that separates our words from the program's; without one, all of it.
fn passed_on(mut rest: Vec<String>) -> Vec<String> {
    if rest.first().is_some_and(|word| word == "--") {
        rest.remove(0);
    }
    rest
}

fn none(rest: Vec<String>, command: Command) -> Result<Command, Misuse> {
    match rest.first() {
        None => Ok(command),
        Some(word) => Err(Misuse(format!("`{word}` is one word too many"))),
    }
}

fn fuzzing(rest: Vec<String>) -> Result<Command, Misuse> {
    let (mut target, mut seconds) = (None, fuzz::SECONDS);
    let mut words = rest.into_iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            let number = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
            seconds = number.ok_or_else(|| Misuse("`--seconds` takes a whole number".to_owned()))?;
        } else if word.starts_with('-') || target.is_some() {
            return Err(Misuse(format!("`{word}` is no word of `cargo xtask fuzz`")));
        } else {
            target = Some(word);
        }
    }
    Ok(Command::Fuzz { target, seconds })
}

fn selection(rest: Vec<String>) -> Result<Selection, Misuse> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(Selection::All),
        ["--quick"] => Ok(Selection::Quick),
        [option, ..] | [_, option, ..] if option.starts_with('-') && option != "--quick" => {
            Err(Misuse(format!("`{option}` is no option of `cargo xtask test`")))
        }
        // A filter is already the quickest way to what it names.
        [filter] | ["--quick", filter] | [filter, "--quick"] => Ok(Selection::Named(filter.to_owned())),
        _ => Err(Misuse("`cargo xtask test` takes one filter".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: Result<Command, &str>) {
        let got = parse(line.split_whitespace().map(str::to_owned));
        let got = got.map_err(|misuse| misuse.to_string().lines().next().unwrap_or_default().to_owned());
        assert_eq!(got, want.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn understands_every_command() {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        check("", Ok(Command::Help));
        check("demo -- --exit", Ok(Command::Demo { args: words(&["--exit"]) }));
        check("demo a.mp4", Ok(Command::Demo { args: words(&["a.mp4"]) }));
        check("bench whole-job", Ok(Command::Bench { args: words(&["whole-job"]) }));
        check("damage --count 9", Ok(Command::Damage { args: words(&["--count", "9"]) }));
        check("kill --queue redis", Ok(Command::Kill { args: words(&["--queue", "redis"]) }));
        check("fuzz", Ok(Command::Fuzz { target: None, seconds: 60 }));
        let target = || Some("probe".to_owned());
        check("fuzz probe --seconds 5", Ok(Command::Fuzz { target: target(), seconds: 5 }));
        check("fuzz --seconds 5 probe", Ok(Command::Fuzz { target: target(), seconds: 5 }));
        check("test", Ok(Command::Test(Selection::All)));
        check("test --quick", Ok(Command::Test(Selection::Quick)));
        check("test leases", Ok(Command::Test(Selection::Named("leases".to_owned()))));
        check("lint", Ok(Command::Lint));
        check("fmt", Ok(Command::Format));
        check("ui", Ok(Command::Ui));
    }

    #[test]
    fn names_the_word_it_did_not_understand() {
        check("dmeo", Err("`dmeo` is no xtask command"));
        check("ui now", Err("`now` is one word too many"));
        check("test --fast", Err("`--fast` is no option of `cargo xtask test`"));
        check("test a --fast", Err("`--fast` is no option of `cargo xtask test`"));
        check("fuzz --seconds", Err("`--seconds` takes a whole number"));
        check("fuzz --fast", Err("`--fast` is no word of `cargo xtask fuzz`"));
        check("fuzz a b", Err("`b` is no word of `cargo xtask fuzz`"));
        check("test a b", Err("`cargo xtask test` takes one filter"));
    }
}
