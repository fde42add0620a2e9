//! `/v1/nodes`, and their changes as they happen.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Sse, sse::Event},
};
use futures::{Stream, stream};
use reelmill_api::{NodeId, nodes::Node};

use super::{App, events, json, problem::Refusal};
use crate::{feed::Heard, fleet::Told};

/// Lists the nodes by name, without what they report.
pub(super) async fn list(State(app): State<Arc<App>>) -> impl IntoResponse {
    json(&app.nodes.list())
}

/// Shows one node, with what it reports.
pub(super) async fn show(State(app): State<Arc<App>>, Path(node): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let node = node.parse::<NodeId>().ok().and_then(|node| app.nodes.get(&node));
    node.map(|node| json(&node)).ok_or_else(|| Refusal::not_found("this hub knows no node of that name"))
}

/// Each change from now on: `node` with a node, `broker` with the hub's line to the broker, after which the list should be
/// read anew. It ends when the reader cannot keep up.
pub(super) async fn changes(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watch = app.nodes.watch();
    events::live(stream::unfold((app, watch), |(app, mut watch)| async {
        loop {
            let heard = tokio::select! {
                () = app.stop.cancelled() => Heard::Ended,
                heard = watch.next() => heard,
            };
            let Heard::Changed(told) = heard else { return None };
            if let Some(event) = event(&app, &told) {
                return Some((event, (app, watch)));
            }
        }
    }))
}

fn event(app: &App, told: &Told) -> Option<(&'static str, String)> {
    let text = |value: serde_json::Result<String>| value.expect("a node holds only texts, numbers and lists");
    match told {
        Told::Node(node) => {
            let node = Node { reported: [].into(), ..app.nodes.get(node)? };
            Some(("node", text(serde_json::to_string(&node))))
        }
        Told::Broker => Some(("broker", text(serde_json::to_string(&app.nodes.broker()?)))),
    }
}
