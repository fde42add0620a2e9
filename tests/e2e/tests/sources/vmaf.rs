//! The sampled VMAF, where the worker's ffmpeg has libvmaf: segments are matched with the frames that they were made of,
//! whatever was done to those, and a ladder that is worse than asked is not published.

use reelmill_api::{ErrorKind, EventBody};
use reelmill_e2e::Farm;
use reelmill_lab::{media, programs::Running};

use crate::programs;

/// A preset that asks for what its own rate gives easily, and one that asks for more than its rate can give.
const PRESETS: [(&str, &str, u32); 2] = [("measured", "crf = 16", 80), ("too-much", "crf = 48", 90)];

/// Sources in which each frame is unlike the one before it, so that a wrong match scores near nothing.
const SOURCES: &[(&str, &str)] = &[
    ("even frames", "MOVING@30000/1001 -g 90 a.mp4"),
    ("a late start", "MOVING@25 -bf 2 -output_ts_offset 7 a.ts"),
    ("fields", "MOVING@50 -g 30 -vf interlace=scan=tff -flags +ilme+ildct -x264opts tff=1 a.mkv"),
    ("an uneven rate", "MOVING@30 -vf select='mod(n\\,7)' -fps_mode vfr a.mkv"),
];

async fn farm() -> (Farm, Running) {
    let farm = Farm::start().await;
    for (name, crf, floor) in PRESETS {
        farm.add_preset(name, &[("180p", 320, 180), ("90p", 160, 90)]);
        let file = farm.folder.path().join(format!("presets/{name}.toml"));
        let text = std::fs::read_to_string(&file).expect("just written");
        let text = text.replace("crf = 24", crf).replace("[video]\n", &format!("[video]\nvmaf_min = {floor}\n"));
        std::fs::write(file, text.replace("max_bps = 800000", "max_bps = 4000000")).expect("our folder");
    }
    let worker = Running::start(programs::chosen(farm.worker(), farm.folder.path()));
    (farm, worker)
}

fn made(farm: &Farm, name: &str, words: &str) -> String {
    let folder = farm.folder.path().join(name.replace(' ', "-"));
    std::fs::create_dir(&folder).expect("a folder of its own");
    let (rate, rest) = words.strip_prefix("MOVING@").and_then(|w| w.split_once(' ')).expect("a rate");
    let input = format!("-f lavfi -i mandelbrot=size=320x180:rate={rate}:end_scale=0.01:maxiter=200 -t 12");
    let file = media::make(&folder, &format!("{input} -c:v libx264 -preset ultrafast -crf 8 -pix_fmt yuv420p {rest}"));
    let ending = file.extension().expect("an ending").to_string_lossy().into_owned();
    farm.upload(&file, &format!("{}/a.{ending}", name.replace(' ', "-")))
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_compared_with_the_frames_they_were_made_of() {
    let (farm, _worker) = farm().await;
    for (name, words) in SOURCES {
        let job = farm.submit(&made(&farm, name, words), "measured").await;
        let ended =
            farm.wait_for(job, name, |e| !matches!(e.body, EventBody::Started | EventBody::Progress { .. })).await;
        let EventBody::Done { report } = ended.body else { panic!("{name}: {:?}", ended.body) };
        let check = report.checks.iter().find(|check| check.starts_with("VMAF"));
        let unmeasured = "VMAF was not measured: this ffmpeg was built without libvmaf";
        if programs::has_filter("libvmaf") {
            let check = check.unwrap_or_else(|| panic!("{name}: {:?}", report.checks));
            assert!(check.starts_with("VMAF of 3 sampled segments of 180p at least "), "{name}: {check}");
            assert!(!report.changes.iter().any(|change| change == unmeasured), "{name}");
        } else {
            assert!(report.changes.iter().any(|change| change == unmeasured), "{name}: {:?}", report.changes);
            assert_eq!(check, None, "{name}: nothing is said to be measured that was not");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_that_is_worse_than_asked_is_not_published() {
    if !programs::has_filter("libvmaf") {
        eprintln!("skipped: this ffmpeg was built without libvmaf; `cargo xtask test sources-ffmpeg8` runs it");
        return;
    }
    let (farm, _worker) = farm().await;
    let job = farm.submit(&made(&farm, "poor", SOURCES[0].1), "too-much").await;
    let ended =
        farm.wait_for(job, "the end", |e| !matches!(e.body, EventBody::Started | EventBody::Progress { .. })).await;
    let EventBody::Failed { failure, .. } = ended.body else { panic!("{:?}", ended.body) };
    assert_eq!(failure.kind, ErrorKind::Infrastructure);
    let (start, end) = failure.message.split_once(" has a VMAF of ").expect("it says what was measured");
    assert!(start.starts_with("the output was not published: rendition 180p: segment "), "{start}");
    assert!(end.ends_with(", where the preset asks for 90"), "{end}");
    assert!(farm.output_files(job).is_empty(), "nothing of it is left");
}
