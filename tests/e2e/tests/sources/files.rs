//! Single files: masters, proxies and clips for feeds, measured like ladders.

use std::path::Path;

use reelmill_api::{Report, layout};
use reelmill_e2e::judge;
use serde_json::Value;

use crate::{
    check::{exactly, told},
    hearing,
    kind::Sound,
    scene::{self, Scene},
};

/// What must be measured of the files that a source became.
pub(crate) struct Files {
    /// Each of them.
    pub(crate) files: Vec<File>,
    /// Which frames of the scene are seen.
    pub(crate) shows: Vec<usize>,
    /// What must be heard of each track.
    pub(crate) sounds: Vec<Sound>,
    /// What ffprobe must say of every track of sound.
    pub(crate) sound_says: &'static [(&'static str, &'static str)],
    /// All that the report says was done to the source.
    pub(crate) says: Vec<String>,
}

/// One file.
pub(crate) struct File {
    /// Its name.
    pub(crate) name: &'static str,
    /// What ffprobe must say of its pictures.
    pub(crate) says: Vec<(&'static str, &'static str)>,
    /// The filter, with a comma behind it, that leaves the scene of what is in its frame.
    pub(crate) scene: &'static str,
    /// The most frames from one keyframe to the next.
    pub(crate) keyframe_every: usize,
    /// Whether its index comes before its media.
    pub(crate) index_first: bool,
    /// The time code of its first frame.
    pub(crate) timecode: Option<&'static str>,
}

/// Holds the files in a folder against what must be measured of them.
pub(crate) fn check(want: &Files, report: &Report, folder: &Path, scene: &Scene) -> Result<(), String> {
    told(&want.says, &report.changes)?;
    for file in &want.files {
        // In the folder of the attempt that was published.
        let path = folder.join(layout::attempt_file(&report.attempt, file.name));
        one(want, file, &path, scene).map_err(|why| format!("{}: {why}", file.name))?;
    }
    Ok(())
}

fn one(want: &Files, file: &File, path: &Path, scene: &Scene) -> Result<(), String> {
    judge::decodes(path);
    let found = judge::ffprobe(path, "-show_streams -show_packets -show_format");
    let of_kind = |kind: &str| streams(&found).filter(|s| s["codec_type"] == kind).collect::<Vec<_>>();
    let (videos, sounds) = (of_kind("video"), of_kind("audio"));
    let [video] = videos[..] else { return Err(format!("it has {} video tracks", videos.len())) };
    says(video, &file.says)?;
    let frames = scene::frames_through(path, file.scene);
    exactly(&want.shows, &frames.iter().map(|f| f.number.clone()).collect::<Vec<_>>())?;
    for (n, frame) in frames.iter().enumerate() {
        scene.resembles(frame.number.clone()?, frame).map_err(|why| format!("frame {n}: {why}"))?;
    }
    keyframes(&found, video, file.keyframe_every)?;
    if timecode(&found) != file.timecode {
        return Err(format!("its time code is {:?} instead of {:?}", timecode(&found), file.timecode));
    }
    if is_index_first(path) != file.index_first {
        return Err("its index is not where it should be".to_owned());
    }
    if sounds.len() != want.sounds.len() {
        return Err(format!("it has {} tracks of sound instead of {}", sounds.len(), want.sounds.len()));
    }
    for (n, (sound, heard)) in sounds.iter().zip(&want.sounds).enumerate() {
        says(sound, want.sound_says)?;
        says(sound, &[("channels", &heard.channels.to_string())])?;
        hearing::check(&judge::sound(path, n), heard).map_err(|why| format!("track {n}: {why}"))?;
    }
    Ok(())
}

fn streams(found: &Value) -> impl Iterator<Item = &Value> {
    found["streams"].as_array().into_iter().flatten()
}

fn says(stream: &Value, want: &[(&str, &str)]) -> Result<(), String> {
    for (name, want) in want {
        let said = stream[name].as_str().map_or_else(|| stream[name].to_string(), str::to_owned);
        if said != *want {
            return Err(format!("its {name} is {said} instead of {want}"));
        }
    }
    Ok(())
}

/// Packets come as they lie in the file, so runs between keyframes are counted in them.
fn keyframes(found: &Value, video: &Value, most: usize) -> Result<(), String> {
    let packets = found["packets"].as_array().into_iter().flatten().filter(|p| p["stream_index"] == video["index"]);
    let keys: Vec<_> = packets.map(|p| p["flags"].as_str().is_some_and(|f| f.starts_with('K'))).collect();
    let longest = keys.split(|key| *key).map(<[bool]>::len).max().unwrap_or_default() + 1;
    if keys.first() == Some(&true) && longest <= most {
        return Ok(());
    }
    Err(format!("up to {longest} frames lie between its keyframes"))
}

fn timecode(found: &Value) -> Option<&str> {
    streams(found).find_map(|s| s["tags"]["timecode"].as_str())
}

fn is_index_first(path: &Path) -> bool {
    let bytes = std::fs::read(path).expect("it was published");
    let at = |kind: &[u8]| bytes.windows(4).position(|w| w == kind);
    at(b"moov") < at(b"mdat")
}
