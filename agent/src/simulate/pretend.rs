//! What a simulated node is and does: figures that wander, and deeds that only take their time.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use reelmill_api::{
    fleet::{CommandId, PROTOCOL, admission::Facts, health::Heartbeat, topic::Document},
    preset::Tag,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::World,
    core::Around,
    deeds::{Deed, Deeds, Outcome, Told, Undone},
};

/// What they can do: what needs no boot and changes nothing for good.
const ABLE: [&str; 8] = ["drain", "undrain", "restart-worker", "logs-tail", "self-test", "batch", "diag", "power-mode"];
/// In so many steps a deed tells how far it is.
const STEPS: u8 = 10;

/// Deeds that take so long, each.
pub(super) struct Waits(pub(super) Duration);

impl Deeds for Waits {
    fn able(&self) -> Vec<&'static str> {
        ABLE.to_vec()
    }

    async fn perform(&self, _: CommandId, deed: Deed, told: Told, stop: CancellationToken) -> Outcome {
        if let Deed::CleanUp { .. } = deed {
            return Ok(Map::new());
        }
        let work = async {
            for step in 1..=STEPS {
                tokio::time::sleep(self.0 / u32::from(STEPS)).await;
                told(step * (100 / STEPS));
            }
        };
        match stop.run_until_cancelled(work).await {
            Some(()) => Ok(Map::from_iter([("simulated".to_owned(), Value::Bool(true))])),
            None => Err(Undone::for_now("stopped", "it was asked to end")),
        }
    }
}

/// The world of the `n`th node now.
pub(super) fn world(n: usize, tags: &[Tag]) -> World {
    let now = Timestamp::now();
    // The same as long as this process lives: for the commands, that is a boot.
    let boot_id = format!("simulated-{}-{n}", std::process::id());
    let os = json!({"ver": 1, "name": "simulated", "boot_id": boot_id, "agent": env!("CARGO_PKG_VERSION")});
    World {
        around: Around {
            facts: Facts { boot_id, ..Facts::default() },
            window_open: true,
            tags: tags.to_vec(),
            ..Around::default()
        },
        synchronised: true,
        unwell: Vec::new(),
        documents: BTreeMap::from([(Document::Os, os), (Document::Hw, json!({"ver": 1, "board": "none"}))]),
        heartbeat: Some(heartbeat(n, now)),
    }
}

/// Figures that wander, each node's at its own place.
fn heartbeat(n: usize, now: Timestamp) -> Heartbeat {
    let at = u32::try_from((now.as_second().unsigned_abs() / 15 + n as u64 * 7) % 100).unwrap_or_default();
    let figure = |least: f64, most: f64| Some(((least + (most - least) * f64::from(at) / 100.0) * 10.0).round() / 10.0);
    Heartbeat {
        v: PROTOCOL,
        t: now,
        up_s: 0,
        cpu_pct: figure(5.0, 95.0),
        mem_pct: figure(20.0, 60.0),
        disk_pct: figure(30.0, 40.0),
        temp_c: figure(40.0, 80.0),
        power_w: figure(8.0, 25.0),
        gpu_pct: None,
        enc_pct: figure(0.0, 100.0),
        dec_pct: None,
        tasks: Some(at % 3),
    }
}
