//! ffprobe and ffmpeg as judges: what they make of a file, as plain values.

use std::{path::Path, process::Command};

use serde_json::Value;

/// One packet of a file's only track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it is shown, in ticks.
    pub pts: i64,
    /// When it is decoded, in ticks.
    pub dts: i64,
    /// Whether decoding can start here.
    pub key: bool,
}

/// A file's only track.
#[derive(Clone, Debug)]
pub struct Track {
    /// What ffprobe says of it.
    pub stream: Value,
    /// Its packets as they lie in the file.
    pub packets: Vec<Packet>,
    /// Ticks per second.
    pub timescale: i64,
}

impl Track {
    /// Probes a file.
    pub fn of(file: &Path) -> Self {
        let found = ffprobe(file, "-show_streams -show_packets");
        let streams = found["streams"].as_array().expect("streams");
        assert_eq!(streams.len(), 1, "{} holds one track", file.display());
        let base = text(&streams[0], "time_base");
        let timescale = base.strip_prefix("1/").unwrap_or_else(|| panic!("a time base of {base}"));
        Self {
            stream: streams[0].clone(),
            packets: found["packets"].as_array().expect("packets").iter().map(packet).collect(),
            timescale: timescale.parse().expect("a number"),
        }
    }

    /// What ffprobe says under a name.
    pub fn says(&self, name: &str) -> String {
        text(&self.stream, name)
    }

    /// When the pictures are shown, in order.
    pub fn shown_at(&self) -> Vec<i64> {
        let mut at: Vec<_> = self.packets.iter().map(|p| p.pts).collect();
        at.sort_unstable();
        at
    }

    /// Ticks as seconds.
    #[allow(clippy::cast_precision_loss, reason = "clips of seconds")]
    pub fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 / self.timescale as f64
    }
}

fn packet(found: &Value) -> Packet {
    let number = |name: &str| found[name].as_i64().unwrap_or_else(|| panic!("no {name} in {found}"));
    Packet { pts: number("pts"), dts: number("dts"), key: text(found, "flags").starts_with('K') }
}

fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => text.clone(),
        Value::Null => panic!("no {name} in {value}"),
        other => other.to_string(),
    }
}

/// Runs ffprobe with these words on a file.
pub fn ffprobe(file: &Path, words: &str) -> Value {
    let ran = Command::new("ffprobe")
        .args("-v error -of json".split_whitespace().chain(words.split_whitespace()))
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.is_empty(), "ffprobe {words} {}: {said}", file.display());
    serde_json::from_slice(&ran.stdout).expect("JSON")
}

/// Decodes all of a file, which must go without a single complaint.
pub fn decodes(file: &Path) {
    ffmpeg(file, "-f null -");
}

/// The pictures of a file as it is meant to be seen (turned upright), made small: `side` x `side` RGB.
pub fn pictures(file: &Path, side: usize) -> Vec<Vec<u8>> {
    pictures_of(file, side, side)
}

/// The pictures of a file as it is meant to be seen (turned upright), made small: `across` x `down` RGB.
pub fn pictures_of(file: &Path, across: usize, down: usize) -> Vec<Vec<u8>> {
    pictures_through(file, "", across, down)
}

/// The same, after more filters, each with a comma behind it.
pub fn pictures_through(file: &Path, filters: &str, across: usize, down: usize) -> Vec<Vec<u8>> {
    let words = format!(
        "-map 0:v:0 -fps_mode passthrough -vf {filters}scale={across}:{down}:flags=area -pix_fmt rgb24 -f rawvideo -"
    );
    ffmpeg(file, &words).chunks_exact(across * down * 3).map(<[u8]>::to_vec).collect()
}

/// The brightness that is seen each hundredth of a second, from the start of a file's or a ladder's clock on.
pub fn brightness(file: &Path) -> Vec<u8> {
    ffmpeg(file, "-map 0:v:0 -vf fps=100:start_time=0,scale=1:1:flags=area -pix_fmt gray -f rawvideo -")
}

/// Samples per second of [`sound`].
pub const SOUND_RATE: u32 = 48_000;

/// An audio track of a file as it is heard from time 0 on: mono, silence where nothing is heard yet.
pub fn sound(file: &Path, track: usize) -> Vec<i16> {
    let words = format!("-map 0:a:{track} -af aresample={SOUND_RATE}:async=1:first_pts=0 -ac 1 -f s16le -");
    ffmpeg(file, &words).chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn ffmpeg(file: &Path, words: &str) -> Vec<u8> {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(file)
        .args(words.split_whitespace())
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.is_empty(), "ffmpeg {words} of {}: {said}", file.display());
    ran.stdout
}

/// The first position whose value is beyond half of the largest.
pub fn onset(values: &[f64]) -> usize {
    let largest = values.iter().copied().fold(0.0, f64::max);
    assert!(largest > 0.0, "nothing is there");
    values.iter().position(|v| *v > largest / 2.0).expect("the largest is beyond its half")
}

/// When the first bright picture is seen, in seconds.
#[allow(clippy::cast_precision_loss, reason = "clips of seconds")]
pub fn flash(brightness: &[u8]) -> f64 {
    onset(&brightness.iter().map(|b| f64::from(*b)).collect::<Vec<_>>()) as f64 / 100.0
}

/// When the first loud sound is heard, in seconds.
#[allow(clippy::cast_precision_loss, reason = "clips of seconds")]
pub fn beep(sound: &[i16]) -> f64 {
    onset(&sound.iter().map(|s| f64::from(*s).abs()).collect::<Vec<_>>()) as f64 / f64::from(SOUND_RATE)
}

/// The pitch of a sound that is a single tone, in whole hertz: how often it rises through zero.
pub fn pitch(sound: &[i16]) -> usize {
    let middle = &sound[sound.len() / 4..sound.len() * 3 / 4];
    let rises = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    rises * usize::try_from(SOUND_RATE).expect("small") / middle.len()
}
