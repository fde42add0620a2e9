//! What a person sees of commands on their way: one line for each that changes in place on a terminal, one line for each
//! change in a pipe, or the states themselves for a program.

use std::{collections::BTreeSet, io::IsTerminal as _};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    errand::{Errand, Given},
    told, words,
};
use crate::screen::{self, Screen};

/// What is seen.
pub(super) struct Board {
    screen: Screen,
    json: bool,
    /// How wide the longest name is.
    width: usize,
    told: Vec<String>,
    lines: Option<(MultiProgress, Vec<ProgressBar>)>,
}

impl Board {
    /// A board for these, with nothing on it.
    pub(super) fn new(json: bool, errands: &[Errand], screen: &Screen) -> Self {
        let width = errands.iter().map(|errand| errand.node.as_str().len()).max().unwrap_or_default();
        let lines = (!json && std::io::stdout().is_terminal()).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{spinner} {msg}").expect("a constant template");
            let line = |_| all.add(ProgressBar::new_spinner().with_style(style.clone()));
            let lines = (0..errands.len()).map(line).collect();
            (all, lines)
        });
        Self { screen: screen.clone(), json, width, told: vec![String::new(); errands.len()], lines }
    }

    /// Tells what was given to whom.
    pub(super) fn begin(&mut self, errands: &[Errand]) {
        let given: Vec<&Given> = errands.iter().filter_map(|errand| errand.given.as_ref()).collect();
        match given[..] {
            [] => {}
            [one] => self.note(&told::command(&one.command)),
            [first, ..] => self.note(&format!("{}, and {} more alike", told::command(&first.command), given.len() - 1)),
        }
        for errand in errands {
            self.absent(errand);
        }
    }

    fn absent(&self, errand: &Errand) {
        if let (false, Some(told)) = (errand.is_over(), words::absence(errand)) {
            self.note(&told);
        }
    }

    /// Tells something beside the commands.
    pub(super) fn note(&self, line: &str) {
        match &self.lines {
            Some((all, _)) => all.suspend(|| self.screen.note(line)),
            None => self.screen.note(line),
        }
    }

    /// Tells that a node went or came.
    pub(super) fn presence(&self, errand: &Errand) {
        if errand.is_there() && !errand.is_over() {
            self.note(&format!("{} is there", errand.node));
        }
        self.absent(errand);
    }

    /// Shows where the `n`th stands.
    pub(super) fn show(&mut self, n: usize, errand: &Errand) {
        let name = format!("{}:", errand.node);
        let line = format!("{name:0$} {1}", self.width + 1, words::standing(errand));
        if let Some((_, lines)) = &self.lines {
            match errand.is_over() {
                true => lines[n].finish_with_message(line),
                false => lines[n].set_message(line),
            }
            return;
        }
        let line = if self.json { words::json(errand) } else { errand.state.as_ref().map(|_| line) };
        if let Some(line) = line.filter(|line| *line != self.told[n]) {
            screen::print(&format!("{line}\n"));
            self.told[n] = line;
        }
    }

    /// Shows what came of them, and how to follow those that have not ended.
    pub(super) fn end(self, errands: &[Errand]) {
        if let Some((_, lines)) = &self.lines {
            lines.iter().filter(|line| !line.is_finished()).for_each(ProgressBar::abandon);
            // The cursor is left at the end of the last one.
            screen::print("\n");
        }
        let mut hints = BTreeSet::new();
        for errand in errands {
            match &errand.state {
                Some(state) if state.state.is_final() => {
                    let result = words::result(state).filter(|_| !self.json);
                    if let Some(result) = result {
                        let name = if errands.len() > 1 { format!("{}: ", errand.node) } else { String::new() };
                        screen::print(&format!("{name}{result}\n"));
                    }
                    hints.extend(words::hint(state));
                }
                _ if errand.is_over() => self.screen.note(&format!("{}: {}", errand.node, words::standing(errand))),
                _ => self.screen.note(&format!(
                    "it stays with the broker, and is done all the same; follow it with: reelmill send --follow {} {}",
                    errand.node, errand.id
                )),
            }
        }
        hints.iter().for_each(|hint| self.screen.note(&format!("hint: {hint}")));
    }
}
