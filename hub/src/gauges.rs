//! The hub's metrics, measured when they are asked for.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use reelmill_api::{JobState, Lane, metrics, nodes::NodeState};
use reelmill_daemon::Metrics;
use reelmill_queue::{Depth, QueueError, SharedQueue};

use crate::{
    ca::good_until,
    db::{Db, DbError, Failing},
    fleet::{Nodes, Shown},
};

type Labels = Vec<(&'static str, String)>;

/// How long a failed attempt at a source counts.
const FAILURES_COUNT: SignedDuration = SignedDuration::from_hours(24);
/// Sources that are named; every one of them is a series.
const WORST_SOURCES: u32 = 10;
/// Lanes that are measured at once.
const AT_ONCE: usize = 16;
/// A source of which so many attempts failed is named.
const FAILED_OFTEN: u32 = 3;

/// The gauges and where they are shown.
#[derive(Debug)]
pub struct Gauges {
    jobs: Family<Labels, Gauge>,
    nodes: Family<Labels, Gauge>,
    depth: Family<Labels, Gauge>,
    oldest: Family<Labels, Gauge<f64, AtomicU64>>,
    last_seen: Set,
    up: Set,
    good_until: Set,
    failing: Set,
    /// The hub's own certificates.
    own: Vec<Shown>,
    metrics: Metrics,
}

/// A family of which series come and go.
#[derive(Debug, Default)]
struct Set {
    family: Family<Labels, Gauge<f64, AtomicU64>>,
    labels: Mutex<BTreeSet<Labels>>,
}

impl Set {
    /// Shows these series and no other.
    fn show(&self, series: impl IntoIterator<Item = (Labels, f64)>) {
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = BTreeSet::new();
        for (labels, value) in series {
            self.family.get_or_create(&labels).set(value);
            shown.insert(labels);
        }
        for gone in known.difference(&shown) {
            self.family.remove(gone);
        }
        *known = shown;
    }
}

impl Gauges {
    /// Gauges that show nothing yet; `own` are the hub's certificates.
    pub fn new(own: Vec<Shown>) -> Self {
        let (jobs, nodes, depth, oldest) = (Family::default(), Family::default(), Family::default(), Family::default());
        let (last_seen, up, good_until, failing) = (Set::default(), Set::default(), Set::default(), Set::default());
        let mut registry = Registry::default();
        registry.register(metrics::HUB_JOBS, "Jobs by state", Family::clone(&jobs));
        registry.register(metrics::HUB_NODES, "Nodes by state", Family::clone(&nodes));
        registry.register(metrics::HUB_LANE_DEPTH, "Tasks waiting on a lane", Family::clone(&depth));
        registry.register(metrics::HUB_LANE_OLDEST, "Age of the oldest task waiting on a lane", Family::clone(&oldest));
        let mut add = |name, help, set: &Set| registry.register(name, help, set.family.clone());
        add(metrics::HUB_NODE_LAST_SEEN, "When a node last said something", &last_seen);
        add(metrics::HUB_NODE_UP, "1 while a node is there", &up);
        add(metrics::HUB_CERTIFICATE_EXPIRY, "Until when a certificate is good", &good_until);
        add(metrics::HUB_SOURCE_FAILURES, "Attempts that failed within a day, of the worst sources", &failing);
        let metrics = Metrics::new(registry);
        Self { jobs, nodes, depth, oldest, last_seen, up, good_until, failing, own, metrics }
    }

    /// Measures anew. A lane that cannot be measured is absent until it can, and so is one on which nothing waits, unless it is
    /// `always` shown. About 1 ms for a thousand jobs that failed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn measure(
        &self,
        db: &Db,
        nodes: &Nodes,
        (queue, lanes, always): (&SharedQueue, &[Lane], &[Lane]),
        now: Timestamp,
    ) -> Result<Metrics, DbError> {
        let counts = db.count_by_state().await?;
        // Every state, so that one without jobs reads 0 and not "absent".
        for state in JobState::ALL {
            let count = counts.iter().find(|(s, _)| *s == state).map_or(0, |(_, n)| *n);
            self.jobs.get_or_create(&vec![("state", state.as_str().to_owned())]).set(count);
        }
        for (state, count) in nodes.count() {
            let labels = vec![("state", state.as_str().to_owned())];
            self.nodes.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.measure_nodes(db, nodes).await?;
        let failing = db.failing(now - FAILURES_COUNT, FAILED_OFTEN, WORST_SOURCES).await?;
        self.failing.show(
            failing.into_iter().map(|Failing { source, attempts }| (vec![("source", source)], f64::from(attempts))),
        );
        let mut depths = stream::iter(lanes.to_vec()).map(|lane| depth_of(queue, lane)).buffered(AT_ONCE);
        while let Some((lane, depth)) = depths.next().await {
            let labels = vec![("lane", lane.to_string())];
            match depth {
                Ok(depth) if depth.ready + depth.delayed > 0 || always.contains(&lane) => self.show(&labels, &depth),
                Ok(_) => self.hide(&labels),
                Err(e) => {
                    log::debug!("a lane has no metrics now: {e}");
                    self.hide(&labels);
                }
            }
        }
        Ok(self.metrics.clone())
    }

    /// Nodes and certificates. A node that was put out is nobody's worry.
    async fn measure_nodes(&self, db: &Db, nodes: &Nodes) -> Result<(), DbError> {
        let members = db.members().await?;
        let mut known = nodes.list().nodes;
        known.retain(|node| !members.iter().any(|member| member.node == node.node && member.is_put_out()));
        let named = |node: &reelmill_api::NodeId| vec![("node", node.to_string())];
        self.last_seen.show(known.iter().filter_map(|node| Some((named(&node.node), seconds(node.last_seen?)))));
        self.up.show(known.iter().map(|node| {
            let is_there = matches!(node.state, NodeState::Up | NodeState::Degraded);
            (named(&node.node), f64::from(u8::from(is_there)))
        }));
        let of_nodes = members.iter().filter_map(|m| Some(("node", m.node.to_string(), m.good_until?)));
        let own = self.own.iter().filter_map(|shown| match good_until(&shown.path) {
            Ok(until) => Some((shown.kind, shown.name.clone(), until)),
            Err(e) => {
                log::debug!("a certificate has no metrics now: {e:#}");
                None
            }
        });
        let all = of_nodes.chain(own);
        self.good_until
            .show(all.map(|(kind, name, until)| (vec![("kind", kind.to_owned()), ("name", name)], seconds(until))));
        Ok(())
    }

    fn hide(&self, labels: &Labels) {
        self.depth.remove(labels);
        self.oldest.remove(labels);
    }

    fn show(&self, labels: &Labels, depth: &Depth) {
        let waiting = depth.ready.saturating_add(depth.delayed);
        self.depth.get_or_create(labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.oldest.get_or_create(labels).set(depth.oldest_ready.unwrap_or_default().as_secs_f64());
    }
}

async fn depth_of(queue: &SharedQueue, lane: Lane) -> (Lane, Result<Depth, QueueError>) {
    let depth = queue.depth(&lane).await;
    (lane, depth)
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_come_and_go() {
        let set = Set::default();
        let series = |name: &str, value| (vec![("node", name.to_owned())], value);
        let shown = |set: &Set| {
            let mut registry = Registry::default();
            registry.register("x", "x", set.family.clone());
            let mut lines: Vec<String> = Metrics::new(registry).text().lines().map(str::to_owned).collect();
            lines.retain(|line| !line.starts_with('#'));
            lines.sort();
            lines
        };
        set.show([series("a", 1.0), series("b", 2.0)]);
        assert_eq!(shown(&set), ["x{node=\"a\"} 1.0", "x{node=\"b\"} 2.0"]);
        set.show([series("b", 3.0), series("c", 4.0)]);
        assert_eq!(shown(&set), ["x{node=\"b\"} 3.0", "x{node=\"c\"} 4.0"]);
        set.show([]);
        assert!(shown(&set).is_empty());
    }
}
