//! What a row of the tables says: how a kind of source is made, and what must become of it.

use std::path::PathBuf;

use crate::{bench::Bench, files::Files};

/// A ladder of one small rung that costs little to make.
pub(crate) const QUICK: &str = "quick";
/// A ladder of two.
pub(crate) const TWO: &str = "two";
/// The first one, for sources that may be damaged.
pub(crate) const TOLERANT: &str = "tolerant";

/// A ladder of one tiny rung in long segments, for long sources.
pub(crate) const LONG: &str = "long";

/// A kind of source.
pub(crate) struct Kind {
    /// What it is, in a few words.
    pub(crate) name: &'static str,
    /// How it is made.
    pub(crate) make: Make,
    /// What is made of it.
    pub(crate) preset: &'static str,
    /// What must come of it.
    pub(crate) want: Want,
}

/// How a source is made.
pub(crate) enum Make {
    /// By ffmpeg with these words; see [`Bench::make`].
    Words(String),
    /// By ffmpeg and then by hand.
    Craft(fn(&Bench) -> PathBuf),
}

/// What must come of a source.
pub(crate) enum Want {
    /// A ladder.
    Ladder(Ladder),
    /// Single files.
    Files(Files),
    /// A dead letter whose message holds this.
    Refused(&'static str),
}

/// What must be measured of a ladder.
pub(crate) struct Ladder {
    /// The largest rung.
    pub(crate) size: (u32, u32),
    /// FRAME-RATE as announced; is it true is checked of every output.
    pub(crate) rate: &'static str,
    /// Which frames of the scene are seen.
    pub(crate) shows: Shows,
    /// Primaries, transfer, matrix.
    pub(crate) colours: [&'static str; 3],
    /// Whether the pictures must look as the scene does; tone-mapped ones need not.
    pub(crate) alike: bool,
    /// Audio renditions, in order.
    pub(crate) sounds: Vec<Sound>,
    /// All that the report says was done to the source; `#` stands for any number in a text that has one.
    pub(crate) says: Vec<String>,
}

/// Which frames of the scene are seen.
pub(crate) enum Shows {
    /// These, one after the other.
    Frames(Vec<usize>),
    /// Between so many and so many frames, each one of the scene's at `rate` that is within `slack` seconds of its time.
    Near {
        /// How many frames there may be.
        count: std::ops::RangeInclusive<usize>,
        /// The scene's frames per second in this source.
        rate: f64,
        /// Seconds.
        slack: f64,
    },
}

/// What must be heard of a track.
#[derive(Clone)]
pub(crate) struct Sound {
    /// Channels.
    pub(crate) channels: u32,
    /// Its language.
    pub(crate) language: Option<&'static str>,
    /// The pitch of its quiet tone, hertz.
    pub(crate) tone: usize,
    /// When the tone begins, ends, and is drowned by the beep, seconds; the last is not a number where no beep is looked for.
    pub(crate) heard: (f64, f64, f64),
    /// How much louder the quiet tone is than it was made, decibels.
    pub(crate) louder: f64,
}

impl Default for Sound {
    fn default() -> Self {
        Self { channels: 2, language: None, tone: 300, heard: (0.0, 2.0, 1.0), louder: 0.0 }
    }
}

impl Kind {
    /// A source that ffmpeg makes and that becomes a rung of two seconds, 320x180, frame by frame at 25
    /// a second in BT.709, with two channels of sound, and nothing to report. The rest of the row says what is different.
    pub(crate) fn of(name: &'static str, words: &str) -> Self {
        Self::new(name, Make::Words(words.to_owned()))
    }

    /// The same of a source that is made by hand.
    pub(crate) fn crafted(name: &'static str, craft: fn(&Bench) -> PathBuf) -> Self {
        Self::new(name, Make::Craft(craft))
    }

    fn new(name: &'static str, make: Make) -> Self {
        let ladder = Ladder {
            size: (320, 180),
            rate: "25.000",
            shows: Shows::Frames((0..50).collect()),
            colours: ["bt709"; 3],
            alike: true,
            sounds: vec![Sound::default()],
            says: Vec::new(),
        };
        Self { name, make, preset: QUICK, want: Want::Ladder(ladder) }
    }

    pub(crate) fn size(self, width: u32, height: u32) -> Self {
        self.with(|l| l.size = (width, height))
    }

    pub(crate) fn rate(self, rate: &'static str) -> Self {
        self.with(|l| l.rate = rate)
    }

    pub(crate) fn shows(self, frames: impl IntoIterator<Item = usize>) -> Self {
        self.with(|l| l.shows = Shows::Frames(frames.into_iter().collect()))
    }

    pub(crate) fn shows_near(self, count: std::ops::RangeInclusive<usize>, rate: f64, slack: f64) -> Self {
        self.with(|l| l.shows = Shows::Near { count, rate, slack })
    }

    pub(crate) fn colours(self, primaries: &'static str, transfer: &'static str, matrix: &'static str) -> Self {
        self.with(|l| l.colours = [primaries, transfer, matrix])
    }

    pub(crate) fn looks_otherwise(self) -> Self {
        self.with(|l| l.alike = false)
    }

    pub(crate) fn sounds(self, sounds: impl IntoIterator<Item = Sound>) -> Self {
        self.with(|l| l.sounds = sounds.into_iter().collect())
    }

    /// The only sound's times.
    pub(crate) fn heard(self, from: f64, to: f64, beep: f64) -> Self {
        self.sounds([Sound { heard: (from, to, beep), ..Sound::default() }])
    }

    pub(crate) fn silent(self) -> Self {
        self.sounds([])
    }

    pub(crate) fn says(self, what: &str) -> Self {
        self.with(|l| l.says.push(what.to_owned()))
    }

    pub(crate) fn by(self, preset: &'static str) -> Self {
        Self { preset, ..self }
    }

    pub(crate) fn becomes(self, files: Files) -> Self {
        Self { want: Want::Files(files), ..self }
    }

    pub(crate) fn refused(self, why: &'static str) -> Self {
        Self { want: Want::Refused(why), ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut Ladder)) -> Self {
        let Want::Ladder(ladder) = &mut self.want else { panic!("{}: there is no ladder", self.name) };
        change(ladder);
        self
    }
}
