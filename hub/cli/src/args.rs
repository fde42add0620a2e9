//! The command line's words, and which noun each goes to.

use clap::{Parser, Subcommand};

use crate::{
    cancel, dead, demo, doctor, exit::FAILED, image, keys, lanes, screen::Screen, send, stop, submit, transcode, up,
};

/// Turn video files into adaptive ladders, on this machine or on a farm.
#[derive(Debug, Parser)]
#[command(name = "reelmill", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  reelmill transcode holiday.mov ~/holiday     one ladder from one file, no server
  reelmill demo --exit                         the whole farm, once, with a bundled clip
  reelmill up                                  the whole farm on this machine, until Ctrl-C
  reelmill submit holiday.mov                  one more job for the farm that is up
  reelmill dead list                           what failed for good there, and why
  reelmill image flash node.raw.zst /dev/sdb   a card that a node starts from

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the source was refused.
`reelmill help COMMAND` tells more about a command.";

#[derive(Debug, Subcommand)]
enum Command {
    Transcode(transcode::Args),
    Up(up::Args),
    Demo(demo::Args),
    Submit(submit::Args),
    Stop(stop::Args),
    Cancel(cancel::Args),
    Lanes(lanes::Args),
    Dead(dead::Args),
    Doctor(doctor::Args),
    Send(send::Args),
    Keys(keys::Args),
    Image(image::Args),
}

impl Args {
    /// Does what was asked and returns the exit code; an error has been told then.
    pub(crate) async fn run(self) -> u8 {
        let screen = Screen::stderr();
        let ended = match self.command {
            Command::Transcode(args) => return transcode::run(args, &screen).await,
            Command::Up(args) => up::run(args, &screen).await,
            Command::Demo(args) => demo::run(args, &screen).await,
            Command::Submit(args) => submit::run(args, &screen).await,
            Command::Stop(args) => stop::run(args, &screen).await,
            Command::Cancel(args) => return cancel::run(args, &screen).await,
            Command::Lanes(args) => lanes::run(args).await,
            Command::Dead(args) => dead::run(args, &screen).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Send(args) => send::run(args, &screen).await,
            Command::Keys(args) => keys::run(args, &screen),
            Command::Image(args) => image::run(&args, &screen),
        };
        ended.unwrap_or_else(|error| {
            screen.error(&*error);
            FAILED
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    fn check(line: &str, code: i32, part: &str) {
        let error = Args::try_parse_from(line.split(' ')).expect_err(line);
        assert_eq!((error.exit_code(), error.to_string().contains(part)), (code, true), "{error}");
    }

    #[test]
    fn wrong_usage_is_told_with_the_word_that_is_wrong() {
        check("reelmill --help", 0, "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the source was refused.");
        check("reelmill transcode a.mp4", 2, "<DEST>");
        check("reelmill transcode http://host/a.mp4 out", 2, "`http://host/a.mp4` is not a location");
        check("reelmill transcode s3://B/a.mp4 out", 2, "names no valid bucket");
        check("reelmill transcode a.mp4 out --preset ../x", 2, "cannot name a preset");
        check("reelmill up --port 99999", 2, "99999");
        check("reelmill submit a.mp4 --hub https://h", 2, "must be like http://127.0.0.1:8080");
        check("reelmill transkode a b", 2, "transcode");
        check("reelmill cancel", 2, "<JOB>");
        check("reelmill cancel all", 2, "invalid value 'all' for '<JOB>...'");
        check("reelmill lanes pause a.b", 2, "`a.b` names no lane");
        check("reelmill dead retry", 2, "<ID>");
        check("reelmill dead drop x --all", 2, "cannot be used with '--all'");
        check("reelmill dead list --limit 501", 2, "501 is not in 1..=500");
    }
}
