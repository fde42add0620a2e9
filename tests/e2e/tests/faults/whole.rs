//! Whether what lies in a folder is a whole ladder: every address leads to a file, and a decoder takes all of it without
//! a complaint. A quick judge, because these tests end many jobs; `reelmill_e2e::truth` looks closer.

use std::{path::Path, process::Command};

use serde_json::Value;

/// What is wrong with the published ladder in a folder, if anything is. All video renditions must have `frames` frames
/// (25 a second), and the sound beside them must last as long.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(folder: &Path, frames: u64) -> Result<(), String> {
    let master = folder.join("master.m3u8");
    let text = read(&master)?;
    let playlists = addresses(&text);
    for address in &playlists {
        rendition(&folder.join(address), frames).map_err(|e| format!("{address}: {e}"))?;
    }
    let tracks = decode(&master)?;
    let videos = tracks.iter().filter(|(kind, _)| kind == "video");
    if tracks.len() != playlists.len() || playlists.is_empty() {
        return Err(format!("{} tracks in {} renditions", tracks.len(), playlists.len()));
    }
    match videos.clone().find(|(_, decoded)| *decoded != frames) {
        Some((_, decoded)) => Err(format!("{decoded} frames instead of {frames}")),
        None => Ok(()),
    }
}

/// The addresses in a playlist: lines that are no tags, and `URI` attributes.
fn addresses(playlist: &str) -> Vec<&str> {
    playlist
        .lines()
        .filter_map(|line| match line.split_once("URI=\"") {
            Some((_, rest)) => rest.split('"').next(),
            None => (!line.starts_with('#') && !line.is_empty()).then_some(line),
        })
        .collect()
}

fn rendition(playlist: &Path, frames: u64) -> Result<(), String> {
    let text = read(playlist)?;
    if !text.ends_with("#EXT-X-ENDLIST\n") {
        return Err("it does not end".to_owned());
    }
    for address in addresses(&text) {
        let bytes = playlist.with_file_name(address).metadata().map_err(|e| format!("{address}: {e}"))?.len();
        if bytes == 0 {
            return Err(format!("{address} is empty"));
        }
    }
    let lengths = text.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse::<f64>().ok());
    let (seconds, want): (f64, _) = (lengths.sum(), length(frames));
    // A packet of sound is no frame of picture, and sources end a little later in one than in the other.
    if (seconds - want).abs() > 0.1 { Err(format!("it lasts {seconds} s instead of {want} s")) } else { Ok(()) }
}

#[allow(clippy::cast_precision_loss, reason = "clips of seconds")]
fn length(frames: u64) -> f64 {
    frames as f64 / 25.0
}

/// Decodes all renditions: the kind of each track and the number of frames in it.
fn decode(playlist: &Path) -> Result<Vec<(String, u64)>, String> {
    let words =
        "-v error -allowed_extensions ALL -count_frames -show_entries stream=codec_type,nb_read_frames -of json";
    let ran = Command::new("ffprobe").args(words.split(' ')).arg(playlist).output().map_err(|e| e.to_string())?;
    let complaint = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() || !complaint.is_empty() {
        return Err(format!("ffprobe: {complaint}"));
    }
    let said: Value = serde_json::from_slice(&ran.stdout).map_err(|e| e.to_string())?;
    let streams = said["streams"].as_array().ok_or("no streams")?;
    let text = |stream: &Value, name: &str| stream[name].as_str().unwrap_or_default().to_owned();
    Ok(streams.iter().map(|s| (text(s, "codec_type"), text(s, "nb_read_frames").parse().unwrap_or(0))).collect())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}
