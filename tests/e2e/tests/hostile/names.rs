//! Keys and file names that mean something to shells, URLs, formats or media programs are names and nothing else.

use crate::stage::{QUICK, Stage, tiny};

const NAMES: &[&str] = &[
    "-i",
    "-y -f lavfi.mp4",
    "a%d.mp4",
    "seg_%05d.m4s",
    "frame%03d.png",
    "100%25 a%2fb.mp4",
    "a?b#c&d=e.mp4",
    "it's \"quoted\" `$(id)` $HOME;|&.mp4",
    "a..b/..c/d...mp4",
    "concat:x|y.mp4",
    "http:x.mp4",
    "file:a,b;c.mp4",
    "\u{43c}\u{438}\u{440} \u{1f3ac} e\u{301}.mp4",
    " leading and trailing .mp4",
    "[0:v]@x\\y.mp4",
    "pipe:0",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_and_paths_are_names_only() {
    let stage = Stage::start().await;
    let clip = tiny(stage.farm.folder.path(), "clip.mp4");
    let mut jobs = Vec::new();
    for name in NAMES {
        jobs.push((stage.location(name), stage.submit(name, &clip).await));
        let file = stage.farm.folder.path().join("files").join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, &clip).expect("a file");
        let input = format!("file://{}", file.display());
        jobs.push((input.clone(), stage.farm.submit(&input, QUICK).await));
    }
    for (input, job) in jobs {
        match stage.end(job).await {
            Ok(report) => assert_eq!((report.input.to_string(), report.renditions.len()), (input, 2)),
            Err(failure) => panic!("{input}: {failure:?}"),
        }
    }
    assert_eq!(stage.farm.store.unfinished_uploads(), 0);
}
