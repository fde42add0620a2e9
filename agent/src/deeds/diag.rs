//! What helps to find a fault from afar: the journal of Reelmill's units, how they are, the newest look at the node and the
//! agent's settings, without secrets, in one archive that is put to an address that the command names.

mod archive;
mod redact;
mod upload;

use std::{fmt::Write as _, fs, io, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use hyper::body::Bytes;
use jiff::Timestamp;
use reelmill_api::{
    fleet::{Sha256, args::Diag},
    snapshot::Snapshot,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use self::archive::Archive;
use super::{Outcome, Told, Undone};
use crate::systemd::{
    Systemd,
    journal::{Entries, Entry, JournalError},
    unit::{NotOurs, UnitName},
};

/// The largest archive, bytes: a slow line takes it in minutes, and so much memory the agent has.
const LARGEST: usize = 16 << 20;
/// Text of the journal that becomes one file of the archive.
const CHUNK: usize = 256 << 10;
/// Room for what says what was left out.
const FOR_THE_LAST: usize = 8 << 10;
/// How long the journal is read at most.
const READING: Duration = Duration::from_secs(120);
/// Percent that gathering and sending are of the whole.
const GATHERED: u8 = 50;
/// What the kernel says of itself, as files.
const KERNEL: [&str; 3] = ["/proc/version", "/proc/cmdline", "/proc/sys/kernel/tainted"];

/// What is told beside the journal.
pub struct About<'a> {
    /// The newest look.
    pub snapshot: &'a Snapshot,
    /// The agent's settings, for people.
    pub settings: &'a str,
    /// Who knows how units are.
    pub systemd: &'a Systemd,
}

/// Gathers all of it and puts it where the command says. The address is told to nobody, also not in an error.
///
/// # Errors
/// If a unit is none of Reelmill's, or nobody takes the archive.
pub async fn diagnose(diag: &Diag, about: &About<'_>, told: &Told) -> Outcome {
    let units = units(diag)?;
    let mut files = files(about);
    files.push(("units.json".to_owned(), pretty(unit_states(&units, about.systemd).await)));
    let journal = Entries::back(&units, diag.since);
    let gathered = match journal {
        Ok(entries) => gather(about, files, one_by_one(entries)).await,
        Err(error) => gather(about, files, stream::iter([Err(error)])).await,
    };
    let Gathered { archive, result } = gathered.map_err(|e| Undone::for_now("not_packed", e.to_string()))?;
    told(GATHERED);
    let whole = archive.len().max(1);
    let progress = told.clone();
    let told = move |sent: usize| {
        let part = sent * usize::from(100 - GATHERED) / whole;
        progress(GATHERED + u8::try_from(part).unwrap_or(100 - GATHERED));
    };
    upload::put(&diag.upload, Bytes::from(archive), Box::new(told))
        .await
        .map_err(|e| Undone::for_now(e.code(), super::in_words(&e)))?;
    Ok(result)
}

fn units(diag: &Diag) -> Result<Vec<UnitName>, Undone> {
    let units = diag.units.iter().map(|unit| unit.as_str().parse());
    units.collect::<Result<_, NotOurs>>().map_err(|e| Undone::for_good("not_ours", e.to_string()))
}

/// What is not the journal, redacted.
fn files(about: &About<'_>) -> Vec<(String, Vec<u8>)> {
    let mut kernel = String::new();
    for path in KERNEL {
        let read = fs::read_to_string(path).unwrap_or_else(|e| format!("cannot be read: {e}\n"));
        let _ = write!(kernel, "{path}: {}", redact::text(&read));
    }
    let snapshot = serde_json::to_value(about.snapshot).unwrap_or_else(|e| e.to_string().into());
    vec![
        ("snapshot.json".to_owned(), pretty(redact::json(snapshot))),
        ("settings.txt".to_owned(), redact::text(about.settings).into_bytes()),
        ("kernel.txt".to_owned(), kernel.into_bytes()),
    ]
}

/// How the units are, or why nobody can say.
async fn unit_states(units: &[UnitName], systemd: &Systemd) -> Value {
    const USUAL: [&str; 2] = ["reelmill-agent.service", "reelmill-worker.service"];
    let named = units.iter().map(UnitName::as_str);
    let mut told = Vec::new();
    for unit in if units.is_empty() { USUAL.to_vec() } else { named.collect() } {
        told.push(match systemd.state(unit).await {
            Ok(state) => json!(state),
            Err(error) => json!({"unit": unit, "error": super::in_words(&error)}),
        });
    }
    Value::Array(told)
}

fn pretty(value: Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn one_by_one(entries: Entries) -> impl Stream<Item = Result<Entry, JournalError>> + Send {
    stream::try_unfold(entries, async |mut entries| Ok(entries.next().await?.map(|entry| (entry, entries))))
}

/// An archive, and what is told of it.
struct Gathered {
    archive: Vec<u8>,
    result: Map<String, Value>,
}

/// What became of the journal.
#[derive(Default)]
struct Journal {
    entries: u64,
    oldest: Option<String>,
    /// Why older entries were left out.
    left_out: Option<String>,
}

async fn gather(
    about: &About<'_>,
    files: Vec<(String, Vec<u8>)>,
    journal: impl Stream<Item = Result<Entry, JournalError>>,
) -> io::Result<Gathered> {
    let now = Timestamp::now();
    let folder = format!("reelmill-diag-{}", about.snapshot.node.id);
    let mut archive = Archive::new(folder, LARGEST, u64::try_from(now.as_second()).unwrap_or_default())?;
    let mut names = Vec::new();
    for (name, content) in files {
        if archive.add(&name, &content, FOR_THE_LAST)? {
            names.push(name);
        }
    }
    let journal = add_journal(&mut archive, journal).await?;
    let mut result = Map::from_iter([
        ("journal_entries".to_owned(), journal.entries.into()),
        ("journal_since".to_owned(), journal.oldest.into()),
        ("journal_left_out".to_owned(), journal.left_out.into()),
    ]);
    let last = json!({"taken_at": now.to_string(), "files": names, "journal": result, "redacted": redact::REDACTED});
    archive.add("about.json", &pretty(last), 0)?;
    let archive = archive.finish()?;
    result.insert("bytes".to_owned(), archive.len().into());
    result.insert("sha256".to_owned(), Sha256::of(&archive).to_string().into());
    Ok(Gathered { archive, result })
}

/// Adds the journal, from the newest entry back, in files that each are in the order of time. What has no room is left out.
async fn add_journal(
    archive: &mut Archive,
    entries: impl Stream<Item = Result<Entry, JournalError>>,
) -> io::Result<Journal> {
    let until = Instant::now() + READING;
    let mut told = Journal::default();
    tokio::pin!(entries);
    for number in 1.. {
        let mut chunk = Vec::new();
        let (mut size, mut over) = (0, false);
        while size < CHUNK && !over {
            match timeout_at(until, entries.next()).await {
                Ok(Some(Ok(entry))) => {
                    let line = line(&entry);
                    size += line.len();
                    chunk.push((time(&entry), line));
                }
                Ok(None) => over = true,
                Ok(Some(Err(error))) => (told.left_out, over) = (Some(super::in_words(&error)), true),
                Err(_) => {
                    let why = format!("what could not be read in {} s", READING.as_secs());
                    (told.left_out, over) = (Some(why), true);
                }
            }
        }
        let Some((oldest, _)) = chunk.last().cloned() else { break };
        let text: String = chunk.iter().rev().map(|(_, line)| line.as_str()).collect();
        if !archive.add(&format!("journal/{number:04}.log"), redact::text(&text).as_bytes(), FOR_THE_LAST)? {
            told.left_out = Some(format!("what is older; the archive may have {} MiB", LARGEST >> 20));
            break;
        }
        told.entries += chunk.len() as u64;
        told.oldest = Some(oldest);
        if over {
            break;
        }
    }
    Ok(told)
}

/// An entry as people read it. Of a message with several lines, the others are set in.
fn line(entry: &Entry) -> String {
    let who = entry.unit.as_deref().or(entry.identifier.as_deref()).unwrap_or("?");
    let pid = entry.pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
    let priority = json!(entry.priority);
    let message = entry.message.trim_end().replace('\n', "\n    ");
    format!("{} {who}{pid} {}: {message}\n", time(entry), priority.as_str().unwrap_or_default())
}

fn time(entry: &Entry) -> String {
    let time = i64::try_from(entry.unix_micros).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests;
