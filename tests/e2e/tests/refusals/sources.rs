//! Sources that are none, each made as a user would come by it, and what is said of it.

use std::{fs, path::Path};

use reelmill_lab::media;

/// A bad source: its name and what is said of it after its location.
pub(crate) struct Bad {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

/// All bad sources. Their files are made by [`make`].
pub(crate) const ALL: &[Bad] = &[
    Bad { name: "zero.mp4", why: "it has no bytes\nhint: was the upload finished?" },
    Bad { name: "text.mp4", why: "it is not in a media format that can be read\nhint: is it a video file?" },
    Bad {
        name: "cut-index-last.mp4",
        why: "its index (moov) is missing, so it was cut off\nhint: upload it again, whole",
    },
    Bad {
        name: "cut-index-first.mp4",
        why: "it is cut or damaged: pictures or sound could not be decoded whole, and ffmpeg said first: \
              Error while decoding stream #0:0: Invalid data found when processing input\n\
              hint: upload it again, whole, or use a preset with damage = \"tolerate\" to publish what can be decoded",
    },
    Bad {
        name: "sound.m4a",
        why: "it has no video track (only audio), and preset quick makes video\nhint: choose a source with moving pictures",
    },
    Bad {
        name: "list.mp4",
        why: "it is a playlist or a script (hls) that points to other files\nhint: submit the media file itself",
    },
    Bad { name: "words.srt", why: "it holds subtitles (srt) and no video\nhint: submit the video file" },
    Bad { name: "photo.png", why: "it is a picture (png) and no video\nhint: submit the video file" },
];

/// Makes all bad sources in a folder.
pub(crate) fn make(folder: &Path) {
    let clip = fs::read(media::clip()).expect("the clip");
    let first = fs::read(media::make(folder, "-i CLIP -c copy -movflags +faststart first.mp4")).expect("just made");
    let last = fs::read(media::make(folder, "-i CLIP -c copy last.mp4")).expect("just made");
    media::make(folder, "-i CLIP -vn -c copy sound.m4a");
    media::make(folder, "-i CLIP -frames:v 1 photo.png");
    assert!(last.len() > clip.len() / 2);
    for (name, bytes) in [
        ("zero.mp4", &b""[..]),
        ("text.mp4", b"This is no video, whatever its name says.\n"),
        ("cut-index-last.mp4", &last[..last.len() / 2]),
        ("cut-index-first.mp4", &first[..first.len() / 2]),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n"),
        ("words.srt", b"1\n00:00:00,000 --> 00:00:05,000\nhello\n"),
    ] {
        fs::write(folder.join(name), bytes).expect("our folder");
    }
}
