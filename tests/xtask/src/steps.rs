//! A run of named steps: each is announced, timed and counted, and the closing line sums up.

use std::{process::ExitCode, time::Instant};

use anyhow::Result;

/// How a step that did not fail ended.
pub(crate) enum Outcome {
    /// It held.
    Passed,
    /// It could not be done here, and why.
    Skipped(String),
}

/// What became of the steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    passed: usize,
    failed: Vec<&'static str>,
    skipped: Vec<(&'static str, String)>,
}

impl Steps {
    /// Runs a step. A failure is told and counted, and the next step can still run.
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = work();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(Outcome::Passed) => {
                println!("--- {name} passed in {seconds:.1} s");
                self.passed += 1;
            }
            Ok(Outcome::Skipped(why)) => self.skip(name, why),
            Err(error) => {
                println!("--- {name} FAILED in {seconds:.1} s: {error:#}");
                self.failed.push(name);
            }
        }
    }

    /// Counts a step that does not run.
    pub(crate) fn skip(&mut self, name: &'static str, why: String) {
        self.skipped.push((name, why));
    }

    /// Whether that step ran and failed.
    pub(crate) fn has_failed(&self, name: &str) -> bool {
        self.failed.contains(&name)
    }

    /// Prints the summary and gives the exit code.
    pub(crate) fn close(self) -> ExitCode {
        print!("\n{}", self.summary());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn summary(&self) -> String {
        let skipped = self.skipped.iter().map(|(name, why)| format!("SKIPPED {name}: {why}\n"));
        let failed = self.failed.iter().map(|name| format!("FAILED {name}\n"));
        let counts = format!("{} passed, {} failed, {} skipped\n", self.passed, self.failed.len(), self.skipped.len());
        skipped.chain(failed).chain([counts]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_steps_and_stands_alone() {
        let mut steps = Steps::default();
        steps.run("one", || Ok(Outcome::Passed));
        steps.run("two", || Err(anyhow::anyhow!("broken")));
        steps.run("three", || Ok(Outcome::Skipped("no such tool".to_owned())));
        assert!(steps.has_failed("two") && !steps.has_failed("one"));
        assert_eq!(steps.summary(), "SKIPPED three: no such tool\nFAILED two\n1 passed, 1 failed, 1 skipped\n");
    }

    #[test]
    fn one_failed_step_fails_the_run() {
        let mut steps = Steps::default();
        steps.run("one", || Ok(Outcome::Passed));
        assert_eq!(format!("{:?}", steps.close()), format!("{:?}", ExitCode::SUCCESS));
        let mut steps = Steps::default();
        steps.run("one", || Err(anyhow::anyhow!("broken")));
        assert_eq!(format!("{:?}", steps.close()), format!("{:?}", ExitCode::FAILURE));
    }
}
