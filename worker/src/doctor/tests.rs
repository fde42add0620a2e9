//! What is printed, as text and as JSON.

use super::*;

fn diagnosis() -> Diagnosis {
    Diagnosis::of(vec![
        Finding::ok("kernel", "confines media processes fully"),
        Finding::warn("encoder hevc 8 bit", "Unknown encoder 'libx265'", "install an ffmpeg with libx265"),
        Finding::missing(
            "media programs",
            "cannot find the program ffprobe",
            "install ffmpeg, or set its path under [media]",
        ),
    ])
}

#[test]
fn each_finding_is_a_line_and_what_would_fix_it_another() {
    assert_eq!(
        diagnosis().to_string(),
        "ok      kernel: confines media processes fully\n\
         warn    encoder hevc 8 bit: Unknown encoder 'libx265'\n        \
                 fix: install an ffmpeg with libx265\n\
         missing media programs: cannot find the program ffprobe\n        \
                 fix: install ffmpeg, or set its path under [media]\n\
         this machine cannot work yet\n"
    );
}

#[test]
fn a_warning_alone_does_not_keep_a_machine_from_working() {
    let mut findings = diagnosis().findings;
    findings.pop();
    assert!(Diagnosis::of(findings).works);
}

#[test]
fn json_says_the_same() {
    let first = serde_json::to_string(&Diagnosis::of(diagnosis().findings[..2].to_vec())).expect("text only");
    assert_eq!(
        first,
        r#"{"works":true,"findings":[{"state":"ok","what":"kernel","fact":"confines media processes fully"},{"state":"warn","what":"encoder hevc 8 bit","fact":"Unknown encoder 'libx265'","fix":"install an ffmpeg with libx265"}]}"#
    );
}
