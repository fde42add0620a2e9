//! What becomes of commands: one function from what happens to what must be done, in its order. It does nothing itself and
//! knows no clock, so every way through it can be walked in a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{
        CommandId, State, Topic, Trust,
        admission::{Clock, Facts},
        event::NodeEvent,
        moves,
        state::{CommandState, Teller},
        topic::Document,
    },
    preset::Tag,
};

use crate::deeds::{Deed, Outcome};

mod call_off;
mod entry;
mod happening;
mod life;
mod message;
mod part;
mod plan;
mod resume;
mod turn;

pub use entry::{Entry, Memory, Record};

/// The operations that the core answers by itself; a node can do them whatever else it can.
pub const ANSWERED: [&str; 3] = ["ping", "status", "cancel"];
/// How long an interrupted command waits for the broker after a start: something there may call it off.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the last good time is written down.
const CLOCK_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_hours(6);

/// The time, as it is told to the core.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What the clock shows.
    pub wall: Timestamp,
    /// Whether the clock agrees with the world's.
    pub synchronised: bool,
    /// Since some moment before the start; it never jumps.
    pub up: Duration,
}

/// What is so around the commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// What a command may expect of the node.
    pub facts: Facts,
    /// Whether the node may be disturbed now.
    pub window_open: bool,
    /// What the owner says of the node.
    pub tags: Vec<Tag>,
    /// Whether a GPU is seen.
    pub gpu: bool,
    /// What is hot, in words.
    pub hot: Option<String>,
    /// How often the worker was started anew after it ended by itself.
    pub worker_restarts: Option<u32>,
}

/// Where an answer to a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The topic; checked to be one of ours.
    pub topic: Topic,
    /// What the asker knows its request by.
    pub correlation: Vec<u8>,
}

/// All that can happen.
#[derive(Debug)]
pub enum Event {
    /// A message on a command's topic; an empty one clears it.
    Message {
        /// The topic.
        topic: Topic,
        /// The bytes.
        payload: Vec<u8>,
        /// Who wants an answer.
        reply: Option<Reply>,
    },
    /// The broker has told all that it kept for us.
    Settled,
    /// A deed is so far, percent.
    Told(CommandId, u8),
    /// A deed has ended.
    Done(CommandId, Outcome),
    /// What is around has changed.
    Around(Box<Around>),
    /// Time has passed.
    Tick,
}

/// What must be done, in this order. Whoever does it may die after any of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write this to the disk; only then go on.
    Write(Record),
    /// Tell where a command stands.
    Publish(Box<State>),
    /// Clear what was told of a command.
    Clear(CommandId),
    /// Tell that something happened.
    Tell(Box<NodeEvent>),
    /// Answer a request.
    Answer(Reply, Box<State>),
    /// Report these documents again; none: all.
    Report(Vec<Document>),
    /// Begin a deed; it is told of by [`Event::Told`] and [`Event::Done`].
    Begin(CommandId, Deed),
    /// Ask a deed to end; it is told by [`Event::Done`], as always.
    Stop(CommandId),
}

/// What does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its name.
    pub node: NodeId,
    /// Who tells.
    pub teller: Teller,
    /// Whose commands it obeys.
    pub trust: Trust,
    /// When it became a part of the farm.
    pub enrolled_at: Option<Timestamp>,
    /// The operations that it can do.
    pub able: BTreeSet<&'static str>,
}

/// The commands of a node.
#[derive(Debug)]
pub struct Core {
    own: Own,
    memory: Memory,
    around: Around,
    /// Whether commands may begin: the broker has told all that it kept, or is away for long.
    awake: bool,
    /// Since when it waits for that.
    asleep_since: Option<Duration>,
    /// Commands of which something runs.
    at_work: BTreeSet<CommandId>,
    /// Those of which only what they left is being cleaned up.
    cleaning: BTreeSet<CommandId>,
    /// Commands of which the broker was told since it is there again.
    told: BTreeSet<CommandId>,
    /// Those of which something is being stopped, so that what it did can be undone.
    stopping: BTreeSet<CommandId>,
    /// When the node was seen to be hot last.
    hot_at: Option<Duration>,
    /// By when a command must have ended.
    due: BTreeMap<CommandId, Duration>,
}

impl Core {
    /// The commands that a ledger knows. Nothing is begun before the broker has told what it kept.
    pub fn new(own: Own, memory: Memory, around: Around) -> Self {
        Self {
            own,
            memory,
            around,
            awake: false,
            asleep_since: None,
            at_work: BTreeSet::new(),
            cleaning: BTreeSet::new(),
            told: BTreeSet::new(),
            stopping: BTreeSet::new(),
            hot_at: None,
            due: BTreeMap::new(),
        }
    }

    /// What must be done now that `event` has happened.
    pub fn step(&mut self, now: &Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Message { topic, payload, reply } => self.hear(now, &topic, &payload, reply, &mut effects),
            Event::Settled => self.settle(now, &mut effects),
            Event::Told(id, percent) => self.move_on(now, id, moves::Event::Progress(percent), &mut effects),
            Event::Done(id, outcome) => self.done(now, id, outcome, &mut effects),
            Event::Around(around) => self.look_around(now, *around, &mut effects),
            Event::Tick => self.tick(now, &mut effects),
        }
        self.pass_the_window(now, &mut effects);
        self.begin_what_may(now, &mut effects);
        effects
    }

    /// All that is known, for a ledger that is written anew.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether the node is drained, by whomever.
    pub fn is_held(&self) -> bool {
        self.memory.held_by.is_some()
    }

    /// The names of the operations that are done here.
    pub fn able(&self) -> &BTreeSet<&'static str> {
        &self.own.able
    }

    /// What was last told of a command.
    pub fn state(&self, id: CommandId) -> Option<&State> {
        self.memory.entries.get(&id).map(|entry| &entry.state)
    }

    /// The command that changed last, for people.
    pub fn last(&self) -> Option<&State> {
        self.memory.entries.values().map(|entry| &entry.state).max_by_key(|state| state.t)
    }

    fn clock(&self, now: &Now) -> Clock {
        if now.synchronised { Clock::Right(now.wall) } else { Clock::Unsure(self.memory.floor) }
    }

    fn open(&self) -> usize {
        self.memory.entries.values().filter(|entry| !entry.state.state.is_final()).count()
    }

    /// Keeps a record in memory and has it written.
    fn write(&mut self, record: Record, effects: &mut Vec<Effect>) {
        self.memory.learn(record.clone());
        effects.push(Effect::Write(record));
    }

    fn tick(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        let since = *self.asleep_since.get_or_insert(now.up);
        if !self.awake && now.up.saturating_sub(since) >= PATIENCE {
            self.wake(now, effects);
        }
        if now.synchronised && self.memory.floor.is_none_or(|floor| now.wall.duration_since(floor) >= CLOCK_EVERY) {
            self.write(Record::Clock(now.wall), effects);
            self.memory.forget_old(now.wall);
        }
        self.look_at_the_heat(now, effects);
        let late: Vec<_> = self.due.iter().filter(|(_, due)| now.up >= **due).map(|(id, _)| *id).collect();
        for id in late {
            self.overdue(now, id, effects);
        }
    }

    /// How busy the lanes are. What has ended and is still being cleaned up keeps its place.
    fn lanes(&self) -> turn::Lanes<'_> {
        let busy = |entry: &&Entry| entry.owes || !(entry.state.state.is_final() || entry.state.state.is_waiting());
        let alone = |entry: &Entry| entry.command.as_ref().map(|command| plan::is_exclusive(&command.op));
        let running: Vec<(CommandState, Option<bool>)> =
            self.memory.entries.values().filter(busy).map(|entry| (entry.state.state, alone(entry))).collect();
        turn::Lanes {
            exclusive: running.iter().find(|(_, alone)| *alone == Some(true)).map(|(state, _)| *state),
            shared: running.iter().filter(|(_, alone)| *alone == Some(false)).count(),
            held_by: self.memory.held_by.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
