//! The work bench on which sources are made: the scene, a sound, and words that stand for longer ones.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use reelmill_lab::media;

use crate::{
    kind::{Kind, Make},
    scene::Scene,
};

/// Amplitude of the quiet tone that lasts.
pub(crate) const TONE: f64 = 0.05;

/// Words that stand for longer ones, the longer ones first.
const SHORT: &[(&str, &str)] = &[
    ("VIDEO", "-vf YUV TAGS H264"),
    ("H264", "-c:v libx264 -preset ultrafast -crf 12"),
    ("MPEG2", "-c:v mpeg2video -q:v 2"),
    ("TAGS", "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"),
    ("YUV", "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p"),
];

/// Where one source is made.
pub(crate) struct Bench {
    /// The scene.
    pub(crate) scene: Arc<Scene>,
    /// A folder of its own.
    pub(crate) folder: PathBuf,
}

impl Bench {
    /// Makes a kind of source.
    pub(crate) fn make_kind(&self, kind: &Kind) -> PathBuf {
        match &kind.make {
            Make::Words(words) => self.make(words),
            Make::Craft(craft) => craft(self),
        }
    }

    /// Runs ffmpeg. `SCENE@25` is the scene as an input at that frame rate. `SOUND@2` is an input of so many seconds with
    /// a quiet tone of 300 Hz and a loud one from 1.0 to 1.2 s on two channels; `SOUND@2:400` has another quiet tone.
    pub(crate) fn make(&self, words: &str) -> PathBuf {
        let mut words = words.to_owned();
        for (short, long) in SHORT {
            words = words.replace(short, long);
        }
        let words: Vec<_> = words.split_whitespace().map(|word| self.input(word)).collect();
        media::make(&self.folder, &words.join(" "))
    }

    fn input(&self, word: &str) -> String {
        if let Some(rate) = word.strip_prefix("SCENE@") {
            return format!("-r {rate} -i {}", self.scene.file.display());
        }
        let Some(sound) = word.strip_prefix("SOUND@") else { return word.to_owned() };
        let (seconds, tone) = sound.split_once(':').unwrap_or((sound, "300"));
        let voice = voice(tone);
        format!("-f lavfi -i aevalsrc='{voice}|{voice}':c=stereo:s=48000:d={seconds}")
    }

    /// A file's bytes, changed, as another file.
    pub(crate) fn changed(&self, file: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> PathBuf {
        let bytes = change(std::fs::read(file).expect("it was just made"));
        let changed = file.with_file_name(format!("changed-{}", file.file_name().expect("a name").to_string_lossy()));
        std::fs::write(&changed, bytes).expect("our folder");
        changed
    }
}

/// A channel's expression: a quiet tone that lasts, and the beep.
fn voice(tone: &str) -> String {
    format!("{TONE}*sin(2*PI*{tone}*t)+0.5*sin(2*PI*1000*t)*between(t,1,1.2)")
}
