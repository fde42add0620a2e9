//! Sources that point to the canary.

use crate::canary::Canary;

/// A source that points elsewhere.
pub(crate) struct Trap {
    /// Its key in the store.
    pub(crate) key: &'static str,
    /// What it holds.
    pub(crate) text: String,
    /// What ffprobe must be told to fall into it; `None`: nobody makes it fall.
    pub(crate) bait: Option<&'static str>,
}

/// Protocols that a careless user might allow.
const ALL: &str = "-protocol_whitelist file,http,tcp,udp,rtp,unix,crypto,data,subfile,async,cache,concat";

fn trap(key: &'static str, bait: &'static str, text: String) -> Trap {
    Trap { key, text, bait: Some(bait) }
}

fn playlist(lines: &str) -> String {
    format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n{lines}\n#EXT-X-ENDLIST\n")
}

/// Playlists, scripts and session descriptions that point to the canary's host, files and socket.
pub(crate) fn all(canary: &Canary) -> Vec<Trap> {
    let host = format!("http://127.0.0.1:{}", canary.port);
    let file = |name: &str| canary.file(name).display().to_string();
    let (ts, nested, key) = (file("canary.ts"), file("canary.m3u8"), file("canary.txt"));
    let mut traps = hls(canary, &host, &ts);
    traps.extend([
        trap("nested.mp4", ALL, format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{nested}\n")),
        trap(
            "renditions.mov",
            ALL,
            format!(
                "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES,URI=\"{host}/a.m3u8\"\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nfile://{nested}\n"
            ),
        ),
        trap(
            "key-file.mp4",
            ALL,
            playlist(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"file://{key}\"\n#EXTINF:1,\nfile://{ts}")),
        ),
        trap(
            "key-host.ts",
            ALL,
            playlist(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{host}/key\"\n#EXTINF:1,\nfile://{ts}")),
        ),
        trap("map.mp4", ALL, playlist(&format!("#EXT-X-MAP:URI=\"{host}/init.mp4\"\n#EXTINF:1,\nfile://{ts}"))),
        trap("script.mkv", "-safe 0", format!("ffconcat version 1.0\nfile {ts}\n")),
        trap(
            "script-host.mp4",
            "-safe 0 -protocol_whitelist file,http,tcp",
            format!("ffconcat version 1.0\nfile {host}/a.mp4\n"),
        ),
        trap("dash-host.mp4", ALL, dash(&format!("{host}/a.mp4"))),
        trap("dash-file.webm", ALL, dash(&format!("file://{}", file("canary.mov")))),
    ]);
    traps.extend(untried(canary, &host));
    traps
}

fn hls(canary: &Canary, host: &str, ts: &str) -> Vec<Trap> {
    let port = canary.port;
    let socket = canary.file("canary.sock").display().to_string();
    let one = |uri: String| playlist(&format!("#EXTINF:1,\n{uri}"));
    vec![
        trap("host.mp4", ALL, one(format!("{host}/a.ts"))),
        trap("file.mp4", ALL, one(format!("file://{ts}"))),
        trap("path.mkv", ALL, one(ts.to_owned())),
        trap("async.mp4", "-allowed_extensions ALL", one(format!("{ts}?x=.ts"))).untried(),
        trap("crypto.mov", ALL, one(format!("crypto+{host}/a.ts"))).untried(),
        trap("tcp.mp4", ALL, one(format!("tcp://127.0.0.1:{port}?.ts"))).untried(),
        trap("udp.mp4", ALL, one(format!("udp://127.0.0.1:{port}?.ts"))).untried(),
        trap("unix.mp4", ALL, one(format!("unix:{socket}"))).untried(),
        trap("subfile.mp4", ALL, one(format!("subfile,,start,0,end,0,,:{ts}"))).untried(),
        trap("concat.mp4", ALL, one(format!("concat:{ts}|{ts}"))).untried(),
        trap("data.mp4", ALL, one("data:video/mp2t;base64,R0AAEA==".to_owned())).untried(),
    ]
}

/// Sources of other kinds that name the canary.
fn untried(canary: &Canary, host: &str) -> Vec<Trap> {
    let (port, txt) = (canary.port, canary.file("canary.txt").display().to_string());
    let text = |key, text: String| Trap { key, text, bait: None };
    vec![
        text(
            "session.mov",
            format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 33\n"),
        ),
        text(
            "subtitles.mp4",
            format!(
                "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: D,{txt}\n\n\
                 [Fonts]\nfontname: {txt}\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n\
                 Dialogue: 0,0:00:00.00,0:00:05.00,D,{{\\fn{txt}}}hello\n"
            ),
        ),
        text("captions.mkv", "1\n00:00:00,000 --> 00:00:05,000\n<font face=\"/etc/passwd\">hello</font>\n".to_owned()),
        text("web.mp4", "WEBVTT\n\n00:00.000 --> 00:05.000\nhello\n".to_owned()),
        text("picture.mp4", format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"{host}/a.png\"/></svg>")),
        text("redirect.mp4", format!("RTSPtext\nrtsp://127.0.0.1:{port}/a\n")),
        text("list.mp4", format!("[playlist]\nFile1={host}/a.mp4\nNumberOfEntries=1\n")),
        text("lines.mp4", format!("{host}/a.mp4\n{txt}\n")),
    ]
}

impl Trap {
    /// One into which this machine's ffprobe need not fall.
    fn untried(self) -> Self {
        Self { bait: None, ..self }
    }
}

fn dash(url: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT1S\" profiles=\"urn:mpeg:dash:profile:isoff-main:2011\"><Period>\
         <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{url}</BaseURL>\
         </Representation></AdaptationSet></Period></MPD>\n"
    )
}
