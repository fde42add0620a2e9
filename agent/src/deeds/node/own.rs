//! Deeds that need other parts of the agent: what it sees, its tags, and its voice.

use std::{path::Path, sync::Arc, time::Duration};

use reelmill_api::fleet::{
    CommandId,
    args::{Batch, Diag, LogsTail, SelfTest, Tags},
};
use serde_json::{Map, Value};

use super::{OnNode, work::batch_of};
use crate::{
    deeds::{
        Outcome, Told,
        batch::{self, ORDERS},
        diag::{self, About},
        examine,
        tags::SaidTags,
        tail,
    },
    desk::Desk,
};

/// Where a deed tells of what happens while it runs.
pub type Say = Arc<dyn Fn(CommandId, Map<String, Value>) + Send + Sync>;

/// The parts of the agent that deeds need.
#[derive(Clone)]
pub struct Parts {
    /// What it sees.
    pub desk: Arc<Desk>,
    /// The tags that commands give and take.
    pub tags: Arc<SaidTags>,
    /// Its settings, for people.
    pub settings: String,
    /// Where new lines of a journal are told.
    pub say: Say,
}

impl OnNode {
    pub(super) async fn diagnose(&self, diag: &Diag, told: &Told) -> Outcome {
        let newest = self.parts.desk.newest();
        let about = About { snapshot: &newest.snapshot, settings: &self.parts.settings, systemd: &self.systemd };
        diag::diagnose(diag, &about, told).await
    }

    pub(super) fn change_tags(&self, tags: &Tags) -> Outcome {
        self.parts.tags.change(tags, self.parts.desk.newest().snapshot.tags.clone())
    }

    pub(super) async fn tail(&self, command: CommandId, tail: &LogsTail) -> Outcome {
        tail::tail(tail, &|lines| (self.parts.say)(command, lines)).await
    }

    /// The worker examines its machine, by an encode with each engine.
    pub(super) async fn self_test(&self, command: CommandId, test: &SelfTest) -> Outcome {
        let limit = Duration::from_secs(test.seconds.get().into());
        examine::run(&self.systemd, &batch_of(command), test.preset.as_ref(), limit).await
    }

    pub(super) async fn batch(&self, command: CommandId, what: &Batch) -> Outcome {
        let (id, orders) = (batch_of(command), Path::new(ORDERS));
        let outcome = batch::run(&self.systemd, &id, what, orders).await;
        batch::forget_quietly(orders, &id);
        outcome
    }
}
