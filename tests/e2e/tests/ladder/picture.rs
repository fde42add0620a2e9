//! The picture: upright, square, on its grid, and each frame the source's own.

use std::path::Path;

use reelmill_e2e::{judge, output::Rendition};
use reelmill_lab::media;
use tempfile::TempDir;

use crate::{QUICK, rungs, transcode};

/// The side of the small pictures that are compared.
const SIDE: usize = 24;

/// The mean difference of two pictures' values.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / f64::from(u32::try_from(a.len()).expect("small"))
}

/// Frame for frame the source's, as a player shows it: nearer to that frame than to any neighbour, and near.
pub(crate) fn shows_the_source(video: &Rendition, source: &Path) {
    let (made, wanted) = (judge::pictures(&video.file, SIDE), judge::pictures(source, SIDE));
    assert_eq!(made.len(), wanted.len(), "as many frames as the source");
    for (n, picture) in made.iter().enumerate() {
        let near = n.saturating_sub(2)..(n + 3).min(wanted.len());
        let best = near.min_by(|a, b| distance(picture, &wanted[*a]).total_cmp(&distance(picture, &wanted[*b])));
        assert_eq!(best, Some(n), "frame {n} shows that frame of the source");
        let apart = distance(picture, &wanted[n]);
        assert!(apart < 8.0, "frame {n} is {apart} away from the source's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turned_odd_anamorphic_clip_becomes_an_upright_ladder_of_square_pixels() {
    let folder = TempDir::new().expect("a temporary folder");
    let box_at = |x: &str, y: &str, colour: &str| format!("drawbox=x={x}:y={y}:w=320:h=180:color={colour}:t=fill");
    let corners = [
        box_at("0", "0", "red"),
        box_at("iw-320", "0", "lime"),
        box_at("iw-320", "ih-180", "white"),
        box_at("0", "ih-180", "blue"),
    ];
    let words = format!(
        "-f lavfi -i testsrc2=size=1281x719:rate=30000/1001:duration=5 -vf {},setsar=4/3 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv444p a.mp4",
        corners.join(",")
    );
    let made = media::make(folder.path(), &words);
    let source = media::turned(&made, 1);
    let output = transcode(&source, "hls-ladder").await;
    let names: Vec<_> = rungs(&output).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["720p", "480p", "360p"]);
    for video in &output.videos {
        assert_eq!(video.attributes.text("FRAME-RATE"), "29.970");
        assert_eq!(video.track.packets.len(), 150);
        assert_eq!(video.keyframes(), [0.0, 4.004]);
        let (width, height) = video.attributes.text("RESOLUTION").split_once('x').expect("width and height");
        let (width, height): (f64, f64) = (width.parse().expect("a number"), height.parse().expect("a number"));
        let wanted = 719.0 / (1281.0 * 4.0 / 3.0);
        assert!((width / height / wanted - 1.0).abs() < 0.01, "{width}x{height} has the source's shape");
        shows_the_source(video, &source);
        let picture = &judge::pictures(&video.file, SIDE)[0];
        let colour = |x: usize, y: usize| {
            let at = (y * SIDE + x) * 3;
            [picture[at] > 128, picture[at + 1] > 128, picture[at + 2] > 128]
        };
        let last = SIDE - 1;
        let (red, lime, white, blue) = ([true, false, false], [false, true, false], [true; 3], [false, false, true]);
        let clockwise = [colour(0, 0), colour(last, 0), colour(last, last), colour(0, last)];
        assert_eq!(clockwise, [blue, red, lime, white], "each corner is a quarter turn further than in the file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_turn_becomes_upright() {
    let folder = TempDir::new().expect("a temporary folder");
    let make = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1.2 -c:v libx264 -preset ultrafast";
    let made = media::make(folder.path(), &format!("{make} -pix_fmt yuv420p a.mp4"));
    for quarters in [1, 2, 3] {
        let source = media::turned(&made, quarters);
        let output = transcode(&source, QUICK).await;
        let want = if quarters == 2 { "320x180" } else { "180x320" };
        assert_eq!(output.master.variants[0].0.text("RESOLUTION"), want, "{quarters} quarter turns");
        shows_the_source(&output.videos[0], &source);
    }
}
