//! Proof at start that an engine works here: a short real encode, never the presence of a program.

use std::time::Duration;

use reelmill_api::{ErrorKind, Failure};
use tokio_util::sync::CancellationToken;

use super::{
    Programs,
    child::{self, Ended},
};

/// No proof takes longer on a healthy machine.
const LONGEST_PROOF: Duration = Duration::from_secs(20);
/// The gateway serves no proof; port 1 is nobody's.
const NO_PORT: u16 = 1;

/// Encodes a few frames and a little sound; the engine's name with its program's version.
///
/// # Errors
/// `no_capability` with what the program said.
pub async fn software(programs: &Programs) -> Result<String, Failure> {
    let version = output(programs, &["-hide_banner", "-version"]).await?;
    let encode = "-nostdin -hide_banner -loglevel error -f lavfi -i testsrc2=size=128x128:rate=25 -f lavfi -i sine=sample_rate=48000 \
                  -frames:v 8 -shortest -c:v libx264 -pix_fmt yuv420p -c:a aac -f null -";
    output(programs, &encode.split_whitespace().collect::<Vec<_>>()).await?;
    Ok(format!("software ({})", version_of(&version)))
}

async fn output(programs: &Programs, args: &[&str]) -> Result<String, Failure> {
    let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
    let mut child = child::spawn(programs, &programs.ffmpeg, &args, programs.limits, NO_PORT)?;
    let said = match child.finish(LONGEST_PROOF, &CancellationToken::new()).await {
        Ended::Exited { success: true, stdout, .. } => return Ok(String::from_utf8_lossy(&stdout).into_owned()),
        Ended::Exited { status, stderr, .. } => format!("{status}: {}", stderr.join("; ")),
        Ended::TimedOut | Ended::Canceled => "it took too long".to_owned(),
    };
    let message = format!("{} cannot encode a test picture: {said}", programs.ffmpeg.display());
    Err(Failure::new(ErrorKind::NoCapability, message)
        .hint("install an ffmpeg with libx264, or set `ffmpeg` under [media] to its path"))
}

/// `ffmpeg 5.1.9` of `ffmpeg version 5.1.9-0+deb12u1 Copyright ...`.
fn version_of(text: &str) -> String {
    let number = text.split_whitespace().nth(2).unwrap_or("of unknown version");
    format!("ffmpeg {}", number.split(['-', '+']).next().unwrap_or(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_what_ffmpeg_prints() {
        assert_eq!(version_of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026"), "ffmpeg 5.1.9");
        assert_eq!(version_of("ffmpeg version n8.0 Copyright"), "ffmpeg n8.0");
        assert_eq!(version_of(""), "ffmpeg of unknown version");
    }
}
