//! Single files: pictures and all sound in one container.

use reelmill_api::preset::Container;

use super::{OutputUrl, sound, strings};
use crate::plan::{FilePlan, Plan};

/// The output of one file.
pub(super) fn output(plan: &Plan, file: &FilePlan, encoder: &[String], output: OutputUrl<'_>) -> Vec<String> {
    let mut args = encoder.to_vec();
    for (index, audio) in file.audios.iter().enumerate() {
        args.extend(sound::audio(plan, audio, index));
        if let Some(language) = &audio.language {
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
