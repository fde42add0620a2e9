//! The source, served by ranges. The reader jumps about on new connections and resets the old ones: that is normal, and
//! what was read ahead for it is dropped.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode, header};

use super::{RunState, empty};

/// Answers one request for the source.
pub(super) fn serve(run: &Arc<RunState>, request: &Request) -> Response {
    let size = run.info.bytes;
    let Some(range) = wanted(request.headers(), size) else {
        return ([(header::CONTENT_RANGE, format!("bytes */{size}"))], empty(StatusCode::RANGE_NOT_SATISFIABLE))
            .into_response();
    };
    let mut response = match *request.method() {
        Method::HEAD => Response::new(Body::empty()),
        _ => Response::new(body(run, range.clone())),
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if request.headers().contains_key(header::RANGE) {
        let shown = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        headers.insert(header::CONTENT_RANGE, shown.parse().expect("digits are a header value"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// The bytes from storage. A failed read cuts the connection, which the reader may take for the end of the file: the
/// record remembers it.
fn body(run: &Arc<RunState>, range: Range<u64>) -> Body {
    let stream = run.storage.read(&run.source, &run.info, range);
    let run = run.clone();
    Body::from_stream(stream.map(move |piece| match piece {
        Ok(bytes) => {
            run.counters.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            run.pulse.beat();
            Ok(bytes)
        }
        Err(e) => {
            let cut = std::io::Error::other(e.to_string());
            run.fail(e.into());
            Err(cut)
        }
    }))
}

/// The range asked for; all of it without a `Range` header; `None` if it lies outside.
fn wanted(headers: &HeaderMap, size: u64) -> Option<Range<u64>> {
    let Some(range) = headers.get(header::RANGE) else { return Some(0..size) };
    let (from, to) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from, to) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (from, "") => from.parse().ok()?..size,
        (from, to) => from.parse().ok()?..to.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_the_ranges_that_media_programs_send() {
        let check = |text: &str, want: Option<Range<u64>>| {
            let headers = HeaderMap::from_iter([(header::RANGE, text.parse().expect("a header"))]);
            assert_eq!(wanted(&headers, 100), want, "{text}");
        };
        check("bytes=0-", Some(0..100));
        check("bytes=10-19", Some(10..20));
        check("bytes=90-500", Some(90..100));
        check("bytes=-5", Some(95..100));
        check("bytes=100-", None);
        check("bytes=5-4", None);
        check("bytes=99999999999999999999-", None);
        check("lines=1-2", None);
        assert_eq!(wanted(&HeaderMap::new(), 100), Some(0..100));
    }
}
