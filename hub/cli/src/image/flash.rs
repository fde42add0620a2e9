//! `reelmill image flash`: writes an image to a card or a drive, reads it back, and makes it bootable last of all.

mod disk;
mod judge;
mod write;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, bail};
use reelmill_daemon::report::Hinted;

use super::{
    configure,
    given::Given,
    gpt::Table,
    inspect,
    medium::{Medium as _, Patch, Window},
    papers::Papers,
    size::{self, size},
    source::{self, Source},
};
use crate::{
    exit::DONE,
    screen::{self, Screen},
};
use disk::{Disk, Kernel};
use judge::{Limits, judge};
use write::{MARK, Work, Written};

/// Devices above this are rather somebody's archive than a node's drive.
const MAX_SIZE: &str = "2TiB";

/// Write an image to a card or a drive, and read it back
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The image, packed by zstd or not
    image: PathBuf,
    /// The whole device, as in /dev/sdb or /dev/disk/by-id/...
    device: PathBuf,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Also write a device that is built in: neither on USB nor a card
    #[arg(long)]
    allow_fixed: bool,
    /// Refuse devices that are larger
    #[arg(long, value_name = "SIZE", default_value = MAX_SIZE, value_parser = size::parse)]
    max_size: u64,
    #[command(flatten)]
    given: Given,
}

const EXAMPLES: &str = "\
Examples:
  lsblk -o NAME,SIZE,TRAN,MODEL,MOUNTPOINTS                which device is it?
  sudo reelmill image flash reelmill.raw.zst /dev/sdb
  sudo reelmill image flash reelmill.raw.zst /dev/sdb --join join.toml --ssh-key ~/.ssh/id_ed25519.pub

With options that say what the node is given, this configures what it writes, and leaves the image as it is. Everything on
the device is lost. Until all of it was written and read back, the device has no partition table and starts nothing.";

/// Runs the command and returns its exit code.
pub(crate) fn run(args: &Args, screen: &Screen) -> anyhow::Result<u8> {
    if args.given.reads_stdin() && !args.yes {
        let error = "standard input cannot be both the join file and your answer";
        return Err(Hinted::new(error, "give --yes, or --join FILE").into());
    }
    let source = Source::open(&args.image)?;
    refuse_unfinished(&source)?;
    let table = source.table()?;
    source::whole_length(&source, &table)?;
    let disk = Disk::look(&Kernel::default(), &args.device)?;
    let limits = Limits { length: table.needs(), sector: table.sector, most: args.max_size, fixed: args.allow_fixed };
    judge(&disk, &limits)?;
    let (papers, patches) = given(&args.given, &source, &table, screen)?;
    ask(&disk, args.yes, screen)?;
    let written = write(&source, &table, &disk, patches, screen)?;
    screen::print(&told(&source, &disk, &written));
    if let Some(papers) = papers {
        screen::print(&inspect::papers(&papers.told()));
    }
    reread(&disk, screen);
    Ok(DONE)
}

/// Refuses a device that an earlier run did not write to its end.
pub(crate) fn refuse_unfinished(source: &Source) -> anyhow::Result<()> {
    let head = source.whole()?.bytes(0, MARK.len());
    if head.is_ok_and(|head| head == MARK.as_bytes()) {
        let error = format!("{} was not written to its end: it holds no system", source.path.display());
        return Err(Hinted::new(error, "flash it again").into());
    }
    Ok(())
}

/// What the node is given, and where that belongs in the image.
fn given(
    given: &Given,
    source: &Source,
    table: &Table,
    screen: &Screen,
) -> anyhow::Result<(Option<Papers>, Vec<Patch>)> {
    if given.is_empty() {
        return Ok((None, Vec::new()));
    }
    let papers = given.papers(screen)?;
    let (start, length) = source::esp(source, table)?;
    let steps = match source.unpacked(start + length)? {
        None => configure::steps(&source.whole()?.part(start, length), &papers),
        Some(file) => configure::steps(&Window::whole(&file)?.part(start, length), &papers),
    };
    let steps = steps.with_context(|| source.cannot("configure"))?;
    let moved = |patch: Patch| Patch { at: patch.at + start, ..patch };
    Ok((Some(papers), steps.into_iter().flatten().map(moved).collect()))
}

/// Has the person type the device's name.
fn ask(disk: &Disk, yes: bool, screen: &Screen) -> anyhow::Result<()> {
    screen.note(&disk.to_string());
    if yes {
        return Ok(());
    }
    screen.note(&format!("all of it will be lost; type {} to go on:", disk.name));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read your answer")?;
    if answer.trim() != disk.name && answer.trim() != disk.path.to_string_lossy() {
        bail!("that is not {}: nothing was written", disk.name);
    }
    Ok(())
}

fn write(source: &Source, table: &Table, disk: &Disk, patches: Vec<Patch>, screen: &Screen) -> anyhow::Result<Written> {
    let device = open(disk)?;
    let (mut stream, read) = source.stream().with_context(|| source.cannot("read"))?;
    let work = Work { table, patches, from: &source.path, to: &disk.path, length: disk.length };
    write::write(
        &work,
        &mut stream,
        &device,
        &|| read.load(std::sync::atomic::Ordering::Relaxed),
        source.length,
        screen,
    )
}

/// Opens the device for nobody else, past the kernel's memory, so that what is read comes from the medium.
fn open(disk: &Disk) -> anyhow::Result<File> {
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).expect("a flag of this system");
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(direct | source::exclusive());
    options.open(&disk.path).map_err(|e| {
        let hint = match e.kind() {
            io::ErrorKind::PermissionDenied => "writing a device needs root: try sudo",
            io::ErrorKind::ResourceBusy => "something uses it: is it mounted, or part of a RAID or an LVM?",
            _ => "is it plugged in, and can it be written?",
        };
        Hinted::new(format!("cannot open {}: {e}", disk.path.display()), hint).into()
    })
}

fn told(source: &Source, disk: &Disk, written: &Written) -> String {
    let Written { bytes, writing, reading } = written;
    format!(
        "wrote {} to {} in {:.1} s and read it back in {:.1} s: {}, as it should be\n",
        source.path.display(),
        disk.path.display(),
        writing.as_secs_f64(),
        reading.as_secs_f64(),
        size(*bytes),
    )
}

/// Has the kernel see the new partitions.
fn reread(disk: &Disk, screen: &Screen) {
    let told = Command::new("blockdev").arg("--rereadpt").arg(&disk.path).output();
    if !told.is_ok_and(|output| output.status.success()) {
        screen.note("note: this machine does not see the new partitions until the device is plugged in again");
    }
}
