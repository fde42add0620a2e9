//! High dynamic range in archive masters: the curve and the colours stay as they are.

use reelmill_e2e::judge;

use crate::stage::{Stage, says};

const HDR10: &str = "-f lavfi -i testsrc2=size=320x180:rate=24 -t 0.5 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast \
                     -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv -x265-params \
                     log-level=error:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:\
                     master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400 a.mp4";

const HLG: &str = "-f lavfi -i testsrc2=size=320x180:rate=25 -t 0.5 -pix_fmt yuv422p10le -c:v libx264 -preset ultrafast \
                   -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -color_range tv a.mov";

fn check(source: &str, transfer: &str) {
    for (preset, format) in [("archive-prores", "yuv422p10le"), ("archive-dnxhr", "yuv422p10le")] {
        let stage = Stage::new();
        let made = stage.make(source, preset, "{}");
        made.is_true();
        let video = &made.streams(0)[0];
        let facts =
            ["color_primaries", "color_transfer", "color_space", "color_range", "pix_fmt"].map(|n| says(video, n));
        assert_eq!(facts, ["bt2020", transfer, "bt2020nc", "tv", format], "{preset}");
        assert!(made.changed(&format!("kept HDR ({transfer})")), "{preset}: {:?}", made.report.changes);
        let light = |file: &std::path::Path| judge::brightness(file);
        let name = if source.ends_with("a.mov") { "a.mov" } else { "a.mp4" };
        let (was, is) = (light(&stage.folder.path().join(name)), light(&made.file(0)));
        assert!(was.iter().zip(&is).all(|(a, b)| a.abs_diff(*b) <= 2), "{preset}: nothing was mapped: {was:?} {is:?}");
    }
}

#[test]
fn pq_stays_pq() {
    check(HDR10, "smpte2084");
}

#[test]
fn hlg_stays_hlg() {
    check(HLG, "arib-std-b67");
}
