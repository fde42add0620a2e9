//! What a person gave a machine before it was switched on: four files on its boot partition, on a stick, or in the user data of
//! a rented machine. They are taken, wiped where they lay, and put into force at every boot.

pub mod given;
pub mod network;
pub mod state;
pub mod take;
pub mod user_data;
pub mod wipe;
pub mod worker_env;

use std::{io, path::PathBuf};

use clap::Args;
use reelmill_daemon::Hinted;

/// Takes what a person gave this machine, and puts it into force.
#[derive(Debug, Args)]
pub struct FirstBoot {
    /// A folder in which the files may lie; may be given several times, the first file of a name counts.
    #[arg(long, value_name = "FOLDER")]
    from: Vec<PathBuf>,
    /// Where what was taken is kept.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/reelmill-host")]
    state: PathBuf,
    /// Where what is in force until the next boot is written.
    #[arg(long, value_name = "FOLDER", default_value = "/run")]
    run: PathBuf,
    /// The folders are on a stick: nothing is taken once this machine has a join file.
    #[arg(long)]
    stick: bool,
    /// The user who reads the join file and wipes its token.
    #[arg(long, value_name = "USER", default_value = "reelmill-agent")]
    agent: String,
}

/// Told after each deed, where the power may go; in tests, it does.
pub type Step<'a> = &'a mut dyn FnMut(&str);

/// Does it.
///
/// # Errors
/// All that could not be taken or put into force; the rest was.
pub fn run(asked: &FirstBoot) -> anyhow::Result<()> {
    let state = state::State::open(&asked.state, &asked.agent)?;
    let mut wrong = Vec::new();
    if asked.stick && state.has(state::JOIN) {
        log::info!("the stick is not read: this machine has its join file");
    } else {
        wrong = take::take(&asked.from, &state, &mut |_| ());
    }
    let set_name = |name: &str| rustix::system::sethostname(name.as_bytes()).map_err(io::Error::from);
    wrong.extend(state.put_into_force(&asked.run, &set_name, &mut |_| ()));
    if wrong.is_empty() {
        return Ok(());
    }
    let hint = "mend the file where it lies and start reelmill-first-boot.service, or boot; docs/operate/appliance.md";
    Err(Hinted::new(wrong.join("; "), hint).into())
}
