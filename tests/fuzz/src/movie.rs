//! The index of a single file, written by a media process that may have been taken over.

use std::io::Cursor;

use reelmill_worker::movie::{self, Track};

use crate::is_sentence;

/// Asks it of any bytes.
pub fn any_bytes(bytes: &[u8]) {
    match movie::read(&mut Cursor::new(bytes)) {
        Ok(movie) => {
            assert_eq!(movie.bytes, bytes.len() as u64);
            movie.tracks.iter().for_each(|track| any_track(track, movie.bytes));
        }
        Err(why) => is_sentence(&why.to_string()),
    }
}

fn any_track(track: &Track, file: u64) {
    assert!(track.timescale > 0, "{track:?}");
    assert!(track.seconds().is_finite() && track.starts_at.is_finite() && track.shown.is_finite(), "{track:?}");
    assert!(track.bytes.total() <= file, "its samples cannot all lie in the file: {track:?}");
    assert!(track.bytes.most_in(track.timescale.into()) <= track.bytes.total(), "{track:?}");
    let keys = track.keys.iter().flatten();
    assert!(keys.clone().all(|at| *at < track.samples) && keys.is_sorted(), "{track:?}");
}
