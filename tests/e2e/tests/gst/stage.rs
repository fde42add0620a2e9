//! A worker whose jetson engine is made of the elements of any machine, beside one that encodes in software.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use reelmill_e2e::{
    Farm,
    boxes::{Sample, find},
    judge,
    output::{Output, Rendition},
};
use reelmill_lab::programs::{Running, program};
use tempfile::TempDir;

/// The preset that all tests here use.
pub(crate) const PRESET: &str = "rungs";

/// Rungs as (name, long side, short side).
pub(crate) type Rungs = [(&'static str, u32, u32)];

/// The side of the small pictures that are compared.
const SIDE: usize = 24;

/// One source, made by both engines.
pub(crate) struct Both {
    pub(crate) software: Output,
    pub(crate) jetson: Output,
}

/// What becomes of a source by either engine, with everything checked that holds of any output.
pub(crate) async fn both(source: &Path, rungs: &Rungs) -> Both {
    let software = made(source, rungs, |_, worker| {
        worker.env("HWACCEL", "none");
    });
    let software = software.await;
    assert!(software.report.engine.starts_with("software"), "{}", software.report.engine);
    let jetson = made(source, rungs, with_gstreamer).await;
    assert!(jetson.report.engine.starts_with("jetson"), "{}", jetson.report.engine);
    Both { software, jetson }
}

async fn made(source: &Path, rungs: &Rungs, change: impl Fn(&Path, &mut Command)) -> Output {
    let farm = Farm::start().await;
    farm.add_preset(PRESET, rungs);
    let input = farm.upload(source, "clips/a source.bin");
    let job = farm.submit(&input, PRESET).await;
    let folder = TempDir::new().expect("a temporary folder");
    let mut worker = farm.worker();
    worker.env("PRESET", PRESET);
    change(folder.path(), &mut worker);
    let _worker = Running::start(worker);
    let output = Output::of(&farm, job).await;
    output.is_true();
    output
}

/// Media programs run as nobody, who may not look into the folder that programs are built in.
pub(crate) fn with_gstreamer(folder: &Path, worker: &mut Command) {
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    let copy = folder.join("reelmill-gst");
    fs::copy(program("reelmill-gst"), &copy).expect("it is built");
    open(folder);
    open(&copy);
    let (copy, folder_text) = (copy.display(), folder.display());
    let config = folder.join("worker.toml");
    let text = format!("[media]\ngst = \"{copy}\"\nreadable = [\"{folder_text}\"]\ngst_elements = \"software\"\n");
    fs::write(&config, text).expect("it can be written");
    worker.arg("--config").arg(config).env("HWACCEL", "jetson");
}

impl Both {
    /// The same renditions with the same decode times, lengths and keyframes to the tick; sound the same in every byte.
    pub(crate) fn lie_on_one_grid(&self) {
        let pairs = || self.software.videos.iter().zip(&self.jetson.videos);
        assert_eq!(names(&self.software.videos), names(&self.jetson.videos));
        for (software, jetson) in pairs() {
            let name = &software.name;
            assert_eq!(timescale(software), timescale(jetson), "{name}");
            assert_eq!(software.media.segments.len(), jetson.media.segments.len(), "{name}");
            for (n, (a, b)) in software.samples.iter().zip(&jetson.samples).enumerate() {
                assert_eq!(decoding(a), decoding(b), "{name}, segment {n}");
            }
            assert_eq!(software.keyframes(), jetson.keyframes(), "{name}");
            assert_eq!(software.media.segments, jetson.media.segments, "{name}");
            // What shows the first picture shows it at 0, whoever reorders.
            let first = |video: &Rendition| video.samples[0].iter().map(|sample| sample.shown_at).min();
            assert_eq!((first(software), first(jetson)), (Some(0), Some(0)), "{name}");
        }
        assert_eq!(names(&self.software.sounds), names(&self.jetson.sounds));
        for (software, jetson) in self.software.sounds.iter().zip(&self.jetson.sounds) {
            assert_eq!(software.samples, jetson.samples, "{}", software.name);
        }
    }

    /// Picture for picture nearly the same.
    pub(crate) fn look_alike(&self) {
        for (software, jetson) in self.software.videos.iter().zip(&self.jetson.videos) {
            let (a, b) = (judge::pictures(&software.file, SIDE), judge::pictures(&jetson.file, SIDE));
            assert_eq!(a.len(), b.len(), "{}", software.name);
            for (n, (a, b)) in a.iter().zip(&b).enumerate() {
                let apart = distance(a, b);
                assert!(apart < 8.0, "frame {n} of {} is {apart} apart", software.name);
            }
        }
    }
}

fn names(renditions: &[Rendition]) -> Vec<&str> {
    renditions.iter().map(|rendition| rendition.name.as_str()).collect()
}

/// When each sample is decoded, and how long it lasts.
fn decoding(samples: &[Sample]) -> Vec<(i64, i64)> {
    samples.iter().map(|sample| (sample.decoded_at, sample.ticks)).collect()
}

/// Ticks in a second, by the init segment's media header (ISO/IEC 14496-12).
fn timescale(video: &Rendition) -> u32 {
    let bytes = fs::read(&video.file).expect("it was fetched");
    let track = find(&bytes, b"moov").and_then(|moov| find(moov, b"trak")).expect("a track");
    let header = find(track, b"mdia").and_then(|media| find(media, b"mdhd")).expect("a media header");
    let at = if header[0] == 1 { 20 } else { 12 };
    u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"))
}

/// The mean difference of two pictures' values.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / f64::from(u32::try_from(a.len()).expect("small"))
}
