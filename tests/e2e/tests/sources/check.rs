//! Holds a table: makes every source, sends it through one worker, and measures what comes out.

use std::{collections::HashMap, panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use reelmill_api::{EventBody, JobId};
use reelmill_e2e::{
    Farm, judge,
    output::{Output, Rendition},
};
use reelmill_lab::programs::Running;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    bench::Bench,
    files, hearing,
    kind::{Kind, LONG, Ladder, QUICK, Shows, TOLERANT, TWO, Want},
    programs,
    scene::{self, FRAMES, Scene},
};

/// How long all of a table may take.
const LONGEST: Duration = Duration::from_secs(400);
/// Sources made at once, and outputs judged at once.
const AT_ONCE: usize = 2;

/// Makes every source of a table, sends it through one worker, and measures what comes out. Tells all that is wrong.
pub(crate) async fn hold(kinds: Vec<Kind>) {
    let farm = Arc::new(Farm::start().await);
    presets(&farm);
    let mut worker = farm.worker();
    worker.env("CONCURRENCY", "2").env("STALL_SECONDS", "120");
    let _worker = Running::start(programs::chosen(worker, farm.folder.path()));
    let kinds = Arc::new(kinds);
    let scene = Arc::new(Scene::make(farm.folder.path()));
    let mut submitted = make_all(&farm, &kinds, &scene);
    let wrong = tokio::time::timeout(LONGEST, judge_all(&farm, &kinds, &scene, &mut submitted)).await;
    let wrong = wrong.expect("the worker ends all jobs in time");
    assert!(wrong.is_empty(), "{} of {} kinds went wrong:\n{}", wrong.len(), kinds.len(), wrong.join("\n"));
    assert_eq!(farm.store.unfinished_uploads(), 0);
}

fn presets(farm: &Farm) {
    farm.add_preset(QUICK, &[("180p", 320, 180)]);
    farm.add_preset(TWO, &[("180p", 320, 180), ("90p", 160, 90)]);
    farm.add_preset(TOLERANT, &[("180p", 320, 180)]);
    farm.add_preset(LONG, &[("36p", 64, 36)]);
    for (name, from, to) in [
        (LONG, "segment_seconds = 1\n", "segment_seconds = 10\n"),
        (TOLERANT, "description", "damage = \"tolerate\"\ndescription"),
    ] {
        let file = farm.folder.path().join(format!("presets/{name}.toml"));
        let text = std::fs::read_to_string(&file).expect("just written");
        assert!(text.contains(from), "{text}");
        std::fs::write(file, text.replacen(from, to, 1)).expect("our folder");
    }
}

/// Makes and submits each kind; tells which job is of which.
fn make_all(farm: &Arc<Farm>, kinds: &Arc<Vec<Kind>>, scene: &Arc<Scene>) -> mpsc::UnboundedReceiver<(JobId, usize)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    for n in 0..kinds.len() {
        let (farm, kinds, scene, sender) = (farm.clone(), kinds.clone(), scene.clone(), sender.clone());
        let room = room.clone();
        tokio::spawn(async move {
            let _turn = room.acquire().await.expect("never closed");
            let folder = farm.folder.path().join(format!("kind-{n}"));
            std::fs::create_dir(&folder).expect("a folder of its own");
            let of = kinds.clone();
            let making = tokio::task::spawn_blocking(move || Bench { scene, folder }.make_kind(&of[n]));
            let source = making.await.unwrap_or_else(|_| panic!("{} cannot be made", kinds[n].name));
            let name = source.file_name().expect("a name").to_string_lossy().into_owned();
            let input = farm.upload(&source, &format!("kind-{n}/{name}"));
            let job = farm.submit(&input, kinds[n].preset).await;
            sender.send((job, n)).expect("the judge listens");
        });
    }
    receiver
}

/// Judges each job at its end; what is wrong, in words.
async fn judge_all(
    farm: &Arc<Farm>,
    kinds: &Arc<Vec<Kind>>,
    scene: &Arc<Scene>,
    submitted: &mut mpsc::UnboundedReceiver<(JobId, usize)>,
) -> Vec<String> {
    let (mut jobs, mut ended, mut judging) = (HashMap::new(), HashMap::new(), JoinSet::new());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut left = kinds.len();
    while left > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        while let Ok((job, n)) = submitted.try_recv() {
            jobs.insert(job, n);
        }
        assert!(!submitted.is_closed() || jobs.len() + ended.len() == kinds.len(), "a source could not be made");
        for event in farm.events().await {
            let is_end = matches!(event.body, EventBody::Done { .. } | EventBody::Failed { .. });
            if is_end && let Some(n) = jobs.remove(&event.job) {
                ended.insert(n, ());
                left -= 1;
                let (farm, kinds, scene, room) = (farm.clone(), kinds.clone(), scene.clone(), room.clone());
                judging.spawn(async move {
                    let _turn = room.acquire().await.expect("never closed");
                    let judged =
                        tokio::task::spawn_blocking(move || judged(&farm, &kinds[n], &scene, event.job, event.body));
                    judged.await.expect("panics are caught within")
                });
            }
        }
    }
    let mut wrong: Vec<String> = judging.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    wrong
}

/// What is wrong with a kind's end.
fn judged(farm: &Farm, kind: &Kind, scene: &Scene, job: JobId, end: EventBody) -> Option<String> {
    let fine = match (&kind.want, end) {
        (Want::Ladder(want), EventBody::Done { report }) => {
            let folder = farm.output_folder(job);
            caught(|| ladder(want, &Output::fetch(*report, &folder), scene))
        }
        (Want::Files(want), EventBody::Done { report }) => {
            caught(|| files::check(want, &report, &farm.output_folder(job), scene))
        }
        (Want::Refused(why), EventBody::Failed { failure, retry_in_seconds: None }) => {
            let said = failure.lines();
            let left = farm.output_files(job);
            if !said.contains(why) {
                Err(format!("it was refused because {said}"))
            } else if left.is_empty() {
                Ok(())
            } else {
                Err(format!("it was refused and left {left:?}"))
            }
        }
        (_, EventBody::Failed { failure, .. }) => Err(format!("it failed: {}", failure.lines())),
        (_, other) => Err(format!("it ended in {other:?}")),
    };
    fine.err().map(|why| format!("- {}: {why}", kind.name))
}

/// A panic's words as an error.
fn caught(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
    })
}

fn ladder(want: &Ladder, output: &Output, scene: &Scene) -> Result<(), String> {
    output.is_true();
    told(&want.says, &output.report.changes)?;
    let (width, height) = want.size;
    let resolution = output.videos[0].attributes.text("RESOLUTION");
    if resolution != format!("{width}x{height}") {
        return Err(format!("the largest rung is {resolution} instead of {width}x{height}"));
    }
    for video in &output.videos {
        picture(want, video, scene).map_err(|why| format!("{}: {why}", video.name))?;
    }
    if output.sounds.len() != want.sounds.len() {
        return Err(format!("there are {} tracks of sound instead of {}", output.sounds.len(), want.sounds.len()));
    }
    for (want, made) in want.sounds.iter().zip(&output.sounds) {
        let (channels, language) = (made.track.says("channels"), made.attributes.find("LANGUAGE"));
        if channels != want.channels.to_string() || language != want.language {
            return Err(format!("{} has {channels} channels and the language {language:?}", made.name));
        }
        hearing::check(&judge::sound(&made.file, 0), want).map_err(|why| format!("{}: {why}", made.name))?;
    }
    together(want, output)
}

/// The report says what was done, and nothing else. How much of an encoder's priming lies before the first picture is
/// the encoder's affair; that sound and pictures stay together is heard.
pub(crate) fn told(want: &[String], said: &[String]) -> Result<(), String> {
    let said: Vec<_> = said.iter().filter(|s| !s.starts_with("sound before the first picture cut: ")).collect();
    let alike = |(want, said): (&String, &&String)| {
        let said = if want.contains('#') { without_numbers(said) } else { (*said).clone() };
        *want == said
    };
    if want.len() == said.len() && want.iter().zip(&said).all(alike) {
        return Ok(());
    }
    Err(format!("the report says {said:?} instead of {want:?}"))
}

/// A text with a `#` for each number.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match (c.is_ascii_digit(), plain.ends_with('#')) {
            (true, true) => {}
            (true, false) => plain.push('#'),
            (false, _) => plain.push(c),
        }
    }
    plain
}

fn picture(want: &Ladder, video: &Rendition, scene: &Scene) -> Result<(), String> {
    let tags = ["color_primaries", "color_transfer", "color_space"].map(|tag| video.track.says(tag));
    if tags != want.colours {
        return Err(format!("its colours are {tags:?} instead of {:?}", want.colours));
    }
    let rate = video.attributes.text("FRAME-RATE");
    if rate != want.rate {
        return Err(format!("it has {rate} frames a second instead of {}", want.rate));
    }
    let frames = scene::frames(&video.file);
    let numbers: Vec<_> = frames.iter().map(|f| f.number.clone()).collect();
    match &want.shows {
        Shows::Frames(want) => exactly(want, &numbers)?,
        Shows::Near { count, rate, slack } => near(video, &numbers, count, *rate, *slack)?,
    }
    for (n, frame) in frames.iter().enumerate().filter(|_| want.alike) {
        let number = frame.number.clone().unwrap_or_default();
        scene.resembles(number, frame).map_err(|why| format!("frame {n}: {why}"))?;
    }
    Ok(())
}

pub(crate) fn exactly(want: &[usize], numbers: &[Result<usize, String>]) -> Result<(), String> {
    for (n, (number, want)) in numbers.iter().zip(want).enumerate() {
        let number = number.clone().map_err(|why| format!("frame {n}: {why}"))?;
        if number != want % FRAMES {
            return Err(format!("frame {n} shows {number} instead of {}", want % FRAMES));
        }
    }
    if want.len() != numbers.len() {
        return Err(format!("it has {} frames instead of {}", numbers.len(), want.len()));
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "frames of clips of seconds")]
fn near(
    video: &Rendition,
    numbers: &[Result<usize, String>],
    count: &std::ops::RangeInclusive<usize>,
    rate: f64,
    slack: f64,
) -> Result<(), String> {
    if !count.contains(&numbers.len()) {
        return Err(format!("it has {} frames instead of {count:?}", numbers.len()));
    }
    for (n, (number, at)) in numbers.iter().zip(video.shown_at()).enumerate() {
        let number = number.clone().map_err(|why| format!("frame {n}: {why}"))?;
        let (at, of) = (video.track.seconds(at), number as f64 / rate);
        if (at - of).abs() > slack {
            return Err(format!("frame {n} at {at:.3} s shows {number}, which belongs to {of:.3} s"));
        }
    }
    Ok(())
}

/// A player that opens the whole ladder hears the beep as long after a picture as the renditions have it.
fn together(want: &Ladder, output: &Output) -> Result<(), String> {
    let Some(beep) = want.sounds.first().map(|s| s.heard.2).filter(|at| !at.is_nan()) else { return Ok(()) };
    let clock = scene::clock(&output.videos[0].file);
    let mark =
        clock.get(hundredths(beep - 0.5)).copied().flatten().ok_or("no picture half a second before the beep")?;
    let alone = offset(&clock, &output.sounds[0].file, mark)?;
    let played = offset(&scene::clock(&output.entry()), &output.entry(), mark)?;
    if (alone - played).abs() > 0.045 {
        return Err(format!("a player beeps {played:.2} s after frame {mark}, and the renditions {alone:.2} s"));
    }
    Ok(())
}

/// How long after the first sight of a frame the beep is heard.
fn offset(clock: &[Option<usize>], sound: &Path, mark: usize) -> Result<f64, String> {
    let heard = hearing::beep(&judge::sound(sound, 0)).ok_or("no beep")?;
    let seen = clock.iter().position(|n| *n == Some(mark)).ok_or_else(|| format!("frame {mark} is not seen"))?;
    Ok(heard - hearing::seconds(seen))
}

fn hundredths(seconds: f64) -> usize {
    format!("{:.0}", seconds * 100.0).parse().unwrap_or_default()
}
