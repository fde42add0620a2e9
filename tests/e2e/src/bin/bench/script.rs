//! A whole job against the ordinary script (download, encode, upload in turn), with a store that gives 20 MB/s and takes
//! 20 ms over each request.

use std::{path::Path, time::Duration};

use reelmill_e2e::{Farm, files_under};
use reelmill_lab::{
    media,
    s3::{BUCKET, Pace},
};
use tempfile::TempDir;

use crate::{
    bare,
    client::{curl, upload},
    job::{Site, looped},
    ratio::{cpu_of, cpu_of_children, measure, noted, tell},
};

const PACE: Pace =
    Pace { per_request: Duration::from_millis(20), per_part: Duration::ZERO, bytes_per_second: Some(20_000_000) };
const PAIRS: usize = 3;

pub(crate) async fn run() {
    let site = Site::start(Farm::start_slow(PACE).await);
    let folder = TempDir::new().expect("a folder");
    let small = looped(folder.path(), 4);
    let large = media::make(
        folder.path(),
        "-stream_loop 3 -i CLIP -c:a copy -c:v libx264 -preset ultrafast -g 1 -b:v 40M -maxrate 40M -bufsize 40M large.mp4",
    );
    for (name, source) in [("small source", &small), ("large source", &large)] {
        one(&site, folder.path(), name, source).await;
    }
}

async fn one(site: &Site, folder: &Path, name: &str, source: &Path) {
    let key = source.file_name().and_then(|n| n.to_str()).expect("a name");
    let input = upload(&site.farm.store, source, key).await;
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        let (job, _) = measure(|| cpu_of(site.worker.pid()), site.job(&input, "hls-ladder")).await;
        let store = format!("{}/{BUCKET}", site.farm.store.endpoint);
        let (key, line) = (key.to_owned(), bare::command_line(&site.log()));
        let here = folder.join(format!("script-{key}-{n}"));
        // The store is served by this process, so the script must not block it.
        let script = tokio::task::spawn_blocking(move || script(&store, &key, &line, &here));
        let (script, ended) = measure(cpu_of_children, script).await;
        ended.expect("the script ran");
        pairs.push(noted((job, script)));
    }
    let megabytes = source.metadata().map_or(0, |m| m.len()) / 1_000_000;
    tell(
        &format!("job / ordinary script, {name} ({megabytes} MB, store at 20 MB/s and 20 ms)"),
        "clearly below 1",
        &pairs,
    );
}

fn script(store: &str, key: &str, line: &[String], here: &Path) {
    std::fs::create_dir_all(here).expect("a folder");
    let (source, out) = (here.join("source"), here.join("out"));
    curl(&["-o", &source.display().to_string(), &format!("{store}/{key}")]);
    bare::run(line, &source, &out);
    // One client for all files: kinder to the script than one each.
    let mut words = Vec::new();
    for file in files_under(&out) {
        words.extend(["-T".to_owned(), out.join(&file).display().to_string(), format!("{store}/script/{file}")]);
    }
    curl(&words.iter().map(String::as_str).collect::<Vec<_>>());
}
