//! What a message is worth that somebody hands on: judged by the helper's own keys, ledger and clock, as if the agent had
//! never seen it.

use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    fleet::{
        Addressee, Code, Command, CommandId, Op, Rejection, Rollout, Topic, Trust,
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
        Decision::Reject(why, _) => Err(rejected(why)),
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
    Sealed::parse(message).and_then(|sealed| Command::parse(sealed.payload())).map_err(rejected)
}

fn rejected(why: Rejection) -> Undone {
    Undone::for_good(why.code.as_str(), why.reason.as_str())
}

/// Refuses to go on with a command whose keys are not trusted any more, or which was begun when the node was another's.
/// A `trust` command is not asked: its own document says who follows on whom, also to a helper that died at it.
///
/// # Errors
/// `bad_signature`, `unauthorized` or `wrong_node`.
pub fn still_stands(message: &[u8], command: &Command, node: &NodeId, trust: &Trust) -> Result<(), Undone> {
    let sealed = Sealed::parse(message).map_err(rejected)?;
    let signed = match (&sealed, &command.rollout_doc) {
        (Sealed::Signed(envelope), _) => Some(envelope),
        (Sealed::Bare(_), document) => document.as_ref(),
    };
    if command.node != Addressee::Node(node.clone()) {
        return Err(Undone::for_good(
            Code::WrongNode.as_str(),
            format!("it is for `{}`, and this is `{node}`", command.node),
        ));
    }
    let allowed = signed.map(|envelope| trust.signers(envelope).must_allow(command.op.class()));
    match allowed {
        _ if matches!(command.op, Op::Trust(_)) => Ok(()),
        Some(allowed) => allowed.map_err(rejected),
        None => Err(Undone::for_good(Code::BadSignature.as_str(), "it is not signed")),
    }
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

/// Whether a command that is open must be undone before another one begins: both change the same thing, or nothing of the
/// present is to be left.
pub fn excludes(open: &Entry, new: &Op) -> bool {
    let thing = |name: &str| match name {
        "switch" | "rollback" => Some("system"),
        "set-conf" => Some("settings"),
        "firmware" => Some("firmware"),
        _ => None,
    };
    let changed = thing(open.op.as_str());
    matches!(new, Op::FactoryReset(_)) || (changed.is_some() && changed == thing(new.as_str()))
}

#[cfg(test)]
mod tests {
    use reelmill_api::fleet::Sha256;
    use serde_json::{Value, json};

    use super::*;
    use crate::exec::progress::Progress;

    fn op(name: &str, args: Value) -> Op {
        Op::parse(&name.parse().expect("a name"), args).expect("arguments")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_was_kept_back_for_too_long_is_only_undone() {
        const EIGHT_DAYS: i64 = 8 * 24 * 3600;
        let json = |dry_run: bool| {
            json!({"v": 1, "id": "01M81B5H80NENTQAXBNENTQAXB", "op": "set-conf", "node": "orin-3", "by": "anna",
                   "args": {"ver": 1}, "issued_at": at(0).to_string(), "exp": at(60).to_string(),
                   "policy": {"dry_run": dry_run}})
        };
        let check = |dry_run: bool, part: Phase, clock: Clock, want: &str| {
            let command = Command::parse(json(dry_run).to_string().as_bytes()).expect("a command");
            let got = may_go_on(&command, at(0), part, clock).map_or_else(|undone| undone.code, |()| "ok".to_owned());
            assert_eq!(got, want, "{part:?} at {clock:?}, dry run: {dry_run}");
        };
        let (then, later) = (Clock::Right(at(EIGHT_DAYS)), Clock::Right(at(EIGHT_DAYS + 1)));
        check(false, Phase::Activate, then, "ok");
        check(false, Phase::Activate, later, "too_late");
        check(false, Phase::Commit, later, "too_late");
        check(false, Phase::Undo, later, "ok");
        check(false, Phase::Activate, Clock::Unsure(Some(at(EIGHT_DAYS + 1))), "too_late");
        check(false, Phase::Activate, Clock::Unsure(None), "ok");
        for (part, want) in [
            (Phase::Preflight, "ok"),
            (Phase::Check, "ok"),
            (Phase::Undo, "ok"),
            (Phase::Fetch, "dry_run"),
            (Phase::Activate, "dry_run"),
            (Phase::Act, "dry_run"),
        ] {
            check(true, part, then, want);
        }
    }

    #[test]
    fn what_changes_the_same_thing_is_undone_first() {
        let open = |op: &str| Entry {
            id: "01M81B5H80NENTQAXBNENTQAXB".parse().expect("an id"),
            op: op.parse().expect("a name"),
            sha256: Sha256::of(b""),
            signers: Vec::new(),
            begun: at(0),
            progress: Progress::Open { part: Phase::Activate, done: true },
            command: None,
        };
        let path = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-capsule/a.Cap";
        let news = [
            op("rollback", json!({"to": "previous"})),
            op("set-conf", json!({"ver": 2})),
            op("firmware", json!({"capsule": path, "l4t": "36.4.3"})),
            op("power-mode", json!({"mode": 1})),
            op("factory-reset", json!({"keep_identity": true})),
        ];
        for (name, want) in [
            ("switch", [true, false, false, false, true]),
            ("rollback", [true, false, false, false, true]),
            ("set-conf", [false, true, false, false, true]),
            ("firmware", [false, false, true, false, true]),
            ("power-mode", [false, false, false, false, true]),
        ] {
            assert_eq!(news.each_ref().map(|new| excludes(&open(name), new)), want, "{name}");
        }
    }
}
