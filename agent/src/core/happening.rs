//! What a node tells of itself without being asked: that it was drained, became hot, or its worker ended by itself.

use std::time::Duration;

use reelmill_api::fleet::{Text, event::NodeEvent, topic::EventKind};
use serde_json::{Map, Value};

use super::{Around, Core, Effect, Now, Record};

/// A node that was not hot for so long is well again: what cools and heats by turns is told once.
const COOL: Duration = Duration::from_secs(300);

impl Core {
    /// Who holds the node from now on, or that nobody does.
    pub(super) fn hold(&mut self, now: &Now, by: Option<Text<128>>, effects: &mut Vec<Effect>) {
        if self.memory.held_by == by {
            return;
        }
        let msg = match &by {
            Some(by) => format!("drained by {by}"),
            None => "takes work again".to_owned(),
        };
        let detail = [("held_by", by.as_ref().map_or(Value::Null, |by| by.as_str().into()))];
        self.write(Record::Held(by), effects);
        self.tell(now, EventKind::Lock, msg, detail, effects);
    }

    /// What is so around the commands has changed.
    pub(super) fn look_around(&mut self, now: &Now, around: Around, effects: &mut Vec<Effect>) {
        if let (Some(was), Some(is)) = (self.around.worker_restarts, around.worker_restarts)
            && is > was
        {
            let detail = [("restarts", Value::from(is))];
            self.tell(now, EventKind::WorkerCrash, "the worker ended by itself and was started anew", detail, effects);
        }
        self.around = around;
        self.look_at_the_heat(now, effects);
    }

    /// Tells when the node becomes hot, and when it was not for some time.
    pub(super) fn look_at_the_heat(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        match (self.around.hot.clone(), self.hot_at) {
            (Some(why), None) => {
                self.hot_at = Some(now.up);
                self.tell(now, EventKind::Thermal, why, [("hot", true.into())], effects);
            }
            (Some(_), Some(_)) => self.hot_at = Some(now.up),
            (None, Some(at)) if now.up.saturating_sub(at) >= COOL => {
                self.hot_at = None;
                self.tell(now, EventKind::Thermal, "no longer hot", [("hot", false.into())], effects);
            }
            (None, _) => {}
        }
    }

    fn tell<const N: usize>(
        &self,
        now: &Now,
        kind: EventKind,
        msg: impl Into<String>,
        detail: [(&str, Value); N],
        effects: &mut Vec<Effect>,
    ) {
        let detail = Map::from_iter(detail.map(|(name, value)| (name.to_owned(), value)));
        let event = NodeEvent { detail, ..NodeEvent::new(kind, msg, now.wall, &self.own.teller) };
        effects.push(Effect::Tell(Box::new(event)));
    }
}
