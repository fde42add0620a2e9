//! Text subtitles as WebVTT renditions: what a media process printed of a track is read, cleaned, set on the
//! presentation's clock and cut into segments. Values in, values out; the runs and the puts are the conductor's.

mod clean;
mod command;
mod cut;
pub mod vtt;

use reelmill_api::{Rendition, layout, rendition::Track};

pub use command::command;
pub use cut::{Cut, Cutter};
pub use vtt::Cue;

use crate::{gateway::Words, plan::TextPlan, verify::Made};

/// The most subtitle tracks that are read of one source.
pub const MOST_TRACKS: usize = 32;

/// A subtitle track, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtitles {
    /// What it was planned as.
    pub plan: TextPlan,
    /// Its lines, in order of their beginning; at least one.
    pub cues: Vec<Cue>,
}

/// Reads one track, on the presentation's clock: that of the source, less what is left out before the first picture.
///
/// # Errors
/// Why there are no subtitles to be had of it, in words.
pub fn read(plan: &TextPlan, words: &Words, lead_micros: u32) -> Result<Subtitles, String> {
    let Words::Whole(text) = words else { return Err("it has more text than a film can".to_owned()) };
    let cues = vtt::parse(text).map_err(|e| e.to_string())?;
    let lead = u64::from(lead_micros.saturating_add(500) / 1000);
    let cues: Vec<_> = cues.into_iter().filter_map(|cue| clean::cue(cue, lead)).collect();
    if cues.is_empty() { Err("it holds no text".to_owned()) } else { Ok(Subtitles { plan: plan.clone(), cues }) }
}

/// The change that a track which is left out makes, in words.
pub fn left_out(plan: &TextPlan, why: &str) -> String {
    let language = plan.language.as_deref().map_or(String::new(), |l| format!(" ({l})"));
    format!("left out: subtitles in track {}{language}: {why}", plan.stream)
}

/// The check that so many tracks passed, in words.
pub fn check(tracks: usize) -> String {
    let tracks = if tracks == 1 { "1 track".to_owned() } else { format!("{tracks} tracks") };
    format!("subtitles: {tracks} read, cleaned and cut where the pictures are, no line lost at a cut")
}

/// What a media player may be told of a stored rendition.
#[allow(clippy::cast_precision_loss, reason = "seconds for people; the exact ticks are kept beside them")]
pub fn made(subtitles: &Subtitles, cut: &Cut) -> Made {
    let ticks: u64 = cut.segment_ticks.iter().sum();
    let sizes = || cut.segments.iter().map(|text| text.len() as u64);
    let rate = |bytes: u64, ticks: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(cut.timescale);
        u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
    };
    let TextPlan { name, language, forced, hearing_impaired, .. } = subtitles.plan.clone();
    let rendition = Rendition {
        name,
        codecs: "wvtt".to_owned(),
        track: Track::Text { language, forced, hearing_impaired },
        segments: cut.segments.len() as u64,
        samples: subtitles.cues.len() as u64,
        duration_seconds: ticks as f64 / f64::from(cut.timescale),
        average_bps: rate(sizes().sum(), ticks),
        peak_bps: sizes().zip(&cut.segment_ticks).map(|(bytes, ticks)| rate(bytes, *ticks)).max().unwrap_or(0),
        bytes: sizes().sum(),
    };
    Made {
        rendition,
        timescale: cut.timescale,
        segment_ticks: cut.segment_ticks.clone(),
        segment_samples: cut.segment_cues.clone(),
        priming_ticks: 0,
        colour: None,
    }
}

/// The files of a rendition, each with its name relative to the attempt's folder.
pub fn files<'a>(subtitles: &'a Subtitles, cut: &'a Cut) -> impl Iterator<Item = (String, String)> + 'a {
    let folder = &subtitles.plan.name;
    let whole = (format!("{folder}/{}", layout::WHOLE_TEXT), vtt::whole(&subtitles.cues));
    let segments = (0..).zip(&cut.segments);
    segments.map(move |(n, text)| (format!("{folder}/{}", layout::text_segment(n)), text.clone())).chain([whole])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> TextPlan {
        let language = Some("deu".to_owned());
        TextPlan { name: "text-2".to_owned(), stream: 3, language, forced: false, hearing_impaired: true }
    }

    fn read_text(text: &str, lead_micros: u32) -> Result<Subtitles, String> {
        read(&plan(), &Words::Whole(text.as_bytes().to_vec()), lead_micros)
    }

    #[test]
    fn lines_move_with_the_pictures_and_those_before_the_first_are_left_out() {
        let text = "WEBVTT\n\n00:00.000 --> 00:00.020\ngone\n\n00:00.010 --> 00:02.000\ncut\n\n00:03.000 --> 00:04.000\nkept\n";
        let cues = read_text(text, 23_000).expect("lines").cues;
        let told: Vec<_> = cues.iter().map(|c| (c.start_ms, c.end_ms, c.text.as_str())).collect();
        assert_eq!(told, [(0, 1977, "cut"), (2977, 3977, "kept")]);
    }

    #[test]
    fn a_track_without_text_is_left_out_with_the_reason() {
        let why = read_text("WEBVTT\n", 0).expect_err("empty");
        assert_eq!(left_out(&plan(), &why), "left out: subtitles in track 3 (deu): it holds no text");
        assert_eq!(read_text("<html>", 0), Err("what was decoded of it is no WebVTT".to_owned()));
        assert!(read(&plan(), &Words::TooMany, 0).is_err());
    }

    #[test]
    fn what_is_stored_is_measured() {
        let subtitles = read_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", 0).expect("a line");
        let cut = Cutter { timescale: 1000, segment_ticks: vec![4000, 2000] }.cut(&subtitles.cues).expect("cut");
        let made = made(&subtitles, &cut);
        assert_eq!((made.rendition.segments, made.rendition.samples, made.segment_ticks.len()), (2, 1, 2));
        assert_eq!(made.rendition.bytes, cut.segments.iter().map(|s| s.len() as u64).sum::<u64>());
        let names: Vec<_> = files(&subtitles, &cut).map(|(name, _)| name).collect();
        assert_eq!(names, ["text-2/seg_00000.vtt", "text-2/seg_00001.vtt", "text-2/all.vtt"]);
    }
}
