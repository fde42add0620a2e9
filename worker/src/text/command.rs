//! The command line that prints subtitle tracks as WebVTT.

use crate::{
    engine::{source_options, strings},
    gateway::TRACK_OF_TEXT,
    plan::TextPlan,
};

/// ffmpeg's arguments to print these tracks, each to the gateway by itself. One run reads the source once for all of
/// them; pictures and sound are passed over.
pub fn command(tracks: &[&TextPlan], source: &str, output: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut args = strings("-nostdin -hide_banner -loglevel error");
    args.extend(source_options());
    args.extend(["-i".to_owned(), source.to_owned()]);
    for track in tracks {
        args.extend(["-map".to_owned(), format!("0:{}", track.stream)]);
        args.extend(strings("-map_metadata -1 -map_chapters -1 -c:s webvtt -f webvtt -method PUT"));
        args.push(format!("{}/{TRACK_OF_TEXT}", output(&track.name)));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tracks_are_printed_by_one_run() {
        let track = |name: &str, stream| TextPlan {
            name: name.to_owned(),
            stream,
            language: None,
            forced: false,
            hearing_impaired: false,
        };
        let (first, second) = (track("text", 2), track("text-2", 4));
        let args =
            command(&[&first, &second], "http://127.0.0.1:1/in", &|name| format!("http://127.0.0.1:1/out/{name}"));
        let want = "-nostdin -hide_banner -loglevel error WHITELISTS -i http://127.0.0.1:1/in \
                    -map 0:2 -map_metadata -1 -map_chapters -1 -c:s webvtt -f webvtt -method PUT \
                    http://127.0.0.1:1/out/text/track.vtt \
                    -map 0:4 -map_metadata -1 -map_chapters -1 -c:s webvtt -f webvtt -method PUT \
                    http://127.0.0.1:1/out/text-2/track.vtt";
        assert_eq!(args.join(" "), want.replace("WHITELISTS", &source_options().join(" ")));
    }
}
