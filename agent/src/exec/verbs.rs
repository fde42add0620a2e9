//! The closed list of what the helper does: which part of which command is done by whom.

use reelmill_api::fleet::{Command, Op, state::Phase};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use super::{firmware, keys::Keys, power, reset, set_conf, settings::Settings, system::System};
use crate::deeds::{Outcome, Told, Undone};

/// What it is done with.
#[derive(Debug)]
pub struct Verbs {
    /// The helper's settings.
    pub settings: Settings,
    /// The node's systems.
    pub system: System,
}

impl Verbs {
    /// Does one part. What has begun to change the node goes on to its end whoever has gone away.
    ///
    /// # Errors
    /// What kept it from being done.
    pub async fn part(&self, command: &Command, part: Phase, told: &Told, stop: &CancellationToken) -> Outcome {
        let never = CancellationToken::new();
        let stop = if matches!(part, Phase::Preflight | Phase::Fetch | Phase::Check) { stop } else { &never };
        match &command.op {
            Op::Switch(_) | Op::Rollback(_) => self.system.part(command, part, told, stop).await,
            Op::SetConf(set) => set_conf::part(&self.settings, set, part, stop).await,
            Op::Firmware(firmware) => firmware::part(&self.settings, firmware, part, stop).await,
            // What has one part has nothing to undo before that is done.
            _ if part == Phase::Undo => Ok(Map::new()),
            Op::PowerMode(mode) => power::set(&self.settings, mode).await,
            Op::Trust(new) => Keys::read(&self.settings)?.succeed(&new.document),
            Op::FactoryReset(reset) => reset::forget(&self.settings, *reset),
            op => Err(Undone::for_good("not_supported", format!("the root helper has no part in `{}`", op.as_str()))),
        }
    }
}
