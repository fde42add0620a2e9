//! Which lanes a worker leases from, and where a task belongs that it does not serve.

use reelmill_api::{
    Failure, Lane, PresetName, QueueName,
    preset::{Presets, Tag},
};

use crate::{
    config::PresetChoice,
    engine::capability::{Facts, Need},
};

/// The lanes of one worker.
#[derive(Clone, Debug)]
pub struct Lanes {
    queue: QueueName,
    served: Vec<PresetName>,
    untagged: Vec<(PresetName, Tag)>,
}

impl Lanes {
    /// The lanes for the presets chosen, as far as this node has the tags that they require.
    ///
    /// # Errors
    /// The first chosen preset that is not known.
    pub fn new(
        queue: QueueName,
        choices: &[PresetChoice],
        presets: &Presets,
        tags: &[Tag],
    ) -> Result<Self, PresetName> {
        let mut served = Vec::new();
        for choice in choices {
            match choice {
                PresetChoice::All => served.extend(presets.names().into_iter().cloned()),
                PresetChoice::One(name) if presets.get(name).is_some() => served.push(name.clone()),
                PresetChoice::One(name) => return Err(name.clone()),
            }
        }
        served.sort();
        served.dedup();
        let missing = |name: &PresetName| presets.get(name)?.requires.iter().find(|tag| !tags.contains(tag)).cloned();
        let untagged: Vec<_> = served.iter().filter_map(|name| Some((name.clone(), missing(name)?))).collect();
        served.retain(|name| untagged.iter().all(|(other, _)| other != name));
        Ok(Self { queue, served, untagged })
    }

    /// Presets that were chosen and are not served, because this node lacks the tag.
    pub fn untagged(&self) -> &[(PresetName, Tag)] {
        &self.untagged
    }

    /// The same lanes without those of presets that a node with these `facts` cannot encode; and why not.
    pub fn able(self, presets: &Presets, facts: &Facts) -> (Self, Vec<(PresetName, Failure)>) {
        let Self { queue, served, untagged } = self;
        let (mut able, mut unable) = (Vec::new(), Vec::new());
        for name in served {
            let preset = presets.get(&name).expect("a served preset is known");
            match facts.engine_for(&Need::of_preset(preset), preset.fallback) {
                Ok(_) => able.push(name),
                Err(failure) => unable.push((name, failure)),
            }
        }
        (Self { queue, served: able, untagged }, unable)
    }

    /// The presets served.
    pub fn served(&self) -> &[PresetName] {
        &self.served
    }

    /// The lanes to lease from: each served preset's, and the intake where strangers put plain jobs.
    pub fn all(&self) -> Vec<Lane> {
        let own = self.served.iter().map(|preset| self.queue.tasks(preset));
        own.chain([self.queue.intake()]).collect()
    }

    /// The same lanes, beginning with another one each `turn`, so that none waits for ever behind one that is never empty.
    pub fn in_turn(&self, turn: usize) -> Vec<Lane> {
        let mut lanes = self.all();
        let first = turn % lanes.len();
        lanes.rotate_left(first);
        lanes
    }

    /// The lane that a task leased from `lane` belongs to, if not to this worker: it came through the intake, and its
    /// preset is known but served by others.
    pub fn elsewhere(&self, lane: &Lane, preset: &PresetName, presets: &Presets) -> Option<Lane> {
        let others = *lane == self.queue.intake() && !self.served.contains(preset) && presets.get(preset).is_some();
        others.then(|| self.queue.tasks(preset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> Tag {
        "lan".parse().expect("a tag")
    }

    fn lanes(choices: &[&str]) -> Result<Lanes, PresetName> {
        let choices: Vec<PresetChoice> = choices.iter().map(|c| c.parse().expect("a choice")).collect();
        Lanes::new(QueueName::default(), &choices, &Presets::built_in(), &[lan()])
    }

    #[test]
    fn leases_from_each_served_lane_and_the_intake() {
        let all = lanes(&["all"]).expect("lanes").all();
        let names: Vec<_> = all.iter().map(Lane::as_str).collect();
        let presets = Presets::built_in().names().len();
        assert_eq!((names.len(), names[0], names[presets]), (presets + 1, "reelmill-archive-dnxhr", "reelmill"));
        assert_eq!(lanes(&["hls-ladder", "all"]).expect("lanes").all(), all);
        let turned = lanes(&["hls-ladder"]).expect("lanes").in_turn(3);
        assert_eq!(turned.iter().map(Lane::as_str).collect::<Vec<_>>(), ["reelmill", "reelmill-hls-ladder"]);
        assert_eq!(lanes(&["nope"]).expect_err("unknown").as_str(), "nope");
    }

    #[test]
    fn leases_only_what_the_node_can_encode() {
        let presets = Presets::built_in();
        let h264 = "h264 8 bit up to 4096x2304 by software";
        let facts = crate::engine::capability::tests::software(&[reelmill_api::preset::VideoCodec::H264]);
        let (able, unable) = lanes(&["hls-ladder", "hls-ladder-av1", "proxy"]).expect("lanes").able(&presets, &facts);
        let served: Vec<_> = able.served().iter().map(PresetName::as_str).collect();
        assert_eq!(served, ["hls-ladder", "proxy"], "with only {h264}");
        let unable: Vec<_> = unable.iter().map(|(name, failure)| format!("{name}: {}", failure.message)).collect();
        assert_eq!(unable, ["hls-ladder-av1: this node's ffmpeg 8.0 does not encode av1 8 bit up to 1920x1088"]);
    }

    #[test]
    fn a_preset_is_served_only_where_its_tags_are() {
        let (presets, live) = (Presets::built_in(), "live-hls".parse::<PresetName>().expect("a name"));
        let all = Lanes::new(QueueName::default(), &[PresetChoice::All], &presets, &[]).expect("lanes");
        assert_eq!(all.untagged(), [(live.clone(), lan())]);
        assert!(!all.served().contains(&live) && all.served().len() == presets.names().len() - 1);
        assert_eq!(all.elsewhere(&all.queue.intake(), &live, &presets), Some(all.queue.tasks(&live)));
        assert!(lanes(&["all"]).expect("lanes").served().contains(&live));
    }

    #[test]
    fn passes_on_only_known_presets_of_others_from_the_intake() {
        let none = Lanes { queue: QueueName::default(), served: Vec::new(), untagged: Vec::new() };
        let (queue, presets) = (QueueName::default(), Presets::built_in());
        let name = |n: &str| n.parse::<PresetName>().expect("a name");
        let ladder = name("hls-ladder");
        assert_eq!(none.elsewhere(&queue.intake(), &ladder, &presets), Some(queue.tasks(&ladder)));
        assert_eq!(none.elsewhere(&queue.intake(), &name("unknown"), &presets), None);
        assert_eq!(lanes(&["all"]).expect("lanes").elsewhere(&queue.intake(), &ladder, &presets), None);
    }
}
