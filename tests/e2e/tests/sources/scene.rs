//! The scene that every source shows: the real clip, small, with its frames numbered in black and white above and four
//! full colours below. Whatever is done to a frame on its way, it can be told which one it is, whether it is whole, and
//! whether it stands and looks as it did.

use std::path::{Path, PathBuf};

use reelmill_e2e::judge;
use reelmill_lab::media;

/// Frames of the scene; the numbers begin anew where it is looped.
pub(crate) const FRAMES: usize = 132;
/// The size at which pictures are compared: three pixels a bit across, so that the middle one is all of one colour.
const ACROSS: usize = 30;
const DOWN: usize = 18;
/// Bits of a frame's number, least first, between a white field and a black one. The number is in Gray code: one bit
/// changes from frame to frame, and none at each, which fields would show as a still picture of stripes.
const BITS: usize = 8;
/// Colours of the fields below, from left to right, and where the middle of each lies.
const COLOURS: [(&str, usize); 4] = [("red", 3), ("lime", 11), ("blue", 18), ("yellow", 26)];
/// The mean difference of values up to which two pictures are the same one.
const NEAR: f64 = 8.0;
/// How far a channel of a full colour may be off: another matrix moves it further.
const COLOUR_NEAR: u8 = 34;

/// The scene as a file, and its frames as they should be seen.
pub(crate) struct Scene {
    /// A lossless file in RGB, 320x180.
    pub(crate) file: PathBuf,
    frames: Vec<Frame>,
}

/// One frame as it is seen.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its number; an error if it is none, or two at once.
    pub(crate) number: Result<usize, String>,
    picture: Vec<u8>,
}

impl Scene {
    /// Makes it in a folder.
    pub(crate) fn make(folder: &Path) -> Self {
        let file = media::make(folder, &format!("-i CLIP -an -vf {} -c:v ffv1 scene.mkv", paint()));
        let frames = frames(&file);
        assert_eq!(frames.len(), FRAMES);
        for (n, frame) in frames.iter().enumerate() {
            assert_eq!(frame.number, Ok(n));
        }
        Self { file, frames }
    }

    /// Whether a frame that shows number `n` looks like it.
    pub(crate) fn resembles(&self, n: usize, seen: &Frame) -> Result<(), String> {
        let truth = &self.frames[n];
        let apart = distance(&truth.picture, &seen.picture);
        if apart > NEAR {
            return Err(format!("the picture is {apart:.1} away from the scene's"));
        }
        for (name, x) in COLOURS {
            let (want, got) = (truth.pixel(x, DOWN - 1), seen.pixel(x, DOWN - 1));
            if want.iter().zip(got).any(|(w, g)| w.abs_diff(g) > COLOUR_NEAR) {
                return Err(format!("{name} became {got:?}, and was {want:?}"));
            }
        }
        Ok(())
    }
}

/// The clip made small, then painted.
fn paint() -> String {
    let field =
        |x: usize, y: usize, w: usize, colour: &str| format!("drawbox=x={x}:y={y}:w={w}:h=20:color={colour}:t=fill");
    let mut filters = vec!["scale=320:180:flags=area,format=yuv444p".to_owned()];
    filters.extend([field(0, 0, 320, "black"), field(0, 0, 32, "white")]);
    for bit in 0..BITS {
        let changes = format!("mod(floor((n+{})/{}),2)", 1 << bit, 2 << bit);
        filters.push(format!("{}:enable='{changes}'", field((bit + 1) * 32, 0, 32, "white")));
    }
    filters.extend(COLOURS.iter().enumerate().map(|(n, (colour, _))| field(n * 80, 160, 80, colour)));
    filters.join(",") + ",format=gbrp"
}

/// All frames of a file as a player shows them.
pub(crate) fn frames(file: &Path) -> Vec<Frame> {
    frames_through(file, "")
}

/// The same, after more filters, each with a comma behind it.
pub(crate) fn frames_through(file: &Path, filters: &str) -> Vec<Frame> {
    judge::pictures_through(file, filters, ACROSS, DOWN).into_iter().map(Frame::of).collect()
}

/// The numbers seen each hundredth of a second, from the start of a file's or a ladder's clock on, for some seconds.
pub(crate) fn clock(file: &Path) -> Vec<Option<usize>> {
    let pictures = judge::pictures_through(file, "fps=100:start_time=0,trim=end=8,", ACROSS, DOWN);
    pictures.into_iter().map(|picture| Frame::of(picture).number.ok()).collect()
}

impl Frame {
    fn of(picture: Vec<u8>) -> Self {
        let mut frame = Self { number: Err(String::new()), picture };
        frame.number = frame.read();
        frame
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * ACROSS + x) * 3;
        [self.picture[at], self.picture[at + 1], self.picture[at + 2]]
    }

    /// Reads the number in the first row: a bit that is neither black nor white belongs to two frames at once.
    fn read(&self) -> Result<usize, String> {
        let field = |n: usize| self.pixel(n * 3 + 1, 0).map(i32::from).iter().sum::<i32>();
        let (white, black) = (field(0), field(BITS + 1));
        if white - black < 3 * 100 {
            return Err(format!("no number is above it: white is {white}, black is {black}"));
        }
        let shares: Vec<i32> = (1..=BITS).map(|n| (field(n) - black) * 100 / (white - black)).collect();
        let bit = |share: &i32| match share {
            ..25 => Some(0),
            75.. => Some(1),
            _ => None,
        };
        let bits: Option<Vec<usize>> = shares.iter().map(bit).collect();
        let bits = bits.ok_or_else(|| format!("it is two frames at once: bits of {shares:?} %"))?;
        let gray: usize = bits.iter().enumerate().map(|(n, bit)| bit << n).sum();
        Ok((0..BITS).fold(0, |number, shift| number ^ gray >> shift))
    }
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / f64::from(u32::try_from(a.len()).expect("small"))
}
