//! `reelmill demo`: a farm in a temporary folder with one video in it.

use anyhow::Context;
use bytes::Bytes;
use clap::{
    builder::{OsStringValueParser, TypedValueParser},
    value_parser,
};
use reelmill_api::{Location, PresetName, job::Job};
use reelmill_daemon::{Hinted, Shutdown};

use crate::{
    exit::FAILED,
    farm::{Extent, Farm},
    hub::Hub,
    job,
    place::Place,
    render,
    screen::{self, Screen},
    submit,
    transcode::DEFAULT_PRESET,
};

/// Five seconds of Big Buck Bunny, (c) 2008 Blender Foundation, CC BY 3.0; see `tests/media/README.md`.
const CLIP: &[u8] = include_bytes!("../../../tests/media/bbb-5s.mp4");
/// The name it is uploaded under.
const CLIP_NAME: &str = "big-buck-bunny.mp4";

/// Show the whole farm at work on one video, in a temporary folder.
///
/// The page shows the job's progress and plays the result. Nothing is left behind.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The video; without it, five seconds of Big Buck Bunny (c) Blender Foundation, CC BY 3.0
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::parse))]
    video: Option<Place>,
    /// Stop when the job is done, with exit code 0, or 1 if it failed
    #[arg(long)]
    exit: bool,
    /// The port of the page and the API; without it 8080, or one near it if that is taken
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The recipe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PRESET)]
    preset: PresetName,
}

const EXAMPLES: &str = "\
Examples:
  reelmill demo
  reelmill demo holiday.mov --exit";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    let video = args.video.as_ref().map(source).transpose()?;
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let folder =
        tempfile::Builder::new().prefix("reelmill-demo-").tempdir().context("cannot make a temporary folder")?;
    let mut farm = Farm::start(folder.path(), args.port, Extent::Jobs, screen, &shutdown).await?;
    let hub = Hub::at(farm.addresses.api.clone());
    let ended = tokio::select! {
        ended = show(&hub, video.as_ref(), args.preset, screen) => ended.map(|job| job::tell_end(&job, screen)),
        () = shutdown.graceful().cancelled() => Ok(FAILED),
        error = farm.broken() => Err(error),
    };
    let ended = match ended {
        Ok(code) if !args.exit && !shutdown.graceful().is_cancelled() => {
            screen::print("the farm stays up for you to look at the page; Ctrl-C ends it and removes its data\n");
            tokio::select! {
                () = shutdown.graceful().cancelled() => Ok(code),
                error = farm.broken() => Err(error),
            }
        }
        ended => ended,
    };
    if shutdown.graceful().is_cancelled() {
        screen.note("stopping; Ctrl-C again to stop at once");
    }
    farm.stop().await;
    folder.close().context("cannot remove the temporary folder")?;
    ended
}

/// A file on this machine; the demo's own store holds nothing yet.
fn source(video: &Place) -> anyhow::Result<Location> {
    match video.as_source()?.location {
        file @ Location::File(_) => Ok(file),
        Location::Stream(at) => {
            let hint = "name a file; `reelmill submit --preset live-hls` takes live sources";
            Err(Hinted::new(format!("the demo is of a file, and {at} is live"), hint).into())
        }
        Location::S3(at) => {
            let hint = "name a file; `reelmill submit` takes a location in a farm's store";
            Err(Hinted::new(format!("the demo has a store of its own, which does not hold {at}"), hint).into())
        }
    }
}

/// Uploads the video, submits it and follows the job to its end.
async fn show(hub: &Hub, video: Option<&Location>, preset: PresetName, screen: &Screen) -> anyhow::Result<Job> {
    let input = match video {
        Some(at @ Location::File(file)) => {
            screen.note(&format!("uploading {}", render::place(at)));
            hub.upload_file(file.path()).await?
        }
        _ => {
            screen.note("uploading 5 s of Big Buck Bunny, (c) 2008 Blender Foundation, CC BY 3.0");
            let bytes = futures::stream::iter([Ok(Bytes::from_static(CLIP))]);
            hub.upload(CLIP_NAME, CLIP.len() as u64, bytes).await?
        }
    };
    let job = hub.submit(&submit::request(input, preset)).await?;
    screen::print(&format!("page: {}\n", hub.page(job.id)));
    let heading = format!("transcoding {} by {}", render::place(&job.input), job.preset);
    job::follow(hub, job.id, screen, &heading).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_clip_is_a_video_file() {
        assert_eq!(CLIP.get(4..8), Some(&b"ftyp"[..]));
    }

    #[test]
    fn takes_files_only() {
        let place = Place::parse("s3://media/a.mp4".into()).expect("a location");
        let error = source(&place).expect_err("not in the demo's store");
        assert_eq!(error.to_string(), "the demo has a store of its own, which does not hold s3://media/a.mp4");
    }
}
