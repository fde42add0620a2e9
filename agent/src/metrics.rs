//! `GET /metrics` of a node: the snapshot as Prometheus text. Not OpenMetrics: NVIDIA's names, which dashboards know, are
//! none there. What the snapshot does not have, the text does not have: no series is ever a made-up zero.

mod gpu;
mod node;
mod text;

use reelmill_api::Snapshot;

use self::text::Text;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The snapshot as text. About 60 µs for a board with twelve cores.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text::new();
    node::identity(&mut text, snapshot);
    node::worker_and_units(&mut text, snapshot);
    node::processors(&mut text, &snapshot.cpu);
    node::memory(&mut text, snapshot);
    node::disks(&mut text, snapshot);
    node::networks(&mut text, &snapshot.networks);
    node::heat(&mut text, snapshot);
    gpu::gpus(&mut text, snapshot);
    gpu::tegra(&mut text, snapshot);
    text.finish()
}
