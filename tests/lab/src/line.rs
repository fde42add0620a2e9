//! A slow line: all bodies of one server share its rate, as requests to a real store share a network.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, BodyStream, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tokio::time::Instant;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A line with a rate, or without.
#[derive(Clone)]
pub struct Line(Option<Arc<Rate>>);

struct Rate {
    bytes_per_second: u64,
    free_from: Mutex<Instant>,
}

impl Line {
    /// A line of that rate; `None`: unlimited.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self(
            bytes_per_second
                .map(|bytes_per_second| Arc::new(Rate { bytes_per_second, free_from: Mutex::new(Instant::now()) })),
        )
    }

    /// The body of a request as it comes over the line.
    pub fn slow_request(&self, body: Incoming) -> s3s::Body {
        match self.0.clone() {
            // A body without bytes stays as it is: as a stream it would have no length, which the server asks for.
            Some(rate) if !body.is_end_stream() => {
                s3s::Body::http_body_unsync(slow(body.map_err(io::Error::other).boxed_unsync(), rate))
            }
            _ => s3s::Body::from(body),
        }
    }

    /// The body of an answer as it goes over the line.
    pub fn slow_answer(&self, body: Body) -> Body {
        match self.0.clone() {
            None => body,
            Some(rate) => slow(body, rate),
        }
    }
}

fn slow(body: Body, rate: Arc<Rate>) -> Body {
    let frames = BodyStream::new(body).then(move |frame| {
        let rate = rate.clone();
        async move {
            let frame: Frame<Bytes> = frame?;
            rate.pass(frame.data_ref().map_or(0, Bytes::len)).await;
            Ok(frame)
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Rate {
    async fn pass(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(
            f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / precise(self.bytes_per_second),
        );
        let until = {
            let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
            *free_from = (*free_from).max(Instant::now()) + takes;
            *free_from
        };
        tokio::time::sleep_until(until).await;
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate, far below 2^53")]
fn precise(rate: u64) -> f64 {
    rate as f64
}
