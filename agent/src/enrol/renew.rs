//! A new key and a new certificate for them while the old ones still count, or after their time. The old pair is kept until a
//! connection with the new one has stood.

use std::{fs, io, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use reelmill_api::enrol::{JoinAnswer, Membership, RENEW_PATH, RenewRequest};
use reelmill_mqtt::Retry;
use serde_json::{Map, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    ask::{AskError, ask},
    files::{self, Enrolled, Pair},
    random, seal,
};
use crate::deeds::{Outcome, Reach, Undone};

/// Held by whoever exchanges the pair.
static ROTATING: Mutex<()> = Mutex::const_new(());
/// How long a connection with the new pair is waited for.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest that nobody looks at the time: a node sleeps, and its clock is set.
const WATCH_EVERY: Duration = Duration::from_secs(3600);

/// Exchanges the node's key and certificate for new ones. It can be done again after the agent died in it.
///
/// # Errors
/// What kept it from being done; then the old pair is in use, as before.
pub async fn rotate(folder: &Path, reach: &Reach) -> Outcome {
    let runtime = reach.runtime_folder.as_deref();
    let unread = |e: io::Error| Undone::for_now("disk", format!("cannot use {}: {e}", folder.display()));
    let enrolled = Enrolled::read(folder).map_err(unread)?.ok_or_else(|| {
        Undone::for_good("not_supported", "no hub has made this node's certificate, so none can renew it")
    })?;
    // A command and the calendar may both want it.
    let _one = ROTATING.lock().await;
    let place = new_pair(folder, runtime, &enrolled).await?;
    let (used, last, next) = (Pair::in_use(folder), Pair::last(folder), Pair::next(folder));
    used.copy(&last).map_err(unread)?;
    seal::take_in(folder, runtime).map_err(unread)?;
    next.replace(&used).map_err(unread)?;
    seal::lay_out(folder, runtime).map_err(unread)?;
    let before = (reach.see)().connections;
    reach.connect_anew.notify_one();
    if let Err(why) = connection(reach, before).await {
        // It may be the broker's fault: the new pair is tried again, and the hub need not make another.
        used.copy(&next).map_err(unread)?;
        seal::take_in(folder, runtime).map_err(unread)?;
        last.replace(&used).map_err(unread)?;
        seal::lay_out(folder, runtime).map_err(unread)?;
        reach.connect_anew.notify_one();
        return Err(Undone::for_now("unwell", format!("the broker does not take the new certificate: {why}")));
    }
    let (hub, now) = (super::hub_of(&enrolled)?, Timestamp::now());
    let renewed = Enrolled::new(&place, &hub, enrolled.ca_sha256, now);
    renewed.write(folder).map_err(unread)?;
    // The certificate first: see `finish`.
    for old in [&last.cert, &last.key] {
        fs::remove_file(old).map_err(unread)?;
    }
    log::info!("the node's certificate is renewed; it is good until {}", renewed.not_after);
    Ok(Map::from_iter([("not_after".to_owned(), Value::String(renewed.not_after.to_string()))]))
}

/// Gets the next pair, and writes it beside the one in use. A key that was made before is used: its certificate may have
/// been made too, and the answer lost.
async fn new_pair(folder: &Path, runtime: Option<&Path>, enrolled: &Enrolled) -> Result<Membership, Undone> {
    let next = Pair::next(folder);
    let unread = |e: io::Error| Undone::for_now("disk", format!("cannot use {}: {e}", next.key.display()));
    let csr = files::request(&next.own_key().map_err(unread)?).map_err(unread)?;
    let hub = super::hub_of(enrolled)?;
    let shown = Pair { key: seal::key_to_use(folder, runtime), ..Pair::in_use(folder) };
    match ask(&hub, enrolled.ca_sha256, Some(&shown), RENEW_PATH, &RenewRequest { csr }).await {
        Ok(JoinAnswer::Enrolled(place)) => {
            files::write(&next.cert, place.cert.as_bytes()).map_err(unread)?;
            Ok(*place)
        }
        Ok(JoinAnswer::Refused { why, message }) => Err(Undone::for_good("refused", format!("{why}: {message}"))),
        Ok(JoinAnswer::Pending { .. }) => Err(Undone::for_good("refused", "the hub does not know this node any more")),
        Err(e @ AskError::Own(_)) => Err(Undone::for_good("disk", e.to_string())),
        Err(e) => Err(Undone::for_now("no_hub", e.to_string())),
    }
}

async fn connection(reach: &Reach, before: u64) -> Result<(), String> {
    let end = Instant::now() + CONNECT_WITHIN;
    loop {
        let sight = (reach.see)();
        if sight.connected && sight.connections > before {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(sight.why.unwrap_or_else(|| "there is no connection".to_owned()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Renews in time, again and again until `stop`.
pub async fn keep_fresh(folder: &Path, reach: &Reach, stop: &CancellationToken) {
    let mut retry = Retry::default();
    loop {
        let wait = match due(folder, Timestamp::now()) {
            Some(SignedDuration::ZERO) => match rotate(folder, reach).await {
                Ok(_) => {
                    retry.reset();
                    continue;
                }
                Err(undone) => {
                    log::warn!("cannot renew the node's certificate: {undone}");
                    if undone.retry { retry.wait(random()) } else { WATCH_EVERY }
                }
            },
            Some(left) => Duration::try_from(left).unwrap_or_default().min(WATCH_EVERY),
            None => return,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// How long until the certificate is to be renewed; `None` for a node that no hub has taken in.
fn due(folder: &Path, now: Timestamp) -> Option<SignedDuration> {
    let enrolled = Enrolled::read(folder).ok().flatten()?;
    Some(enrolled.renew_at.duration_since(now).max(SignedDuration::ZERO))
}
