//! The storyboard: every small picture is the frame of the source that the index claims.

use std::path::{Path, PathBuf};

use reelmill_e2e::judge;
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{
    stage::{Shown, same, transcode},
    vtt::{Line, lines},
};

/// Frames in a second of the source.
const RATE: f64 = 30_000.0 / 1001.0;
/// Frames of the source.
const FRAMES: usize = 250;
/// A picture of the storyboard.
const WIDTH: usize = 96;
const HEIGHT: usize = 54;

/// Frames that count themselves in black and white fields, so that no two within the source look alike, over colours.
fn counted(folder: &Path) -> PathBuf {
    let field = |n: usize, colour: &str| format!("drawbox=x={}:y=0:w=40:h=90:color={colour}:t=fill", n * 40);
    let mut filters: Vec<String> = vec!["drawbox=x=0:y=0:w=320:h=90:color=black:t=fill".to_owned()];
    for bit in 0..8 {
        filters.push(format!("{}:enable='mod(floor(n/{}),2)'", field(bit, "white"), 1 << bit));
    }
    for (n, colour) in ["red", "lime", "blue", "yellow"].iter().enumerate() {
        filters.push(format!("drawbox=x={}:y=120:w=80:h=60:color={colour}:t=fill", n * 80));
    }
    let words = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 -frames:v {FRAMES} -vf {},scale=out_color_matrix=bt709,format=yuv420p \
         -c:v libx264 -preset ultrafast -crf 10 -colorspace bt709 -color_primaries bt709 -color_trc bt709 a.mp4",
        filters.join(",")
    );
    media::make(folder, &words)
}

/// A picture that the index names: the pixels of its place on its sheet, RGB.
fn cut_out(shown: &Shown, folder: &str, line: &Line) -> Vec<u8> {
    let (sheet, place) = line.text.split_once("#xywh=").expect("a place on a sheet");
    let [x, y, w, h]: [usize; 4] =
        place.split(',').map(|n| n.parse().expect("a number")).collect::<Vec<_>>().try_into().expect("four numbers");
    assert_eq!((w, h), (WIDTH, HEIGHT));
    let file = shown.path(&format!("{folder}/{sheet}"));
    let sheets = judge::pictures_of(&file, 3 * WIDTH, 2 * HEIGHT);
    assert_eq!(sheets.len(), 1, "{} is one picture", file.display());
    let row = |n: usize| {
        let at = ((y + n) * 3 * WIDTH + x) * 3;
        sheets[0][at..at + w * 3].to_vec()
    };
    (0..h).flat_map(row).collect()
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    #[allow(clippy::cast_precision_loss, reason = "small sums")]
    let mean = sum as f64 / a.len() as f64;
    mean
}

#[tokio::test(flavor = "multi_thread")]
async fn every_small_picture_is_the_frame_that_the_index_claims() {
    let folder = TempDir::new().expect("a temporary folder");
    let source = counted(folder.path());
    let frames = judge::pictures_of(&source, WIDTH, HEIGHT);
    assert_eq!(frames.len(), FRAMES);
    let shown = transcode(&source).await;
    let report = &shown.output.report;
    let board = format!("{}/storyboard", report.attempt);
    let index = shown.read(&format!("{board}/storyboard.vtt"));
    let pictures = lines(index.strip_prefix("WEBVTT\n").expect("WebVTT"));
    let sheets = report.storyboard.expect("a storyboard");
    assert_eq!((pictures.len(), sheets.pictures, sheets.sheets), (9, 9, 2));
    let mut end = 0.0;
    for (n, line) in pictures.iter().enumerate() {
        assert!(same(line.start, end), "{line:?} begins where the one before ends");
        end = line.end;
        let seen = cut_out(&shown, &board, line);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a clip of seconds")]
        let claimed = (line.start * RATE).round() as usize;
        assert_eq!(claimed, n * 30);
        let best = (0..FRAMES).min_by(|a, b| distance(&seen, &frames[*a]).total_cmp(&distance(&seen, &frames[*b])));
        assert_eq!(best, Some(claimed), "picture {n} looks most like the frame that it claims");
        let apart = distance(&seen, &frames[claimed]);
        assert!(apart < 6.0, "picture {n} is {apart} away from its frame");
    }
    #[allow(clippy::cast_precision_loss, reason = "a clip of seconds")]
    let length = FRAMES as f64 / RATE;
    assert!(same(end, length), "the last one ends with the film: {end}");
}
