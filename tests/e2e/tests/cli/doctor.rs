//! `reelmill doctor` on a machine that lacks something: it says what, and what would fix it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use reelmill_lab::programs::{command, ffmpeg, script};

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

/// Writes an ffmpeg that begins with these lines of bash for each word of its arguments, and a configuration with it; the latter's
/// path.
fn with_ffmpeg(folder: &Path, presets: &str, each_word: &str) -> String {
    // Media programs run as nobody.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("our folder");
    let (wrapper, config, at) = (folder.join("ffmpeg"), folder.join("worker.toml"), folder.display());
    let text =
        format!("#!/bin/bash\nfor word in \"$@\"; do\n  {each_word}\ndone\nexec {} \"$@\"\n", ffmpeg().display());
    script(&wrapper, &text);
    let text = format!("presets = [{presets}]\n[media]\nreadable = [\"{at}\"]\nffmpeg = \"{at}/ffmpeg\"\n");
    std::fs::write(&config, text).expect("written");
    config.to_string_lossy().into_owned()
}

#[test]
fn an_encoder_that_does_not_encode_is_told_with_its_presets() {
    let folder = tempfile::tempdir().expect("a folder");
    let refuses = "[ \"$word\" = libx265 ] && { echo \"Unknown encoder 'libx265'\" >&2; exit 1; }";
    let config = with_ffmpeg(folder.path(), "\"hls-ladder\", \"hls-ladder-hevc\"", refuses);
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

/// What it refuses by itself it will refuse again; what had no memory or no time may do it the next time.
#[test]
fn what_a_machine_refused_for_the_moment_is_asked_again() {
    for (deed, remembered) in [("kill -KILL $$", false), ("{ echo no such encoder >&2; exit 1; }", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("mark");
        let each_word = format!("[ \"$word\" = libx265 ] && [ -e {} ] && {deed}", mark.display());
        let config = with_ffmpeg(folder.path(), "\"hls-ladder-hevc\"", &each_word);
        let is_refused = || {
            let (_, said) = doctor(&["--config", &config], &[("REELMILL_CACHE_FOLDER", folder.path())]);
            assert_ne!(
                said.contains("warn    encoder hevc 8 bit: "),
                said.contains("ok      encoder hevc 8 bit: "),
                "{said}"
            );
            said.contains("warn    encoder hevc 8 bit: ")
        };
        std::fs::write(&mark, "").expect("written");
        assert!(is_refused(), "{deed}");
        std::fs::remove_file(&mark).expect("it was there");
        assert_eq!(is_refused(), remembered, "{deed}");
    }
}
