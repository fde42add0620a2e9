//! How a node comes into a farm: it finds a `join.toml`, makes a key, asks the hub, and keeps what it is answered.

pub mod ask;
pub mod files;
pub mod join_file;
pub mod renew;
pub mod seal;

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use reelmill_api::{
    enrol::{JOIN_PATH, JoinAnswer, JoinRequest, Machine, Membership, Refusal},
    fleet::{PrivateKey, Role, Text, Trust, trust::TrustedKey},
    snapshot::{Enrolment, Snapshot},
};
use reelmill_daemon::Hinted;
use reelmill_mqtt::Retry;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, HelperSection},
    deeds::Undone,
    exec::{client, wire::Request},
};
pub use files::Enrolled;
use join_file::{HubUrl, JoinFile};

/// How often it is looked for a `join.toml` where there is none.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The settings of a node that a farm has taken in: where they name no broker, its place is what the farm said.
///
/// # Errors
/// If what the farm said cannot be read, with what to do.
pub fn settled(config: &Config) -> anyhow::Result<Config> {
    let folder = &config.state_folder;
    let hint = "remove enrolled.toml to let the node ask its farm anew";
    let unread = |e| Hinted::new(format!("cannot read enrolled.toml in {}: {e}", folder.display()), hint);
    if config.broker.host.is_some() {
        return Ok(config.clone());
    }
    match Enrolled::read(folder).map_err(unread)? {
        Some(enrolled) => {
            files::finish(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
            with(config, &enrolled)
        }
        None => Ok(config.clone()),
    }
}

/// The settings with a place in a farm.
fn with(config: &Config, enrolled: &Enrolled) -> anyhow::Result<Config> {
    let mut config = config.clone();
    config.node = enrolled.node.clone();
    config.broker.host = Some(enrolled.broker_host.parse().context("the hub named a broker that is no host")?);
    config.broker.port = enrolled.broker_port.try_into().ok();
    for tag in &enrolled.tags {
        if !config.tags.contains(tag) {
            config.tags.push(tag.clone());
        }
    }
    Ok(config)
}

fn hub_of(enrolled: &Enrolled) -> Result<HubUrl, Undone> {
    HubUrl::try_from(enrolled.hub.clone()).map_err(|why| Undone::for_good("not_enrolled", why))
}

/// Asks until the farm has taken the node in; the settings with its place there. How it stands is told meanwhile.
///
/// # Errors
/// If `stop` came first (`None`), or the place cannot be used.
pub async fn join(
    config: &Config,
    machine: Machine,
    tell: &watch::Sender<Option<Enrolment>>,
    stop: &CancellationToken,
) -> Option<anyhow::Result<Config>> {
    let mut retry = Retry::default();
    let asking = async {
        loop {
            let places = if config.join.is_empty() { join_file::usual_places() } else { config.join.clone() };
            let wait = match join_file::find(&places) {
                Ok(None) => {
                    tell.send_replace(None);
                    LOOK_EVERY
                }
                Ok(Some((path, text))) => match once(config, &path, &text, &machine, tell).await {
                    Ok(enrolled) => return with(config, &enrolled),
                    Err(why) => {
                        log::warn!("no farm has taken this node in yet: {why}");
                        waiting(tell, why);
                        retry.wait(random())
                    }
                },
                Err(why) => {
                    waiting(tell, why);
                    retry.wait(random())
                }
            };
            sleep(wait).await;
        }
    };
    stop.run_until_cancelled(asking).await
}

/// Says why the node is not in yet, beside the code that it shows already.
fn waiting(tell: &watch::Sender<Option<Enrolment>>, said: String) {
    tell.send_modify(|known| match known {
        Some(Enrolment::Waiting { why, .. }) => *why = Some(said),
        _ => *known = Some(Enrolment::Waiting { pairing_code: None, why: Some(said) }),
    });
}

/// Asks once.
async fn once(
    config: &Config,
    path: &Path,
    text: &str,
    machine: &Machine,
    tell: &watch::Sender<Option<Enrolment>>,
) -> Result<Enrolled, String> {
    let file = join_file::parse(path, text).map_err(|e| e.to_string())?;
    let folder = &config.state_folder;
    let disk = |e: std::io::Error| format!("cannot keep this node's key in {}: {e}", folder.display());
    let key = files::Pair::in_use(folder).own_key().map_err(disk)?;
    let code = files::pairing_code(&key);
    tell.send_modify(|known| {
        let why = match known.take() {
            Some(Enrolment::Waiting { why, .. }) => why,
            _ => None,
        };
        *known = Some(Enrolment::Waiting { pairing_code: Some(code.to_string()), why });
    });
    let tags = file.tags.iter().chain(&config.tags).cloned().collect();
    let node = file.node.clone().unwrap_or_else(|| config.node.clone());
    let csr = files::request(&key).map_err(disk)?;
    let request = JoinRequest { node, csr, token: file.token().cloned(), tags, machine: machine.clone() };
    match ask::ask(&file.hub, file.ca_sha256, None, JOIN_PATH, &request).await {
        Ok(JoinAnswer::Enrolled(place)) => settle(config, &file, path, &place).await,
        Ok(JoinAnswer::Pending { why, .. }) => Err(pending(why)),
        Ok(JoinAnswer::Refused { message, .. }) => Err(message.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

fn pending(why: Option<Refusal>) -> String {
    let approve = "an operator can approve this node's code at the hub";
    why.map_or_else(|| approve.to_owned(), |why| format!("{why}; {approve}"))
}

/// Keeps the place, and lets go of what led to it.
async fn settle(config: &Config, file: &JoinFile, path: &Path, place: &Membership) -> Result<Enrolled, String> {
    let enrolled = Enrolled::new(place, &file.hub, file.ca_sha256, Timestamp::now());
    with(config, &enrolled).map_err(|e| format!("{e:#}"))?;
    adopt(&config.helper, place).await?;
    let folder = &config.state_folder;
    files::keep(folder, place, &enrolled)
        .map_err(|e| format!("cannot keep this node's certificate in {}: {e}", folder.display()))?;
    log::info!("{} is a node of the farm of {}", enrolled.node, enrolled.hub);
    if let Err(e) = join_file::wipe(path) {
        log::warn!("cannot wipe the token from {}: {e}; it lets nobody in any more", path.display());
    }
    Ok(enrolled)
}

/// Has the root helper take the same keys, where there is one. It takes them once: one that has others already goes on with
/// those, and only says so.
async fn adopt(helper: &HelperSection, place: &Membership) -> Result<(), String> {
    let Some(trust) = place.trust.clone().filter(|_| client::is_there(&helper.socket)) else { return Ok(()) };
    let request = Request::Adopt { node: place.node.clone(), trust };
    let told: crate::deeds::Told = std::sync::Arc::new(|_| ());
    match client::ask(&helper.socket, &request, &told, &CancellationToken::new()).await {
        Err(undone) if undone.retry => Err(format!("the root helper does not take the farm's keys: {undone}")),
        Err(undone) => {
            log::warn!("the root helper does not take the farm's keys: {undone}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// What the node says of its machine.
pub fn machine(snapshot: &Snapshot) -> Machine {
    let board = &snapshot.node.board;
    Machine { serial: board.serial.as_deref().map(Text::cut), board: board.model.as_deref().map(Text::cut) }
}

/// Whose commands a node obeys that was told nobody's: those of a key that nobody has.
pub fn nobody() -> Trust {
    let seed: Vec<u8> = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].iter().flat_map(|id| id.into_bytes()).collect();
    let key = PrivateKey::from_seed(&seed.try_into().expect("twice sixteen bytes")).public();
    let key = TrustedKey { key, name: Text::cut("nobody"), roles: [Role::Admin].into_iter().collect() };
    Trust::new(0, 1, vec![key]).expect("one key of one")
}

/// Whether this state folder is of a node that a farm has taken in.
pub fn is_enrolled(folder: &Path) -> Option<Enrolled> {
    Enrolled::read(folder).ok().flatten()
}

fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests;
