//! A request body that goes out in small frames and keeps a record of when the last one was taken.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// How much is handed to the connection at once.
const FRAME: usize = 64 * 1024;

/// When a body's bytes went out.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    begun: Instant,
    last: Instant,
}

impl Activity {
    /// Nothing went out yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Times { begun: now, last: now })))
    }

    fn record(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = Instant::now();
    }

    /// When the request counts as stalled unless more happens. What the connection's buffers took in so far may need
    /// as long again to drain over a slow link.
    pub(super) fn deadline(&self, stall: Duration) -> Instant {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.last + stall + (times.last - times.begun)
    }
}

/// A body of these bytes that can be sent again. The client still sees them whole, so that the signature covers them.
pub(super) fn recorded(bytes: &Bytes, activity: &Activity) -> ByteStream {
    let (content, activity) = (bytes.clone(), activity.clone());
    let framed = move |_| SdkBody::from_body_1_x(Framed { rest: content.clone(), activity: activity.clone() });
    ByteStream::new(SdkBody::from(bytes.clone()).map_preserve_contents(framed))
}

struct Framed {
    rest: Bytes,
    activity: Activity,
}

impl Body for Framed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.activity.record();
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = FRAME.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
