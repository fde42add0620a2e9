//! What can go wrong with a request or its answer, and which requests it happens to.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use http::{Method, Request, header};

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
    /// The connection closes after this many bytes of the request's body were taken.
    CutTaking(usize),
    /// No more is taken of the request's body after this many bytes, and nothing is answered.
    StallTaking(usize),
    /// The store gets only this many bytes of the request's body, and no sign that there were more but its announced
    /// length.
    ShortenTaken(usize),
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
    /// The answer says something else in this header.
    Header(&'static str, String),
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
    waiting: Vec<Waiting>,
    seen: Vec<Op>,
}

/// A fault that waits for requests of its kind.
#[derive(Debug)]
struct Waiting {
    op: Op,
    path: String,
    from: Range<u64>,
    left: usize,
    met: bool,
    fault: Fault,
}

impl Waiting {
    fn wants<B>(&self, op: Op, request: &Request<B>) -> bool {
        let from = request.headers().get(header::RANGE).and_then(|range| range_start(range.to_str().ok()?));
        self.left > 0
            && self.op == op
            && request.uri().path().contains(&self.path)
            && self.from.contains(&from.unwrap_or(0))
    }
}

/// Where a range such as `bytes=100-199` begins.
fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

impl Plan {
    /// The next `times` requests of this kind go wrong.
    pub fn add(&self, op: Op, times: usize, fault: Fault) {
        self.add_for(op, "", times, fault);
    }

    /// The next `times` requests of this kind for an object whose path, as it stands in the address, contains `path`.
    pub fn add_for(&self, op: Op, path: &str, times: usize, fault: Fault) {
        self.add_at(op, path, 0..u64::MAX, times, fault);
    }

    /// The same, where the range that is asked for begins within `from`.
    pub fn add_at(&self, op: Op, path: &str, from: Range<u64>, times: usize, fault: Fault) {
        self.lock().waiting.push(Waiting { op, path: path.to_owned(), from, left: times, met: false, fault });
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

    /// The faults that no request has met.
    pub fn unmet(&self) -> Vec<String> {
        let inner = self.lock();
        let unmet = inner.waiting.iter().filter(|waiting| !waiting.met);
        unmet.map(|w| format!("{:?} of {} from {:?}: {:?}", w.op, w.path, w.from, w.fault)).collect()
    }

    /// Counts a request and takes the fault that waits for it.
    pub fn take<B>(&self, request: &Request<B>) -> Option<Fault> {
        let mut inner = self.lock();
        let op = Op::of(request);
        inner.seen.push(op);
        let waiting = inner.waiting.iter_mut().find(|waiting| waiting.wants(op, request))?;
        waiting.left -= 1;
        waiting.met = true;
        Some(waiting.fault.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
