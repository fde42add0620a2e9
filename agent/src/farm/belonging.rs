//! Whether the node has a place in a farm: from the start, or once a farm has taken it in, without a restart in between.

use std::sync::Arc;

use reelmill_api::{
    preset::Tag,
    snapshot::{Enrolment, Farm, Snapshot},
};
use reelmill_daemon::Shutdown;
use tokio::sync::{oneshot, watch};

use super::{Place, Work};
use crate::{config::Config, deeds::tags::SaidTags, desk::Desk, enrol};

/// The node's standing with its farm.
pub struct Belonging {
    place: Option<Place>,
    joining: Option<Joining>,
}

/// A node that is not in yet.
struct Joining {
    told: watch::Receiver<Option<Enrolment>>,
    arrives: oneshot::Receiver<(Place, Config)>,
    tags: Arc<SaidTags>,
    /// What the farm said of the node, once it did: the sensors know the settings from before only.
    settled: Option<Config>,
}

impl Belonging {
    /// Takes the place that the settings name, or asks for one where there is a `join.toml`. What comes with it must be
    /// awaited until the end of the agent.
    ///
    /// # Errors
    /// If the place cannot be taken, with what to do.
    pub async fn find(
        config: &Config,
        first: &Snapshot,
        desk: Arc<Desk>,
        tags: Arc<SaidTags>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<(Self, Work)> {
        if let Some((place, work)) = Place::take(config, first, desk.clone(), tags.clone(), shutdown).await? {
            return Ok((Self { place: Some(place), joining: None }, work));
        }
        let (tell, told) = watch::channel(None);
        let (bring, arrives) = oneshot::channel();
        let joining = Joining { told, arrives, tags: tags.clone(), settled: None };
        let (config, first, shutdown) = (config.clone(), first.clone(), shutdown.clone());
        let work = async move {
            let joined = enrol::join(&config, enrol::machine(&first), &tell, shutdown.graceful()).await;
            let Some(config) = joined.transpose()? else { return Ok(()) };
            let Some((place, work)) = Place::take(&config, &first, desk, tags, &shutdown).await? else { return Ok(()) };
            // Nobody is there to take it only when the agent ends.
            let _ = bring.send((place, config));
            work.await
        };
        Ok((Self { place: None, joining: Some(joining) }, Box::pin(work)))
    }

    /// Tells the commands how the node is now, and the snapshot how it stands to its farm.
    pub fn tell(&mut self, snapshot: &mut Snapshot) {
        if let Some(joining) = &mut self.joining {
            if let Ok((place, config)) = joining.arrives.try_recv() {
                (self.place, joining.settled) = (Some(place), Some(config));
            }
            if let Some(config) = &joining.settled {
                config.node.as_str().clone_into(&mut snapshot.node.id);
                snapshot.tags.extend(config.tags.iter().map(Tag::as_str).map(str::to_owned));
                joining.tags.apply(&mut snapshot.tags);
            }
            let enrolment = joining.told.borrow().clone();
            snapshot.farm = enrolment.map(|enrolment| Farm { enrolment: Some(enrolment), ..Farm::default() });
        }
        if let Some(place) = &mut self.place {
            snapshot.farm = Some(place.tell(snapshot));
        }
    }
}
