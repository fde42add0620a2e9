//! Every ladder that comes with us: its multivariant playlist, its manifest and its media playlists whole, over the same
//! bytes.

use std::collections::BTreeSet;

use reelmill_api::{
    AttemptId, MediaFacts, Preset,
    media::{AudioFacts, HdrMetadata, SubtitleFacts},
    preset::{Hdr, Presets, Product},
};

use crate::{
    manifest::{beside, manifest},
    plan::{
        LadderPlan, plan,
        tests::{ladder, source, video},
    },
    playlist, snapshot,
    text::{self, Cue, Cutter, Subtitles},
    verify::{Made, Verified, tests::at_its_highest_rates},
};

/// A source that fills every rung, with sound in two languages, one of them in 5.1, and with subtitles.
fn source_for(preset: &Preset) -> MediaFacts {
    let large = preset.name.as_str() == "hls-ladder-4k";
    let mut media = if large { source(3840, 2160, "25/1") } else { source(1920, 1080, "25/1") };
    let surround = AudioFacts { index: 2, channels: 6, language: Some("ger".to_owned()), ..media.audio[0].clone() };
    media.audio.push(surround);
    media.audio.iter_mut().for_each(|track| track.duration_seconds = None);
    let subtitles = |index, language: &str, hearing_impaired| SubtitleFacts {
        index,
        codec: "subrip".to_owned(),
        text: true,
        language: Some(language.to_owned()),
        forced: false,
        hearing_impaired,
    };
    media.subtitles = vec![subtitles(3, "eng", false), subtitles(4, "ger", true)];
    media
}

fn high_dynamic_range(mut media: MediaFacts) -> MediaFacts {
    let picture = video(&mut media);
    picture.colour.transfer = Some("smpte2084".to_owned());
    "yuv420p10le".clone_into(&mut picture.pixel_format);
    picture.hdr = Some(HdrMetadata::default());
    media
}

/// The subtitles, read, cut and measured.
fn texts(ladder: &LadderPlan, video: &Made) -> Vec<Made> {
    let cues = vec![
        Cue { start_ms: 500, end_ms: 1500, text: "Hello".to_owned() },
        Cue { start_ms: 4500, end_ms: 5000, text: "there".to_owned() },
    ];
    let cutter = Cutter::beside(video);
    let one = |plan: &crate::plan::TextPlan| {
        let subtitles = Subtitles { plan: plan.clone(), cues: cues.clone() };
        text::made(&subtitles, &cutter.cut(&subtitles.cues).expect("two lines"))
    };
    ladder.texts.iter().map(one).collect()
}

/// All that players read of an output, file by file.
fn written(preset: &Preset, media: &MediaFacts) -> String {
    let plan = plan(preset, media).expect("a plan");
    let Verified { mut renditions, storyboard, .. } = at_its_highest_rates(&plan);
    renditions.extend(texts(ladder(&plan), &renditions[0]));
    let attempt = AttemptId::new(1, 7);
    let target = playlist::target_duration(&renditions);
    let mut all = format!("== master.m3u8\n{}", playlist::multivariant(&attempt, &renditions));
    all += &format!("\n== manifest.mpd\n{}", beside(&attempt, &manifest(&renditions, storyboard.as_ref())));
    let media = |made: &Made| format!("\n== {}/index.m3u8\n{}", made.rendition.name, playlist::media(made, target));
    all.extend(renditions.iter().map(media));
    all
}

#[test]
fn has_a_text_of_its_own_and_no_text_is_left_over() {
    let mut names = BTreeSet::new();
    let mut check = |name: String, text: &str| {
        snapshot::check(text, &format!("playlists/{name}"));
        names.insert(name);
    };
    for preset in Presets::built_in().iter() {
        match &preset.product {
            Product::Ladder(_) => {
                check(format!("{}.txt", preset.name), &written(preset, &source_for(preset)));
                if preset.video.hdr == Hdr::Keep {
                    let media = high_dynamic_range(source_for(preset));
                    check(format!("{}.hdr.txt", preset.name), &written(preset, &media));
                }
            }
            Product::Live(_) => check(format!("{}.txt", preset.name), &crate::live::playlists(preset)),
            Product::Files(_) => {}
        }
    }
    assert_eq!(snapshot::names("playlists"), names, "a text for each ladder, and none of one that is gone");
}
