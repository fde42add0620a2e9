//! Output, taken piece by piece into an upload of this attempt's own. A file counts when the store has confirmed all of
//! it and its boxes could be read, not before.

use std::{sync::Arc, sync::atomic::Ordering};

use axum::{
    body::{Body, BodyDataStream},
    response::Response,
};
use futures::StreamExt;
use http::StatusCode;
use reelmill_api::{ErrorKind, Failure, layout};

use super::{Listed, RunState, Target, TargetFile, empty, lock, sheets, words};
use crate::fmp4::{BoxScanner, NotFmp4};

/// Takes one file. The work goes on in a task of its own: the media process closes its connection as soon as it has
/// sent the last byte, and the server then drops whoever would answer.
pub(super) async fn take(run: Arc<RunState>, target: Target, body: Body) -> Response {
    if !begin(&run, &target) {
        return empty(StatusCode::CONFLICT);
    }
    let task = tokio::spawn(async move {
        let taken = match target.file {
            TargetFile::Playlist => count(body).await.map(|listed| complete(&run, &target, listed)),
            TargetFile::Sheet(index) => sheets::store(&run, index, body).await,
            TargetFile::Words => words::hold(&run, &target.rendition, body).await,
            TargetFile::Init | TargetFile::Segment(_) => store(&run, &target, body).await,
        };
        let ok = taken.is_ok();
        if let Err(failure) = taken {
            run.fail(failure);
        }
        settle(&run);
        ok
    });
    match task.await {
        Ok(true) => empty(StatusCode::CREATED),
        Ok(false) | Err(_) => empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Notes that a file is under way; `false` if it was put before, or the run is over.
fn begin(run: &RunState, target: &Target) -> bool {
    if run.failed.is_cancelled() {
        return false;
    }
    let mut record = lock(&run.record);
    let first = record.arrived.entry(target.rendition.clone()).or_default().begun.insert(target.file_name());
    record.under_way += usize::from(first);
    first
}

fn settle(run: &RunState) {
    let mut record = lock(&run.record);
    record.under_way -= 1;
    record.changed.notify_waiters();
    record.changed.notify_one();
}

fn complete(run: &RunState, target: &Target, listed: u64) {
    lock(&run.record).arrived.entry(target.rendition.clone()).or_default().listed = Some(listed);
}

/// How many segments a playlist lists.
async fn count(body: Body) -> Result<u64, Failure> {
    let mut listed = Listed::default();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        listed.feed(&piece.map_err(|_| cut("a playlist"))?);
    }
    Ok(listed.segments())
}

/// The child went away in the middle of a file. On its own that says nothing about the cause.
pub(super) fn cut(what: &str) -> Failure {
    Failure::new(ErrorKind::Infrastructure, format!("the media process broke off in the middle of {what}"))
}

/// Whether a file was put whole with nothing in it: ffmpeg does that where a track of the source gives it nothing.
fn is_for_nothing(target: &Target, scanner: &BoxScanner) -> bool {
    match target.file {
        TargetFile::Segment(_) => scanner.is_without_media(),
        _ => scanner.bytes() == 0,
    }
}

fn nothing(target: &Target) -> Failure {
    let message =
        format!("nothing could be decoded for rendition {}, although it declares such a track", target.rendition);
    Failure::new(ErrorKind::BadSource, message).hint("if it plays elsewhere, export it anew and upload that")
}

async fn store(run: &RunState, target: &Target, body: Body) -> Result<(), Failure> {
    let name = target.file_name();
    let relative = layout::attempt_file(&run.attempt, &format!("{}/{name}", target.rendition));
    let at = run.destination.join(&relative).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
    let mut upload = run.storage.create(&at, layout::content_type(&name)).await?;
    let mut scanner = BoxScanner::default();
    let passed = pass(run, &mut upload, &mut scanner, body.into_data_stream(), &relative).await;
    let passed = passed.and_then(|()| if is_for_nothing(target, &scanner) { Err(nothing(target)) } else { Ok(()) });
    if let Err(failure) = passed {
        upload.abort().await;
        return Err(failure);
    }
    let stored = upload.finish().await?;
    run.pulse.beat();
    run.counters.stored.fetch_add(stored.bytes, Ordering::Relaxed);
    note(run, target, scanner)
        .map_err(|e| Failure::new(ErrorKind::Infrastructure, format!("the engine made a broken {relative}: {e}")))
}

async fn pass(
    run: &RunState,
    upload: &mut reelmill_storage::Upload,
    scanner: &mut BoxScanner,
    mut pieces: BodyDataStream,
    relative: &str,
) -> Result<(), Failure> {
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| cut(relative))?;
        scanner.feed(&piece).map_err(|e| {
            Failure::new(ErrorKind::Infrastructure, format!("the engine made a broken {relative}: {e}"))
        })?;
        upload.write(piece).await?;
        run.pulse.beat();
    }
    Ok(())
}

fn note(run: &RunState, target: &Target, scanner: BoxScanner) -> Result<(), NotFmp4> {
    let mut record = lock(&run.record);
    let arrived = record.arrived.entry(target.rendition.clone()).or_default();
    match target.file {
        TargetFile::Init => arrived.note_init(scanner),
        TargetFile::Segment(index) => arrived.note_segment(index, scanner),
        _ => Ok(()),
    }
}
