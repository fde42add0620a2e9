//! What was told of each job, and whether that is one end, and the same as what lies in the store and among the dead letters.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use reelmill_api::{AttemptId, Event, EventBody, JobId, Task};
use reelmill_queue::DeadLetter;

use super::{
    field::{attempts_in, output},
    whole,
};

/// What was told of one job. Events may come twice, so each is counted by its attempt.
#[derive(Debug, Default)]
struct Told {
    started: BTreeSet<String>,
    /// Which delivery each attempt was, to see whether one was two.
    numbers: HashMap<u32, AttemptId>,
    /// The attempts told to be published.
    published: BTreeSet<String>,
    /// The attempts that told so of themselves or of another.
    done_by: BTreeSet<String>,
    /// The attempts that found another's output published.
    found: BTreeSet<String>,
    gave_up: BTreeSet<String>,
    put_off: BTreeSet<String>,
    /// The node that began the latest attempt.
    node: String,
}

/// All jobs.
pub(super) struct Ledger {
    store: PathBuf,
    /// Whether the queue says that it may deliver a message twice.
    may_double: bool,
    doubled: usize,
    jobs: HashMap<JobId, Told>,
    complaints: Vec<String>,
}

/// Sums over all jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) jobs: usize,
    pub(super) attempts: usize,
    pub(super) found: usize,
    pub(super) put_off: usize,
    /// Deliveries that were doubled, where the queue says that they may be.
    pub(super) doubled: usize,
    pub(super) done: usize,
    pub(super) dead: usize,
    /// Attempts of which something lies unreachable beside the published one.
    pub(super) left: usize,
}

impl Ledger {
    /// A ledger of jobs whose output lies in that store's folder, on a queue that says whether messages may be doubled.
    pub(super) fn new(store: PathBuf, may_double: bool) -> Self {
        Self { store, may_double, doubled: 0, jobs: HashMap::new(), complaints: Vec::new() }
    }

    /// Notes that a job is about to be submitted.
    pub(super) fn open(&mut self, job: JobId) {
        self.jobs.insert(job, Told::default());
    }

    /// The jobs of which no end was told.
    pub(super) fn under_way(&self) -> Vec<JobId> {
        let open = |told: &Told| told.published.is_empty() && told.gave_up.is_empty();
        self.jobs.iter().filter(|(_, told)| open(told)).map(|(job, _)| *job).collect()
    }

    /// The node of the job that was tried most often and has not ended.
    pub(super) fn most_tried(&self) -> Option<&str> {
        let open = self.jobs.values().filter(|told| told.published.is_empty() && told.gave_up.is_empty());
        let most = open.max_by_key(|told| told.started.len())?;
        (!most.node.is_empty()).then_some(&most.node)
    }

    /// Notes something that must not be.
    pub(super) fn complain(&mut self, complaint: String) {
        eprintln!("WRONG: {complaint}");
        self.complaints.push(complaint);
    }

    /// Takes an event in. What is told to be published has to lie there, whole, at that very moment.
    pub(super) fn take(&mut self, event: &Event) {
        let (job, attempt) = (event.job, event.attempt.to_string());
        let Some(told) = self.jobs.get_mut(&job) else {
            return self.complain(format!("attempt {attempt} is at job {job}, which nobody submitted"));
        };
        let mut complaint = None;
        match &event.body {
            EventBody::Started => {
                told.started.insert(attempt);
                event.node.clone_into(&mut told.node);
                let first = told.numbers.entry(event.attempt.number()).or_insert_with(|| event.attempt.clone());
                if *first != event.attempt && self.may_double {
                    self.doubled += 1;
                } else if *first != event.attempt {
                    complaint =
                        Some(format!("job {job}: {first} and {} are one delivery: it was doubled", event.attempt));
                }
            }
            EventBody::Progress { .. } => {}
            EventBody::Done { report } => {
                let published = report.attempt.to_string();
                if published != attempt {
                    told.found.insert(attempt.clone());
                }
                told.done_by.insert(attempt.clone());
                if told.published.insert(published.clone()) {
                    let found = whole::published(&output(&self.store, job));
                    if found.as_ref() != Some(&published) {
                        complaint =
                            Some(format!("job {job}: {attempt} told that {published} is published, not {found:?}"));
                    }
                }
            }
            EventBody::Failed { retry_in_seconds: Some(_), failure } => {
                eprintln!("  put off: job {job}: {attempt} on {}: {}", event.node, failure.message);
                told.put_off.insert(attempt);
            }
            EventBody::Failed { retry_in_seconds: None, failure } => {
                eprintln!("  given up: job {job}: {attempt} on {}: {}", event.node, failure.message);
                told.gave_up.insert(attempt);
            }
        }
        complaint.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// Judges all jobs at the end: what is wrong, and the sums.
    pub(super) fn judge(mut self, dead: &[DeadLetter]) -> (Vec<String>, Sums) {
        let mut letters: HashMap<JobId, Vec<&DeadLetter>> = HashMap::new();
        for letter in dead {
            match Task::from_message(&letter.body, "", &letter.message_id) {
                Ok(task) => letters.entry(task.job).or_default().push(letter),
                Err(e) => self.complaints.push(format!("a dead letter that is no task: {}", e.message)),
            }
        }
        let mut sums = Sums { jobs: self.jobs.len(), doubled: self.doubled, ..Sums::default() };
        for (job, told) in &self.jobs {
            let letters = letters.remove(job).unwrap_or_default();
            let output = output(&self.store, *job);
            let published = whole::published(&output);
            if let Err(why) = one_end(told, published.as_deref(), &letters) {
                self.complaints.push(format!("job {job}: {why} ({told:?})"));
            }
            sums.attempts += told.started.len();
            sums.found += told.found.len();
            sums.put_off += told.put_off.len();
            sums.done += usize::from(published.is_some());
            sums.dead += letters.len();
            sums.left += attempts_in(&output).iter().filter(|attempt| Some(*attempt) != published.as_ref()).count();
        }
        self.complaints.extend(letters.keys().map(|job| format!("a dead letter of job {job}, which nobody submitted")));
        (self.complaints, sums)
    }
}

/// A job ended once: published and told so of one attempt only, or in one dead letter with a reason and told so.
fn one_end(told: &Told, published: Option<&str>, letters: &[&DeadLetter]) -> Result<(), String> {
    let told_of: Vec<_> = told.published.iter().map(String::as_str).collect();
    match (published, letters) {
        (Some(attempt), []) if told_of != [attempt] => {
            Err(format!("{attempt} is published, and {told_of:?} were told"))
        }
        (Some(attempt), []) if !told.gave_up.is_empty() => Err(format!("{attempt} is published, and it was given up")),
        (Some(_), []) => Ok(()),
        (Some(attempt), letters) => {
            Err(format!("{attempt} is published, and there are {} dead letters", letters.len()))
        }
        (None, [letter]) if letter.reason.is_empty() => Err("its dead letter gives no reason".to_owned()),
        (None, [_]) if !told_of.is_empty() => Err(format!("it is a dead letter, and {told_of:?} were told")),
        (None, [letter]) if told.gave_up.is_empty() => {
            Err(format!("nobody told of its dead letter: {}", letter.reason))
        }
        (None, [_]) => Ok(()),
        (None, letters) => Err(format!("it is lost: not published, and there are {} dead letters", letters.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(published: Option<&str>, told: &[&str], gave_up: &[&str], reasons: &[&str], wrong: Option<&str>) {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let told = Told { published: set(told), gave_up: set(gave_up), ..Told::default() };
        let letter = |reason: &&str| DeadLetter {
            message_id: "1".to_owned(),
            body: Vec::new(),
            reason: (*reason).to_owned(),
            attempts: 6,
        };
        let letters: Vec<_> = reasons.iter().map(letter).collect();
        let judged = one_end(&told, published, &letters.iter().collect::<Vec<_>>());
        match wrong {
            None => assert_eq!(judged, Ok(())),
            Some(part) => assert!(judged.as_ref().is_err_and(|e| e.contains(part)), "{judged:?} without {part}"),
        }
    }

    #[test]
    fn one_end_is_right_and_all_else_is_not() {
        check(Some("a1"), &["a1"], &[], &[], None);
        check(None, &[], &["a6"], &["why"], None);
        check(None, &[], &[], &[], Some("it is lost"));
        check(Some("a1"), &[], &[], &[], Some("[] were told"));
        check(Some("a1"), &["a1", "a2"], &[], &[], Some("were told"));
        check(Some("a1"), &["a2"], &[], &[], Some("were told"));
        check(Some("a1"), &["a1"], &["a2"], &[], Some("it was given up"));
        check(Some("a1"), &["a1"], &[], &["why"], Some("dead letters"));
        check(None, &["a1"], &["a6"], &["why"], Some("it is a dead letter"));
        check(None, &[], &["a6"], &[""], Some("no reason"));
        check(None, &[], &[], &["why"], Some("nobody told"));
        check(None, &[], &["a6"], &["why", "why"], Some("2 dead letters"));
    }
}
