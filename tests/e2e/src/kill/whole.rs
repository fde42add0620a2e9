//! Whether a published output is all there, from its multivariant playlist down to the samples in its segments.

use std::{path::Path, time::SystemTime};

use reelmill_api::{Report, layout};

use super::field::FRAMES;
use crate::{
    boxes::samples,
    files_under,
    playlist::{Master, Media},
};

/// The attempt that is published in a folder, if one is. Panics if anything that it names is not there, or came after it.
pub(super) fn published(output: &Path) -> Option<String> {
    let master = std::fs::read_to_string(output.join("master.m3u8")).ok()?;
    let attempt = layout::published_attempt(&master).unwrap_or_else(|| panic!("no attempt's: {master}")).to_string();
    let own = format!("{attempt}/");
    let master = Master::read(&master);
    let sounds = master.media.iter().filter(|a| a.text("TYPE") == "AUDIO").map(|a| a.text("URI"));
    let videos: Vec<_> = master.variants.iter().map(|(_, uri)| uri.as_str()).collect();
    for uri in sounds.chain(videos.iter().copied()) {
        assert!(uri.starts_with(&own), "{attempt} names another's {uri}");
        let found = count(&output.join(uri));
        assert!(found > 0 && (found == FRAMES || !videos.contains(&uri)), "{found} samples in {uri}");
    }
    let report = std::fs::read(output.join("reelmill.json")).expect("a report lies beside the playlist");
    let report: Report = serde_json::from_slice(&report).expect("a report");
    assert_eq!(report.attempt.to_string(), attempt, "the report is of the published attempt");
    let commit = written(&output.join("master.m3u8"));
    for file in files_under(&output.join(&attempt)) {
        assert!(written(&output.join(&attempt).join(&file)) <= commit, "{file} came after the commit of {attempt}");
    }
    Some(attempt)
}

/// How many samples a rendition has, by its playlist and the boxes in its segments.
fn count(playlist: &Path) -> usize {
    let read = |name: &Path| std::fs::read(name).unwrap_or_else(|e| panic!("{}: {e}", name.display()));
    let media = Media::read(&String::from_utf8(read(playlist)).expect("text"));
    let folder = playlist.parent().expect("a playlist lies in a folder");
    let segments: Vec<_> = media.segments.iter().map(|(_, name)| read(&folder.join(name))).collect();
    samples(&read(&folder.join(&media.init)), &segments).iter().map(Vec::len).sum()
}

fn written(file: &Path) -> SystemTime {
    file.metadata().and_then(|meta| meta.modified()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
