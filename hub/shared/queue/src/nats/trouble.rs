//! What came of a try: what the server answered, whether trying again may help, and what is said of it.

use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishError, PublishErrorKind, RequestError, RequestErrorKind},
    publish::PublishAck,
};

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The same may succeed a moment later.
    Passing(String),
    /// It may not.
    Lasting(String),
}

/// What came of a write under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// It is stored under this number.
    At(u64),
    /// One with the same id was stored under this number before; perhaps by an earlier try of this call.
    Before { number: u64, tried_before: bool },
    /// Somebody else was faster; or an earlier try of this call was.
    Conflict,
}

/// What came of a write.
pub(super) fn wrote(answer: Result<PublishAck, PublishError>, tried_before: bool) -> Result<Wrote, Trouble> {
    let e = match answer {
        Ok(ack) if ack.duplicate => return Ok(Wrote::Before { number: ack.sequence, tried_before }),
        Ok(ack) => return Ok(Wrote::At(ack.sequence)),
        Err(e) => e,
    };
    match e.kind() {
        PublishErrorKind::WrongLastSequence => Ok(Wrote::Conflict),
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe | PublishErrorKind::StreamNotFound => {
            Err(Trouble::Passing(e.to_string()))
        }
        _ => match std::error::Error::source(&e).and_then(|e| e.downcast_ref::<jetstream::Error>()) {
            Some(inner) => Err(trouble(inner.error_code(), e.to_string())),
            None => Err(Trouble::Lasting(e.to_string())),
        },
    }
}

/// An answer of JetStream that is an error.
pub(super) fn trouble(code: ErrorCode, why: String) -> Trouble {
    let passing = [
        ErrorCode::CLUSTER_NOT_AVAILABLE,
        ErrorCode::CLUSTER_NOT_LEADER,
        ErrorCode::RAFT_GENERAL,
        // Somebody else's write under a condition is under way between the servers; how it ends decides ours.
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
    ];
    if passing.contains(&code) { Trouble::Passing(why) } else { Trouble::Lasting(why) }
}

/// No answer of JetStream's.
pub(super) fn unanswered(e: &RequestError) -> Trouble {
    match e.kind() {
        RequestErrorKind::NoResponders => {
            Trouble::Passing("JetStream does not answer: it is off, or still reads its files".to_owned())
        }
        _ => Trouble::Passing(e.to_string()),
    }
}

/// The library's words, where ours are clearer.
pub(super) fn in_words(cause: &str) -> String {
    if cause.contains("authorization violation") {
        return "the server refused the user, the password or the token".to_owned();
    }
    if cause.contains("timed out") {
        return format!("the server does not answer; its own log says why, perhaps that its disk is full ({cause})");
    }
    cause.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_again_what_another_server_of_a_cluster_may_answer() {
        for (code, passes) in [(10008, true), (10009, true), (10164, true), (10071, false), (10023, false)] {
            assert_eq!(matches!(trouble(ErrorCode(code), String::new()), Trouble::Passing(_)), passes, "{code}");
        }
    }
}
