//! Whether a message on a command's topic becomes a command of this node. The agent and its root helper both ask this, each
//! with a ledger of its own.

use jiff::{SignedDuration, Timestamp};

use super::{
    Addressee, Command, CommandId, KeyId, MAX_OPEN, Op, OpName, Sha256, State, StorePath, Topic, Trust,
    envelope::Sealed,
    op::Class,
    reject::{Code, Rejection},
    rollout::Rollout,
    state::Wait,
    trust::Signers,
};
use crate::{NodeId, preset::Tag};

/// How far the clock of who gives a command may be ahead.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A clock, as far as it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It agrees with the world.
    Right(Timestamp),
    /// It may be wrong. The last time at which it was right, if that is known: it is later than that now.
    Unsure(Option<Timestamp>),
}

/// What a ledger knows of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The digest of its payload.
    pub sha256: Sha256,
    /// What became of it.
    pub state: State,
    /// Who signed it.
    pub signers: Vec<KeyId>,
}

/// What is so on the node now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The running system; absent where there is none in a store.
    pub toplevel: Option<StorePath>,
    /// The version of the settings.
    pub conf_ver: u64,
    /// The kernel's id of the boot.
    pub boot_id: String,
}

/// Who judges, and what it knows.
pub struct Judge<'a> {
    /// This node.
    pub node: &'a NodeId,
    /// What the owner says of it.
    pub tags: &'a [Tag],
    /// The keys that it trusts.
    pub trust: &'a Trust,
    /// The time.
    pub clock: Clock,
    /// Since when the ledger knows everything: the later of the enrolment and of the ledger's own beginning. What was given
    /// before may have been done and forgotten. Absent: since ever.
    pub ledger_since: Option<Timestamp>,
    /// How many commands are open.
    pub open: usize,
    /// What is so on the node.
    pub facts: &'a Facts,
    /// What the ledger knows of a command.
    pub known: &'a dyn Fn(CommandId) -> Option<Known>,
}

/// A command that a node will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The command.
    pub command: Command,
    /// The digest of its payload, for the ledger.
    pub sha256: Sha256,
    /// Who signed it, or the rollout that it is a part of; for the ledger.
    pub signers: Vec<KeyId>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write it to the ledger as accepted; it may begin when its lane is free.
    Accept(Box<Admitted>),
    /// Write it to the ledger as accepted; it waits, and is judged by [`may_begin`] again.
    Queue(Box<Admitted>, Wait),
    /// It was seen before: publish this state again, and do nothing.
    Republish(Box<State>),
    /// It is not begun.
    Reject(Rejection, Tell),
}

/// How a rejection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Written to the ledger, and as the command's state: a trusted person gave it, and it has had its chance.
    Record,
    /// As the command's state with `seq` 0, and not written to the ledger: nobody vouches for it, and a forgery must not take
    /// the id of a true command.
    State,
    /// As an event only: the state topic belongs to another command, or there is none.
    Event,
}

/// A rejection, and whether who gave the command was known by then.
struct Refusal {
    why: Rejection,
    vouched: bool,
}

impl Refusal {
    fn vouched(why: Rejection) -> Self {
        Self { why, vouched: true }
    }
}

impl From<Rejection> for Refusal {
    fn from(why: Rejection) -> Self {
        Self { why, vouched: false }
    }
}

/// Decides what becomes of `message` on `topic`, which is a command's topic of this node or of a group of it.
pub fn decide(message: &[u8], topic: &Topic, judge: &Judge<'_>) -> Decision {
    let Some(address) = Address::of(topic) else {
        let why = Rejection::malformed(format!("`{topic}` is no command's topic"));
        return Decision::Reject(why, Tell::Event);
    };
    if !judge.is_meant(&address.to) {
        return Decision::Reject(wrong_node(&address.to, judge.node), Tell::Event);
    }
    let known = (judge.known)(address.id);
    judge.decide(message, &address, known.as_ref()).unwrap_or_else(|Refusal { why, vouched }| {
        let tell = match (known.is_some() || address.is_group(), vouched) {
            (true, _) => Tell::Event,
            (false, true) => Tell::Record,
            (false, false) => Tell::State,
        };
        Decision::Reject(why, tell)
    })
}

/// What a topic says of the command on it.
struct Address<'a> {
    to: Addressee,
    op: &'a OpName,
    id: CommandId,
}

impl<'a> Address<'a> {
    fn of(topic: &'a Topic) -> Option<Self> {
        match topic {
            Topic::Command(node, op, id) => Some(Self { to: Addressee::Node(node.clone()), op, id: *id }),
            Topic::Group(tag, op, id) => Some(Self { to: Addressee::Group(tag.clone()), op, id: *id }),
            _ => None,
        }
    }

    fn is_group(&self) -> bool {
        matches!(self.to, Addressee::Group(_))
    }
}

impl Judge<'_> {
    fn decide(&self, message: &[u8], address: &Address<'_>, known: Option<&Known>) -> Result<Decision, Refusal> {
        let sealed = Sealed::parse(message)?;
        let sha256 = Sha256::of(sealed.payload());
        if let Some(known) = known.filter(|known| known.sha256 == sha256) {
            return Ok(Decision::Republish(Box::new(known.state.clone())));
        }
        let command = Command::parse(sealed.payload())?;
        self.must_be_as_addressed(&command, address)?;
        let signers = self.authority(&sealed, &command)?;
        // From here on, somebody who may has given this command.
        if known.is_some() {
            let why = Rejection::new(Code::IdConflict, "another command has this id");
            return Err(Refusal::vouched(why));
        }
        let ids = signers.ids();
        self.must_be_allowed(&command, &signers).map_err(Refusal::vouched)?;
        let begin = may_begin(&command, self.clock, self.facts).map_err(Refusal::vouched)?;
        let admitted = Box::new(Admitted { command, sha256, signers: ids });
        Ok(match begin {
            Begin::Now => Decision::Accept(admitted),
            Begin::Wait(reason) => Decision::Queue(admitted, reason),
        })
    }

    fn is_meant(&self, to: &Addressee) -> bool {
        match to {
            Addressee::Node(node) => node == self.node,
            Addressee::Group(tag) => self.tags.contains(tag),
        }
    }

    fn must_be_as_addressed(&self, command: &Command, address: &Address<'_>) -> Result<(), Rejection> {
        if command.node != address.to {
            return Err(wrong_node(&command.node, self.node));
        }
        if command.op.as_str() != address.op.as_str() || command.id != address.id {
            let (op, id) = (command.op.as_str(), command.id);
            return Err(Rejection::malformed(format!("the topic is of another command than the `{op}` {id} on it")));
        }
        if address.is_group() && command.op.class() != Class::Unsigned {
            let why = format!("`{}` must be given to each node by itself", command.op.as_str());
            return Err(Rejection::new(Code::Unauthorized, why));
        }
        Ok(())
    }

    /// Who gave the command: those who signed it, or the rollout that it is a part of.
    fn authority(&self, sealed: &Sealed, command: &Command) -> Result<Signers<'_>, Rejection> {
        let class = command.op.class();
        let signers = match (sealed, &command.rollout_doc) {
            (Sealed::Signed(envelope), _) => self.trust.signers(envelope),
            (Sealed::Bare(_), Some(document)) => {
                let signers = self.trust.signers(document);
                signers.must_allow(class)?;
                Rollout::in_envelope(document)?.must_allow(command, self.node, self.tags)?;
                signers
            }
            (Sealed::Bare(_), None) if class == Class::Unsigned => Signers::nobody(),
            (Sealed::Bare(_), None) => {
                let why = format!("`{}` must be signed, and is not", command.op.as_str());
                return Err(Rejection::new(Code::BadSignature, why));
            }
        };
        signers.must_allow(class)?;
        Ok(signers)
    }

    /// What only this node can know, of a command that was given by somebody who may.
    fn must_be_allowed(&self, command: &Command, signers: &Signers<'_>) -> Result<(), Rejection> {
        let op = &command.op;
        if op.class() != Class::Unsigned && self.ledger_since.is_some_and(|since| command.issued_at < since) {
            let why = "it was given before this node can remember what it did";
            return Err(Rejection::new(Code::BeforeEnrolment, why));
        }
        match op {
            Op::Cancel(cancel) => {
                if let Some(target) = (self.known)(cancel.target) {
                    must_own(&target, signers)?;
                }
            }
            Op::Trust(trust) => {
                self.trust.successor(&trust.document)?;
            }
            _ => {}
        }
        if self.open >= MAX_OPEN && !matches!(op, Op::Cancel(_)) && op.class() != Class::Unsigned {
            return Err(Rejection::new(Code::TooManyOpen, format!("{} commands are open already", self.open)));
        }
        Ok(())
    }
}

fn wrong_node(to: &Addressee, own: &NodeId) -> Rejection {
    Rejection::new(Code::WrongNode, format!("it is for `{to}`, and this is `{own}`"))
}

/// Only who gave a command, or an admin, may call it off.
fn must_own(target: &Known, signers: &Signers<'_>) -> Result<(), Rejection> {
    let theirs = signers.ids().iter().any(|id| target.signers.contains(id));
    if theirs || target.signers.is_empty() || signers.has_admin() {
        return Ok(());
    }
    Err(Rejection::new(Code::Unauthorized, "only who gave the command, or an admin, may call it off"))
}

/// Whether a command may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As far as time and facts go; its lane, the window and the work on the node are somebody else's matter.
    Now,
    /// Not yet.
    Wait(Wait),
}

/// Judges whether an admitted command may begin now: at its admission, and again whenever what it waits for has come.
///
/// # Errors
/// `expired`, `issued_in_future` or `precondition`: then it never begins.
pub fn may_begin(command: &Command, clock: Clock, facts: &Facts) -> Result<Begin, Rejection> {
    let late = |now: Timestamp| now > command.exp;
    let expired = || Rejection::new(Code::Expired, format!("it could start until {}", command.exp));
    match clock {
        // Ping and status change nothing: they are answered at any time.
        Clock::Unsure(_) if command.op.class() == Class::Unsigned => {}
        Clock::Unsure(Some(floor)) if late(floor) => return Err(expired()),
        Clock::Unsure(_) => return Ok(Begin::Wait(Wait::Clock)),
        Clock::Right(now) if late(now) => return Err(expired()),
        Clock::Right(now) if command.issued_at.duration_since(now) > CLOCK_SKEW => {
            let why = format!("it was given at {}, and it is {now} now", command.issued_at);
            return Err(Rejection::new(Code::IssuedInFuture, why));
        }
        Clock::Right(now) if command.not_before.is_some_and(|start| now < start) => {
            return Ok(Begin::Wait(Wait::Window));
        }
        Clock::Right(_) => {}
    }
    must_be_so(command, facts)?;
    Ok(Begin::Now)
}

fn must_be_so(command: &Command, facts: &Facts) -> Result<(), Rejection> {
    let expect = &command.expect;
    let differs = |what: &str| Err(Rejection::new(Code::Precondition, format!("{what} is not the expected one")));
    if expect.toplevel.is_some() && expect.toplevel != facts.toplevel {
        return differs("the running system");
    }
    if expect.conf_ver.is_some_and(|ver| ver != facts.conf_ver) {
        return differs("the version of the settings");
    }
    if expect.boot_id.as_ref().is_some_and(|boot| boot.as_str() != facts.boot_id) {
        return differs("the boot");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
