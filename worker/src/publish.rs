//! Publishing: everything under the attempt's own folder first, then the commit, one atomic put that only one attempt can
//! win: of a ladder its multivariant playlist, of single files the report that names them.

use bytes::Bytes;
use reelmill_api::{AttemptId, AttemptNumber, ErrorKind, Failure, JobId, Location, Report, layout};
use reelmill_storage::{Access, Condition, Storage, StorageError};

use crate::{
    lease::Fence,
    manifest,
    pulse::Pulse,
    verify::{Made, Verified},
};

/// Larger than any playlist or report that is made here.
const LARGEST_TEXT: usize = 4 << 20;
/// How often a claim is tried again when attempts meet.
const CLAIMS: usize = 3;

/// How a publication ended.
#[derive(Debug)]
pub enum Published {
    /// This attempt's output is the published one.
    Now,
    /// Another attempt at the same job had published before; its report.
    Before(Box<Report>),
}

/// Why nothing was published, as far as is known.
#[derive(Debug)]
pub struct Unpublished {
    /// What went wrong.
    pub failure: Failure,
    /// Whether the store may have done it nevertheless: then the media must stay, for readers may find it.
    pub in_doubt: bool,
}

impl From<Failure> for Unpublished {
    fn from(failure: Failure) -> Self {
        Self { failure, in_doubt: false }
    }
}

/// The output that a job already has at `destination`.
///
/// # Errors
/// `bad_request` if something else is published there.
pub async fn find(storage: &Storage, destination: &Location, job: JobId) -> Result<Option<Report>, Failure> {
    let taken = |whose: &str| taken(destination, "published output", whose);
    let report = match get(storage, &place(destination, layout::MASTER_PLAYLIST)?).await? {
        None => committing_report(storage, destination).await?,
        Some(master) => {
            let attempt = layout::published_attempt(&String::from_utf8_lossy(&master));
            let attempt = attempt.ok_or_else(|| taken("another program"))?;
            let report = get(storage, &place(destination, &layout::attempt_file(&attempt, layout::REPORT))?).await?;
            let report = report.and_then(|text| serde_json::from_slice(&text).ok());
            Some(report.ok_or_else(|| taken("another program"))?)
        }
    };
    match report {
        Some(report) if report.job != job => Err(taken(&format!("job {}", report.job))),
        report => Ok(report),
    }
}

/// The report at `destination`, if its presence is a commit.
async fn committing_report(storage: &Storage, destination: &Location) -> Result<Option<Report>, Failure> {
    let text = get(storage, &place(destination, layout::REPORT)?).await?;
    let report: Option<Report> = text.and_then(|text| serde_json::from_slice(&text).ok());
    Ok(report.filter(Report::is_the_commit))
}

fn taken(destination: &Location, what: &str, whose: &str) -> Failure {
    Failure::new(ErrorKind::BadRequest, format!("{destination} already holds the {what} of {whose}"))
        .hint("choose another destination, or remove what is there")
}

/// Whether the report of single files can be put at `destination`, where nothing of the job is published yet: only over
/// nothing, for what a ladder that is not published claimed may yet be that of its commit.
///
/// # Errors
/// `bad_request` if a report is there.
pub async fn check_vacant(storage: &Storage, destination: &Location, job: JobId) -> Result<(), Failure> {
    let Some(text) = get(storage, &place(destination, layout::REPORT)?).await? else { return Ok(()) };
    match serde_json::from_slice::<Report>(&text) {
        // Another attempt published meanwhile; the commit will find that out.
        Ok(report) if report.job == job && report.is_the_commit() => Ok(()),
        Ok(report) => Err(taken(destination, "report", &format!("job {}", report.job))),
        Err(_) => Err(taken(destination, "report", "another program")),
    }
}

/// Publishes single files that were verified and stored: their report appears, only where nothing is.
///
/// # Errors
/// If the store fails; nothing is published then, or it is not known.
pub async fn publish_files(storage: &Storage, report: &Report, fence: &Fence) -> Result<Published, Unpublished> {
    let at = place(&report.output, layout::REPORT)?;
    let text = Bytes::from(in_json(report)?);
    fence.check().await?;
    match storage.put(&at, text, layout::content_type(layout::REPORT), Condition::Absent).await {
        Ok(_) => Ok(Published::Now),
        Err(e) => settle_commit(storage, report, e).await,
    }
}

/// What players open, as text.
pub struct Entries<M> {
    /// The media playlist of each rendition.
    pub media: M,
    /// The DASH manifest, for the attempt's own folder.
    pub manifest: String,
    /// The multivariant playlist.
    pub master: String,
}

/// Publishes what was verified. Media already lies under the attempt's folder.
///
/// # Errors
/// If the store fails; nothing is published then, or it is not known.
pub async fn publish(
    storage: &Storage,
    report: &Report,
    verified: &Verified,
    entries: Entries<impl Fn(&Made) -> String>,
    pulse: &Pulse,
    fence: &Fence,
) -> Result<Published, Unpublished> {
    let (destination, attempt) = (&report.output, &report.attempt);
    for made in &verified.renditions {
        let relative = format!("{}/{}", made.rendition.name, layout::MEDIA_PLAYLIST);
        put(storage, destination, &layout::attempt_file(attempt, &relative), (entries.media)(made)).await?;
        pulse.beat();
    }
    let text = in_json(report)?;
    put(storage, destination, &layout::attempt_file(attempt, layout::REPORT), text.clone()).await?;
    put(storage, destination, &layout::attempt_file(attempt, layout::MANIFEST), entries.manifest.clone()).await?;
    pulse.beat();
    // So far it wrote only where it alone does.
    fence.check().await?;
    let beside = [(layout::REPORT, text), (layout::MANIFEST, manifest::beside(attempt, &entries.manifest))];
    for (name, text) in &beside {
        if let Some(before) = claim(storage, report, name, text).await? {
            return Ok(Published::Before(Box::new(before)));
        }
        pulse.beat();
    }
    let entry = place(destination, layout::MASTER_PLAYLIST)?;
    let content_type = layout::content_type(layout::MASTER_PLAYLIST);
    fence.check().await?;
    let published = match storage.put(&entry, Bytes::from(entries.master), content_type, Condition::Absent).await {
        Ok(_) => Published::Now,
        Err(e) => settle_commit(storage, report, e).await?,
    };
    if matches!(published, Published::Now) {
        for (name, text) in beside {
            put(storage, destination, name, text).await.map_err(|failure| Unpublished { failure, in_doubt: true })?;
        }
    }
    Ok(published)
}

/// Puts a file where readers look for it, before the commit. It is put only over nothing or over that of an attempt that
/// has not been published. Another attempt may still claim it, from a look before the commit of this one, until it is
/// sealed: so what is claimed ends otherwise than what is sealed, and no condition on the one holds for the other.
async fn claim(storage: &Storage, report: &Report, name: &str, text: &str) -> Result<Option<Report>, Failure> {
    let at = place(&report.output, name)?;
    for _ in 0..CLAIMS {
        let condition = match storage.get_small(&at, LARGEST_TEXT).await {
            Ok((_, version)) => Condition::Matches(version),
            Err(StorageError::NotFound { .. }) => Condition::Absent,
            Err(e) => return Err(e.into()),
        };
        if let Some(before) = find(storage, &report.output, report.job).await? {
            return Ok(Some(before));
        }
        match storage.put(&at, Bytes::from(format!("{text}\n")), layout::content_type(name), condition).await {
            Ok(_) => return Ok(None),
            Err(StorageError::ConditionFailed { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let message = format!("another attempt at job {} is about to publish to {}", report.job, report.output);
    Err(Failure::new(ErrorKind::Infrastructure, message))
}

/// Sees to it that what lies beside the entry of a published attempt is that attempt's, byte for byte, since figures that were
/// read need not be written as they were. Whoever published it may have died before that.
///
/// # Errors
/// If the store fails.
pub async fn seal_found(storage: &Storage, published: &Report) -> Result<(), Failure> {
    if published.is_the_commit() {
        return Ok(());
    }
    let (destination, attempt) = (&published.output, &published.attempt);
    for name in [layout::REPORT, layout::MANIFEST] {
        let Some(own) = get(storage, &place(destination, &layout::attempt_file(attempt, name))?).await? else {
            continue;
        };
        let own = if name == layout::MANIFEST {
            Bytes::from(manifest::beside(attempt, &String::from_utf8_lossy(&own)))
        } else {
            own
        };
        if get(storage, &place(destination, name)?).await?.as_ref() != Some(&own) {
            log::info!("job {}: its {name} was not that of the attempt that is published, {attempt}", published.job);
            put(storage, destination, name, own).await?;
        }
    }
    Ok(())
}

/// What became of a commit that the store did not confirm. An answer can be lost when the deed is done, so what readers
/// find decides.
async fn settle_commit(storage: &Storage, report: &Report, error: StorageError) -> Result<Published, Unpublished> {
    // A request that was neither answered nor refused may still be on its way.
    let mut in_doubt = error.is_transient() && !matches!(error, StorageError::Failed { .. });
    match find(storage, &report.output, report.job).await {
        Ok(Some(winner)) if winner.attempt == report.attempt => return Ok(Published::Now),
        // Another attempt put its playlist between our look and ours, and ours lies beside it.
        Ok(Some(winner)) => {
            seal_found(storage, &winner).await?;
            return Ok(Published::Before(Box::new(winner)));
        }
        Ok(None) => {}
        Err(_) => in_doubt = true,
    }
    let mut failure = Failure::from(error);
    if in_doubt {
        let commit = if report.is_the_commit() { layout::REPORT } else { layout::MASTER_PLAYLIST };
        let at = place(&report.output, commit).unwrap_or_else(|_| report.entry.clone());
        let hint = format!("it may be published all the same, so its media was kept: look for {at}");
        failure.hint.get_or_insert(hint);
    }
    Err(Unpublished { failure, in_doubt })
}

fn in_json(report: &Report) -> Result<String, Failure> {
    serde_json::to_string_pretty(report).map_err(|e| Failure::new(ErrorKind::Bug, e.to_string()))
}

/// Removes what attempt `attempt` wrote. For attempts that were not published.
pub async fn sweep(storage: &Storage, destination: &Location, attempt: &AttemptId) {
    let folder = place(destination, &format!("{}/", layout::attempt_folder(attempt)));
    let swept = match folder {
        Ok(folder) => storage.delete_prefix(&folder).await.map(|_| ()).map_err(Failure::from),
        Err(e) => Err(e),
    };
    if let Err(e) = swept {
        log::warn!("cannot sweep attempt {attempt} from {destination}: {}", e.message);
    }
}

/// Removes what attempts up to that number left, once `published` has been committed: none of them can be published any
/// more.
pub async fn sweep_others(storage: &Storage, destination: &Location, published: &AttemptId, up_to: AttemptNumber) {
    let folders = match storage.list_folders(destination).await {
        Ok(folders) => folders,
        Err(e) => return log::warn!("cannot look for leftovers under {destination}: {e}"),
    };
    for attempt in folders.iter().filter_map(|f| f.trim_end_matches('/').parse::<AttemptId>().ok()) {
        if attempt != *published && attempt.number() <= up_to {
            sweep(storage, destination, &attempt).await;
        }
    }
}

async fn get(storage: &Storage, at: &Location) -> Result<Option<Bytes>, Failure> {
    match storage.get_small(at, LARGEST_TEXT).await {
        Ok((text, _)) => Ok(Some(text)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        // It is only looked at here, but what the job wants of this place is to write.
        Err(StorageError::ForbiddenRoot { path, .. }) => {
            let what = format!("write {at}");
            Err(StorageError::ForbiddenRoot { what, path, access: Access::Write }.into())
        }
        Err(e) => Err(e.into()),
    }
}

async fn put(storage: &Storage, destination: &Location, relative: &str, text: impl Into<Bytes>) -> Result<(), Failure> {
    let at = place(destination, relative)?;
    storage.put(&at, text.into(), layout::content_type(relative), Condition::Always).await?;
    Ok(())
}

fn place(destination: &Location, relative: &str) -> Result<Location, Failure> {
    destination.join(relative).map_err(|e| Failure::new(ErrorKind::BadRequest, format!("the output location: {e}")))
}
