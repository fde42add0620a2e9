//! `reelmill dead`: messages that are not tried again, and what becomes of them.

use std::collections::BTreeSet;

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use reelmill_api::{
    JobId, Lane,
    queues::{Encoding, Letter},
};
use reelmill_daemon::{Hinted, report::visible};
use url::Url;

use crate::{
    exit::{DONE, FAILED},
    hub::{Hub, LETTERS_AT_ONCE, parse_address},
    screen::{self, Screen, json_line},
    submit::DEFAULT_HUB,
    table::{Column, table},
};

/// List, show, retry or drop dead letters: tasks that are not tried again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Only those of this lane
    #[arg(long, global = true)]
    lane: Option<Lane>,
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, value_parser = parse_address, global = true)]
    hub: Url,
    /// Print what the hub's API says: a list as one line of JSON, else each letter as one
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, lane by lane, the oldest first
    List {
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Show one: why it is dead, and what was published
    Show {
        /// The message's or its job's id
        id: String,
        /// Print only what was published, byte for byte
        #[arg(long, conflicts_with = "json")]
        body: bool,
    },
    /// Put them back on their lanes, as if they had never been tried
    Retry(Which),
    /// Remove them for good
    Drop(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The messages' or their jobs' ids
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    ids: Vec<String>,
    /// All there are, or all of --lane
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  reelmill dead list
  reelmill dead show 01a20394-5a46-7029-8b2b-0f08d9e56c94
  reelmill dead retry --all --lane reelmill-hls-ladder
  reelmill dead drop 01a20394-5a46-7029-8b2b-0f08d9e56c94";

/// What is done to a letter.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Retry,
    Drop,
}

/// A hub's dead letters, as far as they are meant.
struct Letters {
    hub: Hub,
    lane: Option<Lane>,
    json: bool,
}

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let letters = Letters { hub: Hub::at(args.hub), lane: args.lane, json: args.json };
    match args.command {
        Command::List { limit } => letters.list(limit, screen).await,
        Command::Show { id, body } => letters.show(&id, body).await,
        Command::Retry(which) => letters.deal(Deed::Retry, &which, screen).await,
        Command::Drop(which) => letters.deal(Deed::Drop, &which, screen).await,
    }
}

impl Letters {
    async fn list(&self, limit: u32, screen: &Screen) -> anyhow::Result<u8> {
        let letters = self.hub.dead_letters(self.lane.as_ref(), None, limit).await?;
        if self.json {
            screen::print(&json_line(&letters));
        } else if letters.is_empty() {
            screen.note("no dead letters");
        } else {
            screen::print(&listed(&letters));
        }
        Ok(DONE)
    }

    async fn show(&self, id: &str, body_only: bool) -> anyhow::Result<u8> {
        for found in self.find(id).await? {
            let letter = self.hub.dead_letter(&found).await?;
            if self.json {
                screen::print(&json_line(&letter));
            } else if body_only {
                screen::write(&bytes(&letter)?);
            } else {
                screen::print(&shown(&letter));
            }
        }
        Ok(DONE)
    }

    /// One letter for which it cannot be done does not spare the others.
    async fn deal(&self, deed: Deed, which: &Which, screen: &Screen) -> anyhow::Result<u8> {
        let mut code = DONE;
        if which.all {
            let mut seen = BTreeSet::new();
            loop {
                let letters = self.hub.dead_letters(self.lane.as_ref(), None, LETTERS_AT_ONCE).await?;
                // One that is dead again already was dealt with.
                let new: Vec<_> = letters.into_iter().filter(|l| seen.insert(l.message_id.clone())).collect();
                if new.is_empty() {
                    break;
                }
                for letter in &new {
                    code = code.max(self.do_to(deed, letter, screen).await);
                }
            }
            if seen.is_empty() {
                screen.note("no dead letters");
            }
        }
        for id in &which.ids {
            match self.find(id).await {
                Ok(letters) => {
                    for letter in &letters {
                        code = code.max(self.do_to(deed, letter, screen).await);
                    }
                }
                Err(error) => {
                    screen.error(&*error);
                    code = FAILED;
                }
            }
        }
        Ok(code)
    }

    async fn do_to(&self, deed: Deed, letter: &Letter, screen: &Screen) -> u8 {
        let (done, word) = match deed {
            Deed::Retry => (self.hub.retry_dead(letter).await, "retried"),
            Deed::Drop => (self.hub.drop_dead(letter).await, "dropped"),
        };
        match done {
            Ok(letter) if self.json => screen::print(&json_line(&letter)),
            Ok(letter) => {
                let job = letter.job.map_or(String::new(), |job| format!(" (job {job})"));
                screen::print(&format!("{word} {}{job}\n", visible(&letter.message_id)));
            }
            Err(error) => {
                screen.error(&*error);
                return FAILED;
            }
        }
        DONE
    }

    /// The letters that an id means: of a message, or of a job.
    async fn find(&self, id: &str) -> anyhow::Result<Vec<Letter>> {
        let job = id.parse::<JobId>().ok();
        let mut found = self.hub.dead_letters(self.lane.as_ref(), None, LETTERS_AT_ONCE).await?;
        found.retain(|letter| letter.message_id == id || job.is_some() && letter.job == job);
        if found.is_empty() && job.is_some() {
            found = self.hub.dead_letters(self.lane.as_ref(), job, LETTERS_AT_ONCE).await?;
        }
        if found.is_empty() {
            let message = format!("there is no dead letter of {}", visible(id));
            return Err(Hinted::new(message, "`reelmill dead list` shows their ids, and those of their jobs").into());
        }
        Ok(found)
    }
}

fn listed(letters: &[Letter]) -> String {
    let columns = [
        Column::Text("MESSAGE"),
        Column::Text("LANE"),
        Column::Text("JOB"),
        Column::Figure("ATTEMPTS"),
        Column::Text("REASON"),
    ];
    let row = |letter: &Letter| {
        [
            visible(&letter.message_id),
            letter.lane.to_string(),
            letter.job.map_or("-".to_owned(), |job| job.to_string()),
            letter.attempts.to_string(),
            visible(letter.reason.lines().next().unwrap_or_default()),
        ]
    };
    table(columns, &letters.iter().map(row).collect::<Vec<_>>())
}

fn shown(letter: &Letter) -> String {
    let job = letter.job.map_or("none: it is no job".to_owned(), |job| job.to_string());
    let reason: Vec<_> = letter.reason.lines().map(visible).collect();
    let (what, body) = match &letter.body {
        Some(body) if body.encoding == Encoding::Base64 => (", no text, here in base64", body.body.clone()),
        Some(body) => ("", body.body.lines().map(visible).collect::<Vec<_>>().join("\n")),
        None => ("", String::new()),
    };
    format!(
        "message:  {}\nlane:     {}\njob:      {job}\nattempts: {}\nreason:   {}\nbody:     {} bytes{what}\n\n{body}\n",
        visible(&letter.message_id),
        letter.lane,
        letter.attempts,
        reason.join("\n          "),
        letter.bytes,
    )
}

/// What was published.
fn bytes(letter: &Letter) -> anyhow::Result<Vec<u8>> {
    let body = letter.body.as_ref().context("the hub shows no body")?;
    match body.encoding {
        Encoding::Utf8 => Ok(body.body.clone().into_bytes()),
        Encoding::Base64 => STANDARD.decode(&body.body).context("the hub's base64 is none"),
    }
}

#[cfg(test)]
mod tests {
    use reelmill_api::queues::LetterBody;

    use super::*;

    fn letter(reason: &str) -> Letter {
        Letter {
            lane: "reelmill".parse().expect("a lane"),
            message_id: "1-0".to_owned(),
            job: None,
            attempts: 5,
            reason: reason.to_owned(),
            bytes: 3,
            body: None,
        }
    }

    #[test]
    fn a_list_shows_the_first_line_of_each_reason() {
        let job = JobId::from_message("q", "1");
        let letters = [Letter { job: Some(job), ..letter("it has no bytes\nhint: send some") }, letter("\u{1b}[2J")];
        let want = "\
MESSAGE  LANE      JOB                                   ATTEMPTS  REASON
1-0      reelmill  JJJJJJJJ-JJJJ-JJJJ-JJJJ-JJJJJJJJJJJJ         5  it has no bytes
1-0      reelmill  -                                            5  \\u{1b}[2J
";
        assert_eq!(listed(&letters).replace(&job.to_string(), "JJJJJJJJ-JJJJ-JJJJ-JJJJ-JJJJJJJJJJJJ"), want);
    }

    #[test]
    fn a_body_that_is_no_text_is_shown_in_base64_and_given_byte_for_byte() {
        let body = |body: &str, encoding| Some(LetterBody { body: body.to_owned(), encoding });
        let binary = Letter { body: body("/wD/", Encoding::Base64), ..letter("no job\nhint: write one") };
        let want = "\
message:  1-0
lane:     reelmill
job:      none: it is no job
attempts: 5
reason:   no job
          hint: write one
body:     3 bytes, no text, here in base64

/wD/
";
        assert_eq!(shown(&binary), want);
        assert_eq!(bytes(&binary).expect("bytes"), b"\xff\x00\xff");
        let text = Letter { body: body("a\u{7}\n", Encoding::Utf8), ..letter("x") };
        assert!(shown(&text).ends_with("body:     3 bytes\n\na\\u{7}\n"), "{}", shown(&text));
        assert_eq!(bytes(&text).expect("bytes"), b"a\x07\n");
    }
}
