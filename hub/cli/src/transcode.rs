//! `reelmill transcode`: one job through exactly the worker's code, without a server.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use reelmill_api::{ErrorKind, Failure, JobId, PresetName, Priority, Report, Task, preset::Settings};
use reelmill_daemon::Shutdown;

use crate::{
    exit::{DONE, FAILED, REFUSED},
    place::Place,
    programs::Program,
    render,
    screen::{self, Screen},
    vacancy::Vacancy,
    worker,
};

/// The preset that is used where none is named.
pub(crate) const DEFAULT_PRESET: &str = "hls-ladder";

/// Changes to a preset as they are typed.
///
/// # Errors
/// Where the text is no JSON object.
pub(crate) fn settings(text: &str) -> Result<Settings, String> {
    serde_json::from_str(text).map_err(|e| format!("it is no JSON object: {e}"))
}

/// Make what a preset says of one source: an adaptive ladder, or single files.
///
/// A ladder is complete when DEST/master.m3u8 is there, single files when DEST/reelmill.json is: it is written last, and
/// nothing of a failed attempt can be seen through it. DEST/reelmill.json tells what was made and where each file is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The source: a path, file:///path or s3://bucket/key
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::parse))]
    src: Place,
    /// Where the result goes: a folder (created if it is not there), file:///path or s3://bucket/prefix
    #[arg(value_parser = OsStringValueParser::new().try_map(Place::parse))]
    dest: Place,
    /// The recipe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PRESET)]
    preset: PresetName,
    /// Changes to the recipe for this job, as JSON with its own keys, e.g. '{"video":{"effort":"slow"}}'
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true, value_parser = settings)]
    settings: Settings,
    /// Print one JSON object instead of text: the report, or {"failure": ...}
    #[arg(long)]
    json: bool,
    /// The worker's configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  reelmill transcode holiday.mov ~/holiday
  reelmill transcode film.mxf ~/archive --preset archive-prores
  reelmill transcode --json s3://media-ingest/a.mp4 s3://media-output/a/ > report.json

S3 keys and the store's address come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and S3_ENDPOINT_URL.
Ctrl-C stops cleanly: nothing half is published, and the exit code is 1.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the source was refused (DEST is untouched).";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> u8 {
    let result = transcode(&args, screen).await;
    match &result {
        Ok(report) if !args.json => screen::print(&render::report(report)),
        Ok(_) => {}
        Err(failure) => screen.error(failure),
    }
    if args.json {
        screen::print(&format!("{}\n", json(&result)));
    }
    exit_code(&result)
}

async fn transcode(args: &Args, screen: &Screen) -> Result<Report, Failure> {
    let (source, target) = (args.src.as_source()?, args.dest.as_destination()?);
    if source.location.is_live() {
        let message = format!("{} is live, and this command makes one output from one file", source.location);
        return Err(Failure::new(ErrorKind::BadRequest, message)
            .hint("start a farm with `reelmill up`, then `reelmill submit ADDRESS --preset live-hls`"));
    }
    let program = Program::find("reelmill-worker")
        .map_err(|e| Failure::new(ErrorKind::Infrastructure, e.to_string()).hint(e.hint()))?;
    let shutdown = Shutdown::on_signals()
        .map_err(|e| Failure::new(ErrorKind::Infrastructure, format!("cannot catch signals: {e}")))?;
    let task = Task {
        job: JobId::new(uuid::Uuid::now_v7()),
        input: source.location.clone(),
        output: Some(target.location.clone()),
        preset: args.preset.clone(),
        settings: args.settings.clone(),
        priority: Priority::Normal,
        tried: 0,
    };
    let (from, to) = (render::place(&task.input), render::place(&target.location));
    let meter = screen.meter(&format!("transcoding {from} to {to} by {}", task.preset));
    let command = worker::command(&program, args.config.as_deref(), &source, &target);
    let vacancy = target.root.as_deref().map(Vacancy::of);
    let result = worker::run(program.name(), command, &task, screen, meter, &shutdown).await;
    if let (Err(_), Some(vacancy)) = (&result, vacancy) {
        vacancy.restore();
    }
    result
}

fn json(result: &Result<Report, Failure>) -> serde_json::Value {
    match result {
        Ok(report) => serde_json::to_value(report).expect("a report holds only text and numbers"),
        Err(failure) => serde_json::json!({ "failure": failure }),
    }
}

fn exit_code(result: &Result<Report, Failure>) -> u8 {
    match result {
        Ok(_) => DONE,
        Err(failure) if failure.kind == ErrorKind::BadSource => REFUSED,
        Err(_) => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::a_report;

    #[test]
    fn the_exit_code_tells_a_refused_source_from_any_other_failure() {
        use ErrorKind::{BadRequest, BadSource, Bug, Busy, Canceled, Infrastructure, NoCapability};
        assert_eq!(exit_code(&Ok(a_report())), 0);
        assert_eq!(exit_code(&Err(Failure::new(BadSource, "x"))), 3);
        for kind in [BadRequest, Bug, Busy, Canceled, Infrastructure, NoCapability] {
            assert_eq!(exit_code(&Err(Failure::new(kind, "x"))), 1, "{kind}");
        }
    }

    #[test]
    fn json_is_the_report_or_the_failure() {
        assert_eq!(serde_json::from_value::<Report>(json(&Ok(a_report()))).ok(), Some(a_report()));
        let failure = Failure::new(ErrorKind::BadSource, "a.mp4 is empty").hint("upload it again");
        assert_eq!(
            json(&Err(failure)).to_string(),
            r#"{"failure":{"hint":"upload it again","kind":"bad_source","message":"a.mp4 is empty"}}"#
        );
    }
}
