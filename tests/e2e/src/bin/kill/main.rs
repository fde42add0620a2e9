//! `cargo xtask kill`: random kills of workers, of the queue's server and of connections, as many rounds as wanted on each
//! queue, and the table of what became of every job.

use std::{process::ExitCode, time::SystemTime};

use reelmill_e2e::kill::{Battle, Toll};
use reelmill_lab::queues::Kind;

/// What is wanted.
struct Wanted {
    rounds: usize,
    queues: Vec<Kind>,
    seed: u64,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut wanted = Self { rounds: 200, queues: Kind::ALL.to_vec(), seed: now.as_secs() };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` takes a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{word}` takes a whole number"));
            match word.as_str() {
                "--rounds" => wanted.rounds = usize::try_from(number()?).map_err(|e| e.to_string())?,
                "--seed" => wanted.seed = number()?,
                "--queue" if value == "all" => wanted.queues = Kind::ALL.to_vec(),
                "--queue" => wanted.queues = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                _ => return Err(format!("`{word}` is not understood\nhint: --rounds N, --queue NAME, --seed N")),
            }
        }
        Ok(wanted)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = match Wanted::parse(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let mut tolls = Vec::new();
    for queue in wanted.queues {
        println!("{queue}: {} rounds, seed {}", wanted.rounds, wanted.seed);
        tolls.push(Battle { queue, rounds: wanted.rounds, seed: wanted.seed }.run().await);
    }
    println!("\n{}", Toll::HEAD);
    tolls.iter().for_each(|toll| println!("{toll}"));
    let complaints: Vec<_> = tolls.iter().flat_map(|t| t.complaints.iter().map(move |c| (t.queue, c))).collect();
    complaints.iter().for_each(|(queue, complaint)| eprintln!("WRONG: {queue}: {complaint}"));
    if complaints.is_empty() {
        println!("every job ended exactly once");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
