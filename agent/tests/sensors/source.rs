//! tegrastats as a running source: real children and real sockets.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use reelmill_agent::sensors::tegrastats::{
    Sample,
    source::{Source, State, follow},
};
use tokio::{io::AsyncWriteExt as _, net::UnixListener, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::lines;

/// No test waits so long: it is a bound for a hang.
const BOUND: Duration = Duration::from_secs(30);

/// A program that prints what it is told to.
fn program(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("tegrastats");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a folder of our own");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    path
}

async fn until<T>(told: &mut watch::Receiver<State>, holds: impl Fn(&State) -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = holds(&told.borrow_and_update()) {
                return found;
            }
            told.changed().await.expect("the source is still followed");
        }
    };
    timeout(BOUND, wait).await.expect("in time")
}

fn sample(state: &State) -> Option<Sample> {
    if let State::Told(sample, _) = state { Some((**sample).clone()) } else { None }
}

fn silence(state: &State) -> Option<String> {
    if let State::Silent(why) = state { Some(why.clone()) } else { None }
}

#[tokio::test]
async fn a_program_is_read_line_by_line_and_ends_with_us() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let pid = folder.path().join("pid");
    let (_, line) = lines().remove(8);
    let script = format!("echo $$ >{}; echo \"$@\" >&2; echo rubbish; echo '{line}'; exec sleep 600", pid.display());
    let stop = CancellationToken::new();
    let mut told = follow(Source::Program(program(&folder, &script)), stop.clone());
    let sample = until(&mut told, sample).await;
    assert_eq!(sample.cores.len(), 8);
    let process = PathBuf::from("/proc").join(fs::read_to_string(&pid).expect("it has started").trim());
    assert!(process.exists());
    stop.cancel();
    let gone = async {
        // A zombie has no command line any more.
        while fs::read(process.join("cmdline")).is_ok_and(|words| !words.is_empty()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, gone).await.expect("the child is killed");
}

#[tokio::test]
async fn a_program_that_ends_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let count = folder.path().join("count");
    let script = format!(
        "echo x >>{0}; n=$(wc -l <{0}); echo \"RAM $n/9MB (lfb 1x4MB)\"; [ $n = 2 ] && exec sleep 600; exit 3",
        count.display()
    );
    let mut told = follow(Source::Program(program(&folder, &script)), CancellationToken::new());
    until(&mut told, |state| silence(state).filter(|why| why == "it failed: exit status: 3")).await;
    let second = until(&mut told, sample).await;
    assert_eq!(second.ram.map(|ram| ram.used_bytes), Some(2 << 20));
}

#[tokio::test]
async fn a_missing_program_is_told_and_left_alone() {
    let mut told = follow(Source::Program("/nonexistent/tegrastats".into()), CancellationToken::new());
    let said = until(&mut told, |state| silence(state).filter(|why| why.starts_with("there is"))).await;
    assert_eq!(said, "there is no /nonexistent/tegrastats");
    let ended = async { while told.changed().await.is_ok() {} };
    timeout(BOUND, ended).await.expect("nobody tries any longer");
}

#[tokio::test]
async fn a_socket_is_read_and_a_new_one_too() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let path = folder.path().join("tegrastats.sock");
    let mut told = follow(Source::Socket(path.clone()), CancellationToken::new());
    until(&mut told, |state| silence(state).filter(|why| why.starts_with("there is no"))).await;
    let listener = UnixListener::bind(&path).expect("a folder of our own");
    for (from, line) in lines().into_iter().take(2) {
        let (mut stream, _) = timeout(BOUND, listener.accept()).await.expect("in time").expect("it connects");
        stream.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        let sample = until(&mut told, sample).await;
        assert_eq!(sample.engines.len(), 11, "{from}");
        drop(stream);
        assert_eq!(until(&mut told, silence).await, "it ended");
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let script = "head -c 100000 /dev/zero | tr '\\0' x; exec sleep 600";
    let mut told = follow(Source::Program(program(&folder, script)), CancellationToken::new());
    let why = until(&mut told, |state| silence(state).filter(|why| why.contains("longer"))).await;
    assert_eq!(why, "it is longer than 16384 bytes, so it is no line of tegrastats");
}
