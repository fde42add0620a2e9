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
    pub(super) remarks: Vec<String>,
}

/// What a run printed.
#[derive(Default)]
struct Printed {
    /// Tracks by rendition.
    words: BTreeMap<String, Words>,
    /// The first thing that could not be decoded.
    complaint: Option<String>,
}

/// Why a run printed nothing.
enum Fault {
    /// It ended early.
    Failed(String),
    /// It did not end.
    Stuck(String),
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
        texts.leave_out(spare, &why);
        match self.print(&plans.iter().collect::<Vec<_>>()).await {
            Ok(printed) => texts.take(plans, &printed, lead_micros),
            // Which one it was is not known, so each gets a run of its own.
            Err(Fault::Failed(_)) if plans.len() > 1 => self.one_by_one(plans, lead_micros, &mut texts).await,
            Err(Fault::Failed(why) | Fault::Stuck(why)) => texts.leave_out(plans, &why),
        }
        texts
    }

    /// A track that hangs its run ends it all: a source may have many of them.
    async fn one_by_one(&self, plans: &[TextPlan], lead_micros: u32, texts: &mut Texts) {
        for (n, plan) in plans.iter().enumerate() {
            match self.print(&[plan]).await {
                Ok(printed) => texts.take(std::slice::from_ref(plan), &printed, lead_micros),
                Err(Fault::Failed(why)) => texts.leave_out(std::slice::from_ref(plan), &why),
                Err(Fault::Stuck(why)) => return texts.leave_out(&plans[n..], &why),
            }
        }
    }

    /// One run over the source that prints these tracks.
    async fn print(&self, plans: &[&TextPlan]) -> Result<Printed, Fault> {
        if plans.is_empty() {
            return Ok(Printed::default());
        }
        let counters = Arc::new(Counters::default());
        let run = self.run.beside(counters.clone());
        run.expect_texts(plans.iter().map(|plan| plan.name.as_str()));
        let ended = self.watch(plans, &run, &counters).await;
        self.counters.read.fetch_add(counters.read.load(Ordering::Relaxed), Ordering::Relaxed);
        match ended.map_err(Fault::Failed)? {
            Ended::Exited { success: true, stderr, .. } => {
                let words = run.settled_record().await.texts;
                Ok(Printed { words, complaint: stderr.into_iter().find(|line| !is_of_the_wire(line)) })
            }
            Ended::Exited { status, stderr, .. } => Err(Fault::Failed(stderr.last().unwrap_or(&status).clone())),
            Ended::TimedOut => Err(Fault::Stuck("reading it took too long".to_owned())),
            Ended::Canceled => Err(Fault::Stuck("the run was called off".to_owned())),
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

/// What ffmpeg says of its connections, such as that one was closed while it looked for an answer that it does not need. What
/// went over them is judged by the gateway's record.
fn is_of_the_wire(line: &str) -> bool {
    line.starts_with("[http")
}

impl Texts {
    fn leave_out(&mut self, plans: &[TextPlan], why: &str) {
        self.remarks.extend(plans.iter().map(|plan| text::left_out(plan, why)));
    }

    fn take(&mut self, plans: &[TextPlan], printed: &Printed, lead_micros: u32) {
        let complaint = |said: &String| format!("subtitles: not all of them could be decoded: {said}");
        self.remarks.extend(printed.complaint.as_ref().map(complaint));
        for plan in plans {
            let words = printed.words.get(&plan.name).ok_or_else(|| "nothing of it could be decoded".to_owned());
            match words.and_then(|words| text::read(plan, words, lead_micros)) {
                Ok(subtitles) => self.read.push(subtitles),
                Err(why) => self.leave_out(std::slice::from_ref(plan), &why),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_no_complaint_about_text() {
        assert!(is_of_the_wire("[http @ 0x5581] URL read error: End of file"));
        assert!(!is_of_the_wire("[subrip @ 0x5581] Invalid UTF-8 in decoded subtitles text"));
    }
}
