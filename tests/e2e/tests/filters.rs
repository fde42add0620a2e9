//! Extra filters in one job's settings, from the store to the picture: each is measured in what was made, and the report
//! tells all of them.

use std::path::Path;

use reelmill_api::{ErrorKind, EventBody, JobId};
use reelmill_e2e::{Farm, judge, output::Output};
use reelmill_lab::{media, programs::Running, s3::BUCKET};

/// One rung, large enough for what the sources here become.
const PRESET: &str = "plain";

async fn farm() -> Farm {
    let farm = Farm::start().await;
    farm.add_preset(PRESET, &[("400p", 640, 400)]);
    farm
}

/// Puts a file into the store that a filter needs.
fn keep(farm: &Farm, name: &str, bytes: &[u8]) {
    let file = farm.folder.path().join(name);
    std::fs::write(&file, bytes).expect("our folder");
    farm.upload(&file, name);
}

/// A logo of 100x50: its left half magenta, its right half not there.
fn logo(farm: &Farm) {
    let half = "geq=r=255:g=0:b=255:a=255*lt(X\\,50)";
    let words = format!("-f lavfi -i color=black:size=100x50,format=rgba,{half} -frames:v 1 logo.png");
    farm.upload(&media::make(farm.folder.path(), &words), "logo.png");
}

/// A table that gives each channel's value to the next: red to green, green to blue, blue to red.
fn table() -> String {
    let mut text = "TITLE \"round\"\nLUT_3D_SIZE 2\n".to_owned();
    for n in 0..8 {
        let (red, green, blue) = (n & 1, n >> 1 & 1, n >> 2);
        text += &format!("{blue} {red} {green}\n");
    }
    text
}

async fn submit(farm: &Farm, source: &Path, filters: &str) -> JobId {
    let name = source.file_name().expect("a name").to_string_lossy().into_owned();
    let input = farm.upload(source, &name);
    farm.submit_with(&input, PRESET, &format!(r#"{{"filters":{filters}}}"#)).await
}

/// A picture from the middle of a rendition.
struct Picture {
    bytes: Vec<u8>,
    width: usize,
}

impl Picture {
    fn of(output: &Output, width: usize, height: usize) -> Self {
        let video = &output.videos[0];
        assert_eq!(video.attributes.text("RESOLUTION"), format!("{width}x{height}"));
        let mut all = judge::pictures_of(&video.file, width, height);
        Self { bytes: all.swap_remove(all.len() / 2), width }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    fn shows(&self, what: &str, (x, y): (usize, usize), want: [u8; 3]) {
        let seen = self.at(x, y);
        let near = seen.iter().zip(want).all(|(seen, want)| seen.abs_diff(want) <= 16);
        assert!(near, "{what} at {x},{y} is {seen:?} instead of {want:?}");
    }

    /// The mean distance of a value from the mean of all.
    fn roughness(&self) -> f64 {
        let values = || self.bytes.iter().step_by(3).map(|value| f64::from(*value));
        let count = values().map(|_| 1.0).sum::<f64>();
        let mean = values().sum::<f64>() / count;
        values().map(|value| (value - mean).abs()).sum::<f64>() / count
    }

    /// The largest step from one pixel to its neighbour in a row.
    fn steepest(&self, row: usize) -> u8 {
        (1..self.width).map(|x| self.at(x, row)[0].abs_diff(self.at(x - 1, row)[0])).max().expect("a row")
    }
}

const GREY: [u8; 3] = [96; 3];
const MAGENTA: [u8; 3] = [255, 0, 255];

/// Grey, with a red edge on the left, a blue one on the right, and an orange box.
const MARKED: &str = "-f lavfi -i color=0x606060:size=640x360:rate=25,drawbox=x=0:w=40:h=360:color=red:t=fill,\
                      drawbox=x=600:w=40:h=360:color=blue:t=fill,drawbox=x=300:y=150:w=80:h=60:color=0xC87828:t=fill -t 1 \
                      -c:v libx264 -preset ultrafast -qp 5 -pix_fmt yuv420p marked.mp4";

#[tokio::test(flavor = "multi_thread")]
async fn all_of_them_in_one_job_do_what_they_say_and_are_told() {
    let farm = farm().await;
    logo(&farm);
    keep(&farm, "round.cube", table().as_bytes());
    let source = media::make(farm.folder.path(), MARKED);
    let filters = format!(
        r#"[{{"crop":{{"left":40,"right":40}}}},{{"pad":{{"top":20,"bottom":20}}}},{{"denoise":"medium"}},
            {{"sharpen":"light"}},{{"lut":{{"table":"s3://{BUCKET}/round.cube"}}}},
            {{"logo":{{"image":"s3://{BUCKET}/logo.png","corner":"top-right","width_percent":10,"margin_percent":5}}}}]"#
    );
    let job = submit(&farm, &source, &filters).await;
    let _worker = farm.start_worker();
    let output = Output::of(&farm, job).await;
    output.is_true();
    let picture = Picture::of(&output, 560, 400);
    // Edges: black ones above and below, and the coloured ones at the sides gone.
    for place in [(280, 9), (280, 390)] {
        picture.shows("a black edge", place, [0; 3]);
    }
    for place in [(2, 200), (557, 200), (280, 24), (280, 375)] {
        picture.shows("what was grey", place, GREY);
    }
    // The box, moved by both, with red as green, green as blue and blue as red.
    for place in [(268, 178), (300, 200), (331, 221)] {
        picture.shows("the box", place, [40, 200, 120]);
    }
    for place in [(250, 200), (350, 200), (300, 160), (300, 240)] {
        picture.shows("beside the box", place, GREY);
    }
    // The logo after the table: 56x28, at 28 from both edges, and seen through where it is not there.
    for place in [(480, 31), (500, 31), (480, 52), (500, 52)] {
        picture.shows("the logo", place, MAGENTA);
    }
    for place in [(510, 31), (528, 52), (470, 42), (490, 24), (490, 62), (30, 42), (490, 360)] {
        picture.shows("beside the logo", place, GREY);
    }
    let told: Vec<_> = output.report.changes.iter().map(String::as_str).collect();
    let want = [
        "edges cut off: 40 left, 40 right pixels".to_owned(),
        "black edges added: 20 top, 20 bottom pixels".to_owned(),
        "noise taken out: medium".to_owned(),
        "sharpened: light".to_owned(),
        format!("colours changed by a table: s3://{BUCKET}/round.cube"),
        format!("logo laid over the top right corner: s3://{BUCKET}/logo.png"),
    ];
    assert_eq!(told, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logo_stands_in_the_corner_that_was_named() {
    let farm = farm().await;
    logo(&farm);
    let grey =
        "-f lavfi -i color=0x606060:size=640x360:rate=25 -t 0.2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p a.mp4";
    let source = media::make(farm.folder.path(), grey);
    // Half of 64x32, at 12 from both edges.
    let corners =
        [("top-left", (20, 20)), ("top-right", (572, 20)), ("bottom-left", (20, 340)), ("bottom-right", (572, 340))];
    let mut jobs = Vec::new();
    for (corner, _) in corners {
        let filters =
            format!(r#"[{{"logo":{{"image":"s3://{BUCKET}/logo.png","corner":"{corner}","width_percent":10}}}}]"#);
        jobs.push(submit(&farm, &source, &filters).await);
    }
    let _worker = farm.start_worker();
    for (job, (named, _)) in jobs.into_iter().zip(corners) {
        let picture = Picture::of(&Output::of(&farm, job).await, 640, 360);
        for (corner, place) in corners {
            picture.shows(
                &format!("{corner} of a logo at {named}"),
                place,
                if corner == named { MAGENTA } else { GREY },
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_goes_and_edges_come_out_the_more_the_stronger() {
    let farm = farm().await;
    let make = |name: &str, graph: &str| {
        let encoder = "-c:v libx264 -preset ultrafast -qp 8 -pix_fmt yuv420p";
        media::make(farm.folder.path(), &format!("-f lavfi -i {graph} -t 0.6 {encoder} {name}"))
    };
    let noisy = make("noisy.mp4", "color=0x808080:size=320x180:rate=25,format=yuv420p,noise=c0s=6:c0f=t");
    let soft =
        make("soft.mp4", "color=black:size=320x180:rate=25,drawbox=x=160:w=160:h=180:color=white:t=fill,gblur=sigma=3");
    let strengths = ["light", "medium", "strong"];
    let settings = |filter: &str| {
        let one = strengths.iter().map(|strength| format!(r#"[{{"{filter}":"{strength}"}}]"#));
        std::iter::once("[]".to_owned()).chain(one).collect::<Vec<_>>()
    };
    let (mut denoised, mut sharpened) = (Vec::new(), Vec::new());
    for (source, filter, jobs) in [(&noisy, "denoise", &mut denoised), (&soft, "sharpen", &mut sharpened)] {
        for filters in settings(filter) {
            jobs.push(submit(&farm, source, &filters).await);
        }
    }
    let _worker = farm.start_worker();
    let (mut roughness, mut steepness) = (Vec::new(), Vec::new());
    for job in denoised {
        roughness.push(Picture::of(&Output::of(&farm, job).await, 320, 180).roughness());
    }
    for job in sharpened {
        steepness.push(Picture::of(&Output::of(&farm, job).await, 320, 180).steepest(90));
    }
    // Measured: 2.1, 1.3, 0.4, 0.1 and 58, 66, 73, 85.
    assert!(roughness[0] > 1.5 && roughness.windows(2).all(|pair| pair[1] < pair[0] * 0.8), "{roughness:?}");
    assert!(steepness[0] < 65 && steepness.windows(2).all(|pair| pair[1] >= pair[0] + 4), "{steepness:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_logo_or_no_table_is_refused_with_its_name_and_nothing_is_left() {
    let farm = farm().await;
    keep(&farm, "logo.gif", b"GIF89a");
    keep(&farm, "short.cube", b"LUT_3D_SIZE 2\n0 0 0\n");
    let source = media::make(farm.folder.path(), "-t 0.2 -i CLIP -an -c copy cut.mp4");
    let table = [
        (
            format!(r#"[{{"logo":{{"image":"s3://{BUCKET}/logo.gif","corner":"top-left","width_percent":10}}}}]"#),
            format!("the logo s3://{BUCKET}/logo.gif is no PNG"),
        ),
        (
            format!(r#"[{{"lut":{{"table":"s3://{BUCKET}/short.cube"}}}}]"#),
            format!("the colour table s3://{BUCKET}/short.cube cannot be used: it has 1 colours instead of 8"),
        ),
    ];
    let _worker: Running = farm.start_worker();
    for (filters, want) in table {
        let job = submit(&farm, &source, &filters).await;
        let ended = |body: &EventBody| matches!(body, EventBody::Done { .. } | EventBody::Failed { .. });
        let event = farm.wait_for(job, "the end", |event| ended(&event.body)).await;
        let EventBody::Failed { failure, retry_in_seconds: None } = event.body else { panic!("{event:?}") };
        assert_eq!((failure.kind, failure.message), (ErrorKind::BadRequest, want));
        assert!(farm.output_files(job).is_empty(), "{:?}", farm.output_files(job));
    }
}
