//! Shapes: turned, upright, anamorphic, odd, large and tiny pictures.

use std::path::PathBuf;

use reelmill_lab::media;

use crate::{
    bench::Bench,
    check::hold,
    kind::{Kind, TWO},
};

/// A clip in which the scene lies as a telephone records it when it is turned: the matrix says how to hold it.
pub(super) fn turned(bench: &Bench, quarters: usize) -> PathBuf {
    // What is to be turned clockwise by a reader is recorded counter-clockwise.
    let lay = ["", "transpose=cclock,", "hflip,vflip,", "transpose=clock,"][quarters];
    let made = bench.make(&format!("SCENE@25 SOUND@2 -vf {lay}YUV TAGS H264 -c:a aac -t 2 a.mp4"));
    media::turned(&made, quarters)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_picture_becomes_upright_with_square_pixels() {
    let video = |filters: &str| format!("SCENE@25 SOUND@2 -vf {filters},YUV TAGS H264 -c:a aac -t 2 a.mp4");
    let kinds = vec![
        Kind::crafted("turned a quarter clockwise", |b| turned(b, 1)).says("rotated 90"),
        Kind::crafted("turned upside down", |b| turned(b, 2)).says("rotated 180"),
        Kind::crafted("turned a quarter counter-clockwise", |b| turned(b, 3)).says("rotated 270"),
        Kind::of("portrait", &video("scale=180:320,setsar=1")).size(180, 320),
        Kind::of("PAL wide screen", &video("scale=720:576,setsar=64/45")).says("made pixels square: they were 64/45"),
        Kind::of("NTSC 4:3", &video("scale=720:480,setsar=8/9"))
            .size(240, 180)
            .says("made pixels square: they were 8/9"),
        Kind::of("pixels that are square but for a rounding", &video("scale=1280:720,setsar=5120/5123:max=9999")),
        Kind::of(
            "odd sides",
            "SCENE@25 SOUND@2 -vf scale=175:143:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv444p TAGS H264 -c:a aac -t 2 a.mkv",
        )
        .size(110, 90)
        .says("dropped rung 180p: above the source"),
        Kind::of("as small as can be", &video("scale=64:36"))
            .size(64, 36)
            .says("dropped rung 180p: above the source")
            .looks_otherwise(),
        Kind::of("very wide", &video("scale=640:90,setsar=1")).size(320, 46).looks_otherwise(),
        Kind::of("high definition", &video("scale=1920:1080")),
    ];
    hold(kinds.into_iter().map(|kind| kind.by(TWO)).collect()).await;
}
