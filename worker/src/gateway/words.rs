//! Subtitle tracks, held whole until they are read: text is small, and what is not is passed over.

use axum::body::Body;
use futures::StreamExt;
use reelmill_api::Failure;

use super::{RunState, Words, lock, output::cut};

/// The most that is held of one track. The lines of a film of three hours are some 200 KB.
const LARGEST_TRACK: usize = 4 << 20;

/// Takes one track. One that is too large is read to its end all the same: its process may have others to tell.
pub(super) async fn hold(run: &RunState, rendition: &str, body: Body) -> Result<(), Failure> {
    let mut held = Some(Vec::new());
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| cut("a subtitle track"))?;
        run.pulse.beat();
        held = held.filter(|text| text.len() + piece.len() <= LARGEST_TRACK);
        if let Some(text) = &mut held {
            text.extend_from_slice(&piece);
        }
    }
    let words = held.map_or(Words::TooMany, Words::Whole);
    lock(&run.record).texts.insert(rendition.to_owned(), words);
    Ok(())
}
