//! The streams of a farm: made where they are missing, and opened for the lanes that strangers may publish to.

use std::collections::BTreeSet;

use async_nats::jetstream::{ErrorCode, message::PublishMessage, stream::Config};
use reelmill_api::Lane;
use serde_json::{Value, json};

use super::{link::Link, names::Names, trouble::Wrote};
use crate::QueueError;

/// How often the subjects are put in order against others who do the same.
const ROUNDS: usize = 16;

/// Makes the streams that are missing.
pub(super) async fn ensure(link: &Link, names: &Names) -> Result<(), QueueError> {
    let replicas = link.replicas();
    let tasks = names.tasks_stream(&[names.intake()], replicas);
    for config in [tasks, names.state_stream(replicas), names.events_stream(replicas)] {
        if info(|| format!("look at the stream {}", config.name), link, &config.name).await?.is_none() {
            make(link, config).await?;
        }
    }
    Ok(())
}

/// Has the stream of tasks take what is published on the lane's plain name.
pub(super) async fn open(link: &Link, names: &Names, lane: &Lane) -> Result<(), QueueError> {
    let doing = || format!("open lane {lane} for other programs");
    if subjects(&config(doing, link, &names.tasks).await?).contains(&lane.as_str()) {
        return Ok(());
    }
    // The lanes are told as records first, since two who change a stream's subjects at once do not see each other: who
    // comes last with less than all records looks again.
    let _: Wrote = link.store(doing, &names.lane(lane), PublishMessage::build()).await?;
    for _ in 0..ROUNDS {
        let lanes = told_lanes(doing, link, names).await?;
        // Whatever else an operator set stays as it is.
        let mut config = config(doing, link, &names.tasks).await?;
        config["subjects"] = json!(names.tasks_stream(&lanes, link.replicas()).subjects);
        let path = format!("STREAM.UPDATE.{}", names.tasks);
        let updated = link.ask::<_, Value>(doing, &path, &config).await?;
        updated.map_err(|(_, why)| link.failed(doing(), &why))?;
        if told_lanes(doing, link, names).await? == lanes {
            return Ok(());
        }
    }
    Err(link.failed(doing(), "others change it all the time"))
}

fn subjects(config: &Value) -> Vec<&str> {
    config["subjects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A stream's settings as the server has them, also those that this build does not know.
async fn config(doing: impl Fn() -> String, link: &Link, stream: &str) -> Result<Value, QueueError> {
    let missing = || link.failed(doing(), &format!("somebody removed the stream {stream}"));
    let mut info = info(&doing, link, stream).await?.ok_or_else(missing)?;
    Ok(info["config"].take())
}

/// All lanes that were told, with the intake.
async fn told_lanes(doing: impl Fn() -> String, link: &Link, names: &Names) -> Result<Vec<Lane>, QueueError> {
    let path = format!("STREAM.INFO.{}", names.state);
    let answer = link.ask::<_, Value>(&doing, &path, &json!({ "subjects_filter": names.lanes() })).await?;
    let info = answer.map_err(|(_, why)| link.failed(doing(), &why))?;
    let subjects = info["state"]["subjects"].as_object();
    let told = subjects.into_iter().flat_map(|subjects| subjects.keys()).filter_map(|subject| names.read_lane(subject));
    Ok(told.chain([names.intake()]).collect::<BTreeSet<_>>().into_iter().collect())
}

async fn info(doing: impl Fn() -> String, link: &Link, stream: &str) -> Result<Option<Value>, QueueError> {
    match link.ask(&doing, &format!("STREAM.INFO.{stream}"), &json!({})).await? {
        Ok(info) => Ok(Some(info)),
        Err((ErrorCode::STREAM_NOT_FOUND, _)) => Ok(None),
        Err((_, why)) => Err(link.failed(doing(), &why)),
    }
}

async fn make(link: &Link, config: Config) -> Result<(), QueueError> {
    let doing = || format!("make the stream {}", config.name);
    let made = link.ask::<_, Value>(doing, &format!("STREAM.CREATE.{}", config.name), &config).await?;
    match made {
        // Another one made it meanwhile, and perhaps opened lanes.
        Ok(_) | Err((ErrorCode::STREAM_NAME_EXIST, _)) => Ok(()),
        Err((_, why)) => Err(link.failed(doing(), &why)),
    }
}
