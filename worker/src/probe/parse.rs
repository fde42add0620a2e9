//! ffprobe's JSON into media facts.

mod document;
mod others;
mod side;

use reelmill_api::{
    MediaFacts, Rational,
    media::{AudioFacts, Colour, Fields, Rotation, VideoFacts},
};

use document::{Format, Output, SideData, Stream};

/// The largest side that is planned for. Beyond it a crafted header would only make buffers burst.
const LONGEST_SIDE: u32 = 16_384;

/// The facts in what ffprobe printed of a source of so many bytes.
///
/// # Errors
/// Why there are none, in words.
pub fn media_facts(json: &[u8], bytes: u64) -> Result<MediaFacts, String> {
    let output: Output = serde_json::from_slice(json).map_err(|e| format!("ffprobe's answer cannot be read: {e}"))?;
    let begins = seconds(output.format.start_time.as_deref()).unwrap_or(0.0);
    let of_kind = |kind: &'static str| output.streams.iter().filter(move |s| s.codec_type.as_deref() == Some(kind));
    let mut video = picture(&output).map(|s| video_facts(s, &side_data(&output, s), begins)).transpose()?;
    if let (Some(facts), Some(stream)) = (&mut video, picture(&output)) {
        facts.duration_seconds = facts.duration_seconds.or_else(|| tagged_length(&output.format, stream));
    }
    let audio: Vec<_> = of_kind("audio").filter_map(|s| audio_facts(s, begins)).collect();
    if video.is_none() && audio.is_empty() {
        return Err("it holds neither video nor audio".to_owned());
    }
    Ok(MediaFacts {
        duration_seconds: duration(&output.format, begins),
        container: output.format.format_name.clone(),
        bytes,
        video,
        audio,
        subtitles: others::subtitles(&output.streams),
        timecode: others::timecode(&output),
        others: others::left_out(&output.streams, picture(&output)),
    })
}

/// The first track of moving pictures: cover art is none.
fn picture(output: &Output) -> Option<&Stream> {
    let is_video = |s: &&Stream| s.codec_type.as_deref() == Some("video");
    output.streams.iter().filter(is_video).find(|s| s.disposition.attached_pic == 0)
}

/// What the container says beside a track, then what its first frames say.
fn side_data<'a>(output: &'a Output, stream: &'a Stream) -> Vec<&'a SideData> {
    let of_it = |f: &&document::Frame| f.stream_index == Some(stream.index);
    let frames = output.frames.iter().filter(of_it).flat_map(|f| &f.side_data_list);
    stream.side_data_list.iter().chain(frames).collect()
}

fn fields(stream: &Stream) -> Fields {
    match stream.field_order.as_deref() {
        Some("tt" | "bb" | "tb" | "bt") => Fields::Interlaced,
        _ => Fields::Progressive,
    }
}

/// Matroska's own length is, as ffmpeg and others write it, the time of the end: what comes before the start is no part
/// of it.
fn duration(format: &Format, begins: f64) -> Option<f64> {
    let before = if is_matroska(format) { begins.max(0.0) } else { 0.0 };
    seconds(format.duration.as_deref()).map(|d| d - before).filter(|d| *d > 0.0)
}

fn is_matroska(format: &Format) -> bool {
    format.format_name.starts_with("matroska")
}

/// How long a track lasts in Matroska, which has only a tag for it. There ffmpeg keeps when the track ends, and mkvmerge
/// how long it lasts: what is taken here is right for the one, and for the other too short by as much as the track is late.
/// A tag that was copied from another file may say anything, but no track outlasts its file.
fn tagged_length(format: &Format, stream: &Stream) -> Option<f64> {
    let whole = seconds(format.duration.as_deref()).filter(|_| is_matroska(format))?;
    let ends = clock(stream.tags.duration.as_deref()?)?.min(whole);
    let begins = seconds(stream.start_time.as_deref()).unwrap_or(0.0).max(0.0);
    Some(ends - begins).filter(|length| *length > 0.0)
}

/// The seconds of `00:01:02.500000000`.
fn clock(text: &str) -> Option<f64> {
    let numbers: Vec<f64> = text.split(':').map(|part| seconds(Some(part))).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = numbers[..] else { return None };
    Some(hours * 3600.0 + minutes * 60.0 + seconds).filter(|s| *s >= 0.0)
}

fn video_facts(stream: &Stream, side: &[&SideData], begins: f64) -> Result<VideoFacts, String> {
    let usable = |n: Option<u32>| n.filter(|n| (1..=LONGEST_SIDE).contains(n));
    let (Some(width), Some(height)) = (usable(stream.width), usable(stream.height)) else {
        return Err(format!(
            "its picture size {:?}x{:?} cannot be handled",
            stream.width.unwrap_or(0),
            stream.height.unwrap_or(0)
        ));
    };
    let rate = |text: &Option<String>| text.as_deref().and_then(|t| t.parse::<Rational>().ok()).filter(plausible);
    let (real, average) = (rate(&stream.r_frame_rate), rate(&stream.avg_frame_rate));
    let frame_rate = average.or(real).ok_or("its frame rate is not known")?;
    let turn = side.iter().find_map(|d| d.rotation);
    Ok(VideoFacts {
        index: stream.index,
        codec: stream.codec_name.clone().ok_or("its video codec is not known")?,
        width,
        height,
        sample_aspect: sample_aspect(stream),
        // ffprobe gives the turn counter-clockwise.
        rotation: turn.map_or(Rotation::None, |d| Rotation::from_degrees_clockwise(-d)),
        frame_rate: snap(frame_rate, real),
        // A bare stream has no times at all; ffprobe 8 then gives the rate of fields beside that of frames.
        constant_rate: real.is_none_or(|r| close(r, frame_rate)) || stream.start_time.is_none(),
        fields: fields(stream),
        duration_seconds: seconds(stream.duration.as_deref()).filter(|d| *d > 0.0),
        frames: stream.nb_frames.as_deref().and_then(|n| n.parse().ok()).filter(|n| *n > 0),
        starts_at_seconds: starts_at(stream, begins),
        colour: colour(stream),
        pixel_format: stream.pix_fmt.clone().ok_or("its pictures cannot be decoded")?,
        hdr: side::hdr(side),
        dolby_vision_profile: side.iter().find_map(|d| d.dv_profile),
    })
}

fn audio_facts(stream: &Stream, begins: f64) -> Option<AudioFacts> {
    Some(AudioFacts {
        index: stream.index,
        codec: stream.codec_name.clone()?,
        channels: stream.channels.filter(|n| *n > 0)?,
        layout: stream.channel_layout.clone().filter(|l| l != "unknown"),
        sample_rate: stream.sample_rate.as_deref()?.parse().ok().filter(|n| *n > 0)?,
        language: language(stream),
        duration_seconds: seconds(stream.duration.as_deref()),
        starts_at_seconds: starts_at(stream, begins),
    })
}

fn plausible(rate: &Rational) -> bool {
    (0.1..=1000.0).contains(&rate.as_f64())
}

/// Containers with millisecond stamps give averages such as 2997/100: within a part in a thousand, the rate that ffprobe
/// guessed from the stamps is the true one.
fn snap(average: Rational, real: Option<Rational>) -> Rational {
    real.filter(|r| close(*r, average)).unwrap_or(average)
}

fn close(a: Rational, b: Rational) -> bool {
    (a.as_f64() / b.as_f64() - 1.0).abs() < 0.001
}

/// Shapes such as 5120:5123 come from rounding a display's shape, and stand for square samples: nobody can see the
/// difference, and players trip over the odd sizes that it leads to.
fn sample_aspect(stream: &Stream) -> Rational {
    let given = stream.sample_aspect_ratio.as_deref().and_then(|t| t.parse::<Rational>().ok());
    let square = Rational::whole(1).expect("not zero");
    given.filter(|r| (0.1..=10.0).contains(&r.as_f64()) && (r.as_f64() - 1.0).abs() > 0.005).unwrap_or(square)
}

fn starts_at(stream: &Stream, begins: f64) -> f64 {
    seconds(stream.start_time.as_deref()).map_or(0.0, |s| s - begins)
}

fn colour(stream: &Stream) -> Colour {
    let known = |tag: &Option<String>| tag.clone().filter(|t| !matches!(t.as_str(), "unknown" | "reserved" | "gbr"));
    Colour {
        primaries: known(&stream.color_primaries),
        transfer: known(&stream.color_transfer),
        matrix: known(&stream.color_space),
        range: known(&stream.color_range),
    }
}

fn seconds(text: Option<&str>) -> Option<f64> {
    text?.parse().ok().filter(|s: &f64| s.is_finite())
}

fn language(stream: &Stream) -> Option<String> {
    stream.tags.language.clone().filter(|l| l != "und" && is_language(l))
}

/// Letters, digits and hyphens: what BCP 47 allows, and nothing that could break out of a playlist's quotes.
fn is_language(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffprobe 5.1 printed of the bundled clip, of a turned copy of it and of a WAV file with a cover picture.
    const CLIP: &str = include_str!("../../tests/probes/bbb-5s.json");
    const TURNED: &str = include_str!("../../tests/probes/turned.json");
    const COVER: &str = include_str!("../../tests/probes/cover.json");

    #[test]
    fn reads_the_bundled_clip() {
        let facts = media_facts(CLIP.as_bytes(), 1_055_736).expect("facts");
        let video = facts.video.expect("video");
        assert_eq!((video.width, video.height, video.frames), (1280, 720, Some(132)));
        assert_eq!(
            (video.frame_rate.to_string().as_str(), video.constant_rate, video.fields),
            ("25/1", true, Fields::Progressive)
        );
        assert_eq!((facts.audio[0].channels, facts.audio[0].sample_rate), (6, 48_000));
    }

    /// What ffprobe 5.1 printed of an HDR10 clip made by x265, and of a clip with text, time code and 5.1 sound.
    const HDR10: &str = include_str!("../../tests/probes/hdr10.json");
    const TIMECODE: &str = include_str!("../../tests/probes/subtitles-timecode.json");

    #[test]
    fn a_mastering_display_is_found_in_the_first_frame() {
        let facts = media_facts(HDR10.as_bytes(), 1).expect("facts");
        let video = facts.video.expect("video");
        assert!(video.colour.is_hdr() && video.bit_depth() == 10);
        let hdr = video.hdr.expect("metadata");
        assert_eq!((hdr.max_cll, hdr.max_fall), (Some(1000), Some(400)));
        let mastering = hdr.mastering.expect("a display");
        assert_eq!(mastering.primaries, [(34_000, 16_000), (13_250, 34_500), (7_500, 3_000)]);
        assert_eq!(
            (mastering.white, mastering.max_luminance, mastering.min_luminance),
            ((15_635, 16_450), 10_000_000, 50)
        );
    }

    #[test]
    fn text_and_time_code_are_told_and_what_is_left_out_too() {
        let facts = media_facts(TIMECODE.as_bytes(), 1).expect("facts");
        let [text] = facts.subtitles.as_slice() else { panic!("{:?}", facts.subtitles) };
        assert_eq!((text.index, text.codec.as_str(), text.text), (2, "mov_text", true));
        assert_eq!((facts.timecode.as_deref(), facts.others.len()), (Some("01:00:00:00"), 0));
        assert_eq!(facts.audio[0].layout.as_deref(), Some("5.1"));
        let cover = media_facts(COVER.as_bytes(), 1).expect("facts");
        assert_eq!(cover.others, ["cover art (png)"]);
    }

    #[test]
    fn dolby_vision_says_its_profile() {
        let json = r#"{"format":{},"streams":[{"index":0,"codec_type":"video","codec_name":"hevc","width":64,"height":64,
            "pix_fmt":"yuv420p10le","avg_frame_rate":"24/1","side_data_list":[{"side_data_type":"DOVI configuration record",
            "dv_version_major":1,"dv_profile":5,"dv_level":6,"rpu_present_flag":1,"el_present_flag":0,"bl_present_flag":1}]}]}"#;
        let facts = media_facts(json.as_bytes(), 1).expect("facts");
        assert_eq!(facts.video.expect("video").dolby_vision_profile, Some(5));
    }

    #[test]
    fn a_turn_is_told_clockwise() {
        let facts = media_facts(TURNED.as_bytes(), 1).expect("facts");
        assert_eq!(facts.video.expect("video").rotation, Rotation::Cw90);
    }

    #[test]
    fn matroska_that_starts_late_is_as_long_as_it_lasts() {
        let json = r#"{"format":{"format_name":"matroska,webm","duration":"12.520","start_time":"10.0"},
            "streams":[{"index":0,"codec_type":"audio","codec_name":"flac","channels":1,"sample_rate":"8000"}]}"#;
        let long = media_facts(json.as_bytes(), 1).expect("facts").duration_seconds.expect("a length");
        assert!((long - 2.52).abs() < 1e-9, "{long}");
    }

    #[test]
    fn a_track_of_matroska_is_as_long_as_its_tag_says_less_what_comes_before() {
        let check = |tag: &str, start: &str, want: Option<f64>| {
            let json = format!(
                r#"{{"format":{{"format_name":"matroska,webm","duration":"66.5","start_time":"0.0"}},"streams":[{{"index":0,
                "codec_type":"video","codec_name":"h264","width":16,"height":16,"pix_fmt":"yuv420p","r_frame_rate":"25/1",
                "start_time":"{start}","tags":{{"DURATION":"{tag}"}}}}]}}"#
            );
            let facts = media_facts(json.as_bytes(), 1).expect("facts");
            assert_eq!(facts.video.expect("video").duration_seconds, want, "{tag} from {start}");
        };
        check("00:01:02.500000000", "0.000000", Some(62.5));
        check("00:01:02.500000000", "2.000000", Some(60.5));
        check("00:01:02.500000000", "-0.007000", Some(62.5));
        check("10:00:00.000000000", "2.000000", Some(64.5));
        check("00:00:01.000000000", "2.000000", None);
        for nonsense in ["", "x", "1:2", "1:2:3:4", "00:nan:00", "-1:00:00"] {
            check(nonsense, "0.000000", None);
        }
    }

    #[test]
    fn samples_that_are_square_but_for_a_rounding_are_square() {
        for (shape, want) in
            [("64:45", "64/45"), ("5120:5123", "1/1"), ("1:1", "1/1"), ("0:1", "1/1"), ("99:100", "99/100")]
        {
            let json = format!(
                r#"{{"streams":[{{"index":0,"codec_type":"video","codec_name":"h264","width":16,"height":16,
                "pix_fmt":"yuv420p","r_frame_rate":"25/1","sample_aspect_ratio":"{shape}"}}]}}"#
            );
            let facts = media_facts(json.as_bytes(), 1).expect("facts");
            assert_eq!(facts.video.expect("video").sample_aspect.to_string(), want, "{shape}");
        }
    }

    #[test]
    fn a_bare_stream_without_times_is_even() {
        let constant = |more: &str| {
            let json = format!(
                r#"{{"streams":[{{"index":0,"codec_type":"video","codec_name":"h264","width":16,"height":16,
                "pix_fmt":"yuv420p","r_frame_rate":"50/1","avg_frame_rate":"25/1"{more}}}]}}"#
            );
            let facts = media_facts(json.as_bytes(), 1).expect("facts");
            facts.video.expect("video").constant_rate
        };
        assert!(constant(""));
        assert!(!constant(r#","start_time":"0.000000""#));
    }

    #[test]
    fn cover_art_is_no_video() {
        let facts = media_facts(COVER.as_bytes(), 1).expect("facts");
        assert_eq!((facts.video, facts.audio.len()), (None, 1));
    }

    #[test]
    fn a_language_cannot_break_out_of_a_playlist() {
        assert!(is_language("en") && is_language("pt-BR"));
        assert!(!is_language("en\",URI=\"http://x") && !is_language(""));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for (json, want) in [
            ("{}", "neither video nor audio"),
            ("nope", "cannot be read"),
            (
                r#"{"streams":[{"index":0,"codec_type":"video","codec_name":"h264","width":0,"height":9}]}"#,
                "picture size",
            ),
        ] {
            let error = media_facts(json.as_bytes(), 1).expect_err("nonsense");
            assert!(error.contains(want), "{error}");
        }
    }
}
