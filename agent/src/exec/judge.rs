//! What a message is worth that somebody hands on: judged by the helper's own keys, ledger and clock, as if the agent had
//! never seen it.

use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    fleet::{
        Command, CommandId, Op, Rollout, Topic,
        admission::{Admitted, Clock, Decision, Judge, decide},
        envelope::Sealed,
        rollout::Nodes,
        state::{Phase, Wait},
    },
    preset::Tag,
};

use super::record::Entry;
use crate::deeds::Undone;

/// From its first part on, a command must go on within this time. There is a maintenance window once a week at least; an
/// agent that keeps a command back for longer has something else in mind than who gave it.
const LONGEST: SignedDuration = SignedDuration::from_hours(8 * 24);

/// A message that this node obeys.
#[derive(Debug)]
pub enum Heard {
    /// It was never heard before, and may begin now.
    New(Box<Admitted>),
    /// It was begun, whatever has become of it.
    Known(CommandId),
}

/// Judges a message.
///
/// # Errors
/// The judge's own words where it is rejected, `clock` and `too_early` where it must wait.
pub fn judge(message: &[u8], topic: &Topic, judge: &Judge<'_>) -> Result<Heard, Undone> {
    match decide(message, topic, judge) {
        Decision::Accept(admitted) => Ok(Heard::New(admitted)),
        Decision::Republish(state) => Ok(Heard::Known(state.id)),
        Decision::Queue(_, Wait::Clock) => {
            Err(Undone::for_now("clock", "no time service says that the clock is right"))
        }
        Decision::Queue(..) => Err(Undone::for_now("too_early", "its first moment has not come")),
        Decision::Reject(why, _) => Err(Undone::for_good(why.code.as_str(), why.reason.as_str())),
    }
}

/// The tags of this node, as far as a message is concerned. Which tags a node has is the agent's word, and the helper has no
/// better one; so whoever signs a rollout for a tag says it of every node that the tag may be given to.
pub fn tags(message: &[u8]) -> Vec<Tag> {
    let read = || {
        let command = command(message).ok()?;
        let rollout = Rollout::parse(command.rollout_doc.as_ref()?.payload()).ok()?;
        match rollout.to {
            Nodes::Tag(tag) => Some(tag),
            Nodes::Nodes(_) => None,
        }
    };
    read().into_iter().collect()
}

/// The command in a message. Who gave it is another question.
///
/// # Errors
/// If it is none.
pub fn command(message: &[u8]) -> Result<Command, Undone> {
    let read = Sealed::parse(message).and_then(|sealed| Command::parse(sealed.payload()));
    read.map_err(|why| Undone::for_good(why.code.as_str(), why.reason.as_str()))
}

/// Refuses to go on where a command says itself that nothing may change, and where it was kept back for too long.
///
/// # Errors
/// `dry_run` or `too_late`.
pub fn may_go_on(command: &Command, begun: Timestamp, part: Phase, clock: Clock) -> Result<(), Undone> {
    if command.policy.dry_run && !matches!(part, Phase::Preflight | Phase::Check | Phase::Undo) {
        return Err(Undone::for_good(
            "dry_run",
            format!("the command asks only what it would do, and {part:?} does it"),
        ));
    }
    let (Clock::Right(now) | Clock::Unsure(Some(now))) = clock else { return Ok(()) };
    if part != Phase::Undo && now.duration_since(begun) > LONGEST {
        return Err(Undone::for_good("too_late", format!("it was begun at {begun}, which is too long ago to go on")));
    }
    Ok(())
}

/// Whether a command that is open must be undone before another one begins: both change the same thing.
pub fn excludes(open: &Entry, new: &Op) -> bool {
    let thing = |name: &str| match name {
        "switch" | "rollback" => "system",
        "set-conf" => "settings",
        "firmware" => "firmware",
        _ => "",
    };
    let changed = thing(open.op.as_str());
    !changed.is_empty() && (changed == thing(new.as_str()) || matches!(new, Op::FactoryReset(_)))
}
