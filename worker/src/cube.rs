//! Colour tables in `.cube` files (Adobe Cube LUT specification 1.0) into a picture that a media program can take as one
//! of its inputs: the table then needs no file that the program would have to open.

use bytes::Bytes;

/// The picture's level: a cube of 64 colours a side, 512x512 pixels. ffmpeg's `haldclut` reads it.
const LEVEL: usize = 8;
/// Colours a side.
const SIDE: usize = LEVEL * LEVEL;
/// The largest table that is read; beyond it there is no use.
const LARGEST_SIDE: usize = 129;

/// A table, read.
#[derive(Clone, Debug, PartialEq)]
struct Cube {
    side: usize,
    low: [f64; 3],
    high: [f64; 3],
    /// Red changes fastest.
    colours: Vec<[f64; 3]>,
}

/// The table as a Hald picture in PPM, 16 bit.
///
/// # Errors
/// What is wrong with the table, with its line.
pub fn hald_picture(text: &str) -> Result<Bytes, String> {
    let cube = parse(text)?;
    let mut picture = format!("P6\n{0} {0}\n65535\n", LEVEL * SIDE).into_bytes();
    for index in 0..SIDE * SIDE * SIDE {
        let at = [index % SIDE, index / SIDE % SIDE, index / SIDE / SIDE];
        for channel in cube.at(at.map(part)) {
            picture.extend_from_slice(&sixteen_bits(channel).to_be_bytes());
        }
    }
    Ok(picture.into())
}

#[allow(clippy::cast_precision_loss, reason = "a position below 64")]
fn part(position: usize) -> f64 {
    position as f64 / (SIDE - 1) as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
fn sixteen_bits(channel: f64) -> u16 {
    (channel.clamp(0.0, 1.0) * 65_535.0).round() as u16
}

fn parse(text: &str) -> Result<Cube, String> {
    let mut cube = Cube { side: 0, low: [0.0; 3], high: [1.0; 3], colours: Vec::new() };
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<_> = line.split_whitespace().collect();
        take(&mut cube, &words).map_err(|why| format!("line {number}: {why}"))?;
    }
    match cube.side.pow(3) {
        0 => Err("it has no LUT_3D_SIZE".to_owned()),
        expected if expected == cube.colours.len() => Ok(cube),
        expected => Err(format!("it has {} colours instead of {expected}", cube.colours.len())),
    }
}

fn take(cube: &mut Cube, words: &[&str]) -> Result<(), String> {
    match words {
        [] | ["TITLE", ..] => Ok(()),
        [word, ..] if word.starts_with('#') => Ok(()),
        ["LUT_1D_SIZE", ..] => Err("tables for each channel alone (LUT_1D_SIZE) are not taken".to_owned()),
        ["LUT_3D_SIZE", side] => {
            let side = side.parse().ok().filter(|side| (2..=LARGEST_SIDE).contains(side));
            cube.side = side.ok_or_else(|| format!("LUT_3D_SIZE is not from 2 to {LARGEST_SIDE}"))?;
            Ok(())
        }
        ["DOMAIN_MIN", rest @ ..] => three(rest).map(|low| cube.low = low),
        ["DOMAIN_MAX", rest @ ..] => three(rest).map(|high| cube.high = high),
        colour if cube.side > 0 && cube.colours.len() < cube.side.pow(3) => three(colour).map(|c| cube.colours.push(c)),
        _ => Err("a colour too many, or before LUT_3D_SIZE".to_owned()),
    }
}

fn three(words: &[&str]) -> Result<[f64; 3], String> {
    let numbers: Vec<f64> = words.iter().filter_map(|w| w.parse().ok()).filter(|n: &f64| n.is_finite()).collect();
    match (words.len(), numbers.as_slice()) {
        (3, &[a, b, c]) => Ok([a, b, c]),
        _ => Err("three numbers are expected".to_owned()),
    }
}

impl Cube {
    /// The colour for one, by trilinear interpolation.
    fn at(&self, colour: [f64; 3]) -> [f64; 3] {
        let places = [0, 1, 2].map(|channel| self.place(colour[channel], channel));
        let mut sum = [0.0; 3];
        for corner in 0..8_usize {
            let (mut weight, mut index) = (1.0, 0);
            for (channel, (below, share)) in places.iter().enumerate().rev() {
                let upper = corner >> channel & 1;
                weight *= if upper == 1 { *share } else { 1.0 - *share };
                index = index * self.side + (below + upper).min(self.side - 1);
            }
            for (channel, total) in sum.iter_mut().enumerate() {
                *total += weight * self.colours[index][channel];
            }
        }
        sum
    }

    /// The position below a value, and how far it is on the way to the next.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below 129"
    )]
    fn place(&self, value: f64, channel: usize) -> (usize, f64) {
        let (low, high) = (self.low[channel], self.high[channel]);
        let wide = if high > low { high - low } else { 1.0 };
        let exact = ((value - low) / wide).clamp(0.0, 1.0) * (self.side - 1) as f64;
        (exact.floor() as usize, exact.fract())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of two colours a side that swaps red and blue.
    const SWAP: &str =
        "TITLE \"swap\"\n# made by hand\nLUT_3D_SIZE 2\n0 0 0\n0 0 1\n0 1 0\n0 1 1\n1 0 0\n1 0 1\n1 1 0\n1 1 1\n";

    #[test]
    fn a_table_becomes_a_picture_of_all_colours() {
        let picture = hald_picture(SWAP).expect("a table");
        let pixels = picture.strip_prefix(b"P6\n512 512\n65535\n").expect("a 16 bit PPM");
        assert_eq!(pixels.len(), 512 * 512 * 6);
        let pixel = |index: usize| {
            let bytes = &pixels[index * 6..index * 6 + 6];
            [0, 2, 4].map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]))
        };
        assert_eq!(pixel(63), [0, 0, 65_535], "full red becomes blue");
        assert_eq!(pixel(63 * 64 * 64), [65_535, 0, 0], "full blue becomes red");
        assert_eq!(pixel(63 * 64), [0, 65_535, 0], "green stays");
        assert_eq!(pixel(21), [0, 0, 21_845], "what lies between is interpolated");
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        for (text, want) in [
            ("", "it has no LUT_3D_SIZE"),
            ("LUT_3D_SIZE 2\n0 0 0\n", "it has 1 colours instead of 8"),
            ("LUT_3D_SIZE 1000000\n", "line 1: LUT_3D_SIZE is not from 2 to 129"),
            ("LUT_3D_SIZE 2\n0 0\n", "line 2: three numbers are expected"),
            ("0 0 0\n", "line 1: a colour too many, or before LUT_3D_SIZE"),
            ("LUT_1D_SIZE 4\n", "line 1: tables for each channel alone (LUT_1D_SIZE) are not taken"),
            ("LUT_3D_SIZE 2\nnan 0 0\n", "line 2: three numbers are expected"),
        ] {
            assert_eq!(hald_picture(text), Err(want.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_table_or_a_reason(text in "(LUT_3D_SIZE [0-9]{1,3}\n)?([0-9. -]{0,12}\n){0,12}") {
            if let Ok(picture) = hald_picture(&text) {
                proptest::prop_assert_eq!(picture.len(), 17 + 512 * 512 * 6);
            }
        }
    }
}
