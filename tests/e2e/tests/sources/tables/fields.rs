//! Fields: interlaced pictures, and films brought to the rate of television.

use crate::{check::hold, craft, kind::Kind};

#[tokio::test(flavor = "multi_thread")]
async fn fields_become_whole_pictures() {
    let fields = "-vf interlace=scan";
    let sound = "-c:a aac -t 2";
    let frames = || (0..100).step_by(2);
    hold(vec![
        Kind::of(
            "interlaced H.264, top field first",
            &format!("SCENE@50 SOUND@2 {fields}=tff,YUV TAGS H264 -flags +ilme+ildct -x264-params tff=1 {sound} a.mp4"),
        )
        .shows(frames())
        .says("deinterlaced"),
        Kind::of(
            "interlaced H.264, bottom field first",
            &format!("SCENE@50 SOUND@2 {fields}=bff,YUV TAGS H264 -flags +ilme+ildct -x264-params bff=1 {sound} a.ts"),
        )
        .shows(frames())
        .says("deinterlaced"),
        Kind::of(
            "interlaced MPEG-2, top field first",
            &format!("SCENE@50 SOUND@2 {fields}=tff,YUV TAGS MPEG2 -flags +ilme+ildct -top 1 -c:a mp2 -t 2 a.ts"),
        )
        .shows(frames())
        .says("deinterlaced"),
        Kind::of(
            "DV",
            "SCENE@50 SOUND@2 -vf scale=720:576,interlace=scan=bff,setsar=64/45,YUV -c:v dvvideo -c:a pcm_s16le -t 2 a.dv",
        )
        .shows(frames())
        .colours("smpte170m", "smpte170m", "smpte170m")
        .says("deinterlaced")
        .says("made pixels square: they were 64/45"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_on_television_becomes_a_film_again() {
    let telecined = "SCENE@24000/1001 SOUND@2.002";
    let inverse = "inverse telecine: 30000/1001 to 24000/1001";
    hold(vec![
        Kind::of(
            "hard telecine in MPEG-2",
            &format!("{telecined} -vf telecine=pattern=23,YUV TAGS MPEG2 -flags +ilme+ildct -top 1 -c:a mp2 -t 2 a.ts"),
        )
        .rate("23.976")
        .shows(0..48)
        .says(inverse),
        Kind::of(
            "hard telecine in H.264",
            &format!(
                "{telecined} -vf telecine=pattern=23,YUV TAGS H264 -flags +ilme+ildct -x264-params tff=1 -c:a aac -t 2 a.mp4"
            ),
        )
        .rate("23.976")
        .shows(0..48)
        .says(inverse),
        Kind::crafted("soft telecine in MPEG-2", |bench| {
            let film = bench.make("SCENE@24000/1001 -vf YUV TAGS MPEG2 -bf 2 -t 2 film.m2v");
            let marked = bench.changed(&film, craft::soft_telecine);
            bench.make(&format!("-f mpegvideo -i {} SOUND@2 -c:v copy -c:a mp2 a.mpg", marked.display()))
        })
        .rate("23.976")
        // The muxer writes a time for few of its frames, and readers guess the others.
        .shows_near(47..=49, 24_000.0 / 1001.0, 0.09)
        .says("variable frame rate made a constant 24000/1001"),
    ])
    .await;
}
