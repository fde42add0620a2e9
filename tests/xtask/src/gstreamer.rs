//! GStreamer's headers: where they are, the program that needs them is built, linted and tested with the rest. Elsewhere
//! the workspace does without it.

use std::process::Command;

use crate::program;

/// What cargo is told besides.
pub(crate) fn features() -> &'static [&'static str] {
    let there = program::answers(Command::new("pkg-config").args(["--exists", "gstreamer-1.0"]));
    if there { &["--features", "reelmill-gst/gstreamer"] } else { &[] }
}
