//! Single files: made in a folder on this machine's disk, because their index can be written only by going back; read
//! back, verified, and only then streamed to the store.

use std::{fs::File, io::Read as _, sync::atomic::Ordering};

use bytes::Bytes;
use reelmill_api::{ErrorKind, Failure, Location, Progress, layout};
use reelmill_storage::Upload;

use super::Attempt;
use crate::{
    engine::{self, Programs},
    gateway::Run,
    movie::{self, Movie, NotAMovie},
    plan::{FilePlan, Plan, weight},
    publish,
    pulse::Pulse,
    spool::SpoolFolder,
    verify::{
        decode,
        files::{self, VerifiedFiles},
    },
};

/// What is read from the disk at once.
const PIECE: usize = 1 << 20;

impl Attempt<'_> {
    /// Makes, verifies and stores the files of a plan, under this attempt's own folder.
    pub(super) async fn make_files(
        &self,
        plan: &Plan,
        wished: &[FilePlan],
        destination: &Location,
        run: &Run,
        on_progress: impl Fn(Progress),
    ) -> Result<VerifiedFiles, Failure> {
        publish::check_vacant(&self.workshop.storage, destination, self.task.job).await?;
        let (spool, needed) = (self.workshop.spool.clone(), weight::of_files(plan, wished));
        let folder = off_thread("make a spool folder", move || spool.open(needed)).await??;
        let programs = Programs { writable: Some(folder.writable().clone()), ..self.workshop.programs.clone() };
        let ran = engine::run(&programs, plan, run, &self.cancel, on_progress).await;
        let seen = ran.map_err(|failure| folder.explain(failure))?;
        let mut decoded = Vec::new();
        for wish in wished {
            let path = folder.writable().folder.join(wish.file_name());
            let seconds = plan.grid.frames.count().map(|frames| plan.grid.seconds(frames));
            let decode = decode::file(&programs, &path, seconds, run.port(), &self.cancel);
            // It has its time limit.
            decoded.push(self.pulse.during(decode).await?);
        }
        // Read only now: what was verified is what is stored.
        let mut spooled = Vec::new();
        for plan in wished {
            spooled.push(Spooled::read(&folder, plan).await?);
            self.pulse.beat();
        }
        let made = spooled.iter().map(|file| files::Made {
            plan: file.plan,
            movie: &file.movie,
            path: layout::attempt_file(&self.id, &file.plan.file_name()),
        });
        let mut verified = files::verify(plan, &made.collect::<Vec<_>>())?;
        verified.remarks.extend(seen);
        verified.checks.extend(decoded);
        for file in spooled {
            self.store(file, destination).await?;
        }
        Ok(verified)
    }

    async fn store(&self, spooled: Spooled<'_>, destination: &Location) -> Result<(), Failure> {
        let relative = layout::attempt_file(&self.id, &spooled.plan.file_name());
        let at = destination.join(&relative).map_err(|e| Failure::new(ErrorKind::BadRequest, e.to_string()))?;
        let bytes = spooled.movie.bytes;
        let mut upload = self.workshop.storage.create_large(&at, layout::content_type(&relative), bytes).await?;
        let sent = tokio::select! {
            sent = send(spooled.file, &mut upload, &self.pulse) => sent,
            () = self.cancel.cancelled() => Err(Failure::new(ErrorKind::Canceled, "the run was called off")),
        };
        if let Err(failure) = sent {
            upload.abort().await;
            return Err(failure);
        }
        let stored = upload.finish().await?;
        self.pulse.beat();
        self.workshop.counters.stored.fetch_add(stored.bytes, Ordering::Relaxed);
        if stored.bytes == bytes {
            return Ok(());
        }
        let message = format!("{relative} was verified with {bytes} bytes and stored with {}", stored.bytes);
        Err(Failure::new(ErrorKind::Infrastructure, message))
    }
}

/// A finished file on the disk.
struct Spooled<'a> {
    plan: &'a FilePlan,
    file: File,
    movie: Movie,
}

impl<'a> Spooled<'a> {
    async fn read(folder: &SpoolFolder, plan: &'a FilePlan) -> Result<Self, Failure> {
        let name = plan.file_name();
        let broken = |why: &dyn std::fmt::Display| {
            Failure::new(ErrorKind::Infrastructure, format!("the engine made a broken {name}: {why}"))
        };
        let mut file = folder.read(&name).map_err(|e| broken(&e))?;
        let (file, movie) = off_thread("read a file's index", move || {
            let movie = movie::read(&mut file);
            (file, movie)
        })
        .await?;
        match movie {
            Ok(movie) => Ok(Self { plan, file, movie }),
            Err(e @ (NotAMovie::Broken(_) | NotAMovie::Io(_))) => Err(broken(&e)),
        }
    }
}

/// Sends a file piece by piece, no faster than the store takes it.
async fn send(file: File, upload: &mut Upload, pulse: &Pulse) -> Result<(), Failure> {
    let mut file = file;
    std::io::Seek::rewind(&mut file).map_err(|e| disk(&e))?;
    loop {
        let (back, piece) = off_thread("read the spool", move || {
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            (file, read.map(|_| piece))
        })
        .await?;
        file = back;
        let piece = piece.map_err(|e| disk(&e))?;
        if piece.is_empty() {
            return Ok(());
        }
        upload.write(Bytes::from(piece)).await?;
        pulse.beat();
    }
}

fn disk(error: &std::io::Error) -> Failure {
    Failure::new(ErrorKind::Infrastructure, format!("cannot read the spool: {error}"))
}

/// Runs what waits for a disk where nobody else waits for it.
async fn off_thread<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Failure::new(ErrorKind::Bug, format!("cannot {what}: {e}")))
}
