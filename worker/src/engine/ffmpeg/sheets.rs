//! The storyboard's sheets as JPEG files, each put to the gateway by itself.

use reelmill_api::layout;

use super::{OutputUrl, strings};

/// The output of the pad `[v-storyboard]`. Its rate is none of the grid's: a frame of it is a whole sheet.
pub(super) fn output(output: OutputUrl<'_>) -> Vec<String> {
    let mut args = vec!["-map".to_owned(), format!("[v-{}]", layout::STORYBOARD)];
    args.extend(strings("-c:v mjpeg -q:v 4 -fps_mode passthrough -map_metadata -1 -map_chapters -1 -an -sn -dn"));
    args.extend(strings("-f image2 -start_number 0 -protocol_opts method=PUT"));
    args.push(format!("{}/{}", output(layout::STORYBOARD), layout::SHEET_PATTERN));
    args
}
