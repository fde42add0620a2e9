//! Which lanes a worker leases from, and where a task belongs that it does not serve, or that needs more than the node has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use reelmill_api::{
    Failure, Lane, Need, Needs, PresetName, QueueName,
    preset::{Presets, Tag},
};

use crate::{config::PresetChoice, engine::capability::Facts};

/// The lanes of one worker.
#[derive(Clone, Debug)]
pub struct Lanes {
    queue: QueueName,
    served: Vec<PresetName>,
    untagged: Vec<(PresetName, Tag)>,
    /// Of presets that are served: what their tasks may need besides, and the lane that names it.
    beyond: Vec<Beyond>,
    /// Those of them whose needs this node was found not to meet.
    unmet: Arc<Mutex<BTreeSet<Lane>>>,
    /// Encoder sessions that a task of each lane takes at most, where that is known before it has come.
    sessions: BTreeMap<Lane, u64>,
}

/// A lane of tasks that need more than a node must have to serve their preset.
#[derive(Clone, Debug)]
struct Beyond {
    preset: PresetName,
    needs: Needs,
    lane: Lane,
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
        let beyond = beyond(&queue, &served, presets);
        let sessions = sessions(&queue, &served, &beyond, presets);
        Ok(Self { queue, served, untagged, beyond, unmet: Arc::default(), sessions })
    }

    /// Presets that were chosen and are not served, because this node lacks the tag.
    pub fn untagged(&self) -> &[(PresetName, Tag)] {
        &self.untagged
    }

    /// The same lanes without those of presets that a node with these `facts` cannot encode; and why not.
    pub fn able(self, presets: &Presets, facts: &Facts) -> (Self, Vec<(PresetName, Failure)>) {
        let Self { queue, served, untagged, unmet, sessions, .. } = self;
        let (mut able, mut unable) = (Vec::new(), Vec::new());
        for name in served {
            let preset = presets.get(&name).expect("a served preset is known");
            match facts.serve(preset, &Need::of_preset(preset)) {
                Ok(_) => able.push(name),
                Err(failure) => unable.push((name, failure)),
            }
        }
        let beyond = beyond(&queue, &able, presets);
        let lacked = beyond.iter().filter(|other| !facts.may_have(&other.needs)).map(|other| other.lane.clone());
        lock(&unmet).extend(lacked);
        (Self { queue, served: able, untagged, beyond, unmet, sessions }, unable)
    }

    /// The presets served.
    pub fn served(&self) -> &[PresetName] {
        &self.served
    }

    /// The lanes to lease from: each served preset's, the intake where strangers put plain jobs, and those of needs that
    /// this node meets, or may meet: that is proven when the first such task comes.
    pub fn all(&self) -> Vec<Lane> {
        let own = self.served.iter().map(|preset| self.queue.tasks(preset));
        let unmet = lock(&self.unmet);
        let besides = self.beyond.iter().map(|other| &other.lane).filter(|lane| !unmet.contains(lane)).cloned();
        own.chain([self.queue.intake()]).chain(besides).collect()
    }

    /// Encoder sessions that a task of a lane takes at most; at least one where what it makes is known only when it has come.
    pub fn sessions(&self, lane: &Lane) -> u64 {
        self.sessions.get(lane).copied().unwrap_or(1)
    }

    /// The lane that a task belongs to by its preset, if it came through the intake and this worker serves that.
    pub fn proper(&self, lane: &Lane, preset: &PresetName) -> Option<Lane> {
        let is_served = *lane == self.queue.intake() && self.served.contains(preset);
        is_served.then(|| self.queue.tasks(preset))
    }

    /// The lane that names what this node lacks for a task of `preset` that was leased from `lane`: all of what that lane
    /// names, and what is `missing`. `None` where no lane names that.
    pub fn needing(&self, lane: &Lane, preset: &PresetName, missing: &Needs) -> Option<Lane> {
        let named = self.beyond.iter().find(|other| other.lane == *lane).map(|other| other.needs.and(missing));
        let needs = named.as_ref().unwrap_or(missing);
        let enough = |other: &&Beyond| other.preset == *preset && other.needs.hold(needs);
        self.beyond.iter().find(enough).map(|other| other.lane.clone())
    }

    /// The preset's own lane, of a lane that names needs: who pauses that means all tasks of the preset.
    pub fn own(&self, lane: &Lane) -> Option<Lane> {
        self.beyond.iter().find(|other| other.lane == *lane).map(|other| self.queue.tasks(&other.preset))
    }

    /// Nothing more is leased from lanes that name anything of what is `missing`.
    pub fn leave(&self, missing: &Needs) {
        let one_of = |needs: &Needs| missing.each().any(|one| needs.hold(&one));
        let lacked = self.beyond.iter().filter(|other| one_of(&other.needs)).map(|other| other.lane.clone());
        lock(&self.unmet).extend(lacked);
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

fn beyond(queue: &QueueName, served: &[PresetName], presets: &Presets) -> Vec<Beyond> {
    let of_preset = |name: &PresetName| {
        let needs = presets.get(name).map(Needs::beyond).unwrap_or_default();
        let (queue, name) = (queue.clone(), name.clone());
        needs.into_iter().map(move |needs| Beyond { preset: name.clone(), lane: queue.needing(&name, &needs), needs })
    };
    served.iter().flat_map(of_preset).collect()
}

fn sessions(queue: &QueueName, served: &[PresetName], beyond: &[Beyond], presets: &Presets) -> BTreeMap<Lane, u64> {
    let of = |name: &PresetName| {
        let renditions = presets.get(name).map_or(1, |preset| preset.product.renditions().max(1));
        u64::try_from(renditions).unwrap_or(u64::MAX)
    };
    let own = served.iter().map(|name| (queue.tasks(name), of(name)));
    own.chain(beyond.iter().map(|other| (other.lane.clone(), of(&other.preset)))).collect()
}

fn lock(unmet: &Mutex<BTreeSet<Lane>>) -> std::sync::MutexGuard<'_, BTreeSet<Lane>> {
    unmet.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use reelmill_api::preset::VideoCodec;

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
        assert_eq!((names[0], names[presets]), ("reelmill-archive-dnxhr", "reelmill"));
        assert!(names[presets + 1..].iter().all(|name| name.starts_with("reelmill-needs-")), "{names:?}");
        assert_eq!(lanes(&["hls-ladder", "all"]).expect("lanes").all(), all);
        let turned = lanes(&["hls-ladder"]).expect("lanes").in_turn(4);
        assert_eq!(
            turned.iter().map(Lane::as_str).collect::<Vec<_>>(),
            ["reelmill", "reelmill-needs-hls-ladder-hardware-h264_8bit_hd", "reelmill-hls-ladder"]
        );
        assert_eq!(lanes(&["nope"]).expect_err("unknown").as_str(), "nope");
    }

    #[test]
    fn a_lane_says_how_many_sessions_its_tasks_take_at_most() {
        let lanes = lanes(&["hls-ladder", "proxy"]).expect("lanes");
        let rungs =
            Presets::built_in().get(&"hls-ladder".parse().expect("a name")).expect("built in").product.renditions();
        let ladder = u64::try_from(rungs).expect("few");
        let own = |lane: &Lane| if lane.as_str().contains("hls-ladder") { ladder } else { 1 };
        let all = lanes.all();
        assert!(ladder > 1 && all.len() > 3);
        for lane in &all {
            assert_eq!(lanes.sessions(lane), own(lane), "{lane}");
        }
        let (intake, proxy) = (QueueName::default().intake(), "proxy".parse().expect("a name"));
        assert_eq!(lanes.proper(&intake, &proxy).expect("served").as_str(), "reelmill-proxy");
        assert_eq!(lanes.proper(&QueueName::default().tasks(&proxy), &proxy), None, "it is there");
        assert_eq!(lanes.proper(&intake, &"archive-dnxhr".parse().expect("a name")), None, "it is for others");
    }

    #[test]
    fn leases_only_what_the_node_can_encode() {
        let presets = Presets::built_in();
        let h264 = "h264 8 bit up to 4096x2304 by software";
        let facts = crate::engine::capability::tests::software(&[VideoCodec::H264]);
        let (able, unable) = lanes(&["hls-ladder", "hls-ladder-av1", "proxy"]).expect("lanes").able(&presets, &facts);
        let served: Vec<_> = able.served().iter().map(PresetName::as_str).collect();
        assert_eq!(served, ["hls-ladder", "proxy"], "with only {h264}");
        let unable: Vec<_> = unable.iter().map(|(name, failure)| format!("{name}: {}", failure.message)).collect();
        assert_eq!(unable, ["hls-ladder-av1: this node's ffmpeg 8.0 does not encode av1 8 bit up to 1920x1088"]);
    }

    #[test]
    fn what_a_node_lacks_is_named_by_a_lane_that_it_does_not_lease_from() {
        let (presets, software) = (Presets::built_in(), [VideoCodec::H264, VideoCodec::Dnxhr]);
        let facts = crate::engine::capability::tests::software(&software);
        let (able, _) = lanes(&["archive-dnxhr", "hls-ladder"]).expect("lanes").able(&presets, &facts);
        let leased = |lanes: &Lanes| {
            let all = lanes.all().into_iter().map(|lane| lane.to_string());
            all.filter_map(|lane| lane.strip_prefix("reelmill-needs-").map(str::to_owned)).collect::<Vec<_>>()
        };
        let of_files =
            |rest: &[&str]| rest.iter().map(|needs| format!("archive-dnxhr-dnxhr_{needs}")).collect::<Vec<_>>();
        let largest = ["8bit_8k", "10bit_8k", "8bit_8k-dnxhr_10bit_8k"];
        assert_eq!(
            leased(&able),
            of_files(&[&["8bit_uhd", "10bit_uhd", "8bit_uhd-dnxhr_10bit_uhd"], &largest[..]].concat())
        );
        let name = |text: &str| text.parse::<PresetName>().expect("a name");
        let missing = |text: &str| text.parse::<Needs>().expect("needs");
        let (own, dnxhr) = (able.queue.tasks(&name("archive-dnxhr")), name("archive-dnxhr"));
        let first = able.needing(&own, &dnxhr, &missing("dnxhr_10bit_8k")).expect("a lane");
        assert_eq!(first.as_str(), "reelmill-needs-archive-dnxhr-dnxhr_10bit_8k");
        assert_eq!((able.own(&first).as_ref(), able.own(&own)), (Some(&own), None));
        let second = able.needing(&first, &dnxhr, &missing("dnxhr_8bit_uhd")).expect("a lane");
        assert_eq!(second.as_str(), "reelmill-needs-archive-dnxhr-dnxhr_8bit_8k-dnxhr_10bit_8k", "it forgets nothing");
        assert_eq!(able.needing(&second, &dnxhr, &missing("dnxhr_8bit_8k")).as_ref(), Some(&second));
        assert_eq!(able.needing(&own, &dnxhr, &missing("av1_8bit_hd")), None, "no lane names that");
        able.leave(&missing("dnxhr_8bit_8k"));
        assert_eq!(leased(&able), of_files(&["8bit_uhd", "10bit_uhd", "8bit_uhd-dnxhr_10bit_uhd", "10bit_8k"]));
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
        let none = lanes(&[]).expect("lanes");
        let (queue, presets) = (QueueName::default(), Presets::built_in());
        let name = |n: &str| n.parse::<PresetName>().expect("a name");
        let ladder = name("hls-ladder");
        assert_eq!(none.elsewhere(&queue.intake(), &ladder, &presets), Some(queue.tasks(&ladder)));
        assert_eq!(none.elsewhere(&queue.intake(), &name("unknown"), &presets), None);
        assert_eq!(lanes(&["all"]).expect("lanes").elsewhere(&queue.intake(), &ladder, &presets), None);
    }
}
