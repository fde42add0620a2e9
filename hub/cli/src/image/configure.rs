//! `reelmill image configure`: puts a node's files into the boot partition of an image, all of them in one step.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};
use reelmill_daemon::report::{Hinted, WithHint as _};

use super::{
    fat::{FatError, Steps, Volume},
    given::Given,
    inspect,
    medium::{Medium, Window},
    papers::{self, Papers},
    source::{self, Source},
};
use crate::{
    exit::DONE,
    screen::{self, Screen},
};

/// Put a node's files into an image: how it finds its farm, its name, who may log in
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The image; also a device that is not mounted
    image: PathBuf,
    /// Leave the image as it is, and write a configured copy there, unpacked
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take all of it out of the image again
    #[arg(long)]
    clear: bool,
    #[command(flatten)]
    given: Given,
}

const EXAMPLES: &str = "\
Examples:
  reelmill-hub token join --hub https://hub.example:7443 --node orin-3 > join.toml
  reelmill image configure reelmill.raw --join join.toml --ssh-key ~/.ssh/id_ed25519.pub
  reelmill image configure reelmill.raw.zst --output orin-3.raw --join join.toml
  ssh hub reelmill-hub token join | reelmill image configure reelmill.raw --join -

Whatever an earlier `configure` put there is replaced, also by nothing. The image holds the token then: keep it as you
would keep the token.";

/// Runs the command and returns its exit code.
pub(crate) fn run(args: &Args, screen: &Screen) -> anyhow::Result<u8> {
    if args.clear != args.given.is_empty() {
        let error =
            if args.clear { "--clear goes with nothing else" } else { "nothing was given to put into the image" };
        return Err(Hinted::new(error, "see `reelmill image configure --help`").into());
    }
    let papers = args.given.papers(screen)?;
    match &args.output {
        None => in_place(&args.image, &papers)?,
        Some(output) => copy(&args.image, output, &papers)?,
    }
    let written = args.output.as_deref().unwrap_or(&args.image);
    if papers.is_secret() && others_read(written) {
        let at = written.display();
        screen.note(&format!("note: others on this machine can read {at}, and so its secrets: chmod 600 {at}"));
    }
    Ok(DONE)
}

/// Whether a file may be read by others than its owner.
fn others_read(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o077 != 0)
}

fn in_place(image: &Path, papers: &Papers) -> anyhow::Result<()> {
    let source = Source::open(image)?;
    if source.packed {
        let error = format!("cannot configure {}: it is packed by zstd", image.display());
        let hint = "--output FILE writes an unpacked copy; `reelmill image flash` takes the same options and unpacks on the way";
        return Err(Hinted::new(error, hint).into());
    }
    let denied = "may you write it? a device needs root, and must not be mounted";
    let source = Source::open_to_write(image).hint(denied)?;
    put(&source, papers)?;
    tell(&source, image)
}

fn copy(image: &Path, output: &Path, papers: &Papers) -> anyhow::Result<()> {
    let source = Source::open(image)?;
    let cannot = || format!("cannot write {}", output.display());
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(".reelmill-image-").tempfile_in(folder).with_context(cannot)?;
    if source.packed {
        let (stream, _) = source.stream().with_context(|| source.cannot("read"))?;
        source::unpack(stream, made.as_file()).with_context(|| source.cannot("unpack"))?;
    } else {
        std::io::copy(&mut File::open(image)?, &mut made.as_file()).with_context(cannot)?;
    }
    let copied = Source::open_to_write(made.path())?;
    put(&copied, papers)?;
    made.as_file().sync_all().with_context(cannot)?;
    // Kept secret until it is whole: a token is in it.
    made.persist(output).map_err(|e| e.error).with_context(cannot)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    tell(&copied, output)
}

fn put(source: &Source, papers: &Papers) -> anyhow::Result<()> {
    let table = source.table()?;
    source::whole_length(source, &table)?;
    let (start, length) = source::esp(source, &table)?;
    let steps = steps(&source.whole()?.part(start, length), papers).with_context(|| source.cannot("configure"))?;
    for step in steps {
        for patch in step {
            source.file().write_all_at(&patch.bytes, start + patch.at).with_context(|| source.cannot("write"))?;
        }
        source.file().sync_data().with_context(|| source.cannot("write"))?;
    }
    Ok(())
}

/// Tells what a reader finds there now.
fn tell(source: &Source, name: &Path) -> anyhow::Result<()> {
    let table = source.table()?;
    let (start, length) = source::esp(source, &table)?;
    let found = read(&source.whole()?.part(start, length)).with_context(|| source.cannot("read"))?;
    if !found.told().mistakes.is_empty() {
        bail!("{} holds what a node will not take: {}", name.display(), found.told().mistakes.join(", "));
    }
    let what = if found.is_empty() { "is not configured any more" } else { "is configured" };
    screen::print(&format!("{} {what}\n{}", name.display(), inspect::papers(&found.told())));
    Ok(())
}

/// How to put the files on a boot partition.
pub(crate) fn steps<M: Medium + ?Sized>(esp: &M, papers: &Papers) -> Result<Steps, FatError> {
    Volume::read(esp)?.put(papers::FOLDER, &papers.files(), stamp(Timestamp::now()))
}

fn read(esp: &Window<'_>) -> Result<Papers, FatError> {
    Papers::read(&Volume::read(esp)?)
}

/// A moment as FAT holds it, with two seconds' precision: the time of day, then the date.
fn stamp(now: Timestamp) -> [u8; 4] {
    let now = now.to_zoned(TimeZone::UTC).datetime();
    let part = |number: i8| u16::from(number.unsigned_abs());
    let time = (part(now.hour()) << 11) | (part(now.minute()) << 5) | (part(now.second()) / 2);
    let year = u16::try_from(now.year() - 1980).unwrap_or(0).min(127);
    let date = (year << 9) | (part(now.month()) << 5) | part(now.day());
    let ([a, b], [c, d]) = (time.to_le_bytes(), date.to_le_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_packed_as_dos_did() {
        let at: Timestamp = "2026-11-23T02:45:31Z".parse().expect("a moment");
        assert_eq!(stamp(at), [0xaf, 0x15, 0x77, 0x5d]);
        assert_eq!(stamp("1970-01-01T00:00:00Z".parse().expect("a moment")), [0, 0, 0x21, 0]);
    }
}
