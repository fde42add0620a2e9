//! A whole job through the store against the same ffmpeg ladder run bare on local files.

use reelmill_e2e::Farm;
use tempfile::TempDir;

use crate::{
    bare,
    client::upload,
    job::{Site, looped},
    ratio::{cpu_of, cpu_of_children, measure, noted, tell},
};

/// How often the clip is repeated: 58 s of media.
const TIMES: u32 = 11;
const PAIRS: usize = 3;

pub(crate) async fn run() {
    let site = Site::start(Farm::start().await);
    let folder = TempDir::new().expect("a folder");
    let source = looped(folder.path(), TIMES);
    let input = upload(&site.farm.store, &source, "looped.mp4").await;
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        let (job, _) = measure(|| cpu_of(site.worker.pid()), site.job(&input, "hls-ladder")).await;
        let line = bare::command_line(&site.log());
        let out = folder.path().join(format!("bare-{n}"));
        let (bare, ()) = measure(cpu_of_children, async { bare::run(&line, &source, &out) }).await;
        pairs.push(noted((job, bare)));
    }
    tell("job through the store / bare ffmpeg on local files", "at most 1.05", &pairs);
}
