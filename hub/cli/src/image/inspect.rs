//! `reelmill image inspect`: what an image is, what it boots, and what it is configured for. It shows no secret.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use reelmill_daemon::report::visible;
use serde::Serialize;

use super::{
    fat::{FatError, Kind, Volume},
    flash,
    gpt::{Partition, Table},
    medium::{Medium, Window},
    papers::{Papers, Told},
    size::size,
    source::{self, Source},
};
use crate::{exit::DONE, screen};

/// The longest boot loader that is read, to find its version.
const MOST_LOADER: u64 = 4 * 1024 * 1024;
/// The longest entry of a boot menu.
const MOST_ENTRY: u64 = 16 * 1024;
/// So many entries of a boot menu are read.
const ENTRIES: usize = 16;

/// Say what an image or a flashed device is, and what it is configured for
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image, packed or not; also a device
    image: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Facts {
    image: String,
    format: &'static str,
    bytes: u64,
    unpacked_bytes: Option<u64>,
    sector_bytes: u64,
    disk: String,
    partitions: Vec<Part>,
    boot: Option<Boot>,
    configured: Option<Told>,
}

#[derive(Debug, Serialize)]
struct Part {
    number: usize,
    label: String,
    kind: String,
    start_bytes: u64,
    bytes: u64,
}

/// What a boot partition starts.
#[derive(Debug, Default, Serialize)]
struct Boot {
    file_system: &'static str,
    loader: Option<String>,
    entries: Vec<Entry>,
    version: Option<String>,
}

/// An entry of the boot menu.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Entry {
    file: String,
    title: Option<String>,
    version: Option<String>,
    kernel: Option<String>,
}

/// Runs the command and returns its exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let source = Source::open(&args.image)?;
    flash::refuse_unfinished(&source)?;
    let table = source.table()?;
    source::whole_length(&source, &table)?;
    let mut facts = facts(&source, &table);
    // The stick that installs others has none.
    if let Some(Partition { start, length, .. }) = table.esp() {
        let found = match source.unpacked(start + length)? {
            None => esp(&source.whole()?.part(*start, *length)),
            Some(file) => esp(&Window::whole(&file)?.part(*start, *length)),
        };
        let (boot, configured) = found.with_context(|| source.cannot("inspect"))?;
        (facts.boot, facts.configured) = (Some(boot), Some(configured));
    }
    let text = if args.json { serde_json::to_string_pretty(&facts)? + "\n" } else { text(&facts) };
    screen::print(&text);
    Ok(DONE)
}

fn esp(esp: &Window<'_>) -> Result<(Boot, Told), FatError> {
    let volume = Volume::read(esp)?;
    Ok((boot(&volume)?, Papers::read(&volume)?.told()))
}

fn facts(source: &Source, table: &Table) -> Facts {
    let parts = table.partitions.iter().map(|part| Part {
        number: part.number,
        label: part.label.clone(),
        kind: part.kind_name(),
        start_bytes: part.start,
        bytes: part.length,
    });
    Facts {
        image: source.path.display().to_string(),
        format: match (source.packed, source.device) {
            (true, _) => "zstd",
            (false, true) => "device",
            (false, false) => "raw",
        },
        bytes: source.length,
        unpacked_bytes: table.length().filter(|_| source.packed),
        sector_bytes: table.sector,
        disk: table.disk.to_string(),
        partitions: parts.collect(),
        boot: None,
        configured: None,
    }
}

fn boot<M: Medium + ?Sized>(volume: &Volume<'_, M>) -> Result<Boot, FatError> {
    let file_system = match volume.kind() {
        Kind::Fat12 => "FAT12",
        Kind::Fat16 => "FAT16",
        Kind::Fat32 => "FAT32",
    };
    let mut boot = Boot { file_system, ..Boot::default() };
    for folder in ["EFI/systemd", "EFI/BOOT"] {
        for file in volume.list(folder)?.unwrap_or_default() {
            if boot.loader.is_none() && file.name.to_ascii_lowercase().ends_with(".efi") {
                let bytes = volume.file(&format!("{folder}/{}", file.name), MOST_LOADER)?;
                boot.loader = bytes.as_deref().and_then(loader);
            }
        }
    }
    for file in volume.list("loader/entries")?.unwrap_or_default() {
        if boot.entries.len() < ENTRIES && file.name.to_ascii_lowercase().ends_with(".conf") {
            let bytes = volume.file(&format!("loader/entries/{}", file.name), MOST_ENTRY)?.unwrap_or_default();
            boot.entries.push(entry(&file.name, &String::from_utf8_lossy(&bytes)));
        }
    }
    for file in volume.list("EFI/Linux")?.unwrap_or_default() {
        if boot.entries.len() < ENTRIES && file.name.to_ascii_lowercase().ends_with(".efi") {
            boot.entries.push(Entry { file: format!("EFI/Linux/{}", file.name), ..Entry::default() });
        }
    }
    let version = volume.file("reelmill/version", MOST_ENTRY)?;
    boot.version = version.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(boot)
}

/// The name that systemd-boot has in itself, as in `#### LoaderInfo: systemd-boot 257.9 ####`.
fn loader(bytes: &[u8]) -> Option<String> {
    let mark = b"#### LoaderInfo: ";
    let at = bytes.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let rest = bytes[at..].split(|byte| *byte == b'#').next()?;
    Some(String::from_utf8_lossy(rest).trim().chars().take(80).collect())
}

/// An entry as the Boot Loader Specification has it.
fn entry(file: &str, text: &str) -> Entry {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
        lines.find(|(word, _)| *word == key).map(|(_, value)| value.trim().to_owned())
    };
    Entry { file: file.to_owned(), title: value("title"), version: value("version"), kernel: value("linux") }
}

fn text(facts: &Facts) -> String {
    let mut text = format!("{}: {}", visible(&facts.image), size(facts.bytes));
    match facts.unpacked_bytes {
        Some(bytes) => writeln!(text, " packed by zstd, {} unpacked", size(bytes)),
        None => writeln!(text),
    }
    .expect("text grows");
    let parts: Vec<[String; 4]> = facts.partitions.iter().map(part).collect();
    let width = |column: usize| parts.iter().map(|part| part[column].chars().count()).max().unwrap_or(0);
    let (number, label, length) = (width(0), width(1), width(2));
    for [a, b, c, d] in &parts {
        let _ = writeln!(text, "  partition  {a:>number$}  {b:<label$}  {c:>length$}  {d}");
    }
    let line = |text: &mut String, name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9}  {}", visible(value));
    };
    match &facts.boot {
        None => line(&mut text, "boots", "no EFI system partition"),
        Some(Boot { loader, entries, version, .. }) => {
            line(&mut text, "boots", loader.as_deref().unwrap_or("no loader that is known"));
            entries.iter().for_each(|entry| line(&mut text, "", &menu(entry)));
            version.iter().for_each(|version| line(&mut text, "version", version));
        }
    }
    text + &facts.configured.as_ref().map(papers).unwrap_or_default()
}

fn part(part: &Part) -> [String; 4] {
    [part.number.to_string(), visible(&part.label), size(part.bytes), part.kind.clone()]
}

fn menu(entry: &Entry) -> String {
    let Entry { file, title, version, kernel } = entry;
    let words = [title.as_ref(), version.as_ref(), kernel.as_ref()];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() { file.clone() } else { words.join(", ") }
}

/// What a node is given, as lines.
pub(crate) fn papers(told: &Told) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9}  {}", visible(value));
    };
    match &told.join {
        None => line("farm", "none: the node waits for a join file"),
        Some(join) => {
            line("farm", &join.hub);
            line("authority", &join.ca_sha256);
            let until = join.token_expires.map(|at| format!(", good until {at}")).unwrap_or_default();
            let without = "none: an operator approves the node";
            line("token", &if join.token { format!("set{until}") } else { without.to_owned() });
            if let Some(node) = &join.node {
                line("node", node);
            }
            if !join.tags.is_empty() {
                line("tags", &join.tags.join(", "));
            }
            if let Some(network) = &join.network {
                line("network", network);
            }
        }
    }
    if let Some(name) = &told.hostname {
        line("hostname", name);
    }
    for key in &told.ssh_keys {
        line("ssh key", &key.to_string());
    }
    if !told.worker_env.is_empty() {
        line("worker", &format!("{} (values are not shown)", told.worker_env.join(", ")));
    }
    for mistake in &told.mistakes {
        line("mistake", mistake);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_and_its_entries_are_named() {
        let bytes = b"MZ..\0#### LoaderInfo: systemd-boot 257.9-1 ####\0..";
        assert_eq!(loader(bytes).as_deref(), Some("systemd-boot 257.9-1"));
        assert_eq!(loader(b"MZ"), None);
        let text = "title NixOS\nversion Generation 1 NixOS 26.05\nlinux /EFI/nixos/abc-linux-6.12.3-bzImage.efi\n";
        let entry = entry("nixos-generation-1.conf", text);
        assert_eq!(menu(&entry), "NixOS, Generation 1 NixOS 26.05, /EFI/nixos/abc-linux-6.12.3-bzImage.efi");
        assert_eq!(menu(&Entry { file: "EFI/Linux/a.efi".to_owned(), ..Entry::default() }), "EFI/Linux/a.efi");
    }
}
