//! What a failed request means: from the client's errors to ours, by status, code and the words of the transport.

use std::{
    error::Error,
    fmt::Write,
    io,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::{DateTime, date_time::Format};

use super::Deed;
use crate::{Denied, StorageError};

/// The store's answer to a request that failed.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The S3 error code; empty if the answer has none.
    pub(super) code: String,
    message: String,
    region: Option<String>,
    date: Option<SystemTime>,
}

/// What went wrong with a request.
#[derive(Debug)]
pub(super) enum Fault {
    /// The store answered.
    Answered(Answer),
    /// It did not, or not in HTTP.
    Transport(StorageError),
}

impl Fault {
    /// Reads the client's error.
    pub(super) fn of<E>(deed: &Deed, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let Some(raw) = error.raw_response() else {
            return Self::Transport(transport(deed, &error));
        };
        let header = |name| raw.headers().get(name);
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        Self::Answered(Answer {
            status: raw.status().as_u16(),
            code: meta.and_then(|m| m.code()).unwrap_or_default().to_owned(),
            message: plain(meta.and_then(|m| m.message()).unwrap_or_default()),
            region: header("x-amz-bucket-region").map(plain),
            date: header("date").and_then(|d| DateTime::from_str(d, Format::HttpDate).ok()?.try_into().ok()),
        })
    }

    /// The answer's status, 0 without an answer.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Answered(answer) => answer.status,
            Self::Transport(_) => 0,
        }
    }

    /// The answer's S3 error code, empty without one.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Answered(answer) => &answer.code,
            Self::Transport(_) => "",
        }
    }

    /// The error of a request for a list, whose answer always has a body: only some other server says 404 without one.
    pub(super) fn error_of_list(self, deed: &Deed) -> StorageError {
        match self {
            Self::Answered(Answer { status: 404, code, .. }) if code == "NotFound" => {
                answered(deed, &Answer { status: 404, ..Answer::default() })
            }
            other => other.error(deed),
        }
    }

    /// The error as the caller gets it.
    pub(super) fn error(self, deed: &Deed) -> StorageError {
        match self {
            Self::Answered(answer) => answered(deed, &answer),
            Self::Transport(error) => error,
        }
    }
}

/// What an answer means.
fn answered(deed: &Deed, answer: &Answer) -> StorageError {
    let (what, store) = (deed.what(), deed.store());
    let access_key = deed.access_key();
    match (answer.code.as_str(), answer.status) {
        ("NoSuchKey" | "NotFound", _) => deed.not_found(),
        ("NoSuchBucket", _) => StorageError::NoSuchBucket { what, bucket: deed.bucket(), store },
        ("RequestTimeTooSkewed", _) => StorageError::ClockSkew { what, store, apart: answer.date.map(apart) },
        ("InvalidRange", _) | (_, 416) => StorageError::Changed { what },
        ("PreconditionFailed", _) | (_, 412) => StorageError::ConditionFailed { what, found: "it was changed before" },
        ("ConditionalRequestConflict" | "OperationAborted" | "SlowDown" | "RequestTimeout", _) => {
            StorageError::Failed { what, store, answer: answer.shown() }
        }
        _ if answer.region.as_deref().is_some_and(|r| r != deed.region()) && (300..=403).contains(&answer.status) => {
            let theirs = answer.region.clone().unwrap_or_default();
            StorageError::WrongRegion { what, ours: deed.region(), theirs }
        }
        (_, 500 | 502.. | 429 | 408) => StorageError::Failed { what, store, answer: answer.shown() },
        _ => match denied(answer, store.clone(), access_key) {
            Some(denied) => StorageError::AccessDenied { what, denied },
            None if answer.code.is_empty() => StorageError::NotAStore { what, store, answer: answer.shown() },
            None => StorageError::Refused { what, store, answer: answer.shown() },
        },
    }
}

/// What an answer says about the keys. Garage tells only in its message why it denies access.
fn denied(answer: &Answer, store: String, access_key: String) -> Option<Denied> {
    let says = |part: &str| answer.message.contains(part);
    Some(match answer.code.as_str() {
        "InvalidAccessKeyId" | "NotSignedUp" => Denied::UnknownKey { store, access_key },
        "AccessDenied" if says("No such key") => Denied::UnknownKey { store, access_key },
        "SignatureDoesNotMatch" => Denied::WrongSecret { store, access_key },
        "AccessDenied" if says("Invalid signature") => Denied::WrongSecret { store, access_key },
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => Denied::BadToken { store, access_key },
        "AccessDenied" | "AllAccessDisabled" | "InvalidObjectState" => Denied::Forbidden { store, access_key },
        "" if matches!(answer.status, 401 | 403) => Denied::Forbidden { store, access_key },
        _ => return None,
    })
}

impl Answer {
    fn shown(&self) -> String {
        let mut text = self.status.to_string();
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                let _ = write!(text, "{}{part}", if part == &self.message { ": " } else { " " });
            }
        }
        if self.code.is_empty() {
            text.push_str(" without an S3 error code");
        }
        text
    }
}

/// What an error without an answer means.
fn transport<E>(deed: &Deed, error: &SdkError<E, HttpResponse>) -> StorageError
where
    E: Error + Send + Sync + 'static,
{
    let words = words(error);
    let timed_out =
        matches!(error, SdkError::TimeoutError(_)) || matches!(error, SdkError::DispatchFailure(e) if e.is_timeout());
    let (what, store) = (deed.what(), deed.store());
    if timed_out {
        let why = format!("no answer within {} s", deed.patience().connect.as_secs_f32());
        return StorageError::Unreachable { what, store, why };
    }
    if let Some(why) = tls(&words) {
        return StorageError::Tls { what, store, why };
    }
    if let Some(why) = unreachable(&words, refusal(error)) {
        return StorageError::Unreachable { what, store, why: why.to_owned() };
    }
    if words.contains("invalid HTTP") || words.contains("unexpected message from connection") {
        return StorageError::NotAStore { what, store, answer: "no HTTP".to_owned() };
    }
    StorageError::Broken { what, store, why: last(&words) }
}

/// Why no connection came up, in the words of the resolver and the operating system.
fn unreachable(words: &str, io: Option<io::ErrorKind>) -> Option<&'static str> {
    if words.contains("Temporary failure in name resolution") {
        return Some("the name service does not answer");
    }
    if words.contains("dns error") || words.contains("failed to lookup address") {
        return Some("no such host");
    }
    match io? {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::HostUnreachable => Some("no route to the host"),
        io::ErrorKind::NetworkUnreachable => Some("no route to its network"),
        io::ErrorKind::TimedOut => Some("no answer"),
        _ => None,
    }
}

/// Why no encrypted connection came up, in rustls's words made plain.
fn tls(words: &str) -> Option<String> {
    let (_, detail) = words.split_once("invalid peer certificate: ").unwrap_or_default();
    // A bad signature is that of an authority of the same name: one that was made anew.
    let why = if detail.contains("UnknownIssuer") || detail.contains("BadSignature") {
        "its certificate is signed by no trusted authority"
    } else if detail.contains("not valid for name") || detail.contains("NotValidForName") {
        "its certificate is for another name"
    } else if detail.contains("expired") || detail.contains("Expired") {
        "its certificate has expired, or this machine's clock is wrong"
    } else if detail.contains("not valid yet") || detail.contains("NotValidYet") {
        "its certificate is not valid yet, or this machine's clock is wrong"
    } else if !detail.is_empty() {
        return Some(format!("its certificate is not good: {}", last(detail)));
    } else if words.contains("corrupt message") || words.contains("InvalidContentType") {
        "it does not speak TLS on this port"
    } else if words.contains("received fatal alert") {
        return Some(last(words));
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// All messages of an error and its causes, from the outside in.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let _ = write!(text, "\n{e}");
        cause = e.source();
    }
    text
}

/// The innermost message, without the operating system's number.
pub(super) fn last(words: &str) -> String {
    let line = words.lines().last().unwrap_or_default();
    plain(line.split(" (os error").next().unwrap_or_default()).to_lowercase()
}

/// The kind of the operating system's error among the causes.
fn refusal(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(kind) = e.downcast_ref::<io::Error>().map(io::Error::kind) {
            return Some(kind);
        }
        cause = e.source();
    }
    None
}

fn apart(theirs: SystemTime) -> Duration {
    let ours = SystemTime::now();
    ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).unwrap_or_default()
}

/// At most 200 characters of a stranger's text, without control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_from_the_words_of_the_resolver_and_the_system_why_no_connection_comes_up() {
        let check = |words: &str, io, want| assert_eq!(unreachable(words, io), want, "{words}");
        let dns = "dispatch failure\ndns error\nfailed to lookup address information: ";
        check(&format!("{dns}Name or service not known"), Some(io::ErrorKind::Other), Some("no such host"));
        check(&format!("{dns}No address associated with hostname"), None, Some("no such host"));
        let again = format!("{dns}Temporary failure in name resolution");
        check(&again, Some(io::ErrorKind::Other), Some("the name service does not answer"));
        check("tcp connect error", Some(io::ErrorKind::ConnectionRefused), Some("connection refused"));
        check("tcp connect error", Some(io::ErrorKind::NetworkUnreachable), Some("no route to its network"));
        check("connection reset by peer", Some(io::ErrorKind::ConnectionReset), None);
        check("operation was canceled", None, None);
    }

    #[test]
    fn tells_from_the_words_of_rustls_what_is_wrong_with_a_certificate() {
        let check = |words: &str, want: Option<&str>| assert_eq!(tls(words).as_deref(), want, "{words}");
        let bad = "client error (Connect)\ninvalid peer certificate: ";
        check(&format!("{bad}UnknownIssuer"), Some("its certificate is signed by no trusted authority"));
        check(&format!("{bad}BadSignature"), Some("its certificate is signed by no trusted authority"));
        let expired = "certificate expired: verification time 1767225600 (UNIX), but certificate is not valid after 1";
        check(&format!("{bad}{expired}"), Some("its certificate has expired, or this machine's clock is wrong"));
        let early = "certificate not valid yet: verification time 10 (UNIX), but certificate is not valid before 11";
        check(&format!("{bad}{early}"), Some("its certificate is not valid yet, or this machine's clock is wrong"));
        check(&format!("{bad}Revoked"), Some("its certificate is not good: revoked"));
        check("connection refused", None);
    }

    #[test]
    fn shows_no_more_than_a_line_of_a_strangers_text() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc"), "a[31mbc");
        assert_eq!(plain(&"x".repeat(1000)).len(), 200);
    }
}
