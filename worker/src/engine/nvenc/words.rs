//! What NVENC's refusals mean, by ffmpeg's words for them.

use reelmill_api::ErrorKind;

/// What an encoder says when all its sessions are taken, or its memory is. The limit of consumer cards was told as "out of
/// memory" before 2024 and as "incompatible client key" since (obs-studio#11259, go-livepeer#2230).
const TAKEN: &[&str] =
    &["OpenEncodeSessionEx failed: out of memory", "OpenEncodeSessionEx failed: incompatible client key"];

/// What is said where there is no encoder at all: no driver, no library, or a GPU that only decodes.
const ABSENT: &[&str] = &[
    "OpenEncodeSessionEx failed: unsupported device",
    "OpenEncodeSessionEx failed: no encode device",
    "No capable devices found",
    "Cannot load libnvidia-encode",
    "Cannot load libcuda",
    "Driver does not support the required nvenc API version",
    "minimum required Nvidia driver for nvenc",
];

/// What an encoder's refusal is, if its last words are one.
pub(in crate::engine) fn refusal(stderr: &[String]) -> Option<ErrorKind> {
    let said = |words: &[&str]| stderr.iter().any(|line| words.iter().any(|word| line.contains(word)));
    if said(TAKEN) {
        return Some(ErrorKind::Busy);
    }
    said(ABSENT).then_some(ErrorKind::NoCapability)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, want: Option<ErrorKind>) {
        let lines: Vec<_> = stderr.lines().map(str::to_owned).collect();
        assert_eq!(refusal(&lines), want, "{stderr}");
    }

    #[test]
    fn a_session_that_was_taken_is_told_from_an_encoder_that_is_not_there() {
        // ffmpeg 5.1 and 9.0 in these words; the first from livepeer's report of 2021, the second from OBS's of 2024.
        check(
            "[h264_nvenc] OpenEncodeSessionEx failed: out of memory (10): (no details)\n[h264_nvenc] No capable devices found",
            Some(ErrorKind::Busy),
        );
        check(
            "[hevc_nvenc] OpenEncodeSessionEx failed: incompatible client key (21): (no details)",
            Some(ErrorKind::Busy),
        );
        check(
            "[h264_nvenc] OpenEncodeSessionEx failed: unsupported device (2): (no details)\n[h264_nvenc] No capable devices found",
            Some(ErrorKind::NoCapability),
        );
        check("[h264_nvenc] Cannot load libcuda.so.1", Some(ErrorKind::NoCapability));
        check("[h264_nvenc] Cannot load libnvidia-encode.so.1", Some(ErrorKind::NoCapability));
        check("[mov] moov atom not found", None);
        check("", None);
    }
}
