//! The hub's metrics, measured when they are asked for.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use reelmill_api::{JobState, Lane, metrics};
use reelmill_daemon::Metrics;
use reelmill_queue::{Depth, SharedQueue};

use crate::{
    db::{Db, DbError},
    fleet::Nodes,
};

type Labels = Vec<(&'static str, String)>;

/// Every state, so that one without jobs reads 0 and not "absent".
const STATES: [JobState; 4] = [JobState::Queued, JobState::Running, JobState::Done, JobState::Failed];

/// The gauges and where they are shown.
#[derive(Clone, Debug)]
pub struct Gauges {
    jobs: Family<Labels, Gauge>,
    nodes: Family<Labels, Gauge>,
    depth: Family<Labels, Gauge>,
    oldest: Family<Labels, Gauge<f64, AtomicU64>>,
    metrics: Metrics,
}

impl Gauges {
    /// Gauges that show nothing yet.
    pub fn new() -> Self {
        let (jobs, nodes, depth, oldest) = (Family::default(), Family::default(), Family::default(), Family::default());
        let mut registry = Registry::default();
        registry.register(metrics::HUB_JOBS, "Jobs by state", Family::clone(&jobs));
        registry.register(metrics::HUB_NODES, "Nodes by state", Family::clone(&nodes));
        registry.register(metrics::HUB_LANE_DEPTH, "Tasks waiting on a lane", Family::clone(&depth));
        registry.register(metrics::HUB_LANE_OLDEST, "Age of the oldest task waiting on a lane", Family::clone(&oldest));
        Self { jobs, nodes, depth, oldest, metrics: Metrics::new(registry) }
    }

    /// Measures anew. A lane that cannot be measured is absent until it can.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn measure(
        &self,
        db: &Db,
        nodes: &Nodes,
        queue: &SharedQueue,
        lanes: &[Lane],
    ) -> Result<Metrics, DbError> {
        let counts = db.count_by_state().await?;
        for state in STATES {
            let count = counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, n)| *n);
            self.jobs.get_or_create(&vec![("state", state.as_str().to_owned())]).set(count);
        }
        for (state, count) in nodes.count() {
            let labels = vec![("state", state.as_str().to_owned())];
            self.nodes.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for lane in lanes {
            let labels = vec![("lane", lane.to_string())];
            match queue.depth(lane).await {
                Ok(depth) => self.show(&labels, &depth),
                Err(e) => {
                    log::debug!("a lane has no metrics now: {e}");
                    self.depth.remove(&labels);
                    self.oldest.remove(&labels);
                }
            }
        }
        Ok(self.metrics.clone())
    }

    fn show(&self, labels: &Labels, depth: &Depth) {
        let waiting = depth.ready.saturating_add(depth.delayed);
        self.depth.get_or_create(labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.oldest.get_or_create(labels).set(depth.oldest_ready.unwrap_or_default().as_secs_f64());
    }
}

impl Default for Gauges {
    fn default() -> Self {
        Self::new()
    }
}
