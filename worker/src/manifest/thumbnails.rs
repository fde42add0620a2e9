//! The storyboard's sheets as a set of pictures for seeking (DASH-IF interoperability points, 6.2.6: tiles of thumbnails).

use reelmill_api::{layout, report::Sheets};

/// Ticks per second of the sheets' lengths.
const TIMESCALE: f64 = 90_000.0;
/// Tells players that each picture is a grid of small ones.
const TILES: &str = "http://dashif.org/guidelines/thumbnail_tile";

/// The set's element, as the set of that number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "minutes in ticks"
)]
pub(super) fn element(sheets: &Sheets, id: usize) -> String {
    let Sheets { columns, rows, width, height, bytes, .. } = *sheets;
    let seconds = sheets.every_seconds * f64::from(columns) * f64::from(rows);
    let rate = (bytes as f64 * 8.0 / (seconds * sheets.sheets.max(1) as f64)).ceil() as u64;
    format!(
        "    <AdaptationSet id=\"{id}\" contentType=\"image\" mimeType=\"image/jpeg\">\n      \
         <SegmentTemplate timescale=\"{TIMESCALE}\" duration=\"{}\" media=\"$RepresentationID$/{}\" startNumber=\"0\"/>\n      \
         <Representation id=\"{}\" bandwidth=\"{}\" width=\"{}\" height=\"{}\">\n        \
         <EssentialProperty schemeIdUri=\"{TILES}\" value=\"{columns}x{rows}\"/>\n      </Representation>\n    </AdaptationSet>\n",
        (seconds * TIMESCALE).round() as u64,
        layout::SHEET_TEMPLATE,
        layout::STORYBOARD,
        rate.max(1),
        width * columns,
        height * rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_lasts_as_long_as_its_pictures() {
        let sheets = Sheets {
            sheets: 2,
            pictures: 26,
            columns: 5,
            rows: 5,
            width: 160,
            height: 90,
            every_seconds: 5.005,
            bytes: 200_000,
        };
        let want = "    <AdaptationSet id=\"4\" contentType=\"image\" mimeType=\"image/jpeg\">
      <SegmentTemplate timescale=\"90000\" duration=\"11261250\" media=\"$RepresentationID$/sheet_$Number%05d$.jpg\" startNumber=\"0\"/>
      <Representation id=\"storyboard\" bandwidth=\"6394\" width=\"800\" height=\"450\">
        <EssentialProperty schemeIdUri=\"http://dashif.org/guidelines/thumbnail_tile\" value=\"5x5\"/>
      </Representation>
    </AdaptationSet>
";
        assert_eq!(element(&sheets, 4), want);
    }
}
