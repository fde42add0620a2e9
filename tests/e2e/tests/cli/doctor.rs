//! `reelmill doctor` on a machine that lacks something: it says what, and what would fix it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use reelmill_lab::programs::command;

fn doctor(words: &[&str], settings: &[(&str, &Path)]) -> (Option<i32>, String) {
    let mut doctor = command("reelmill");
    let Output { status, stdout, .. } =
        doctor.arg("doctor").args(words).envs(settings.iter().copied()).output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

#[test]
fn a_machine_without_ffmpeg_cannot_work_and_is_told_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, said) = doctor(&[], &[("PATH", folder.path())]);
    assert_eq!(code, Some(1), "{said}");
    let want = "missing media programs: cannot find the program ffmpeg\n        \
                fix: install ffmpeg, or set its path under [media]\n";
    assert!(said.contains(want) && said.ends_with("this machine cannot work yet\n"), "{said}");
}

#[test]
fn an_encoder_that_does_not_encode_is_told_with_its_presets() {
    let folder = tempfile::tempdir().expect("a folder");
    // Media programs run as nobody.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("our folder");
    let (wrapper, config) = (folder.path().join("ffmpeg"), folder.path().join("worker.toml"));
    let script = "#!/bin/bash\nfor word in \"$@\"; do\n  \
                  [ \"$word\" = libx265 ] && { echo \"Unknown encoder 'libx265'\" >&2; exit 1; }\ndone\nexec ffmpeg \"$@\"\n";
    let script = script.replace("exec ffmpeg", "exec /usr/bin/ffmpeg");
    std::fs::write(&wrapper, script).expect("written");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("our file");
    let at = folder.path().display();
    let text = format!(
        "presets = [\"hls-ladder\", \"hls-ladder-hevc\"]\n[media]\nreadable = [\"{at}\"]\nffmpeg = \"{at}/ffmpeg\"\n"
    );
    std::fs::write(&config, text).expect("written");
    let config = config.to_string_lossy().into_owned();
    let kept = [("REELMILL_CACHE_FOLDER", folder.path())];
    let (code, said) = doctor(&["--config", &config], &kept);
    assert_eq!(code, Some(0), "{said}");
    let want = "warn    encoder hevc 8 bit: Unknown encoder 'libx265'\n        fix: install an ffmpeg with libx265\n";
    assert!(said.contains(want), "{said}");
    assert!(said.contains("ok      presets: hls-ladder\nwarn    preset hls-ladder-hevc: this node's ffmpeg"), "{said}");
    let (code, said) = doctor(&["--config", &config, "--json"], &kept);
    let json: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    let states: Vec<_> = json["findings"].as_array().expect("a list").iter().map(|finding| &finding["state"]).collect();
    assert_eq!((code, &json["works"]), (Some(0), &serde_json::Value::Bool(true)), "{said}");
    assert!(states.iter().any(|state| *state == "warn") && states.iter().any(|state| *state == "ok"), "{said}");
}
