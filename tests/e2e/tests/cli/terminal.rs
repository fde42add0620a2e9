//! What is seen on a terminal: a pseudo terminal takes the bytes, and a small screen shows what they draw.

use std::process::Command;

use reelmill_lab::programs::{output, program};

use crate::desk::{Desk, Ended, LONG, MADE};

/// Wide enough for every line.
const COLUMNS: usize = 160;

/// A terminal's screen that understands no more than plain text and moving about in lines.
#[derive(Default)]
struct Terminal {
    lines: Vec<Vec<char>>,
    at: (usize, usize),
}

impl Terminal {
    /// Draws all bytes; the screen each time that a line was begun anew.
    fn draw(&mut self, text: &str) -> Vec<String> {
        let mut screens = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => {
                    screens.push(self.screen());
                    self.at.1 = 0;
                }
                '\n' => self.at.0 += 1,
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "an escape sequence: {text:?}");
                    let number: String = rest.clone().take_while(|c| !c.is_alphabetic()).collect();
                    let what = rest.nth(number.chars().count());
                    self.obey(&number, what);
                }
                c => {
                    assert!(!c.is_control(), "{c:?} in {text:?}");
                    self.put(c);
                }
            }
        }
        screens
    }

    fn obey(&mut self, number: &str, what: Option<char>) {
        match (number, what) {
            ("2", Some('K')) => self.line().clear(),
            (number, Some('A')) => self.at.0 -= number.parse::<usize>().unwrap_or(1),
            (number, Some('B')) => self.at.0 += number.parse::<usize>().unwrap_or(1),
            _ => panic!("this screen does not understand {number:?} {what:?}"),
        }
    }

    fn put(&mut self, c: char) {
        let column = self.at.1;
        assert!(column < COLUMNS, "a line is longer than the screen is wide: {}", self.screen());
        let line = self.line();
        line.resize(line.len().max(column + 1), ' ');
        line[column] = c;
        self.at.1 += 1;
    }

    fn line(&mut self) -> &mut Vec<char> {
        let row = self.at.0;
        self.lines.resize(self.lines.len().max(row + 1), Vec::new());
        &mut self.lines[row]
    }

    fn screen(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|l| l.iter().collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }
}

/// Runs `reelmill` with these words on a pseudo terminal; how it ended, and all screens, the last one at the end.
fn watch(desk: &Desk, words: &str) -> (Option<i32>, Vec<String>) {
    let mut script = Command::new("script");
    let line = format!("stty cols {COLUMNS} rows 30; exec {} {words}", program("reelmill").display());
    script.args(["-qec", &line, "/dev/null"]).current_dir(desk.path(""));
    desk.settings(&mut script);
    let ended = Ended::from(output(script, b""));
    assert_eq!(ended.stderr, "");
    let mut terminal = Terminal::default();
    let mut screens = terminal.draw(&ended.stdout);
    screens.push(terminal.screen());
    (ended.code, screens)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_moves_and_is_gone_at_the_end() {
    let desk = Desk::with_long_video(8).await;
    let (code, screens) = watch(&desk, &format!("transcode {LONG} out --preset quick"));
    let (last, before) = screens.split_last().expect("a screen");
    assert_eq!(code, Some(0), "{last}");
    let heading = "transcoding DESK/long.mp4 to DESK/out by quick";
    // Where the clip begins again, its last frame lasts a little longer.
    let made = MADE.replacen("changed:", "changed: variable frame rate made a constant #/#\nchanged:", 1);
    let whole = format!("{heading}\ndone in # s (#x): DESK/out/master.m3u8\n{made}");
    assert_eq!(desk.masked(last), whole.trim_end());
    // Each screen on the way is the heading and at most one line, whose bar grows.
    let mut shares = Vec::new();
    for screen in before.iter().map(|screen| desk.masked(screen)).filter(|screen| screen.contains('[')) {
        let (above, line) = screen.split_once('\n').expect("two lines");
        assert_eq!(above, heading);
        let (bar, told) = line.split_once("] ").unwrap_or_else(|| panic!("a bar: {line}"));
        let bar = bar.split_once('[').expect("a bar").1;
        assert!(bar.trim_start_matches('=').trim_start_matches('>').trim().is_empty(), "{line}");
        shares.push((bar.matches('=').count(), told.to_owned()));
    }
    assert!(shares.iter().any(|(_, told)| told == "# % frame #/# # fps #x eta #:#"), "{shares:?}");
    assert!(shares.is_sorted_by_key(|(grown, _)| *grown), "{shares:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_stands_below_the_heading() {
    let desk = Desk::new().await;
    std::fs::write(desk.path("text.mp4"), "this is no video\n").expect("our folder");
    let (code, screens) = watch(&desk, "transcode text.mp4 out");
    let last = desk.masked(screens.last().expect("a screen"));
    assert_eq!(code, Some(3));
    assert_eq!(
        last,
        "transcoding DESK/text.mp4 to DESK/out by hls-ladder\n\
         error: cannot use file://DESK/text.mp4 as a source: it is not in a media format that can be read\n\
         hint: is it a video file?"
    );
}
