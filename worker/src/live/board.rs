//! The published side of a live output: `live.json`, the playlists, and the segments behind them.
//!
//! Whoever writes `live.json` has the output. Each put says which version it replaces, so a worker that was taken for dead
//! and wakes up changes nothing: its next put fails, and it stops.

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::try_join_all;
use reelmill_api::{AttemptId, ErrorKind, Failure, Location, Report, layout};
use reelmill_storage::{Condition, Storage, StorageError, Version};

use super::{
    playlist,
    state::{NewRow, Row, State},
};

/// Larger than any state or playlist.
const LARGEST_TEXT: usize = 4 << 20;
/// How often a put that met another's is tried again, for those that may meet.
const TRIES: usize = 4;

/// A live output in the store, as far as it is ours.
pub(super) struct Board {
    /// How far it is.
    pub(super) state: State,
    storage: Storage,
    destination: Location,
    versions: HashMap<String, (Version, String)>,
}

/// Why a put did not happen.
enum Refused {
    /// Another one was there first.
    Other,
    /// The store failed.
    Store(Failure),
}

impl Board {
    /// Takes the output over, or begins it.
    ///
    /// # Errors
    /// `bad_request` if the place is another's.
    pub(super) async fn claim(storage: &Storage, destination: &Location, fresh: State) -> Result<Self, Failure> {
        let mut board = Self {
            state: fresh.clone(),
            storage: storage.clone(),
            destination: destination.clone(),
            versions: HashMap::new(),
        };
        for _ in 0..TRIES {
            board.state = fresh.clone();
            if let Some(found) = board.read().await? {
                board.state = take_over(found, &fresh, destination)?;
                if board.state.ended {
                    return Ok(board);
                }
            } else if board.get(layout::MASTER_PLAYLIST).await?.is_some() {
                return Err(taken(destination, "another program"));
            }
            match board.put_state().await {
                Ok(()) => {
                    board.put_playlists(true).await?;
                    return Ok(board);
                }
                Err(Refused::Other) => {}
                Err(Refused::Store(failure)) => return Err(failure),
            }
        }
        Err(Failure::new(
            ErrorKind::Infrastructure,
            format!("another worker is taking over the live output at {destination}"),
        ))
    }

    /// Lists a row whose segments are stored, and removes what no reader can want any more.
    ///
    /// # Errors
    /// `canceled` if the output has become another's.
    pub(super) async fn add(&mut self, row: NewRow, now_ms: u64) -> Result<(), Failure> {
        self.state.push(row, now_ms);
        let due = self.state.take_due(now_ms);
        self.commit().await?;
        for row in &due {
            self.delete(row).await;
        }
        Ok(())
    }

    /// Puts the state as it is now, then the playlists that follow from it.
    ///
    /// # Errors
    /// `canceled` if the output has become another's.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        match self.put_state().await {
            Ok(()) => self.put_playlists(false).await,
            Err(Refused::Other) => Err(lost()),
            Err(Refused::Store(failure)) => Err(failure),
        }
    }

    /// After a failure: the state as it is in the store, and the playlists that follow from it.
    ///
    /// # Errors
    /// `canceled` if the output has become another's.
    pub(super) async fn look_again(&mut self) -> Result<(), Failure> {
        match self.read().await? {
            Some(found) if found.attempt == self.state.attempt && found.job == self.state.job => {
                self.state = found;
                self.put_playlists(true).await
            }
            _ => Err(lost()),
        }
    }

    /// Removes what left the window long enough ago, after the end.
    pub(super) async fn sweep_retired(&mut self, now_ms: u64) {
        for row in self.state.take_due(now_ms) {
            self.delete(&row).await;
        }
    }

    /// Whether someone wishes it to end.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(super) async fn is_to_stop(&self) -> Result<bool, Failure> {
        match self.storage.head(&self.place(layout::LIVE_STOP)?).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Ends it: the playlists say so, and the report lies beside them.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn end(&mut self, report: &Report) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(report).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
        let at = self.place(layout::REPORT)?;
        self.storage.put(&at, Bytes::from(text), layout::content_type(layout::REPORT), Condition::Always).await?;
        self.state.ended = true;
        self.commit().await?;
        self.forget_wish().await;
        Ok(())
    }

    /// The report of an output that ended before.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) async fn report(&self) -> Result<Report, Failure> {
        let missing = || {
            Failure::new(
                ErrorKind::Infrastructure,
                format!("the live output at {} ended, but has no report", self.destination),
            )
        };
        let (text, _) = self.get(layout::REPORT).await?.ok_or_else(missing)?;
        serde_json::from_str(&text).map_err(|_| missing())
    }

    /// Removes the wish to end it.
    pub(super) async fn forget_wish(&self) {
        if let Ok(at) = self.place(layout::LIVE_STOP)
            && let Err(e) = self.storage.delete(&at).await
        {
            log::warn!("{e}");
        }
    }

    /// Removes what no playlist lists or listed a moment ago: leftovers of workers that died, and segments whose row never
    /// became whole. `busy`: the attempt that is at work, and the session of it that is; nothing of that one is touched.
    pub(super) async fn sweep(&self, busy: Option<(&AttemptId, u32)>) {
        let listed = match self.storage.list(&self.destination).await {
            Ok(listed) => listed,
            Err(e) => return log::warn!("cannot look for leftovers under {}: {e}", self.destination),
        };
        let root = self.destination.to_string();
        for object in listed {
            let name = object.location.to_string();
            let relative = name.strip_prefix(root.trim_end_matches('/')).unwrap_or("").trim_start_matches('/');
            let Some((attempt, session, index)) = of_session(relative) else { continue };
            let at_work = busy.is_some_and(|(a, s)| *a == attempt && s == session);
            if at_work || self.state.keeps(&attempt, session, index) {
                continue;
            }
            if let Err(e) = self.storage.delete(&object.location).await {
                log::warn!("{e}");
            }
        }
    }

    async fn delete(&self, row: &Row) {
        let last_of_session = !self.state.keeps(&row.attempt, row.session, None);
        for made in &self.state.renditions {
            let mut names = vec![layout::segment(row.index)];
            names.extend(last_of_session.then(|| layout::INIT_SEGMENT.to_owned()));
            for name in names {
                let relative = layout::live_file(&row.attempt, row.session, &made.rendition.name, &name);
                let Ok(at) = self.place(&relative) else { continue };
                if let Err(e) = self.storage.delete(&at).await {
                    log::warn!("{e}");
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Option<State>, Failure> {
        let found = self.get(layout::LIVE_STATE).await?;
        let Some((text, version)) = found else {
            self.versions.remove(layout::LIVE_STATE);
            return Ok(None);
        };
        let state = serde_json::from_str(&text).map_err(|_| taken(&self.destination, "another program"))?;
        self.versions.insert(layout::LIVE_STATE.to_owned(), (version, text));
        Ok(Some(state))
    }

    async fn put_state(&mut self) -> Result<(), Refused> {
        let text = serde_json::to_string(&self.state).expect("a state holds only text, numbers and lists");
        let version = self.put(layout::LIVE_STATE, text.clone()).await?;
        self.versions.insert(layout::LIVE_STATE.to_owned(), (version, text));
        Ok(())
    }

    /// `claimed`: the output has just become ours, and what another wrote is replaced.
    async fn put_playlists(&mut self, claimed: bool) -> Result<(), Failure> {
        if self.state.rows.is_empty() {
            return Ok(());
        }
        let media = self.state.renditions.iter().enumerate();
        let media =
            media.map(|(n, made)| (layout::live_playlist(&made.rendition.name), playlist::media(&self.state, n)));
        let media: Vec<_> = media.collect();
        self.put_all(media, claimed).await?;
        // Last, so that what it names is there.
        let master = playlist::multivariant(&self.state);
        if self.versions.get(layout::MASTER_PLAYLIST).is_none_or(|(_, known)| *known != master) {
            self.put_all(vec![(layout::MASTER_PLAYLIST.to_owned(), master)], claimed).await?;
        }
        Ok(())
    }

    async fn put_all(&mut self, texts: Vec<(String, String)>, claimed: bool) -> Result<(), Failure> {
        let mut pending = texts;
        for _ in 0..TRIES {
            if claimed {
                // Their versions are not known yet, or one was replaced by its former owner just now.
                for (path, _) in &pending {
                    match self.get(path).await? {
                        Some((text, version)) => drop(self.versions.insert(path.clone(), (version, text))),
                        None => drop(self.versions.remove(path)),
                    }
                }
            }
            let puts = pending.into_iter().map(|(path, text)| async {
                match self.put(&path, text.clone()).await {
                    Ok(version) => Ok((path, text, Some(version))),
                    Err(Refused::Other) if claimed => Ok((path, text, None)),
                    Err(Refused::Other) => Err(lost()),
                    Err(Refused::Store(failure)) => Err(failure),
                }
            });
            let done = Box::pin(try_join_all(puts)).await?;
            pending = Vec::new();
            for (path, text, version) in done {
                match version {
                    Some(version) => drop(self.versions.insert(path, (version, text))),
                    None => pending.push((path, text)),
                }
            }
            if pending.is_empty() {
                return Ok(());
            }
        }
        Err(lost())
    }

    /// Replaces what we know to be there, and nothing else. An answer can be lost when the deed is done, and then the
    /// condition fails against our own text.
    async fn put(&self, path: &str, text: String) -> Result<Version, Refused> {
        let at = self.place(path).map_err(Refused::Store)?;
        let condition = match self.versions.get(path) {
            Some((version, _)) => Condition::Matches(version.clone()),
            None => Condition::Absent,
        };
        match self.storage.put(&at, Bytes::from(text.clone()), layout::content_type(path), condition).await {
            Ok(version) => Ok(version),
            Err(StorageError::ConditionFailed { .. }) => match self.get(path).await.map_err(Refused::Store)? {
                Some((found, version)) if found == text => Ok(version),
                _ => Err(Refused::Other),
            },
            Err(e) => Err(Refused::Store(e.into())),
        }
    }

    async fn get(&self, path: &str) -> Result<Option<(String, Version)>, Failure> {
        match self.storage.get_small(&self.place(path)?, LARGEST_TEXT).await {
            Ok((text, version)) => Ok(Some((String::from_utf8_lossy(&text).into_owned(), version))),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn place(&self, relative: &str) -> Result<Location, Failure> {
        self.destination
            .join(relative)
            .map_err(|e| Failure::new(ErrorKind::BadRequest, format!("the output location: {e}")))
    }
}

/// Another's state as ours, if it is of the same job.
fn take_over(found: State, fresh: &State, destination: &Location) -> Result<State, Failure> {
    if found.job != fresh.job {
        return Err(taken(destination, format!("job {}", found.job)));
    }
    Ok(if found.ended { found } else { State { attempt: fresh.attempt.clone(), ..found } })
}

fn taken(destination: &Location, whose: impl std::fmt::Display) -> Failure {
    let message = format!("{destination} already holds the output of {whose}");
    Failure::new(ErrorKind::BadRequest, message).hint("choose another destination, or remove what is there")
}

fn lost() -> Failure {
    Failure::new(ErrorKind::Canceled, "the live output was taken over by another worker")
}

/// The attempt, session and segment of a path such as `a1-7f3c9d2b/s1/720p/seg_00000.m4s`; no index: its init segment.
fn of_session(path: &str) -> Option<(AttemptId, u32, Option<u64>)> {
    let [attempt, session, _, file] = path.split('/').collect::<Vec<_>>().try_into().ok()?;
    let index = layout::segment_index(file);
    (index.is_some() || file == layout::INIT_SEGMENT).then_some(())?;
    Some((attempt.parse().ok()?, session.strip_prefix('s')?.parse().ok()?, index))
}

#[cfg(test)]
mod tests {
    use reelmill_api::JobId;
    use reelmill_storage::FileRoots;

    use super::*;
    use crate::live::state::tests::{row, state};

    struct Place {
        folder: tempfile::TempDir,
        storage: Storage,
        at: Location,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("it is there");
        let storage = Storage::new(None, FileRoots::none().writing(&path)).expect("a store");
        let at = format!("file://{}", path.display()).parse().expect("a location");
        Place { folder, storage, at }
    }

    impl Place {
        async fn claim(&self, attempt: u32) -> Result<Board, Failure> {
            Board::claim(&self.storage, &self.at, State { attempt: AttemptId::new(attempt, 7), ..state() }).await
        }

        fn text(&self, path: &str) -> String {
            std::fs::read_to_string(self.folder.path().join(path)).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn a_worker_that_was_replaced_changes_nothing_any_more() {
        let place = place();
        let mut first = place.claim(1).await.expect("nothing is there");
        first.add(row(1, 0, 1_000), 0).await.expect("it is ours");
        let mut second = place.claim(2).await.expect("it can be taken over");
        let before = place.text("360p/index.m3u8");
        let failure = first.add(row(1, 1, 3_000), 0).await.expect_err("it is another's");
        assert_eq!((failure.kind, place.text("360p/index.m3u8")), (ErrorKind::Canceled, before));
        let mut next = row(1, 0, 9_000);
        next.attempt = AttemptId::new(2, 7);
        second.add(next, 0).await.expect("it is ours");
        let text = place.text("audio/index.m3u8");
        assert!(text.contains("MEDIA-SEQUENCE:0\n") && text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
        assert!(
            text.contains("a1-00000007/s1/audio/seg_00000") && text.contains("a2-00000007/s1/audio/seg_00000"),
            "{text}"
        );
        assert!(place.text("master.m3u8").contains("360p/index.m3u8"));
    }

    #[tokio::test]
    async fn a_playlist_that_the_former_worker_put_at_the_last_moment_is_put_right() {
        let place = place();
        let mut first = place.claim(1).await.expect("nothing is there");
        first.add(row(1, 0, 1_000), 0).await.expect("it is ours");
        std::fs::write(place.folder.path().join("360p/index.m3u8"), "late").expect("our folder");
        place.claim(2).await.expect("it can be taken over");
        assert!(place.text("360p/index.m3u8").starts_with("#EXTM3U"));
    }

    #[tokio::test]
    async fn anothers_output_is_left_alone() {
        let place = place();
        std::fs::write(place.folder.path().join("master.m3u8"), "#EXTM3U\n").expect("our folder");
        let failure = place.claim(1).await.map(drop).expect_err("it is taken");
        assert_eq!(failure.kind, ErrorKind::BadRequest);
        std::fs::remove_file(place.folder.path().join("master.m3u8")).expect("our file");
        place.claim(1).await.expect("it is free");
        let other = State { job: JobId::from_message("q", "2"), ..state() };
        let failure = Board::claim(&place.storage, &place.at, other).await.map(drop).expect_err("another job's");
        assert!(failure.message.contains("already holds the output of job"), "{}", failure.message);
    }

    #[tokio::test]
    async fn leftovers_go_and_listed_segments_stay() {
        let place = place();
        let mut board = place.claim(1).await.expect("nothing is there");
        board.add(row(1, 0, 1_000), 0).await.expect("it is ours");
        let files = [
            "a1-00000007/s1/360p/seg_00000.m4s",
            "a1-00000007/s1/360p/init.mp4",
            "a1-00000007/s2/360p/init.mp4",
            "a1-00000007/s1/360p/seg_00001.m4s",
            "a9-00000001/s1/360p/seg_00000.m4s",
            "a1-00000007/s3/360p/init.mp4",
        ];
        for file in files {
            let path = place.folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("our folder");
            std::fs::write(path, "x").expect("our folder");
        }
        board.sweep(Some((&AttemptId::new(1, 7), 3))).await;
        let left: Vec<_> = files.iter().map(|file| place.folder.path().join(file).exists()).collect();
        assert_eq!(left, [true, true, false, false, false, true]);
    }
}
