//! Subtitles of every kind, at their times.

use tempfile::TempDir;

use crate::stage::{same, source, transcode};

const ENGLISH: &str = "1\n00:00:01,000 --> 00:00:02,500\nHello <b>bold</b> & <i>it</i>\n\n\
                       2\n00:00:09,000 --> 00:00:12,000\ntwo\nlines\n\n\
                       3\n00:00:11,000 --> 00:00:11,500\nover them\n";
const GERMAN: &str = "1\n00:00:03,250 --> 00:00:04,750\nGr\u{fc}\u{df}e\n";

fn shown(told: &[(f64, f64, &str)], want: &[(f64, f64, &str)]) {
    let alike =
        told.len() == want.len() && told.iter().zip(want).all(|(a, b)| same(a.0, b.0) && same(a.1, b.1) && a.2 == b.2);
    assert!(alike, "{told:?} instead of {want:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_language_is_a_rendition_that_says_what_it_is() {
    let folder = TempDir::new().expect("a temporary folder");
    let about = "-metadata:s:s:0 language=eng -metadata:s:s:1 language=ger -disposition:s:0 forced \
                 -disposition:s:1 hearing_impaired";
    let file = source(&folder, 35, &[(ENGLISH, "srt"), (GERMAN, "srt")], about, "a.mkv");
    let output = transcode(&file).await;
    let tracks = output.tracks();
    let said = |name: &str| tracks.iter().map(|t| t.attributes.find(name).unwrap_or("").to_owned()).collect::<Vec<_>>();
    assert_eq!((said("LANGUAGE"), said("FORCED")), (vec!["en".into(), "de".into()], vec!["YES".into(), "NO".into()]));
    assert!(said("CHARACTERISTICS")[1].contains("describes-music-and-sound") && said("CHARACTERISTICS")[0].is_empty());
    for (variant, _) in &output.output.master.variants {
        assert_eq!(variant.text("SUBTITLES"), tracks[0].attributes.text("GROUP-ID"));
    }
    shown(
        &tracks[0].told(),
        &[(1.0, 2.5, "Hello <b>bold</b> &amp; <i>it</i>"), (9.0, 12.0, "two\nlines"), (11.0, 11.5, "over them")],
    );
    shown(&tracks[1].told(), &[(3.25, 4.75, "Gr\u{fc}\u{df}e")]);
    let lengths: Vec<_> = tracks[0].segments.iter().map(|(seconds, _)| *seconds).collect();
    assert_eq!(lengths, [30.0, 5.0], "segments of text are cut where some of the picture's are");
    tracks.iter().for_each(|track| track.is_cut_truly());
    let made: Vec<_> = output.output.report.renditions.iter().map(|r| (r.name.as_str(), r.samples)).collect();
    assert!(made.ends_with(&[("text", 3), ("text-2", 1)]), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_across_a_cut_is_in_both_segments() {
    let folder = TempDir::new().expect("a temporary folder");
    let across = "1\n00:00:29,000 --> 00:00:31,000\nacross\n\n2\n00:00:28,000 --> 00:00:30,000\nbefore\n";
    let output = transcode(&source(&folder, 33, &[(across, "srt")], "", "a.mkv")).await;
    let track = output.track_alone();
    let texts: Vec<Vec<_>> =
        track.segments.iter().map(|(_, lines)| lines.iter().map(|l| l.text.as_str()).collect()).collect();
    assert_eq!(texts, [vec!["before", "across"], vec!["across"]]);
    track.is_cut_truly();
}

#[tokio::test(flavor = "multi_thread")]
async fn text_in_mp4_and_styled_text_are_shown_alike() {
    let styled = "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, \
                  SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, \
                  Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
                  Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1\n\n\
                  [Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
                  Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\i1}Styled{\\i0}\\N\\Nbelow {\\pos(10,10)}here\n\
                  Dialogue: 0,0:00:02.00,0:00:04.00,Default,,0,0,0,,{\\c&H0000FF&}over{\\b1}lap\n\
                  Dialogue: 0,0:00:02.50,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 50 0 50{\\p0}\n";
    let folder = TempDir::new().expect("a temporary folder");
    let output = transcode(&source(&folder, 5, &[(styled, "ass")], "", "a.mkv")).await;
    let want = [(1.0, 3.0, "<i>Styled</i>\nbelow here"), (2.0, 4.0, "over<b>lap</b>")];
    shown(&output.track_alone().told(), &want);
    let output = transcode(&source(&folder, 5, &[(GERMAN, "mov_text")], "", "a.mp4")).await;
    shown(&output.track_alone().told(), &[(3.25, 4.75, "Gr\u{fc}\u{df}e")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_stay_with_the_pictures_of_a_source_whose_clock_starts_late() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["a.mkv", "a.mp4"] {
        let codec = if name.ends_with("mp4") { "mov_text" } else { "srt" };
        let file = source(&folder, 5, &[(GERMAN, codec)], "-output_ts_offset 10", name);
        let output = transcode(&file).await;
        shown(&output.track_alone().told(), &[(3.25, 4.75, "Gr\u{fc}\u{df}e")]);
    }
}
