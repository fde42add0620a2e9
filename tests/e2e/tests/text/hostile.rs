//! Tracks that hold nothing, nonsense or malice: the picture is published all the same, and no page is hurt.

use std::path::Path;

use tempfile::TempDir;

use crate::stage::{source, transcode, transcode_by};

const FINE: &str = "1\n00:00:01,000 --> 00:00:02,000\nfine\n";
const HEAD: &str = "[Script Info]\nScriptType: v4.00+\n\n[Events]\n\
                    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n";

/// Overwrites the first occurrence of some bytes.
fn spoil(file: &Path, what: &[u8], with: &[u8]) {
    let mut bytes = std::fs::read(file).expect("it was made");
    let at = bytes.windows(what.len()).position(|w| w == what).expect("it is in the file");
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(file, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_without_a_line_is_left_out_and_said() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = transcode(&source(&folder, 3, &[(HEAD, "ass"), (FINE, "srt")], "", "a.mkv")).await;
    assert_eq!(output.track_alone().told()[0].2, "fine");
    let said = "left out: subtitles in track 2: it holds no text".to_owned();
    assert!(output.output.report.changes.contains(&said), "{:?}", output.output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_in_an_unknown_codec_costs_neither_the_picture_nor_the_other_track() {
    let folder = TempDir::new().expect("a temporary folder");
    let styled = format!("{HEAD}Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,styled\n");
    let file = source(&folder, 3, &[(&styled, "ass"), (FINE, "srt")], "", "a.mkv");
    spoil(&file, b"S_TEXT/ASS", b"S_TEXT/XYZ");
    let output = transcode(&file).await;
    assert_eq!(output.track_alone().told()[0].2, "fine");
    assert_eq!(output.output.videos.len(), 1);
}

/// Other bytes than UTF-8 are the commonest damage of all: ffmpeg passes over such lines and says so.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_cannot_be_decoded_are_said_and_the_others_kept() {
    let folder = TempDir::new().expect("a temporary folder");
    let two = "1\n00:00:00,500 --> 00:00:01,000\nGrxxe\n\n2\n00:00:01,000 --> 00:00:02,000\nfine\n";
    let file = source(&folder, 3, &[(two, "srt")], "", "a.mkv");
    spoil(&file, b"Grxxe", b"Gr\xfc\xdfe");
    let output = transcode(&file).await;
    assert_eq!(output.track_alone().told().len(), 1);
    let said = |change: &String| change.starts_with("subtitles: not all of them could be decoded: ");
    assert!(output.output.report.changes.iter().any(said), "{:?}", output.output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_on_which_the_decoder_dies_is_left_out_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = source(&folder, 3, &[(FINE, "srt"), (FINE, "srt")], "", "a.mkv");
    let dies = "case \"$*\" in *'-map 0:2 '*'-c:s webvtt'*) FFMPEG \"$@\"; kill -SEGV $$;; esac";
    let output = transcode_by(&file, Some(dies)).await;
    assert_eq!(output.track_alone().attributes.text("URI").rsplit('/').nth(1), Some("text-2"));
    let said = |change: &String| change.starts_with("left out: subtitles in track 2: ");
    assert!(output.output.report.changes.iter().any(said), "{:?}", output.output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_on_which_the_decoder_hangs_does_not_hold_the_picture() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = source(&folder, 3, &[(FINE, "srt"), (FINE, "srt")], "", "a.mkv");
    let hangs = "case \"$*\" in *'-c:s webvtt'*) exec sleep 1000;; esac";
    let output = transcode_by(&file, Some(hangs)).await;
    assert!(output.tracks().is_empty());
    let said = |change: &&String| change.ends_with(": reading it took too long");
    assert_eq!(output.output.report.changes.iter().filter(said).count(), 2, "{:?}", output.output.report.changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_wrote_is_text_and_no_markup() {
    let malice = "1\n00:00:00,500 --> 00:00:01,000\n<script>alert(1)</script><img src=x onerror=alert(2)> I <3 you\n\n\
                  2\n00:00:01,000 --> 00:00:02,000\na 00:00:00.000 --> 00:00:09.000 b\n\n\
                  3\n00:00:02,000 --> 00:00:02,500\n<b onclick=alert(3)>bold</b> &amp; &lt;i&gt;\n";
    let folder = TempDir::new().expect("a temporary folder");
    let track = transcode(&source(&folder, 3, &[(malice, "srt")], "", "a.mkv")).await.track_alone();
    let texts: Vec<_> = track.told().into_iter().map(|(_, _, text)| text).collect();
    assert!(
        texts[0].ends_with(" I &lt;3 you") && !texts[0].contains("<img") && !texts[0].contains("<script"),
        "{texts:?}"
    );
    assert_eq!(texts[1], "a 00:00:00.000 --&gt; 00:00:09.000 b");
    assert!(!texts[2].contains("onclick=") || !texts[2].contains("<b o"), "{texts:?}");
}
