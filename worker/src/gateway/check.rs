//! What was stored, served back to be decoded before it is published: an init segment with one segment after it.

use std::sync::Arc;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http::StatusCode;
use reelmill_api::{ErrorKind, Failure, Location, layout};
use reelmill_storage::ObjectInfo;

use super::{RunState, lock};

/// Answers a request for `RENDITION/INDEX`.
pub(super) async fn serve(run: &Arc<RunState>, name: &str) -> Response {
    let Some((rendition, index)) = known(run, name) else { return StatusCode::NOT_FOUND.into_response() };
    let parts = [layout::INIT_SEGMENT.to_owned(), layout::segment(index)];
    let mut found = Vec::new();
    for part in parts {
        match find(run, &format!("{rendition}/{part}")).await {
            Ok(part) => found.push(part),
            Err(failure) => {
                run.fail(failure);
                return StatusCode::BAD_GATEWAY.into_response();
            }
        }
    }
    Body::from_stream(futures::stream::iter(found).flat_map({
        let run = run.clone();
        move |(at, info)| read(&run, &at, &info)
    }))
    .into_response()
}

fn known(run: &RunState, name: &str) -> Option<(String, u64)> {
    let (rendition, index) = name.split_once('/')?;
    let expected = lock(&run.awaited).renditions.iter().any(|r| r == rendition);
    Some((rendition.to_owned(), index.parse().ok()?)).filter(|_| expected)
}

async fn find(run: &RunState, relative: &str) -> Result<(Location, ObjectInfo), Failure> {
    let relative = layout::attempt_file(&run.attempt, relative);
    let at = run.destination.join(&relative).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
    let info = run.storage.head(&at).await?;
    Ok((at, info))
}

fn read(
    run: &Arc<RunState>,
    at: &Location,
    info: &ObjectInfo,
) -> impl futures::Stream<Item = Result<bytes::Bytes, std::io::Error>> + use<> {
    let run = run.clone();
    run.storage.clone().read(at, info, 0..info.bytes).map(move |piece| {
        piece.map_err(|e| {
            let cut = std::io::Error::other(e.to_string());
            run.fail(e.into());
            cut
        })
    })
}
