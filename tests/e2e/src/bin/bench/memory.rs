//! Peak resident memory of the worker process itself, for a short and a long source.

use reelmill_e2e::{Farm, processes::peak_memory};
use tempfile::TempDir;

use crate::{
    client::upload,
    job::{Site, looped},
};

pub(crate) async fn run() {
    let mut peaks = Vec::new();
    for (minutes, times) in [(1, 12), (10, 114)] {
        let farm = Farm::start().await;
        farm.add_preset("quick", &[("720p", 1280, 720), ("360p", 640, 360)]);
        let site = Site::start(farm);
        let folder = TempDir::new().expect("a folder");
        let input = upload(&site.farm.store, &looped(folder.path(), times), "looped.mp4").await;
        site.job(&input, "quick").await;
        let peak = peak_memory(site.worker.pid()) as f64 / 1e6;
        println!("worker's peak resident memory, {minutes} min of media: {peak:.1} MB; target below 64 MB");
        peaks.push(peak);
    }
    println!("growth from 1 to 10 min: ratio {:.2}; target 1", peaks[1] / peaks[0]);
}
