//! Sheets of small pictures, taken piece by piece into an upload like segments, and bounded by the size that they must
//! have.

use std::sync::atomic::Ordering;

use axum::body::Body;
use futures::StreamExt;
use reelmill_api::{ErrorKind, Failure, layout};
use reelmill_storage::Upload;

use super::{RunState, lock, output::cut};
use crate::storyboard::jpeg::{Scanner, Sheet};

/// Takes one sheet.
pub(super) async fn store(run: &RunState, index: u64, body: Body) -> Result<(), Failure> {
    let name = layout::sheet(index);
    let relative = layout::attempt_file(&run.attempt, &format!("{}/{name}", layout::STORYBOARD));
    let at = run.destination.join(&relative).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
    let mut upload = run.storage.create(&at, layout::content_type(&name)).await?;
    let sheet = match pass(run, &mut upload, body, &relative).await {
        Ok(sheet) => sheet,
        Err(failure) => {
            upload.abort().await;
            return Err(failure);
        }
    };
    let stored = upload.finish().await?;
    run.pulse.beat();
    run.counters.stored.fetch_add(stored.bytes, Ordering::Relaxed);
    lock(&run.record).sheets.insert(index, sheet);
    Ok(())
}

async fn pass(run: &RunState, upload: &mut Upload, body: Body, relative: &str) -> Result<Sheet, Failure> {
    let broken = |why: &dyn std::fmt::Display| {
        Failure::new(ErrorKind::Infrastructure, format!("the engine made a broken {relative}: {why}"))
    };
    let largest = lock(&run.awaited).storyboard.map_or(0, |plan| plan.largest_sheet());
    let mut scanner = Scanner::default();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| cut(relative))?;
        scanner.feed(&piece);
        if scanner.bytes() > largest {
            return Err(broken(&"it is larger than its pixels"));
        }
        upload.write(piece).await?;
        run.pulse.beat();
    }
    scanner.finish().map_err(|e| broken(&e))
}
