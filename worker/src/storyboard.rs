//! The storyboard: sheets of small pictures for seeking, and the WebVTT index that says which frame is where. Counts,
//! checks and text; the pictures themselves are made by an engine.

pub mod jpeg;

use std::{collections::BTreeMap, fmt::Write as _};

use reelmill_api::{ErrorKind, Failure, layout, report::Sheets};

use crate::{
    plan::{Grid, Size, StoryboardPlan},
    text::vtt,
};
use jpeg::Sheet;

impl StoryboardPlan {
    /// Pictures on a full sheet.
    pub fn pictures_per_sheet(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }

    /// How many pictures so many frames give: one for each that is begun.
    pub fn pictures(&self, frames: u64) -> u64 {
        frames.div_ceil(u64::from(self.every_frames))
    }

    /// How many sheets they fill; the last one may be filled in part.
    pub fn sheets(&self, frames: u64) -> u64 {
        self.pictures(frames).div_ceil(self.pictures_per_sheet())
    }

    /// A sheet's size.
    pub fn sheet_size(&self) -> Size {
        Size { width: self.tile.width * self.columns, height: self.tile.height * self.rows }
    }

    /// More bytes than any sheet of this size has: a JPEG file that is larger than its pixels is none of ours.
    pub fn largest_sheet(&self) -> u64 {
        let Size { width, height } = self.sheet_size();
        u64::from(width) * u64::from(height) * 3 + (64 << 10)
    }
}

/// Checks the sheets that arrived against the frames that were made.
///
/// # Errors
/// `infrastructure` if one is missing, too much, or of another size: another attempt may succeed.
pub fn verify(
    plan: StoryboardPlan,
    grid: Grid,
    frames: u64,
    arrived: &BTreeMap<u64, Sheet>,
) -> Result<Sheets, Failure> {
    let (wanted, size) = (plan.sheets(frames), plan.sheet_size());
    for index in 0..wanted {
        let sheet = arrived.get(&index).ok_or_else(|| broken(&format!("sheet {index} did not arrive")))?;
        if (sheet.width, sheet.height) != (size.width, size.height) {
            let (w, h) = (sheet.width, sheet.height);
            return Err(broken(&format!("sheet {index} is {w}x{h} instead of {}x{}", size.width, size.height)));
        }
    }
    if arrived.len() as u64 != wanted {
        return Err(broken(&format!("{} sheets arrived for {frames} frames instead of {wanted}", arrived.len())));
    }
    Ok(Sheets {
        sheets: wanted,
        pictures: plan.pictures(frames),
        columns: plan.columns,
        rows: plan.rows,
        width: plan.tile.width,
        height: plan.tile.height,
        every_seconds: grid.seconds(u64::from(plan.every_frames)),
        bytes: arrived.values().map(|sheet| sheet.bytes).sum(),
    })
}

fn broken(why: &str) -> Failure {
    Failure::new(ErrorKind::Infrastructure, format!("the output was not published: storyboard: {why}"))
}

/// The check that it passed, in words.
pub fn check(sheets: &Sheets) -> String {
    format!(
        "storyboard: {} pictures on {} sheets, none missing, each of the planned size",
        sheets.pictures, sheets.sheets
    )
}

/// The index: for each picture the time that it stands for, and where it lies.
pub fn index(plan: StoryboardPlan, grid: Grid, frames: u64) -> String {
    let mut text = "WEBVTT\n".to_owned();
    for picture in 0..plan.pictures(frames) {
        let first = picture * u64::from(plan.every_frames);
        let end = frames.min(first + u64::from(plan.every_frames));
        let (sheet, on_sheet) = (picture / plan.pictures_per_sheet(), picture % plan.pictures_per_sheet());
        let (column, row) = (on_sheet % u64::from(plan.columns), on_sheet / u64::from(plan.columns));
        let Size { width, height } = plan.tile;
        let _ = write!(
            text,
            "\n{} --> {}\n{}#xywh={},{},{width},{height}\n",
            vtt::time(millis(grid, first)),
            vtt::time(millis(grid, end)),
            layout::sheet(sheet),
            column * u64::from(width),
            row * u64::from(height),
        );
    }
    text
}

/// The moment at which a frame is shown, to the nearest millisecond.
fn millis(grid: Grid, frame: u64) -> u64 {
    let (num, den) = (u128::from(grid.frame_rate.num()), u128::from(grid.frame_rate.den()));
    u64::try_from((u128::from(frame) * den * 2000 + num) / (num * 2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use reelmill_api::Rational;

    use super::*;
    use crate::plan::Expected;

    const PLAN: StoryboardPlan =
        StoryboardPlan { every_frames: 150, tile: Size { width: 160, height: 90 }, columns: 2, rows: 2 };

    fn grid() -> Grid {
        let frame_rate = Rational::new(30_000, 1001).expect("not zero");
        Grid { frame_rate, gop: 120, frames: Expected::Unknown }
    }

    fn arrived(sheets: u64) -> BTreeMap<u64, Sheet> {
        (0..sheets).map(|index| (index, Sheet { width: 320, height: 180, bytes: 9000 })).collect()
    }

    #[test]
    fn counts_pictures_and_sheets_that_are_only_begun() {
        let count = |frames| (PLAN.pictures(frames), PLAN.sheets(frames));
        assert_eq!([1, 150, 151, 600, 601].map(count), [(1, 1), (1, 1), (2, 1), (4, 1), (5, 2)]);
    }

    #[test]
    fn the_index_names_exact_times_and_places() {
        let want = "WEBVTT

00:00:00.000 --> 00:00:05.005
sheet_00000.jpg#xywh=0,0,160,90

00:00:05.005 --> 00:00:10.010
sheet_00000.jpg#xywh=160,0,160,90

00:00:10.010 --> 00:00:15.015
sheet_00000.jpg#xywh=0,90,160,90

00:00:15.015 --> 00:00:20.020
sheet_00000.jpg#xywh=160,90,160,90

00:00:20.020 --> 00:00:20.053
sheet_00001.jpg#xywh=0,0,160,90
";
        assert_eq!(index(PLAN, grid(), 601), want);
    }

    #[test]
    fn whole_sheets_pass_and_are_measured() {
        let sheets = verify(PLAN, grid(), 601, &arrived(2)).expect("whole");
        assert_eq!((sheets.sheets, sheets.pictures, sheets.bytes), (2, 5, 18_000));
        assert!((sheets.every_seconds - 5.005).abs() < 1e-9);
        assert_eq!(check(&sheets), "storyboard: 5 pictures on 2 sheets, none missing, each of the planned size");
    }

    #[test]
    fn a_missing_a_strange_and_a_spare_sheet_are_refused() {
        let why = |arrived: &BTreeMap<u64, Sheet>| verify(PLAN, grid(), 601, arrived).expect_err("refused").message;
        let said = |what: &str| format!("the output was not published: storyboard: {what}");
        assert_eq!(why(&arrived(1)), said("sheet 1 did not arrive"));
        assert_eq!(why(&arrived(3)), said("3 sheets arrived for 601 frames instead of 2"));
        let mut other = arrived(2);
        other.get_mut(&1).expect("there").width = 160;
        assert_eq!(why(&other), said("sheet 1 is 160x180 instead of 320x180"));
    }
}
