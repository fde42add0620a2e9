//! Sources and presets of the jobs.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use reelmill_lab::media;
use tempfile::TempDir;

/// Frames of each source.
pub(crate) const FRAMES: u64 = 62;

/// What a job is about.
#[derive(Clone, Copy)]
pub(crate) enum Scene {
    /// Two small rungs with segments of a second: two whole ones and a short one. The source is small in picture and
    /// large in bytes, and its index lies at its end.
    Small,
    /// One rung of noise with segments of two seconds: the first is longer than a part of an upload, and none other is.
    Large,
}

impl Scene {
    /// The source.
    pub(crate) fn source(self) -> &'static Path {
        static SMALL: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
        static LARGE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
        let (made, picture) = match self {
            Self::Small => (&SMALL, "scale=256:144 -qp 1 -g 1"),
            Self::Large => (&LARGE, "scale=640:360,noise=alls=90:allf=t -crf 12"),
        };
        let (_, path) = made.get_or_init(|| {
            let folder = TempDir::new().expect("a temporary folder");
            let coding = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -ac 2";
            let path = media::make(folder.path(), &format!("-t 2.48 -i CLIP -vf {picture} {coding} source.mp4"));
            (folder, path)
        });
        path
    }

    /// The preset `tiny`.
    pub(crate) fn preset(self) -> String {
        let (segment, rungs) = match self {
            Self::Small => (1, vec![("144p", 256, 144, 30, 400_000), ("72p", 128, 72, 30, 200_000)]),
            Self::Large => (2, vec![("360p", 640, 360, 1, 200_000_000)]),
        };
        let mut text = format!(
            "name = \"tiny\"\ndescription = \"for tests\"\n\
             [video]\ncodec = \"h264\"\neffort = \"ultrafast\"\nmax_frame_rate = 60\n\
             [audio]\ncodec = \"aac\"\nbitrate_bps = 64_000\nsample_rate = 48_000\nchannels = 2\n\
             [ladder]\nsegment_seconds = {segment}\n"
        );
        for (name, long, short, crf, rate) in rungs {
            text += &format!(
                "[[ladder.rungs]]\nname = \"{name}\"\nlong_side = {long}\nshort_side = {short}\ncrf = {crf}\nmax_bps = {rate}\n"
            );
        }
        text
    }
}

/// Where in the small source a read may begin: at its first byte, somewhere in between, and in its index at the end.
pub(crate) fn places() -> [Range<u64>; 3] {
    let bytes = Scene::Small.source().metadata().expect("it was made").len();
    assert!(bytes > 3 << 19, "{bytes} bytes are too few to be read in several blocks");
    [0..1, 256 << 10..bytes - (256 << 10), bytes - (64 << 10)..bytes]
}
