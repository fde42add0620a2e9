//! The helper itself: judges what it is asked, writes it down, has it done, and writes down that it was. One question at a
//! time.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{
        Command, Op, Topic, Trust,
        admission::{CLOCK_SKEW, Clock, Facts, Judge},
        state::{Phase, Teller},
    },
};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::{
    firmware,
    judge::{self, Heard},
    keys::Keys,
    power,
    progress::{self, Next},
    record::{Entry, Memory, Record},
    reset, set_conf,
    settings::Settings,
    system::System,
    wire::{Request, parts},
};
use crate::{
    deeds::{Outcome, Told, Undone},
    ledger::{Ledger, LedgerError},
    systemd::{Systemd, unit::UnitName},
};

/// The ledger in the state folder.
const LEDGER: &str = "ledger";

/// Whether a file of the state folder belongs to the ledger, whole or damaged.
pub fn is_ledger(name: &str) -> bool {
    name == LEDGER || name.starts_with("ledger.")
}

/// The root helper.
pub struct Helper {
    settings: Settings,
    ledger: Ledger,
    memory: Memory,
    system: System,
    systemd: Systemd,
}

/// Why nothing comes of a question.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It was not done.
    #[error(transparent)]
    Undone(#[from] Undone),
    /// Nothing can be written down, so nothing may be done any more.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A message that was judged.
struct Judged {
    command: Command,
    heard: Heard,
    clock: Clock,
    /// Whether who gave it may still do so; of a new one that is certain.
    stands: Result<(), Undone>,
}

impl Helper {
    /// The helper of this node and its systems, with what its ledger says.
    ///
    /// # Errors
    /// If the ledger cannot be used.
    pub fn open(settings: Settings, system: System) -> Result<Self, LedgerError> {
        let opened = Ledger::open(&settings.state(LEDGER), Record::Since(Timestamp::now()))?;
        if let Some(damage) = &opened.damage {
            let (lines, aside) = (damage.lines.len(), damage.aside.display());
            log::error!("{lines} lines of the ledger are damaged; the file is put aside as {aside}");
        }
        let (ledger, memory) = (opened.ledger, Memory::of(opened.records));
        let systemd = Systemd::new(UnitName::worker());
        Ok(Self { settings, ledger, memory, system, systemd })
    }

    /// Does what is asked, if it is to be done.
    ///
    /// # Errors
    /// If nothing can be written down any more: then this helper must end, and the next one reads what is there.
    pub async fn answer(
        &mut self,
        request: &Request,
        told: &Told,
        stop: &CancellationToken,
    ) -> Result<Outcome, LedgerError> {
        let outcome = match request {
            Request::Adopt { node, trust } => self.adopt(node, trust).await,
            Request::Part { topic, message, phase } => self.part(topic, message, *phase, told, stop).await,
        };
        match outcome {
            Ok(result) => Ok(Ok(result)),
            Err(Refused::Undone(undone)) => Ok(Err(undone)),
            Err(Refused::Ledger(e)) => Err(e),
        }
    }

    async fn adopt(&mut self, node: &NodeId, trust: &Trust) -> Result<Map<String, serde_json::Value>, Refused> {
        let keys = Keys::read(&self.settings)?;
        if keys.in_force().is_err() {
            // What was given to this node in an earlier life is not meant for this one.
            if let Clock::Right(now) = self.clock().await {
                self.write(Record::Since(now.checked_sub(CLOCK_SKEW).unwrap_or(now)))?;
            }
        }
        let adopted = keys.adopt(node, trust)?;
        log::info!("`{node}` obeys the keys of trust document {}", trust.ctr());
        Ok(adopted)
    }

    async fn part(
        &mut self,
        topic: &str,
        message: &str,
        part: Phase,
        told: &Told,
        stop: &CancellationToken,
    ) -> Result<Map<String, serde_json::Value>, Refused> {
        let Judged { command, heard, clock, stands } = self.judge(topic, message).await?;
        let parts = parts(&command.op);
        let known = self.memory.entry(command.id);
        let begun = known.map(|entry| entry.begun);
        let progress = match progress::next(known.map(|entry| &entry.progress), parts, part)? {
            Next::Tell(result) => return Ok(result),
            Next::Do(progress) => progress,
        };
        let now = begun.unwrap_or_else(Timestamp::now);
        judge::may_go_on(&command, now, part, clock)?;
        if part != Phase::Undo {
            stands?;
        }
        let entry = match (heard, known) {
            (Heard::New(admitted), _) => {
                self.clear_the_way(&command).await?;
                Entry::new(*admitted, now, progress)
            }
            (Heard::Known(_), Some(entry)) => entry.at(progress),
            (Heard::Known(id), None) => unreachable!("the ledger knew {id} just now"),
        };
        self.write(Record::Command(Box::new(entry.clone())))?;
        log::info!("{} {} of `{}`: {part:?}", command.op.as_str(), command.id, command.by);
        let outcome = self.deed(&command, part, told, stop).await;
        if let Err(undone) = &outcome {
            log::warn!("{} {}: {part:?}: {undone}", command.op.as_str(), command.id);
        }
        let result = outcome?;
        self.write(Record::Command(Box::new(entry.at(progress::after(parts, part, &result)))))?;
        self.shorten()?;
        Ok(result)
    }

    /// Judges a message anew, by everything that this helper knows itself.
    async fn judge(&mut self, topic: &str, message: &str) -> Result<Judged, Refused> {
        let malformed = |what: String| Undone::for_good("malformed", what);
        let topic: Topic = topic.parse().map_err(|e| malformed(format!("the topic: {e}")))?;
        let message = STANDARD.decode(message).map_err(|e| malformed(format!("the message is not base 64: {e}")))?;
        let keys = Keys::read(&self.settings)?;
        let (node, trust) = keys.in_force()?;
        let clock = self.clock().await;
        let by = Teller { boot_id: self.boot_id(), agent: env!("CARGO_PKG_VERSION").to_owned() };
        let facts = self.facts(&by);
        let heard = judge::judge(
            &message,
            &topic,
            &Judge {
                node,
                tags: &judge::tags(&message),
                trust,
                clock,
                ledger_since: self.memory.since(),
                // How many wait is the agent's to bound; one that failed and was not undone stays open here.
                open: 0,
                facts: &facts,
                known: &|id| self.memory.known(id, &by),
            },
        )?;
        if let Clock::Right(now) = clock
            && self.memory.is_behind(now)
        {
            self.write(Record::Clock(now))?;
        }
        let command = judge::command(&message)?;
        let stands = judge::still_stands(&message, &command, node, trust);
        Ok(Judged { command, heard, clock, stands })
    }

    /// Undoes what an open command began that changes the same thing as a new one: whoever began it has forgotten it.
    async fn clear_the_way(&mut self, new: &Command) -> Result<(), Refused> {
        let in_the_way: Vec<Entry> =
            self.memory.open().filter(|open| judge::excludes(open, &new.op)).cloned().collect();
        for open in in_the_way {
            log::warn!("{} {} was left open and is undone: {} begins", open.op, open.id, new.id);
            self.write(Record::Command(Box::new(
                open.at(progress::Progress::Open { part: Phase::Undo, done: false }),
            )))?;
            let mut result = Map::new();
            if let Some(command) = &open.command {
                let told: Told = std::sync::Arc::new(|_| {});
                result = self.deed(command, Phase::Undo, &told, &CancellationToken::new()).await?;
            }
            let ended = progress::Progress::Ended { part: Phase::Undo, result };
            self.write(Record::Command(Box::new(open.at(ended))))?;
        }
        Ok(())
    }

    /// Does one part. What has begun to change the node goes on to its end whoever has gone away.
    async fn deed(&self, command: &Command, part: Phase, told: &Told, stop: &CancellationToken) -> Outcome {
        let never = CancellationToken::new();
        let stop = if matches!(part, Phase::Preflight | Phase::Fetch | Phase::Check) { stop } else { &never };
        match &command.op {
            Op::Switch(_) | Op::Rollback(_) => self.system.part(command, part, told, stop).await,
            Op::SetConf(set) => set_conf::part(&self.settings, set, part, stop).await,
            Op::Firmware(firmware) => firmware::part(&self.settings, firmware, part, stop).await,
            // What has one part has nothing to undo before that is done.
            _ if part == Phase::Undo => Ok(Map::new()),
            Op::PowerMode(mode) => power::set(&self.settings, mode).await,
            Op::Trust(new) => Keys::read(&self.settings)?.succeed(&new.document),
            Op::FactoryReset(reset) => reset::forget(&self.settings, *reset),
            op => Err(Undone::for_good("not_supported", format!("the root helper has no part in `{}`", op.as_str()))),
        }
    }

    /// The time, and whether it can be believed. Where no time service answers, it is not.
    async fn clock(&self) -> Clock {
        if self.settings.clock_is_right {
            return Clock::Right(Timestamp::now());
        }
        match self.systemd.is_clock_synchronised().await {
            Ok(true) => Clock::Right(Timestamp::now()),
            Ok(false) => Clock::Unsure(self.memory.floor()),
            Err(e) => {
                log::warn!("cannot ask about the clock: {e}");
                Clock::Unsure(self.memory.floor())
            }
        }
    }

    fn facts(&self, by: &Teller) -> Facts {
        let system = fs::read_link(self.settings.root.join("run/current-system")).ok();
        Facts {
            toplevel: system.and_then(|path| path.to_str()?.parse().ok()),
            conf_ver: set_conf::version(&self.settings),
            boot_id: by.boot_id.clone(),
        }
    }

    fn boot_id(&self) -> String {
        let text = fs::read_to_string(self.settings.root.join("proc/sys/kernel/random/boot_id"));
        text.unwrap_or_default().trim().to_owned()
    }

    /// Writes down what is so from now on; it is on the disk when this returns.
    fn write(&mut self, record: Record) -> Result<(), LedgerError> {
        self.ledger.append(&record)?;
        self.memory.learn(record);
        Ok(())
    }

    fn shorten(&mut self) -> Result<(), LedgerError> {
        if self.ledger.is_long() {
            let records = self.memory.records();
            self.ledger.rewrite(&records)?;
            self.memory = Memory::of(records);
        }
        Ok(())
    }
}
