//! Containers that are crafted: they refer to other files, carry passengers, or claim what they do not hold.

use std::process::Command;

use reelmill_api::{ErrorKind, Failure};
use reelmill_lab::media;

use crate::{
    canary::SECRET,
    stage::{End, Stage, tiny},
};

/// A box of an MP4 file.
fn boxed(kind: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).expect("a small box");
    [&size.to_be_bytes(), kind, payload].concat()
}

/// The file with every box at `path` given a new payload; the boxes around it are made to fit.
fn rewritten(file: &[u8], path: &[&[u8; 4]], payload: &[u8]) -> Vec<u8> {
    let (mut rest, mut out) = (file, Vec::new());
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let (this, next) = rest.split_at(u32::from_be_bytes(*size) as usize);
        out.extend(match (path, &after[..4]) {
            ([last], kind) if kind == *last => boxed(kind, payload),
            ([first, inner @ ..], kind) if kind == *first => boxed(kind, &rewritten(&this[8..], inner, payload)),
            _ => this.to_vec(),
        });
        rest = next;
    }
    out
}

/// The file with four bytes replaced, `at` bytes after the payload of the first box of that kind begins.
fn patched(file: &[u8], kind: &[u8; 4], at: usize, value: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    let start = file.windows(4).position(|w| w == kind).expect("the box is there") + 4 + at;
    file[start..start + 4].copy_from_slice(&value.to_be_bytes());
    file
}

/// A data reference as QuickTime writes it: an alias record with the path of another file.
fn alias(path: &str) -> Vec<u8> {
    let mut path = path.as_bytes().to_vec();
    path.resize(path.len().next_multiple_of(2), 0);
    let text = |text: &str, size: usize| {
        let mut field = vec![u8::try_from(text.len()).expect("short")];
        field.extend(text.as_bytes());
        field.resize(size + 1, 0);
        field
    };
    let length = u16::try_from(path.len()).expect("a path");
    let levels = [0; 4];
    let record = [
        &[0; 4 + 10][..],
        &text("X", 27),
        &[0; 12],
        &text("canary.mov", 63),
        &[0; 16],
        &levels,
        &[0; 16],
        &[0, 2],
        &length.to_be_bytes(),
        &path,
        &[0xff, 0xff, 0, 0],
    ];
    boxed(b"alis", &record.concat())
}

fn with_reference(movie: &[u8], entry: &[u8]) -> Vec<u8> {
    let one = [&[0, 0, 0, 0, 0, 0, 0, 1], entry].concat();
    rewritten(movie, &[b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"], &one)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movie_that_refers_to_another_file_opens_nothing() {
    let stage = Stage::start().await;
    let movie = tiny(stage.farm.folder.path(), "clip.mov");
    let target = stage.canary.file("canary.mov").display().to_string();
    let aliased = with_reference(&movie, &alias(&target));
    let file = stage.farm.folder.path().join("careless.mov");
    std::fs::write(&file, &aliased).expect("a file");
    let _ = stage.canary.touched();
    let careless = ["-v", "error", "-enable_drefs", "1", "-use_absolute_path", "1"];
    let fell = Command::new("ffprobe").args(careless).arg(&file).output().expect("ffprobe is installed");
    assert_ne!(stage.canary.touched(), Vec::<String>::new(), "this trap proves nothing: {fell:?}");

    let url = |url: String| boxed(b"url ", &[&[0; 4], url.as_bytes(), &[0]].concat());
    let host = format!("http://127.0.0.1:{}/canary.mov", stage.canary.port);
    for (key, bytes) in [
        ("alias.mov", aliased),
        ("url-file.mov", with_reference(&movie, &url(format!("file://{target}")))),
        ("url-host.mov", with_reference(&movie, &url(host))),
    ] {
        let job = stage.submit(key, &bytes).await;
        // Its own media may be played, for that is in the file itself.
        clear(key, &stage.end(job).await);
        assert_eq!(stage.canary.touched(), Vec::<String>::new(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passengers_of_a_container_are_left_behind() {
    let stage = Stage::start().await;
    let folder = stage.farm.folder.path();
    let txt = stage.canary.file("canary.txt").display().to_string();
    let style = format!("[V4+ Styles]\nFormat: Name, Fontname\nStyle: D,{txt}\n");
    let event = "[Events]\nFormat: Layer, Start, End, Style, Text\nDialogue: 0,0:00:00.00,0:00:01.00,D,hello\n";
    let subtitles = folder.join("titles.ass");
    std::fs::write(&subtitles, format!("[Script Info]\nScriptType: v4.00+\n\n{style}\n{event}")).expect("a file");
    let words = format!(
        "-f lavfi -i testsrc2=size=96x64:rate=10 -f lavfi -i sine -i {} -t 1 -c:v libx264 -preset ultrafast -c:a aac \
         -c:s ass -attach {txt} -metadata:s:t mimetype=application/x-truetype-font -metadata:s:t filename={txt} \
         -metadata title=http://127.0.0.1:{}/ clip.mkv",
        subtitles.display(),
        stage.canary.port
    );
    let movie = std::fs::read(media::make(folder, &words)).expect("it was just made");
    assert!(movie.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "the font is in it");
    let _ = stage.canary.touched();
    let job = stage.submit("passengers.mkv", &movie).await;
    let report = stage.end(job).await.expect("its video is good");
    let names: Vec<_> = report.renditions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["64p", "audio"]);
    assert_eq!(stage.canary.touched(), Vec::<String>::new());
}

/// A job ends in whole output, or in one clear sentence.
pub(crate) fn clear(name: &str, end: &End) {
    if let Err((Failure { kind, message, hint, .. }, _)) = end {
        assert!(!matches!(kind, ErrorKind::Bug | ErrorKind::Canceled | ErrorKind::Busy), "{name}: {kind}: {message}");
        assert!(message.len() > 20 && message.len() < 4000 && !message.contains('\n'), "{name}: {message}");
        assert!(*kind != ErrorKind::BadSource || hint.is_some(), "{name}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_claims_end_soon_and_clearly() {
    let stage = Stage::start().await;
    let _ = stage.canary.touched();
    let clip = tiny(stage.farm.folder.path(), "clip.mp4");
    let moov = clip.windows(4).position(|w| w == b"moov").expect("it has an index") - 4;
    let raw = |head: &str| [head.as_bytes(), b"\nFRAME\n", &[b'x'; 6144], b"FRAME\n", &[b'x'; 6144]].concat();
    let nested = (0..2000).fold(Vec::new(), |inner, _| boxed(b"moov", &inner));
    let huge = [&clip[..moov], &[0, 0, 0, 1], b"moov", &(1_u64 << 62).to_be_bytes(), &clip[moov + 8..]].concat();
    let mut jobs = Vec::new();
    for (key, bytes) in [
        ("samples.mp4", patched(&clip, b"stsz", 8, 0x7fff_ffff)),
        ("sample-size.mp4", patched(&clip, b"stsz", 4, 0x7fff_ffff)),
        ("times.mp4", patched(&clip, b"stts", 8, 0x7fff_ffff)),
        ("time-entries.mp4", patched(&clip, b"stts", 4, 0x1000_0000)),
        ("far-apart.mp4", patched(&clip, b"stts", 12, 0x7fff_ffff)),
        ("at-once.mp4", patched(&clip, b"stts", 12, 0)),
        ("chunk.mp4", patched(&clip, b"stsc", 12, 0x7fff_ffff)),
        ("offset.mp4", patched(&clip, b"stco", 8, 0xffff_fff0)),
        ("ticks.mp4", patched(&clip, b"mdhd", 12, 0x7fff_ffff)),
        ("duration.mp4", patched(&clip, b"mdhd", 16, 0xffff_fffe)),
        ("movie-duration.mp4", patched(&clip, b"mvhd", 16, 0xffff_fffe)),
        ("edit.mp4", patched(&clip, b"elst", 12, 0x7fff_fff0)),
        ("size.mp4", patched(&clip, b"avc1", 24, 0xffff_ffff)),
        ("track-size.mp4", patched(&clip, b"tkhd", 76, 0x7fff_ffff)),
        ("index-size.mp4", [&clip[..moov], &0xffff_fff0_u32.to_be_bytes(), &clip[moov + 4..]].concat()),
        ("index-huge.mp4", huge),
        ("nested.mp4", [&clip[..32], &nested].concat()),
        ("picture.y4m", raw("YUV4MPEG2 W2147483647 H2147483647 F25:1 Ip A1:1 C420jpeg")),
        ("large.y4m", raw("YUV4MPEG2 W16384 H16384 F25:1 Ip A1:1 C420jpeg")),
        ("fast.y4m", raw("YUV4MPEG2 W64 H64 F1000000000:1 Ip A1:1 C420jpeg")),
        ("slow.y4m", raw("YUV4MPEG2 W64 H64 F1:1000000 Ip A1:1 C420jpeg")),
        ("aspect.y4m", raw("YUV4MPEG2 W64 H64 F25:1 Ip A2147483647:1 C420jpeg")),
    ] {
        jobs.push((key, stage.submit(key, &bytes).await));
    }
    for (key, job) in jobs {
        clear(key, &stage.end(job).await);
    }
    assert_eq!(stage.canary.touched(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_frames_do_not_keep_a_worker_for_days() {
    let stage = Stage::start().await;
    let folder = stage.farm.folder.path();
    let words = "-f lavfi -i testsrc2=size=96x64:rate=10 -t 1 -c:v libx264 -preset ultrafast -video_track_timescale 10240 v.mp4";
    let clip = std::fs::read(media::make(folder, words)).expect("it was just made");
    // Five frames, a pause of 50 hours, five frames.
    let times = [0_u32, 3, 5, 1024, 1, 10_240 * 3600 * 50, 4, 1024].map(u32::to_be_bytes).concat();
    let clip = rewritten(&clip, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"], &times);
    let clip = rewritten(&clip, &[b"moov", b"trak", b"edts"], &[]);
    let failure = stage.refused(stage.submit("pause.mp4", &clip).await, "pause.mp4").await;
    assert_eq!(failure.kind, ErrorKind::BadSource);
    let begins =
        format!("cannot use {} as a source: it declares 1.0 s of video, and gave", stage.location("pause.mp4"));
    assert!(failure.message.starts_with(&begins), "{failure:?}");
}
