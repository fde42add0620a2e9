//! The browser check of subtitles: a clip with two languages becomes a ladder, and hls.js shows each line at its time.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{checkout::Checkout, program};

/// Makes the source and the ladder anew, and has them looked at.
pub(crate) fn check(checkout: &Checkout) -> Result<()> {
    let folder = checkout.leavings("subtitles");
    // What an earlier check left would be taken for published.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (source, ladder) = (folder.join("source.mkv"), folder.join("ladder"));
    let spoken = |language: &str| checkout.browser().join(format!("subtitles/{language}.srt"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(checkout.root().join("tests/media/bbb-5s.mp4"));
    ffmpeg.arg("-i").arg(spoken("english")).arg("-i").arg(spoken("german"));
    ffmpeg.args("-map 0 -map 1 -map 2 -c copy -c:s srt".split(' '));
    ffmpeg.args("-metadata:s:s:0 language=eng -metadata:s:s:1 language=ger".split(' ')).arg(&source);
    program::run(&mut ffmpeg)?;
    program::run(Command::new(checkout.built("reelmill")).arg("transcode").arg(&source).arg(&ladder))?;
    let master = ladder.join("master.m3u8");
    program::run(Command::new("node").arg(checkout.browser().join("lint-playlists.mjs")).arg(&master))?;
    let mut node = Command::new("node");
    node.arg(checkout.browser().join("text.mjs")).arg(&master);
    node.arg(format!("0={}", spoken("english").display())).arg(format!("1={}", spoken("german").display()));
    program::run(node.arg(&folder))
}
