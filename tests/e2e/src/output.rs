//! A published output as a player would fetch it: from the multivariant playlist down to the bytes.

use std::path::{Path, PathBuf};

use reelmill_api::{EventBody, JobId, Report};
use tempfile::TempDir;

use crate::{
    Farm,
    boxes::{Sample, samples},
    files_under,
    judge::Track,
    mpd::Manifest,
    playlist::{Attributes, Master, Media},
};

/// One rendition.
pub struct Rendition {
    /// Its folder's name.
    pub name: String,
    /// Its attributes in the multivariant playlist, where it comes first.
    pub attributes: Attributes,
    /// Its media playlist's address there.
    pub uri: String,
    /// Its media playlist.
    pub media: Media,
    /// Bytes of each segment.
    pub sizes: Vec<u64>,
    /// Its init segment and all its segments as one file.
    pub file: PathBuf,
    /// What a judge says of that file.
    pub track: Track,
    /// Each segment on its own, behind the init segment.
    pub segments: Vec<Track>,
    /// The samples of each segment, by its boxes.
    pub samples: Vec<Vec<Sample>>,
}

/// An output.
pub struct Output {
    /// What the worker says of it.
    pub report: Report,
    /// Its multivariant playlist.
    pub master: Master,
    /// Its DASH manifest.
    pub manifest: Manifest,
    /// Video renditions.
    pub videos: Vec<Rendition>,
    /// Audio renditions.
    pub sounds: Vec<Rendition>,
    fetched: TempDir,
}

impl Output {
    /// Waits until a job is published and fetches its output.
    pub async fn of(farm: &Farm, job: JobId) -> Self {
        let ended = |body: &EventBody| matches!(body, EventBody::Done { .. } | EventBody::Failed { .. });
        let event = farm.wait_for(job, "the end", |e| ended(&e.body)).await;
        let EventBody::Done { report } = event.body else { panic!("{event:?}") };
        Self::fetch(*report, &farm.output_folder(job))
    }

    /// Waits until a job is published, whatever failed before, and fetches its output.
    pub async fn in_the_end(farm: &Farm, job: JobId) -> Self {
        let event = farm.wait_for(job, "the output", |e| matches!(e.body, EventBody::Done { .. })).await;
        let EventBody::Done { report } = event.body else { unreachable!("just matched") };
        Self::fetch(*report, &farm.output_folder(job))
    }

    /// Fetches what lies in a folder.
    pub fn fetch(report: Report, folder: &Path) -> Self {
        let fetched = TempDir::new().expect("a temporary folder");
        copy(folder, fetched.path());
        let master = Master::read(&read(&fetched.path().join("master.m3u8")));
        let manifest = Manifest::read(&read(&fetched.path().join("manifest.mpd")));
        let videos = each_once(fetched.path(), master.variants.iter().map(|(a, uri)| (uri.as_str(), a)));
        let sound = master.media.iter().filter(|a| a.text("TYPE") == "AUDIO");
        let sounds = each_once(fetched.path(), sound.map(|a| (a.text("URI"), a)));
        Self { report, videos, sounds, master, manifest, fetched }
    }

    /// A file of it, by its address relative to the multivariant playlist.
    pub fn text(&self, address: &str) -> String {
        read(&self.fetched.path().join(address))
    }

    /// What a player opens.
    pub fn entry(&self) -> PathBuf {
        self.fetched.path().join("master.m3u8")
    }
}

/// Renditions lie in several groups, and are fetched once.
fn each_once<'a>(folder: &Path, named: impl Iterator<Item = (&'a str, &'a Attributes)>) -> Vec<Rendition> {
    let mut renditions: Vec<Rendition> = Vec::new();
    for (uri, attributes) in named {
        if renditions.iter().all(|known| known.uri != uri) {
            renditions.push(Rendition::of(folder, uri, attributes.clone()));
        }
    }
    renditions
}

fn copy(from: &Path, to: &Path) {
    for name in files_under(from) {
        let target = to.join(&name);
        std::fs::create_dir_all(target.parent().expect("it lies in a folder")).expect("a folder");
        std::fs::copy(from.join(&name), target).expect("it was listed");
    }
}

impl Rendition {
    fn of(output: &Path, uri: &str, attributes: Attributes) -> Self {
        let playlist = &output.join(uri);
        let folder = playlist.parent().expect("a playlist lies in a folder");
        let media = Media::read(&read(playlist));
        let get = |name: &String| std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let init = get(&media.init);
        let parts: Vec<_> = media.segments.iter().map(|(_, name)| get(name)).collect();
        let write = |name: String, bytes: &[Vec<u8>]| {
            let file = folder.join(name);
            std::fs::write(&file, [&init[..], &bytes.concat()].concat()).expect("written");
            file
        };
        let file = write("all.mp4".to_owned(), &parts);
        let alone = |(n, part): (usize, &Vec<u8>)| Track::of(&write(format!("{n}.mp4"), std::slice::from_ref(part)));
        Self {
            name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
            track: Track::of(&file),
            samples: samples(&init, &parts),
            sizes: parts.iter().map(|p| p.len() as u64).collect(),
            segments: parts.iter().enumerate().map(alone).collect(),
            uri: uri.to_owned(),
            attributes,
            media,
            file,
        }
    }

    /// When its keyframes are shown, in seconds: ffprobe tells which packets are keyframes, the boxes tell when.
    pub fn keyframes(&self) -> Vec<f64> {
        let packets = self.track.packets.iter().zip(self.samples.iter().flatten());
        packets.filter(|(p, _)| p.key).map(|(_, s)| self.track.seconds(s.shown_at)).collect()
    }

    /// When its samples are shown by its boxes, in ticks, in order.
    pub fn shown_at(&self) -> Vec<i64> {
        let mut shown: Vec<_> = self.samples.iter().flatten().map(|s| s.shown_at).collect();
        shown.sort_unstable();
        shown
    }

    /// The box of that kind in its init segment, from its kind on.
    pub fn find_box(&self, kind: &[u8]) -> Vec<u8> {
        let bytes = std::fs::read(&self.file).expect("it was written");
        let at = bytes.windows(4).position(|w| w == kind).unwrap_or_else(|| panic!("no {}", kind.escape_ascii()));
        bytes[at..].to_vec()
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
