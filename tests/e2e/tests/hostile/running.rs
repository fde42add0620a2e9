//! The worker and its media process while they are at work, seen from outside.

use std::{fs, path::PathBuf, process::Command};

use reelmill_api::EventBody;
use reelmill_e2e::{
    Farm,
    processes::{self, Process},
};
use reelmill_lab::{
    media,
    programs::{Running, eventually, program},
    s3::{ACCESS_KEY, Pace, SECRET_KEY},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    canary::SECRET,
    kernel::{as_somebody, confines_fully, is_root, skipped},
    stage::QUICK,
};

fn signal(process: &Process, signal: Signal) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the process is there");
}

fn proc(process: &Process, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{name}", process.pid)).expect("the process is there")
}

/// The media process of a job, stopped in the middle of its work.
fn stopped_in_the_middle(worker: &Running) -> Process {
    let is_socket = |file: &PathBuf| file.to_string_lossy().starts_with("socket:");
    let encodes = |p: &Process| {
        let words = fs::read(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default();
        p.name == "ffmpeg" && words.ends_with(b"index.m3u8\0") && p.open_files().iter().any(is_socket)
    };
    let found = eventually("the media process", || processes::children(worker.pid()).into_iter().find(encodes));
    signal(&found, Signal::STOP);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_process_holds_no_secret_and_has_no_rights() {
    // So slow a line that its source takes seconds to be read.
    let farm = Farm::start_slow(Pace { bytes_per_second: Some(200_000), ..Pace::default() }).await;
    farm.add_preset(QUICK, &[("64p", 96, 64)]);
    let mut worker = farm.worker();
    worker.env("CANARY_SECRET", SECRET).env("STALL_SECONDS", "60");
    let input = farm.upload(&media::clip(), "secret name.mp4");
    let job = farm.submit(&input, QUICK).await;
    let worker = Running::start(worker);
    let child = tokio::task::block_in_place(|| stopped_in_the_middle(&worker));

    assert_eq!(String::from_utf8_lossy(&proc(&child, "environ")), "");
    let words = String::from_utf8_lossy(&proc(&child, "cmdline")).replace('\0', " ");
    let endpoint = farm.store.endpoint.as_str();
    for secret in [ACCESS_KEY, SECRET_KEY, SECRET, endpoint, "secret name", "s3://"] {
        assert!(!words.contains(secret), "{secret} in {words}");
    }
    for (limit, wanted) in [
        ("Max data size", (8_u64 << 30).to_string()),
        ("Max cpu time", (96 * 3600).to_string()),
        ("Max open files", "512".to_owned()),
        ("Max file size", "0".to_owned()),
        ("Max core file size", "0".to_owned()),
    ] {
        assert_eq!(child.limit(limit), Some((wanted.clone(), wanted)), "{limit}");
    }
    let status = String::from_utf8_lossy(&proc(&child, "status")).into_owned();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim).unwrap_or("").to_owned();
    assert_eq!(
        (field("CapEff:"), field("CapPrm:"), field("NoNewPrivs:")),
        ("0".repeat(16), "0".repeat(16), "1".into())
    );
    if is_root() {
        assert_eq!((field("Uid:"), field("Groups:")), ("65534\t65534\t65534\t65534".into(), String::new()));
    } else {
        skipped("media processes of a root worker become nobody", "this test is not run as root");
    }
    for file in child.open_files() {
        let name = file.display().to_string();
        let plain = ["pipe:", "socket:", "anon_inode:", "/dev/null"].iter().any(|kind| name.starts_with(kind));
        assert!(plain, "the media process has {name} open");
    }
    signal(&child, Signal::CONT);
    let end =
        farm.wait_for(job, "the end", |e| matches!(e.body, EventBody::Done { .. } | EventBody::Failed { .. })).await;
    assert!(matches!(end.body, EventBody::Done { .. }), "{end:?}");
}

/// The environment of a worker is closed to its own user, and to what runs under its launcher.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_root_reads_a_workers_environment() {
    let farm = Farm::start().await;
    let shelf = tempfile::tempdir().expect("a temporary folder");
    let copy = shelf.path().join("reelmill-worker");
    fs::copy(program("reelmill-worker"), &copy).expect("a copy");
    for open in [shelf.path(), farm.folder.path()] {
        fs::set_permissions(open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("our folder");
    }
    for entry in fs::read_dir(farm.folder.path()).expect("our folder").flatten().filter(|e| e.path().is_file()) {
        fs::set_permissions(entry.path(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("our file");
    }
    let mut worker = as_somebody(&copy);
    worker.env_clear();
    worker.envs(farm.worker().get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))));
    let worker = Running::start({
        worker.env("CANARY_SECRET", SECRET);
        worker
    });
    let pid = worker.pid();
    // It hides first of all, before it takes up anything else.
    let script = format!("cat /proc/{pid}/environ; ls /proc/{pid}/fd/; cat /proc/{pid}/mem");
    let read = |mut command: Command| {
        let output = command.output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let bare = || {
        let mut shell = as_somebody("/bin/sh".as_ref());
        shell.args(["-c", &script]);
        read(shell)
    };
    let works = || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.starts_with("reelmill-worker"));
    eventually("the worker's start", || works().then_some(()));
    let said = eventually("a hidden worker", || Some(bare()).filter(|s| s.matches("Permission denied").count() == 3));
    assert!(!said.contains(SECRET) && !said.contains(SECRET_KEY), "{said}");
    if confines_fully() {
        let mut confined = as_somebody(&copy);
        confined.args(["confine", "--port=1", "--memory=1000000000", "--cpu=20", "--files=64", "--", "/bin/sh", "-c"]);
        let more = format!("{script}; cat /proc/{pid}/cmdline; ls /proc/{pid}");
        let said = read({
            confined.arg(more);
            confined
        });
        assert_eq!(said.matches("Permission denied").count(), 5, "{said}");
        assert!(!said.contains(SECRET_KEY) && !said.contains(SECRET), "{said}");
    } else {
        skipped("the launcher hides other processes", "this kernel has no Landlock, or one that knows no ports");
    }
    if is_root() {
        let environ = fs::read(format!("/proc/{pid}/environ")).expect("root may");
        assert!(String::from_utf8_lossy(&environ).contains(SECRET), "the secret is there to be read");
    }
}
