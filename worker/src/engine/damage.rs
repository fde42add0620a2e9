//! What ffmpeg says of pictures and sound that it could not decode whole: the only place where damage in the middle of a
//! source shows, because it conceals what it can and exits with 0.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reelmill_api::{ErrorKind, Failure, preset::Damage};

use super::words;
use crate::plan::Plan;

/// What ffmpeg itself says, whatever the decoder: of a frame that came out with faults, and of a packet that gave none.
/// Decoders say much more, most of it of streams that are well (those that begin between two keyframes, for one).
const COMPLAINTS: &[&str] = &[
    // All versions.
    "corrupt decoded frame",
    // Up to 6.
    "Error while decoding stream #",
    // From 7 on.
    "Error submitting packet to decoder",
    "Decoding error:",
];

/// How ffmpeg shortens the same line said again and again.
const REPEATED: &str = "Last message repeated ";

/// A recording of a transport stream begins and ends anywhere: the last picture and the last piece of sound may be half.
const RAGGED_ENDS: u64 = 2;

/// The damage of one source, counted while it is decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    places: u64,
    first: Option<String>,
    last_counted: bool,
}

impl Meter {
    /// Takes a line of error output.
    pub(super) fn line(&self, line: &str) {
        let mut seen = self.seen();
        if let Some(times) = line.trim_start().strip_prefix(REPEATED) {
            let times = times.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            seen.places += if seen.last_counted { times } else { 0 };
            return;
        }
        seen.last_counted = COMPLAINTS.iter().any(|complaint| line.contains(complaint));
        if seen.last_counted {
            seen.places += 1;
            seen.first.get_or_insert_with(|| words::tidy(line));
        }
    }

    /// What becomes of the source by the plan: a remark for the report, if there is something to say.
    pub(super) fn judge(&self, plan: &Plan) -> Result<Option<String>, Failure> {
        let seen = self.seen();
        let allowed = if plan.ragged_ends { RAGGED_ENDS } else { 0 };
        let Some(first) = seen.first.as_ref().filter(|_| seen.places > allowed) else { return Ok(None) };
        let places = if seen.places == 1 { "1 place".to_owned() } else { format!("{} places", seen.places) };
        match plan.damage {
            Damage::Tolerate => Ok(Some(format!("damaged in {places}: what could be decoded was used"))),
            Damage::Refuse => Err(refused(first)),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Counters are whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many places there are is not known when it is refused at the first.
fn refused(first: &str) -> Failure {
    let message =
        format!("it is cut or damaged: pictures or sound could not be decoded whole, and ffmpeg said first: {first}");
    Failure::new(ErrorKind::BadSource, message)
        .hint("upload it again, whole, or use a preset with damage = \"tolerate\" to publish what can be decoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        plan,
        tests::{hls_ladder, source},
    };

    /// What ffmpeg 5.1 and 8.0 said of damaged clips.
    const OLD_PICTURE: &str = "http://127.0.0.1:1/x/in/source: corrupt decoded frame in stream 0";
    const OLD_PACKET: &str = "Error while decoding stream #0:1: Invalid data found when processing input";
    const NEW_PICTURE: &str = "[vist#0:0/h264 @ 0x561a] [dec:h264 @ 0x561b] corrupt decoded frame";
    const NEW_PACKET: &str =
        "[aist#0:1/aac @ 0x561a] [dec:aac @ 0x561b] Error submitting packet to decoder: Invalid data found";
    /// What they said of streams that are well.
    const HARMLESS: &[&str] = &[
        "[h264 @ 0x5] non-existing PPS 0 referenced",
        "[h264 @ 0x5] decode_slice_header error",
        "[h264 @ 0x5] mmco: unref short failure",
        "[mpegts @ 0x5] PES packet size mismatch",
        "http://127.0.0.1:1/x/in/source: corrupt input packet in stream 1",
        "    Last message repeated 3 times",
    ];

    fn check(lines: &[&str], damage: Damage, ragged_ends: bool, want: Result<Option<&str>, &str>) {
        let mut plan = plan(&hls_ladder(), &source(640, 360, "25/1")).expect("a plan");
        (plan.damage, plan.ragged_ends) = (damage, ragged_ends);
        let meter = Meter::default();
        lines.iter().for_each(|line| meter.line(line));
        match (meter.judge(&plan), want) {
            (Ok(got), Ok(want)) => assert_eq!(got.as_deref(), want, "{lines:?}"),
            (Err(failure), Err(part)) => {
                assert!(failure.kind == ErrorKind::BadSource && failure.message.contains(part), "{failure:?}");
            }
            (got, want) => panic!("{lines:?}: {got:?} instead of {want:?}"),
        }
    }

    #[test]
    fn damage_is_refused_or_told() {
        check(HARMLESS, Damage::Refuse, false, Ok(None));
        check(&[OLD_PICTURE], Damage::Refuse, false, Err("it is cut or damaged: "));
        check(&[OLD_PICTURE], Damage::Refuse, false, Err("said first: the source: corrupt decoded frame in stream 0"));
        check(&[OLD_PACKET, OLD_PICTURE], Damage::Refuse, false, Err("said first"));
        check(&[NEW_PACKET], Damage::Refuse, false, Err("Error submitting packet to decoder"));
        let told = "damaged in 2 places: what could be decoded was used";
        check(&[NEW_PICTURE, NEW_PICTURE], Damage::Tolerate, false, Ok(Some(told)));
    }

    #[test]
    fn a_line_said_again_counts_again() {
        let told = "damaged in 4 places: what could be decoded was used";
        check(&[OLD_PICTURE, "    Last message repeated 3 times"], Damage::Tolerate, false, Ok(Some(told)));
        check(&[HARMLESS[0], "    Last message repeated 3 times"], Damage::Refuse, false, Ok(None));
    }

    #[test]
    fn a_recording_may_end_in_the_middle_of_a_picture() {
        check(&[OLD_PICTURE, OLD_PACKET], Damage::Refuse, true, Ok(None));
        check(&[OLD_PICTURE, OLD_PACKET, OLD_PACKET], Damage::Refuse, true, Err("it is cut or damaged: "));
    }
}
