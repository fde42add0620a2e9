//! `reelmill image`: images on their way to a node. Without root, but for writing a device.

mod configure;
mod fat;
mod flash;
mod given;
mod gpt;
mod inspect;
mod medium;
mod papers;
mod size;
mod source;

use crate::screen::Screen;

/// Configure, inspect and flash the images that nodes start from.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  sudo reelmill image flash reelmill.raw.zst /dev/sdb --join join.toml --ssh-key ~/.ssh/id_ed25519.pub
  reelmill image configure reelmill.raw --join join.toml --hostname orin-3
  reelmill image inspect reelmill.raw.zst";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Configure(configure::Args),
    Inspect(inspect::Args),
    Flash(flash::Args),
}

/// Runs the command and returns its exit code.
pub(crate) fn run(args: &Args, screen: &Screen) -> anyhow::Result<u8> {
    match &args.verb {
        Verb::Configure(args) => configure::run(args, screen),
        Verb::Inspect(args) => inspect::run(args),
        Verb::Flash(args) => flash::run(args, screen),
    }
}
