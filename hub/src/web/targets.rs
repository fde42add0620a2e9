//! `/v1/targets`: what Prometheus asks for the nodes' metrics, in the words of its `http_sd_configs`. Each node's page has the
//! agent's metrics, and below them the worker's.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::IntoResponse};
use serde::Serialize;

use super::{App, json, problem::Refusal};

/// Targets that have the same labels.
#[derive(Debug, Serialize)]
struct Group {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

/// Lists every node of the farm whose page other machines can read; `/v1/nodes` says of the others why not.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Refusal> {
    let put_out = app.db.put_out().await?;
    let targets = app.nodes.targets().into_iter().filter(|(node, ..)| !put_out.contains(node));
    let groups = targets.flat_map(|(node, at, has_worker)| {
        let group = move |job: &str, path: &str| Group {
            targets: [at.to_string()],
            labels: [("node", node.to_string()), ("job", job.to_owned()), ("__metrics_path__", path.to_owned())].into(),
        };
        let worker = has_worker.then(|| group("reelmill-worker", "/metrics/worker"));
        [Some(group("reelmill-node", "/metrics")), worker].into_iter().flatten()
    });
    Ok(json(&groups.collect::<Vec<_>>()))
}
