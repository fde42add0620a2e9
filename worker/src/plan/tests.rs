//! Sources in, whole plans out.

use reelmill_api::{
    Preset, Rational,
    media::{AudioFacts, Colour, Fields, MediaFacts, Rotation, VideoFacts},
    preset::BUILT_IN,
};

use super::{Expected, LadderPlan, Plan, Product, plan};

pub(crate) fn hls_ladder() -> Preset {
    let (file, text) = BUILT_IN[0];
    Preset::from_toml(file, text).expect("built in")
}

pub(crate) fn source(width: u32, height: u32, rate: &str) -> MediaFacts {
    MediaFacts {
        container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
        duration_seconds: Some(10.0),
        bytes: 1_000_000,
        video: Some(VideoFacts {
            index: 0,
            codec: "h264".to_owned(),
            width,
            height,
            sample_aspect: Rational::whole(1).expect("not zero"),
            rotation: Rotation::None,
            frame_rate: rate.parse().expect("a rate"),
            constant_rate: true,
            fields: Fields::Progressive,
            duration_seconds: Some(10.0),
            frames: None,
            starts_at_seconds: 0.0,
            colour: Colour::default(),
            pixel_format: "yuv420p".to_owned(),
            hdr: None,
            dolby_vision_profile: None,
        }),
        audio: vec![AudioFacts {
            index: 1,
            codec: "aac".to_owned(),
            channels: 2,
            layout: Some("stereo".to_owned()),
            sample_rate: 44_100,
            language: Some("eng".to_owned()),
            duration_seconds: Some(10.0),
            starts_at_seconds: 0.0,
        }],
        subtitles: Vec::new(),
        timecode: None,
        others: Vec::new(),
    }
}

pub(crate) fn video(media: &mut MediaFacts) -> &mut VideoFacts {
    media.video.as_mut().expect("the source has video")
}

pub(crate) fn ladder(plan: &Plan) -> &LadderPlan {
    let Product::Ladder(ladder) = &plan.product else { panic!("no ladder") };
    ladder
}

fn summary(plan: &Plan) -> String {
    let ladder = ladder(plan);
    let sizes: Vec<_> =
        ladder.videos.iter().map(|v| format!("{}={}x{}", v.name, v.size.width, v.size.height)).collect();
    let audio: Vec<_> = ladder.audios.iter().map(|a| format!("{}:{}ch", a.name, a.channels)).collect();
    format!(
        "{} | {} gop {} | {} | {}",
        sizes.join(" "),
        plan.grid.frame_rate,
        plan.grid.gop,
        audio.join(" "),
        plan.changes.join("; ")
    )
}

fn check(media: &MediaFacts, want: &str) {
    assert_eq!(summary(&plan(&hls_ladder(), media).expect("a plan")), want);
}

#[test]
fn a_full_hd_source_gets_every_rung() {
    check(
        &source(1920, 1080, "25/1"),
        "1080p=1920x1080 720p=1280x720 480p=854x480 360p=640x360 | 25/1 gop 100 | audio:2ch | ",
    );
}

#[test]
fn rungs_above_the_source_are_dropped() {
    check(
        &source(1280, 720, "30000/1001"),
        "720p=1280x720 480p=854x480 360p=640x360 | 30000/1001 gop 120 | audio:2ch | dropped rung 1080p: above the source",
    );
}

#[test]
fn a_source_just_below_a_rung_keeps_it_at_its_own_size() {
    check(
        &source(1271, 715, "24/1"),
        "720p=1270x714 480p=854x480 360p=640x360 | 24/1 gop 96 | audio:2ch | dropped rung 1080p: above the source",
    );
}

#[test]
fn a_tiny_odd_source_gets_the_smallest_rung_at_its_size() {
    let want = "360p=174x142 | 15/1 gop 60 | audio:2ch | dropped rung 1080p: above the source; \
                dropped rung 720p: above the source; dropped rung 480p: above the source";
    check(&source(175, 143, "15/1"), want);
}

#[test]
fn a_phone_video_stands_upright() {
    let mut media = source(1920, 1080, "30/1");
    video(&mut media).rotation = Rotation::Cw90;
    check(&media, "1080p=1080x1920 720p=720x1280 480p=480x854 360p=360x640 | 30/1 gop 120 | audio:2ch | rotated 90");
}

#[test]
fn anamorphic_pixels_become_square() {
    let mut media = source(720, 576, "25/1");
    video(&mut media).sample_aspect = Rational::new(64, 45).expect("not zero");
    video(&mut media).fields = Fields::Interlaced;
    check(
        &media,
        "480p=854x480 360p=640x360 | 25/1 gop 100 | audio:2ch | deinterlaced; made pixels square: they were 64/45; \
         dropped rung 1080p: above the source; dropped rung 720p: above the source",
    );
}

#[test]
fn variable_and_high_rates_come_to_a_constant_one() {
    let mut media = source(640, 360, "2983/100");
    video(&mut media).constant_rate = false;
    media.audio.clear();
    let dropped = "dropped rung 1080p: above the source; dropped rung 720p: above the source; dropped rung 480p: above the source";
    check(
        &media,
        &format!("360p=640x360 | 30000/1001 gop 120 |  | variable frame rate made a constant 30000/1001; {dropped}"),
    );
    let mut media = source(640, 360, "120/1");
    media.audio.clear();
    check(&media, &format!("360p=640x360 | 60/1 gop 240 |  | frame rate lowered from 120/1 to 60/1; {dropped}"));
}

#[test]
fn every_audio_track_is_kept_and_surround_is_mixed_down_beside_itself() {
    let mut media = source(640, 360, "25/1");
    media.audio.push(AudioFacts {
        index: 2,
        channels: 6,
        starts_at_seconds: 0.5,
        language: None,
        ..media.audio[0].clone()
    });
    let plan = plan(&hls_ladder(), &media).expect("a plan");
    let names: Vec<_> = ladder(&plan).audios.iter().map(|a| (a.name.as_str(), a.stream, a.channels)).collect();
    assert_eq!(names, [("audio", 1, 2), ("audio-2", 2, 2), ("audio-2-surround", 2, 6)]);
    assert!(plan.changes.contains(&"audio-2: started 0.50 s late: kept, with silence before it".to_owned()));
}

#[test]
fn the_first_picture_is_on_the_grid_though_an_encoders_priming_comes_before_it() {
    let lead = |seconds: f64| {
        let mut media = source(640, 360, "25/1");
        video(&mut media).starts_at_seconds = seconds;
        video(&mut media).frames = Some(250);
        let plan = plan(&hls_ladder(), &media).expect("a plan");
        (plan.lead_micros, plan.grid.frames)
    };
    assert_eq!(lead(0.023), (23_000, Expected::Exactly(250)));
    assert_eq!(lead(0.4), (0, Expected::About(260)), "a picture that comes much later is held from 0 on");
    assert_eq!(lead(-0.4), (0, Expected::About(250)));
}

#[test]
fn audio_only_is_refused_in_words() {
    let mut media = source(640, 360, "25/1");
    media.video = None;
    let failure = plan(&hls_ladder(), &media).expect_err("no video");
    assert_eq!(failure.message, "it has no video track (only audio), and preset hls-ladder makes video");
}

#[test]
fn dolby_vision_that_only_dolby_shows_is_refused() {
    let mut media = source(640, 360, "24/1");
    video(&mut media).dolby_vision_profile = Some(5);
    let failure = plan(&hls_ladder(), &media).expect_err("profile 5");
    assert_eq!(failure.message, "it is Dolby Vision profile 5, whose colours only Dolby's own decoders can show");
    video(&mut media).dolby_vision_profile = Some(8);
    assert!(plan(&hls_ladder(), &media).is_ok());
}

#[test]
fn every_extra_filter_is_told_in_its_order() {
    let settings = r#"{"filters":[{"crop":{"left":8,"right":6}},{"pad":{"top":20}},{"pad":{}},{"denoise":"medium"},
        {"sharpen":"light"},{"lut":{"table":"s3://media/film.cube"}},
        {"logo":{"image":"s3://media/logo.png","corner":"top-right","width_percent":10}}]}"#;
    let preset = hls_ladder().with(&serde_json::from_str(settings).expect("settings")).expect("good settings");
    let want = [
        "edges cut off: 8 left, 6 right pixels",
        "black edges added: 20 top pixels",
        "black edges added: none",
        "noise taken out: medium",
        "sharpened: light",
        "colours changed by a table: s3://media/film.cube",
        "logo laid over the top right corner: s3://media/logo.png",
    ];
    assert_eq!(plan(&preset, &source(1920, 1080, "25/1")).expect("a plan").changes, want);
}
