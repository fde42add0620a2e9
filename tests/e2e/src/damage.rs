//! Damaged sources: real clips of one second in several containers and codecs, with bits flipped and pieces cut, the same
//! in every run; and what may become of them.

mod bout;
mod tally;

use std::path::Path;

use reelmill_lab::media;

pub use bout::Bout;
pub use tally::Tally;

use crate::numbers::Numbers;

/// The clips: a second of the bundled one, made small, by what it is put into.
const CLIPS: &[(&str, &str)] = &[
    ("h264-aac.mp4", "-c:v libx264 -preset ultrafast -c:a aac"),
    ("h264-flac.mkv", "-c:v libx264 -preset veryfast -c:a flac"),
    ("h264-aac.ts", "-c:v libx264 -preset veryfast -g 5 -c:a aac"),
    ("hevc-ac3.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=error -tag:v hvc1 -c:a ac3"),
    ("mpeg2-mp2.mpg", "-r 25 -c:v mpeg2video -c:a mp2"),
    ("mpeg4-mp3.avi", "-c:v mpeg4 -c:a libmp3lame"),
    ("prores-pcm.mov", "-c:v prores_ks -c:a pcm_s16le"),
    ("vp9-opus.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
];

/// The clips that are damaged.
pub struct Clips(Vec<(&'static str, Vec<u8>)>);

impl Clips {
    /// Makes them with ffmpeg, in a folder that holds nothing of these names.
    pub fn make(folder: &Path) -> Self {
        let made = |(name, words): &(&'static str, &str)| {
            let words = format!("-i CLIP -t 1 -vf scale=96:54,setsar=1 -r 10 -ac 2 {words} {name}");
            (*name, std::fs::read(media::make(folder, &words)).expect("it was just made"))
        };
        Self(CLIPS.iter().map(made).collect())
    }

    /// The whole clips, by name.
    pub fn whole(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (*name, bytes.as_slice()))
    }

    /// The damaged source of that number: the clips in turn, with bits and bytes changed, more of them in what describes
    /// the media than in the media; of some a piece is missing, or the end.
    pub fn damaged(&self, number: u64) -> (String, Vec<u8>) {
        let mut numbers = Numbers::from_seed(number);
        let turn = usize::try_from(number % self.0.len() as u64).expect("less than a usize");
        let (name, clip) = &self.0[turn];
        let mut clip = clip.clone();
        for _ in 0..[1, 2, 4, 8, 32][numbers.below(5)] {
            let at = place(&mut numbers, clip.len());
            clip[at] ^= if numbers.below(2) == 0 {
                1 << numbers.below(8)
            } else {
                u8::try_from(1 + numbers.below(255)).expect("a byte")
            };
        }
        match numbers.below(10) {
            0 => clip.truncate(numbers.below(clip.len())),
            1 => {
                let from = numbers.below(clip.len());
                let to = (from + 1 + numbers.below(2000)).min(clip.len());
                drop(clip.drain(from..to));
            }
            _ => {}
        }
        (format!("{number:05}-{name}"), clip)
    }
}

/// Containers describe their media at the start or at the end.
fn place(numbers: &mut Numbers, length: usize) -> usize {
    let edge = (length / 8).min(2000);
    match numbers.below(4) {
        0 => numbers.below(edge),
        1 => length - 1 - numbers.below(edge),
        _ => numbers.below(length),
    }
}
