//! Why a request to an SQS server failed, what of it may pass, and what it means to a person.

use std::{error::Error, io, time::Duration};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// How long the server may take for one answer.
pub(super) const ANSWER: Duration = Duration::from_secs(6);
/// The code of a fault that is ours: a delivery was over before its request was answered.
const OVER: &str = "LeaseIsOver";

/// Why a request failed.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) cause: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was not done, and may be a moment later.
    Refused,
    /// It may have been done.
    Unclear,
    /// It was not done and will not be.
    Final,
}

impl Fault {
    /// Whether the queue is not there.
    pub(super) fn is_no_queue(&self) -> bool {
        self.code.contains("NonExistentQueue") || self.code.contains("QueueDoesNotExist")
    }

    /// Whether the delivery that was named is over.
    pub(super) fn is_no_delivery(&self) -> bool {
        let code = &self.code;
        [OVER, "ReceiptHandleIsInvalid", "MessageNotInflight"].iter().any(|over| code.contains(over))
            || (code.contains("InvalidParameterValue") && self.cause.contains("eceipt"))
    }

    /// Whether what was sent is not taken as it is.
    pub(super) fn is_bad_message(&self) -> bool {
        self.code.contains("InvalidParameterValue") || self.code.contains("InvalidMessageContents")
    }

    /// What the SDK makes of it.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(service) = error else { return Self::of_transport(error) };
        let code = service.err().code().unwrap_or_default().to_owned();
        let status = service.raw().status().as_u16();
        let body = || excerpt(service.raw().body().bytes().unwrap_or_default());
        let message = service.err().message().map_or_else(body, str::to_owned);
        let kind = match status {
            429 | 503 => Kind::Refused,
            _ if is_throttle(&code) => Kind::Refused,
            500.. => Kind::Unclear,
            _ => Kind::Final,
        };
        let told = format!("{status} {code}: {message}");
        let cause = format!("{}the server answered {}", about(&told), told.trim_end_matches([':', ' ']));
        Self { code, cause, kind }
    }

    fn of_transport<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + Send + Sync + 'static,
    {
        let not_sent = |e: &io::Error| {
            use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
            matches!(e.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
        };
        let causes: Vec<&(dyn Error + 'static)> = std::iter::successors(error.source(), |e| (*e).source()).collect();
        let refused = causes.iter().find_map(|e| e.downcast_ref::<io::Error>()).is_some_and(not_sent);
        let kind = match error {
            SdkError::ConstructionFailure(_) => Kind::Final,
            _ if refused => Kind::Refused,
            _ => Kind::Unclear,
        };
        let cause = causes.last().map_or_else(|| error.to_string(), |e| e.to_string());
        Self { code: String::new(), cause, kind }
    }

    /// The lease was over before the answer came.
    pub(super) fn over() -> Self {
        Self { code: OVER.to_owned(), cause: "the lease ran out".to_owned(), kind: Kind::Final }
    }

    /// What was asked for cannot be told while somebody else looks at it.
    pub(super) fn busy(cause: &str) -> Self {
        Self { code: String::new(), cause: cause.to_owned(), kind: Kind::Refused }
    }

    /// There was no answer in time.
    pub(super) fn silence() -> Self {
        let cause = format!("no answer within {} s", ANSWER.as_secs());
        Self { code: String::new(), cause, kind: Kind::Unclear }
    }
}

fn is_throttle(code: &str) -> bool {
    ["Throttl", "TooManyRequests", "SlowDown", "RequestLimitExceeded"].iter().any(|part| code.contains(part))
}

/// The beginning of an answer in no form that SQS has.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an error means to a person, where it is about the keys.
fn about(told: &str) -> &'static str {
    let is = |codes: &[&str]| codes.iter().any(|one| told.contains(one));
    if is(&["InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId"]) {
        "the access key is not known there; "
    } else if is(&["SignatureDoesNotMatch", "InvalidSignature"]) {
        "the secret key is not the access key's, or this machine's clock is wrong; "
    } else if is(&["ExpiredToken"]) {
        "the temporary keys are over; "
    } else if is(&["AccessDenied"]) {
        "the keys do not allow it; "
    } else {
        ""
    }
}
