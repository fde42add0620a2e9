//! Playlists, scripts, session descriptions and subtitles under the name of a video.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

use reelmill_api::ErrorKind;
use reelmill_lab::programs::program;

use crate::{
    canary::Canary,
    kernel::{confines_fully, skipped},
    stage::Stage,
    traps::{self, Trap},
};

/// Runs a careless ffprobe on a trap.
fn careless(canary: &Canary, trap: &Trap, bait: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(trap.key);
    std::fs::write(&file, &trap.text).expect("a trap");
    let mut ffprobe = Command::new("timeout");
    ffprobe.args(["20", "ffprobe", "-v", "error", "-show_packets"]).args(bait.split(' ')).arg(file);
    ffprobe.output().expect("ffprobe is installed");
    canary.touched()
}

#[test]
fn a_careless_program_falls_into_the_traps() {
    let canary = Canary::new();
    let _ = canary.touched();
    let safe: Vec<_> = traps::all(&canary)
        .iter()
        .filter_map(|trap| careless(&canary, trap, trap.bait?).is_empty().then_some(trap.key))
        .collect();
    assert_eq!(safe, Vec::<&str>::new(), "these traps prove nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_falls_into_none_of_them() {
    let stage = Stage::start().await;
    let _ = stage.canary.touched();
    let traps = traps::all(&stage.canary);
    let mut jobs = Vec::new();
    for trap in &traps {
        jobs.push((trap.key, stage.submit(trap.key, trap.text.as_bytes()).await));
    }
    for (key, job) in jobs {
        let failure = stage.refused(job, key).await;
        assert_eq!(failure.kind, ErrorKind::BadSource, "{key}: {failure:?}");
        let begins = format!("cannot use {} as a source: ", stage.location(key));
        assert!(failure.message.starts_with(&begins) && failure.hint.is_some(), "{key}: {failure:?}");
    }
    assert_eq!(stage.canary.touched(), Vec::<String>::new());
}

/// Serves one text to whoever asks, as the gateway would.
fn serve(text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        // Ends with the test program: whoever asks, asks at once.
        for socket in listener.incoming().flatten() {
            let (mut socket, mut asked) = (socket, [0; 2000]);
            let _ = socket.read(&mut asked);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
            let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(text.as_bytes()));
        }
    });
    port
}

/// The second wall: ffprobe without any allow-list, but under the launcher.
#[test]
fn the_launcher_alone_keeps_a_careless_program_from_the_canary() {
    if !confines_fully() {
        return skipped("the launcher against traps", "this kernel has no Landlock, or one that knows no ports");
    }
    let canary = Canary::new();
    let _ = canary.touched();
    for trap in traps::all(&canary) {
        let Some(bait) = trap.bait else { continue };
        let port = serve(trap.text);
        let mut ffprobe = Command::new(program("reelmill-worker"));
        ffprobe.args(["confine", &format!("--port={port}"), "--memory=1000000000", "--cpu=20", "--files=64", "--"]);
        ffprobe.args(["/usr/bin/ffprobe", "-v", "error", "-show_packets"]);
        ffprobe.args(bait.replace("-safe 0", "-f concat -safe 0").split(' '));
        let ran = ffprobe.arg(format!("http://127.0.0.1:{port}/{}", trap.key)).output().expect("it starts");
        assert_eq!(canary.touched(), Vec::<String>::new(), "{}: {ran:?}", trap.key);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!said.contains("Connection refused"), "{}: it never read the trap: {said}", trap.key);
    }
}
