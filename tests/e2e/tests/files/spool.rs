//! The spool: disk is used for files only, while they are made, and never more of it than there is.

use reelmill_api::ErrorKind;
use reelmill_lab::media;

use crate::stage::Stage;

const SOURCE: &str =
    "-f lavfi -i testsrc2=size=320x180:rate=25 -t 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p a.mp4";

fn left(stage: &Stage) -> usize {
    std::fs::read_dir(stage.spool()).map_or(0, Iterator::count)
}

#[test]
fn nothing_stays_in_the_spool_and_ladders_do_not_use_it() {
    let stage = Stage::new();
    let source = media::make(stage.folder.path(), SOURCE);
    stage.play(&source, "hls-ladder", "{}").unwrap_or_else(|e| panic!("{}", e.lines()));
    assert!(!stage.spool().exists(), "a ladder needs no disk");
    stage.play(&source, "proxy", "{}").unwrap_or_else(|e| panic!("{}", e.lines())).is_true();
    assert!(stage.spool().is_dir());
    assert_eq!(left(&stage), 0);
    let cut = stage.folder.path().join("cut.mp4");
    let bytes = std::fs::read(&source).expect("it was made");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("half of it");
    assert!(stage.play(&cut, "proxy", "{}").is_err());
    assert_eq!(left(&stage), 0, "nor of a failed run");
}

#[test]
fn what_a_dead_worker_left_is_swept_at_start() {
    let stage = Stage::new();
    let source = media::make(stage.folder.path(), SOURCE);
    let dead = stage.spool().join("run-00000000000000000000000000000000");
    std::fs::create_dir_all(&dead).expect("a folder");
    std::fs::write(dead.join("archive-prores.mov"), "half of a file").expect("a file");
    std::fs::set_permissions(stage.spool(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("our folder");
    stage.play(&source, "hls-ladder", "{}").unwrap_or_else(|e| panic!("{}", e.lines()));
    assert_eq!(left(&stage), 0);
}

#[test]
fn a_spool_that_cannot_be_used_is_named_with_what_to_do() {
    let stage = Stage::new();
    let source = media::make(stage.folder.path(), SOURCE);
    std::fs::write(stage.spool(), "a file where a folder should be").expect("a file");
    let failure = stage.play(&source, "proxy", "{}").err().expect("there is no folder");
    assert_eq!(failure.kind, ErrorKind::Infrastructure);
    let told = failure.lines();
    assert!(told.contains("cannot use the spool folder") && told.contains("SPOOL_FOLDER"), "{told}");
}

#[test]
fn a_file_that_outgrows_its_bound_fails_in_words() {
    let stage = Stage::new();
    let source = "-f lavfi -i testsrc2=size=1280x720:rate=25,noise=alls=60:allf=t -t 1 -c:v libx264 -preset ultrafast -qp 20 a.mp4";
    let source = media::make(stage.folder.path(), source);
    let mut worker = std::process::Command::new("/bin/bash");
    let inner = stage.worker();
    // A limit that the whole process has: 4 MiB a file.
    let line = format!("ulimit -f 4096; exec {} \"$@\"", inner.get_program().to_string_lossy());
    worker.args(["-c", &line, "worker"]).args(inner.get_args()).env_clear();
    worker.envs(inner.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))));
    let failure = stage.play_by(worker, &source, "archive-prores", "{}").err().expect("it is larger");
    assert!(failure.message.contains("a file grew beyond"), "{}", failure.lines());
    assert_eq!(left(&stage), 0);
}
