//! What can go wrong with an answer, and which requests it happens to.

use std::sync::{Mutex, PoisonError};

use http::{Method, Request};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// HeadObject.
    Head,
    /// GetObject.
    Get,
    /// PutObject.
    Put,
    /// CreateMultipartUpload.
    Begin,
    /// UploadPart.
    Part,
    /// CompleteMultipartUpload.
    Join,
    /// AbortMultipartUpload.
    Abort,
    /// ListObjectsV2.
    List,
    /// DeleteObject.
    Delete,
    /// Anything else.
    Other,
}

impl Op {
    /// The kind of a request.
    pub fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
        match *request.method() {
            Method::HEAD => Self::Head,
            Method::GET if has("list-type") => Self::List,
            Method::GET if has("uploads") => Self::Other,
            Method::GET => Self::Get,
            Method::PUT if has("partNumber") => Self::Part,
            Method::PUT => Self::Put,
            Method::POST if has("uploads") => Self::Begin,
            Method::POST if has("uploadId") => Self::Join,
            Method::DELETE if has("uploadId") => Self::Abort,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// An answer that the store never gave.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection closes before the request reaches the store.
    Cut,
    /// The connection closes after this many bytes of the answer's body.
    CutAfter(usize),
    /// The store does it, and the connection closes before the answer.
    LoseAnswer,
    /// Nothing is answered for as long as the client waits.
    Stall,
    /// The answer's body stops after this many bytes, and the connection stays open.
    StallAfter(usize),
    /// The answer ends after this many bytes and says that this is its length.
    Shorten(usize),
    /// The answer is made longer by this many bytes.
    Lengthen(usize),
}

impl Fault {
    /// An S3 error as a store sends it.
    pub fn s3(status: u16, code: &str) -> Self {
        Self::Answer(status, Vec::new(), s3_error(code))
    }
}

/// An error document as an S3 store sends it.
pub fn s3_error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as ordered</Message></Error>")
}

/// Faults that wait for their requests, and a count of all requests.
#[derive(Debug, Default)]
pub struct Plan(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<(Op, usize, Fault)>,
    seen: Vec<Op>,
}

impl Plan {
    /// The next `times` requests of this kind go wrong.
    pub fn add(&self, op: Op, times: usize, fault: Fault) {
        self.lock().waiting.push((op, times, fault));
    }

    /// The next `times` requests of this kind go well.
    pub fn let_pass(&self, op: Op, times: usize) {
        self.add(op, times, Fault::None);
    }

    /// Forgets all faults and counts.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// How many requests of this kind came.
    pub fn count(&self, op: Op) -> usize {
        self.lock().seen.iter().filter(|&&o| o == op).count()
    }

    /// Counts a request and takes the fault that waits for it.
    pub fn take(&self, op: Op) -> Option<Fault> {
        let mut inner = self.lock();
        inner.seen.push(op);
        let (_, left, fault) = inner.waiting.iter_mut().find(|(o, left, _)| *o == op && *left > 0)?;
        *left -= 1;
        Some(fault.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
