//! Clips for feeds: exact frames, the middle of the picture in the middle and upright, no black, an even loudness.

use std::{path::Path, process::Command};

use reelmill_e2e::judge;
use reelmill_lab::media;

use crate::stage::{Product, Stage, says};

/// A grey picture with a box in its middle, of which the upper half is red and the lower one is green.
const MARKED: &str = "-f lavfi -i color=gray:size=640x360:rate=25,drawbox=x=280:y=140:w=80:h=40:color=red:t=fill,\
                      drawbox=x=280:y=180:w=80:h=40:color=lime:t=fill -t 0.6 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";

fn settings(width: u32, height: u32, fit: &str) -> String {
    let frame =
        format!(r#""container":"mp4","frame":{{"width":{width},"height":{height},"fit":"{fit}"}},"max_bps":900000"#);
    format!(
        r#"{{"video":{{"effort":"ultrafast"}},"files":[{{"name":"clip",{frame},"crf":20}},{{"name":"clip-av1","codec":"av1",{frame},"crf":30}}]}}"#
    )
}

/// The first picture in small, as the mean colours of a grid of `across` x `down`.
fn mosaic(file: &Path, across: usize, down: usize) -> Vec<[u8; 3]> {
    let first = judge::pictures_of(file, across, down).swap_remove(0);
    first.as_chunks::<3>().0.to_vec()
}

fn is_red([r, g, b]: [u8; 3]) -> bool {
    r > 150 && g < 90 && b < 90
}

fn is_green([r, g, b]: [u8; 3]) -> bool {
    g > 150 && r < 90 && b < 90
}

/// Sizes, codecs, and the index before the media, in both files.
fn stands(made: &Product, width: u64, height: u64) {
    made.is_true();
    for (index, codec) in ["h264", "av1"].into_iter().enumerate() {
        let video = &made.streams(index)[0];
        assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(width), Some(height)));
        assert_eq!((says(video, "codec_name"), says(video, "pix_fmt")), (codec.to_owned(), "yuv420p".to_owned()));
        let bytes = std::fs::read(made.file(index)).expect("it is there");
        let at = |kind: &[u8]| bytes.windows(4).position(|four| four == kind).expect("the box is there");
        assert!(at(b"moov") < at(b"mdat"), "a player can start at once");
    }
}

#[test]
fn a_cropped_clip_shows_the_middle_upright() {
    let stage = Stage::new();
    let plain = media::make(stage.folder.path(), &format!("{MARKED} plain.mp4"));
    // The same picture, stored lying on its side with a note to turn it.
    let lying = media::make(
        stage.folder.path(),
        &format!("-i {} -vf transpose=cclock -c:v libx264 -preset ultrafast lying.mp4", plain.display()),
    );
    let turned = media::turned(&lying, 1);
    for source in [&plain, &turned] {
        for (width, height) in [(180, 320), (240, 240)] {
            let made = stage.play(source, "social-vertical", &settings(width, height, "crop"));
            let made = made.unwrap_or_else(|e| panic!("{}", e.lines()));
            stands(&made, width.into(), height.into());
            for index in 0..2 {
                // Eighteen rows: the two in the middle are the box's halves.
                let rows = mosaic(&made.file(index), 9, 18);
                let middle = |row: usize| rows[row * 9 + 4];
                assert!(is_red(middle(8)) && is_green(middle(9)), "{:?} {:?}", middle(8), middle(9));
            }
        }
    }
}

#[test]
fn a_clip_over_its_blurred_copy_shows_all_and_has_no_black_edges() {
    let stage = Stage::new();
    let source = media::make(stage.folder.path(), &format!("{MARKED} plain.mp4"));
    for (preset, width, height) in [("social-vertical", 180, 320), ("social-square", 240, 240)] {
        let made = stage.play(&source, preset, &settings(width, height, "blur"));
        let made = made.unwrap_or_else(|e| panic!("{}", e.lines()));
        stands(&made, width.into(), height.into());
        for index in 0..2 {
            let small = mosaic(&made.file(index), 30, 60);
            let (top, bottom) = (small[15], small[59 * 30 + 15]);
            for edge in [top, bottom, small[0], small[29], small[59 * 30], small[59 * 30 + 29]] {
                let grey = edge.iter().all(|c| (70..200).contains(c));
                assert!(grey, "{preset}: the edges are the picture's own grey: {edge:?}");
            }
            let column: Vec<[u8; 3]> = (0..60).map(|row| small[row * 30 + 15]).collect();
            let (reds, greens) =
                (column.iter().filter(|c| is_red(**c)).count(), column.iter().filter(|c| is_green(**c)).count());
            assert!(reds > 0 && greens > 0, "{preset}: the whole picture is there: {column:?}");
            let first = |of: fn([u8; 3]) -> bool| column.iter().position(|c| of(*c));
            assert!(first(is_red) < first(is_green), "{preset}: upright");
            let middle = (column.iter().rposition(|c| is_red(*c)), first(is_green));
            assert!(
                middle.0.is_some_and(|r| (27..=31).contains(&r)) && middle.1.is_some_and(|g| (28..=32).contains(&g))
            );
        }
    }
}

#[test]
fn built_in_clips_are_exactly_9_by_16_and_square() {
    let stage = Stage::new();
    let source = "-t 0.2 -i CLIP -vf scale=640:360 -c:v libx264 -preset ultrafast -c:a aac -ac 2 a.mp4";
    for (preset, width, height) in [("social-vertical", 1080, 1920), ("social-square", 1080, 1080)] {
        let made = stage.make(source, preset, r#"{"video":{"effort":"ultrafast"}}"#);
        stands(&made, width, height);
        let names: Vec<_> = made.report.renditions.iter().map(|r| r.name.clone()).collect();
        assert_eq!(names, [preset.to_owned(), format!("{preset}-av1")]);
    }
}

/// Integrated loudness by EBU R 128, as ffmpeg's own meter has it.
fn loudness(file: &Path) -> f64 {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .args("-map 0:a:0 -af ebur128 -f null -".split_whitespace())
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let line = said.lines().rev().find_map(|l| l.trim().strip_prefix("I:")).unwrap_or_else(|| panic!("{said}"));
    line.trim().trim_end_matches("LUFS").trim().parse().expect("a number")
}

#[test]
fn quiet_and_loud_sources_come_to_the_same_loudness() {
    for volume in ["-30dB", "0dB"] {
        let stage = Stage::new();
        let source = format!(
            "-f lavfi -i color=gray:size=64x64:rate=10 -f lavfi -i anoisesrc=color=pink:amplitude=0.5:seed=1,volume={volume} -t 12 \
             -c:v libx264 -preset ultrafast -c:a aac a.mp4"
        );
        let made = stage.make(&source, "social-square", &settings(64, 64, "crop"));
        let before = loudness(&stage.folder.path().join("a.mp4"));
        for index in 0..2 {
            let lufs = loudness(&made.file(index));
            assert!((lufs + 14.0).abs() < 1.5, "{before} LUFS became {lufs}");
        }
        assert!(made.changed("loudness brought to -14.0 LUFS"), "{:?}", made.report.changes);
    }
}
