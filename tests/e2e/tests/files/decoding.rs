//! A file whose index is right and whose media is not: it is decoded again before it is stored, and then not stored.

use reelmill_api::ErrorKind;
use reelmill_lab::{media, programs::script};

use crate::stage::Stage;

/// A script that is taken for ffmpeg: it makes the file, and then spoils its middle, as a faulty disk or GPU might.
const SPOILS: &str = "#!/bin/sh
for last in \"$@\"; do :; done
ffmpeg \"$@\" || exit
case $last in
  */proxy.mov) dd if=/dev/zero of=\"$last\" bs=1 count=6000 conv=notrunc seek=$(($(stat -c %s \"$last\") / 2)) status=none ;;
esac
";

#[test]
fn a_file_that_cannot_be_decoded_again_is_not_stored() {
    let stage = Stage::new();
    let root = stage.folder.path();
    let spoils = root.join("spoils");
    script(&spoils, SPOILS);
    let config = root.join("spoils.toml");
    let text = format!("[media]\nffmpeg = \"{}\"\nreadable = [\"{}\"]\n", spoils.display(), root.display());
    std::fs::write(&config, text).expect("a configuration");
    let words = "-f lavfi -i testsrc2=size=640x360:rate=25 -t 3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p a.mp4";
    let source = media::make(root, words);
    let mut worker = stage.worker();
    worker.arg("--config").arg(config);
    let Err(failure) = stage.play_by(worker, &source, "proxy", "{}") else { panic!("it was published") };
    assert_eq!(failure.kind, ErrorKind::Infrastructure);
    let start = "the output was not published: rendition proxy.mov: it cannot be decoded again: ";
    assert!(failure.message.starts_with(start), "{}", failure.lines());
}
