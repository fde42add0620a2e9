//! What lies beside a ladder's media and is text: subtitles and the storyboard's index. It is stored under the attempt's
//! folder, once the media has passed its checks and before anything is published.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use reelmill_api::{AttemptId, ErrorKind, Failure, Location, layout};
use reelmill_storage::{Condition, Storage};

use super::text::Texts;
use crate::{
    plan::{Grid, StoryboardPlan},
    pulse::Pulse,
    storyboard,
    text::{self, Cutter},
    verify::Verified,
};

/// How many small files are put at a time.
const AT_A_TIME: usize = 8;

/// Where an attempt stores.
pub(super) struct Folder<'a> {
    pub(super) storage: &'a Storage,
    pub(super) destination: &'a Location,
    pub(super) attempt: &'a AttemptId,
    pub(super) pulse: &'a Pulse,
}

impl Folder<'_> {
    /// Stores subtitles in segments beside the pictures', and adds them to what was verified.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn store_texts(&self, texts: Texts, verified: &mut Verified) -> Result<(), Failure> {
        verified.remarks.extend(texts.remarks);
        let Some(video) = verified.renditions.first() else { return Ok(()) };
        let cutter = Cutter::beside(video);
        let mut tracks = 0;
        for subtitles in &texts.read {
            match cutter.cut(&subtitles.cues) {
                Ok(cut) => {
                    self.store(text::files(subtitles, &cut)).await?;
                    verified.renditions.push(text::made(subtitles, &cut));
                    tracks += 1;
                }
                Err(why) => verified.remarks.push(text::left_out(&subtitles.plan, &why)),
            }
        }
        verified.checks.extend((tracks > 0).then(|| text::check(tracks)));
        Ok(())
    }

    /// Stores the storyboard's index for so many frames.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn store_index(&self, plan: StoryboardPlan, grid: Grid, frames: u64) -> Result<(), Failure> {
        let name = format!("{}/{}", layout::STORYBOARD, layout::STORYBOARD_INDEX);
        self.store([(name, storyboard::index(plan, grid, frames))].into_iter()).await
    }

    async fn store(&self, files: impl Iterator<Item = (String, String)>) -> Result<(), Failure> {
        let puts = files.map(|(name, text)| self.put(name, text));
        stream::iter(puts).buffer_unordered(AT_A_TIME).try_collect().await
    }

    async fn put(&self, name: String, text: String) -> Result<(), Failure> {
        let relative = layout::attempt_file(self.attempt, &name);
        let at = self.destination.join(&relative).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))?;
        self.storage.put(&at, Bytes::from(text), layout::content_type(&name), Condition::Always).await?;
        self.pulse.beat();
        Ok(())
    }
}
