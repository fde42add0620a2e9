//! Single files: pictures and all sound in one container.

use reelmill_api::{media::Rotation, preset::Container};

use super::{OutputUrl, sound, strings};
use crate::{
    language,
    plan::{FilePlan, Plan, Product},
};

/// The output of one file.
pub(super) fn output(plan: &Plan, file: &FilePlan, encoder: &[String], output: OutputUrl<'_>) -> Vec<String> {
    let mut args = encoder.to_vec();
    for (index, audio) in file.audios.iter().enumerate() {
        args.extend(sound::audio(plan, audio, index));
        if let Some(language) = audio.language.as_deref().and_then(|said| language_code(file.container, said)) {
            args.extend([format!("-metadata:s:a:{index}"), format!("language={language}")]);
        }
    }
    if let Some(timecode) = &file.timecode {
        args.extend(["-timecode".to_owned(), timecode.clone()]);
    }
    args.extend(strings("-map_metadata -1 -map_chapters -1 -sn -dn -max_muxing_queue_size 4096"));
    args.extend(strings(match file.container {
        Container::Mp4 => "-movflags +faststart -f mp4",
        Container::Mov => "-movflags +write_colr -f mov",
    }));
    args.push(output(&file.file_name()));
    args
}

/// A second input of the graph, for files that must not inherit what the source says of its pictures as a whole. ffmpeg
/// copies that from a graph's only input (the turn that was made already, the light levels of a range that was mapped),
/// and with two it knows none to copy from. A kept high dynamic range keeps its mastering metadata that way.
pub(super) fn cut_off(plan: &Plan) -> String {
    let inherits = plan.picture.rotation == Rotation::None && plan.videos().iter().all(|video| video.hdr);
    match plan.product {
        Product::Files(_) if !inherits => format!(";[0:{}]nullsink", plan.picture.stream),
        _ => String::new(),
    }
}

/// How a container names a language, as ffmpeg's muxer wants to be told. QuickTime numbers languages (QuickTime File
/// Format, "Language Code Values"), and ffmpeg (libavformat/isom.c) finds most numbers by the bibliographic code; a
/// language without a number is not written.
fn language_code(container: Container, said: &str) -> Option<&'static str> {
    let (terminological, bibliographic) = language::three_letters(said)?;
    Some(match (container, terminological) {
        (Container::Mp4, code) | (Container::Mov, code @ ("fra" | "ron" | "ces" | "slk")) => code,
        (Container::Mov, "swe") => "sve",
        (Container::Mov, _) => bibliographic,
    })
}
