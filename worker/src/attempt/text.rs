//! The run that reads a source's subtitles, beside the one that makes its pictures. It has a process and a gateway path
//! of its own, because whatever befalls it may cost a subtitle track and nothing else.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        Programs,
        child::{self, Ended, StallWatch},
    },
    gateway::{Counters, Run, Words},
    plan::TextPlan,
    text::{self, MOST_TRACKS, Subtitles},
};

/// How often it is looked whether the run still reads.
const LOOK: Duration = Duration::from_secs(1);

/// The subtitles of a source.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// What could be read.
    pub(super) read: Vec<Subtitles>,
    /// What is left out and why, in words for the report.
    pub(super) left_out: Vec<String>,
}

/// Reads subtitle tracks.
pub(super) struct Reader<'a> {
    pub(super) programs: &'a Programs,
    /// The run that makes the pictures.
    pub(super) run: &'a Run,
    pub(super) counters: &'a Counters,
    pub(super) cancel: &'a CancellationToken,
}

impl Reader<'_> {
    /// Reads all these tracks; those that cannot be read are left out.
    pub(super) async fn read(&self, plans: &[TextPlan], lead_micros: u32) -> Texts {
        let mut texts = Texts::default();
        let (plans, spare) = plans.split_at(plans.len().min(MOST_TRACKS));
        let why = format!("more than {MOST_TRACKS} tracks of text");
        texts.left_out.extend(spare.iter().map(|plan| text::left_out(plan, &why)));
        let all: Vec<_> = plans.iter().collect();
        match self.print(&all).await {
            Ok(words) => all.into_iter().for_each(|plan| texts.take(plan, words.get(&plan.name), lead_micros)),
            // Which one it was is not known, so each gets a run of its own.
            Err(_) if plans.len() > 1 => {
                for plan in all {
                    match self.print(&[plan]).await {
                        Ok(words) => texts.take(plan, words.get(&plan.name), lead_micros),
                        Err(why) => texts.left_out.push(text::left_out(plan, &why)),
                    }
                }
            }
            Err(why) => texts.left_out.extend(plans.iter().map(|plan| text::left_out(plan, &why))),
        }
        texts
    }

    /// One run over the source that prints these tracks.
    async fn print(&self, plans: &[&TextPlan]) -> Result<BTreeMap<String, Words>, String> {
        if plans.is_empty() {
            return Ok(BTreeMap::new());
        }
        let counters = Arc::new(Counters::default());
        let run = self.run.beside(counters.clone());
        run.expect_texts(plans.iter().map(|plan| plan.name.as_str()));
        let ended = self.watch(plans, &run, &counters).await;
        self.counters.read.fetch_add(counters.read.load(Ordering::Relaxed), Ordering::Relaxed);
        match ended? {
            Ended::Exited { success: true, .. } => Ok(run.settled_record().await.texts),
            Ended::Exited { status, stderr, .. } => Err(stderr.last().unwrap_or(&status).clone()),
            Ended::TimedOut => Err("reading it took too long".to_owned()),
            Ended::Canceled => Err("the run was called off".to_owned()),
        }
    }

    /// Runs the process to its end, as long as it reads.
    async fn watch(&self, plans: &[&TextPlan], run: &Run, counters: &Counters) -> Result<Ended, String> {
        let args = text::command(plans, &run.source_url(), &|name| run.output_url(name));
        log::debug!("starting {} {}", self.programs.ffmpeg.display(), args.join(" "));
        let limits = self.programs.limits;
        let mut child = child::spawn(self.programs, &self.programs.ffmpeg, &args, limits, run.port())
            .map_err(|failure| failure.message)?;
        let mut watch = StallWatch::new(self.programs.stall);
        loop {
            tokio::select! {
                line = child.next_line() => if line.is_none() { break },
                () = tokio::time::sleep(LOOK) => watch.at(counters.read.load(Ordering::Relaxed)),
                () = watch.stalled() => {
                    child.kill().await;
                    return Ok(Ended::TimedOut);
                }
                () = run.failed() => {
                    child.kill().await;
                    return Err(run.first_failure().map_or("the run failed".to_owned(), |failure| failure.message));
                }
                () = self.cancel.cancelled() => {
                    child.kill().await;
                    return Ok(Ended::Canceled);
                }
            }
        }
        Ok(child.wait(self.programs.stall, self.cancel).await)
    }
}

impl Texts {
    fn take(&mut self, plan: &TextPlan, words: Option<&Words>, lead_micros: u32) {
        let read = words.ok_or_else(|| "nothing of it could be decoded".to_owned());
        match read.and_then(|words| text::read(plan, words, lead_micros)) {
            Ok(subtitles) => self.read.push(subtitles),
            Err(why) => self.left_out.push(text::left_out(plan, &why)),
        }
    }
}
