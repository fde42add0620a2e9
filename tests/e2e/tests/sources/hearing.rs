//! Sound as it is heard: when a tone begins and ends, how loud it is, and what pitch it has.

use reelmill_e2e::judge::{self, SOUND_RATE};

use crate::{bench::TONE, kind::Sound};

/// Samples of a hundredth of a second.
const WINDOW: usize = SOUND_RATE as usize / 100;
/// How far times may be apart, seconds: a packet of AAC and a little more.
const NEAR: f64 = 0.025;
/// How far levels may be apart, decibels.
const LOUD_NEAR: f64 = 1.0;
/// The beep is louder than this and nothing else is.
const BEEP: f64 = 0.1;

/// The effective value of each hundredth of a second.
fn levels(sound: &[i16]) -> Vec<f64> {
    let level = |window: &[i16]| {
        let squares: f64 = window.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum();
        (squares / f64::from(u32::try_from(window.len()).expect("short"))).sqrt()
    };
    sound.chunks(WINDOW).map(level).collect()
}

/// When the beep is heard, seconds.
pub(crate) fn beep(sound: &[i16]) -> Option<f64> {
    levels(sound).iter().position(|l| *l > BEEP).map(seconds)
}

/// So many hundredths of a second.
#[allow(clippy::cast_precision_loss, reason = "hundredths of a clip of seconds")]
pub(crate) fn seconds(hundredths: usize) -> f64 {
    hundredths as f64 / 100.0
}

/// Holds a track against what must be heard of it.
pub(crate) fn check(sound: &[i16], want: &Sound) -> Result<(), String> {
    let loud = levels(sound);
    let made = TONE / 2_f64.sqrt() * 10_f64.powf(want.louder / 20.0);
    let is_heard = |level: &&f64| **level > made / 2.0;
    let from = loud.iter().position(|l| is_heard(&l)).map(seconds).ok_or("nothing is heard")?;
    let to = loud.iter().rposition(|l| is_heard(&l)).map_or(0.0, |n| seconds(n + 1));
    let at = beep(sound).unwrap_or(f64::NAN);
    for (what, got, want) in [("begins", from, want.heard.0), ("ends", to, want.heard.1), ("beeps", at, want.heard.2)] {
        let apart = (got - want).abs();
        if (apart > NEAR + 0.01 || got.is_nan()) && !want.is_nan() {
            return Err(format!("the sound {what} at {got:.2} s instead of {want:.2}"));
        }
    }
    quiet(sound, &loud, want, made)
}

/// The quiet tone between its beginning and the beep, or its end.
fn quiet(sound: &[i16], loud: &[f64], want: &Sound, made: f64) -> Result<(), String> {
    let (from, to, beep) = want.heard;
    let until = if beep.is_nan() { to } else { beep };
    let hundredth = |s: f64| format!("{:.0}", s * 100.0).parse::<usize>().unwrap_or_default();
    let (from, until) = (hundredth(from + 0.1), hundredth(until - 0.1).min(loud.len()));
    if until <= from + 5 {
        return Ok(());
    }
    let louder = 20.0 * (mean(&loud[from..until]) / made).log10();
    if louder.abs() > LOUD_NEAR {
        return Err(format!("it is {louder:+.1} dB louder than it should be"));
    }
    let tone = judge::pitch(&sound[from * WINDOW..until * WINDOW]);
    if tone.abs_diff(want.tone) > 12 {
        return Err(format!("its tone is {tone} Hz instead of {}", want.tone));
    }
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).expect("short"))
}
