//! What a message makes of a node: one pure function. All that comes from a node is cut to what people need to see.

use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    fleet::{
        OpName, Text,
        health::{Capabilities, Health, Heartbeat, Presence},
        topic::{Document, Topic},
    },
    nodes::{MetricsAt, Node, NodeState},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A node that is there says something every 15 seconds; one that is silent for so long may be gone, though nobody said so.
const SILENCE: SignedDuration = SignedDuration::from_secs(120);
/// Reasons that are kept of one message.
const REASONS: usize = 16;
/// Tags and operations that are kept.
const WORDS: usize = 64;
/// A reported document larger than this is not kept, bytes.
const LARGEST_DOCUMENT: usize = 16 * 1024;

/// A node, and what is remembered of it besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What is shown.
    pub node: Node,
    /// Its newest health since we have heard the broker, which says what an end of a connection is worth.
    #[serde(skip)]
    health: Option<Health>,
}

/// A message from the broker.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where it was said.
    pub topic: &'a Topic,
    /// What was said.
    pub payload: &'a [u8],
    /// Whether the broker tells it from memory: then it may be old.
    pub retained: bool,
}

/// A message that is not what its topic promises.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfit {
    /// It is too long.
    #[error("it has {0} bytes")]
    TooLarge(usize),
    /// It is no JSON of that kind.
    #[error("{0}")]
    Other(String),
}

impl Known {
    /// A node of which only the name is known.
    pub fn named(node: NodeId) -> Self {
        Self { node: Node::named(node), health: None }
    }

    /// We hear the broker anew: what it remembers is what counts, and until it tells that, nobody knows.
    pub fn forget_connection(&mut self) {
        self.health = None;
        if self.node.state != NodeState::Down {
            self.node.state = NodeState::Unknown;
            self.node.reasons.clear();
        }
    }

    /// Takes in a message about this node; whether it changed what is shown.
    ///
    /// # Errors
    /// If the message is not what its topic promises; then nothing has changed.
    pub fn hear(&mut self, message: Message<'_>, now: Timestamp) -> Result<bool, Unfit> {
        let Message { topic, payload, retained } = message;
        if payload.len() > topic.delivery().limit {
            return Err(Unfit::TooLarge(payload.len()));
        }
        // Who clears a retained message says nothing of the node.
        if payload.is_empty() {
            return Ok(false);
        }
        let before = self.node.clone();
        let mut by_itself = !retained;
        match topic {
            Topic::Health(_) => {
                let health: Health = read(payload)?;
                by_itself &= health.state != Presence::Down;
                self.health(health, now);
            }
            Topic::Capabilities(_) => self.capabilities(read(payload)?),
            Topic::Heartbeat(_) => self.node.heartbeat = Some(finite(read(payload)?)),
            Topic::Reported(_, document) => self.reported(*document, payload)?,
            _ => return Ok(false),
        }
        if by_itself {
            self.node.last_seen = Some(now);
            self.show_health();
        }
        Ok(before != self.node)
    }

    fn health(&mut self, health: Health, now: Timestamp) {
        if self.health.as_ref().is_some_and(|known| !health.supersedes(known)) {
            return;
        }
        // By the node's own clock, which may be wrong: nothing is seen in the future.
        let told = health.t.map(|t| t.min(now));
        self.node.last_seen = self.node.last_seen.max(told);
        let conn = health.conn.chars().take(64).collect();
        let reasons = health.reasons.into_iter().take(REASONS).collect();
        self.health = Some(Health { conn, reasons, ..health });
        self.show_health();
    }

    /// Shows what the node said last of whether it is there.
    fn show_health(&mut self) {
        let Some(health) = &self.health else { return };
        self.node.state = match health.state {
            Presence::Up => NodeState::Up,
            Presence::Degraded => NodeState::Degraded,
            Presence::Down => NodeState::Down,
        };
        self.node.reasons = health.reasons.iter().map(|reason| Text::cut(reason)).collect();
    }

    /// Time has passed, and since `listening` we hear the broker: a node of which nothing comes is not taken for one that is
    /// there. Whether this changed what is shown.
    pub fn wait(&mut self, listening: Timestamp, now: Timestamp) -> bool {
        let since = self.node.last_seen.map_or(listening, |seen| seen.max(listening));
        let is_there = matches!(self.node.state, NodeState::Up | NodeState::Degraded);
        let is_silent = is_there && now.duration_since(since) >= SILENCE;
        if is_silent {
            self.node.state = NodeState::Unknown;
            self.node.reasons = vec![Text::cut("it has said nothing for two minutes, and the broker has not lost it")];
        }
        is_silent
    }

    fn capabilities(&mut self, told: Capabilities) {
        self.node.agent = Some(Text::cut(&told.agent));
        self.node.tags = told.tags.into_iter().take(WORDS).collect();
        let known = told.ops.into_iter().filter_map(|(name, version)| Some((name.parse::<OpName>().ok()?, version)));
        self.node.ops = known.take(WORDS).collect();
    }

    fn reported(&mut self, document: Document, payload: &[u8]) -> Result<(), Unfit> {
        if payload.len() > LARGEST_DOCUMENT {
            return Err(Unfit::TooLarge(payload.len()));
        }
        let body: Value = read(payload)?;
        if document == Document::Hw {
            self.node.board = body["board"]["model"].as_str().map(Text::cut);
        }
        if document == Document::Net {
            // An agent of another version may say it in other words, or not at all.
            let told = serde_json::from_value::<MetricsAt>(body["metrics"].clone());
            self.node.metrics = told.ok().map(MetricsAt::as_heard);
        }
        self.node.reported.insert(document, body);
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Unfit> {
    serde_json::from_slice(payload).map_err(|e| Unfit::Other(e.to_string()))
}

/// JSON knows no infinity, but a number may be too large to be one.
fn finite(told: Heartbeat) -> Heartbeat {
    let fit = |figure: Option<f64>| figure.filter(|f| f.is_finite() && f.abs() < 1e6);
    Heartbeat {
        cpu_pct: fit(told.cpu_pct),
        mem_pct: fit(told.mem_pct),
        disk_pct: fit(told.disk_pct),
        temp_c: fit(told.temp_c),
        power_w: fit(told.power_w),
        gpu_pct: fit(told.gpu_pct),
        enc_pct: fit(told.enc_pct),
        dec_pct: fit(told.dec_pct),
        ..told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// A message in short: `health up a`, `will a`, `beat`, `cap`, with `retained` before it.
    fn hear(known: &mut Known, word: &str, now: i64) -> Result<bool, Unfit> {
        let (retained, word) = word.strip_prefix("retained ").map_or((false, word), |word| (true, word));
        let (topic, payload) = match word.split(' ').collect::<Vec<_>>()[..] {
            ["up", conn] => ("health", format!(r#"{{"v":1,"state":"up","conn":"{conn}","t":"1970-01-01T00:00:07Z"}}"#)),
            ["hot", conn] => ("health", format!(r#"{{"v":1,"state":"degraded","conn":"{conn}","reasons":["hot"]}}"#)),
            ["down", conn] => ("health", format!(r#"{{"v":1,"state":"down","conn":"{conn}"}}"#)),
            ["beat"] => ("m", r#"{"v":1,"t":"1970-01-01T00:00:09Z","up_s":5,"temp_c":61.5,"tasks":2}"#.to_owned()),
            [topic, payload] => (topic, payload.to_owned()),
            _ => unreachable!("{word}"),
        };
        let topic = format!("reelmill/1/n/orin-3/{topic}").parse().expect("a topic");
        known.hear(Message { topic: &topic, payload: payload.as_bytes(), retained }, at(now))
    }

    fn check(words: &[&str], want: &str) {
        let mut known = Known::named("orin-3".parse().expect("a node"));
        for (i, word) in words.iter().enumerate() {
            match *word {
                "anew" => known.forget_connection(),
                "wait" => drop(known.wait(at(100), at(220))),
                word => drop(hear(&mut known, word, 100 + i64::try_from(i).expect("few")).expect("fit")),
            }
        }
        let node = &known.node;
        let seen = node.last_seen.map_or_else(|| "never".to_owned(), |t| t.as_second().to_string());
        let why: String = node.reasons.iter().map(|reason| format!(" {}", reason.as_str())).collect();
        assert_eq!(format!("{}{why}, seen {seen}", node.state.as_str()), want, "after {words:?}");
    }

    #[test]
    fn a_node_is_what_its_newest_connection_says() {
        check(&[], "unknown, seen never");
        check(&["up a"], "up, seen 100");
        check(&["up a", "hot a"], "degraded hot, seen 101");
        check(&["up a", "hot a", "up a"], "up, seen 102");
        check(&["up a", "down a"], "down, seen 100");
        check(&["up a", "up b", "down a"], "up, seen 101");
        check(&["up a", "up b", "down b"], "down, seen 101");
        check(&["down a"], "down, seen never");
        check(&["up a", "down a", "hot b"], "degraded hot, seen 102");
    }

    #[test]
    fn what_the_broker_remembers_may_be_old() {
        check(&["retained up a"], "up, seen 7");
        check(&["retained hot a"], "degraded hot, seen never");
        check(&["retained down a"], "down, seen never");
        check(&["up a", "retained up a"], "up, seen 100");
        check(&["beat"], "unknown, seen 100");
        check(&["retained beat"], "unknown, seen never");
    }

    #[test]
    fn what_the_broker_remembers_counts_once_we_hear_it_anew() {
        // It came back and died as another connection while we heard nothing.
        check(&["up a", "anew", "retained down b"], "down, seen 100");
        check(&["up a", "anew"], "unknown, seen 100");
        check(&["up a", "down a", "anew"], "down, seen 100");
        check(&["hot a", "anew", "retained up a", "down a"], "up, seen 100".replace("up", "down").as_str());
    }

    #[test]
    fn who_is_silent_for_long_may_be_gone() {
        let silent = "unknown it has said nothing for two minutes, and the broker has not lost it";
        check(&["up a", "wait"], &format!("{silent}, seen 100"));
        check(&["retained up a", "wait"], &format!("{silent}, seen 7"));
        check(&["hot a", "beat", "wait"], "degraded hot, seen 101");
        check(&["hot a", "wait", "beat"], "degraded hot, seen 102");
        check(&["up a", "down a", "wait"], "down, seen 100");
        check(&["wait"], "unknown, seen never");
    }

    #[test]
    fn tells_what_it_is_and_how_it_is() {
        let mut known = Known::named("orin-3".parse().expect("a node"));
        let cap = r#"{"v":1,"proto":[1,1],"agent":"0.1.0\u001b[2J","ops":{"reboot":1,"Bad":1},"tags":["lan"],"limits":{"cmd_bytes":1,"des_bytes":1,"open":64}}"#;
        assert_eq!(hear(&mut known, &format!("cap {cap}"), 1), Ok(true));
        assert_eq!(hear(&mut known, &format!("cap {cap}"), 1), Ok(false), "nothing new");
        hear(&mut known, r#"rep/hw {"ver":1,"board":{"model":"Jetson-Orin"}}"#, 2).expect("fit");
        hear(&mut known, "beat", 3).expect("fit");
        let shown = serde_json::to_value(&known.node).expect("JSON");
        let want = serde_json::json!({
            "node": "orin-3", "state": "unknown", "last_seen": "1970-01-01T00:00:03Z", "agent": "0.1.0\u{fffd}[2J",
            "board": "Jetson-Orin", "tags": ["lan"], "ops": {"reboot": 1},
            "heartbeat": {"v": 1, "t": "1970-01-01T00:00:09Z", "up_s": 5, "temp_c": 61.5, "tasks": 2},
            "reported": {"hw": {"ver": 1, "board": {"model": "Jetson-Orin"}}},
        });
        assert_eq!(shown, want);
    }

    #[test]
    fn says_where_its_metrics_can_be_had() {
        let check = |document: &str, want: &str| {
            let mut known = Known::named("orin-3".parse().expect("a node"));
            hear(&mut known, "rep/net {\"metrics\":{\"at\":\"10.0.0.9:1\"}}", 1).expect("fit");
            hear(&mut known, &format!("rep/net {document}"), 2).expect("fit");
            assert_eq!(serde_json::to_string(&known.node.metrics).expect("JSON"), want, "{document}");
        };
        check(r#"{"ver":1,"metrics":{"at":"10.0.0.3:9310"}}"#, r#"{"at":"10.0.0.3:9310"}"#);
        check(r#"{"metrics":{"nowhere":"loopback"}}"#, r#"{"nowhere":"loopback"}"#);
        let refused = r#"{"nowhere":"it names 127.0.0.1:9090, which is no address of one other machine"}"#;
        check(r#"{"metrics":{"at":"127.0.0.1:9090"}}"#, refused);
        for unknown in [r#"{"ver":1}"#, r#"{"metrics":{"by":"pigeon"}}"#, r#"{"metrics":{"at":"orin-3"}}"#, "[]"] {
            check(unknown, "null");
        }
    }

    #[test]
    fn what_is_too_much_is_cut_or_refused() {
        let mut known = Known::named("orin-3".parse().expect("a node"));
        let reasons = format!("[{}]", vec![format!("\"{}\"", "x".repeat(250)); 20].join(","));
        let health = format!(r#"health {{"v":1,"state":"degraded","conn":"a","reasons":{reasons}}}"#);
        assert_eq!(hear(&mut known, &health, 1), Ok(true));
        assert_eq!((known.node.reasons.len(), known.node.reasons[0].as_str().len()), (REASONS, 200));
        let large = format!(r#"rep/os {{"a":"{}"}}"#, "x".repeat(LARGEST_DOCUMENT));
        assert_eq!(hear(&mut known, &large, 1), Err(Unfit::TooLarge(LARGEST_DOCUMENT + 8)));
        assert_eq!(hear(&mut known, &format!("m {}", "x".repeat(9000)), 1), Err(Unfit::TooLarge(9000)));
        assert!(matches!(hear(&mut known, "m {}", 1), Err(Unfit::Other(_))));
        assert_eq!(hear(&mut known, "cap ", 1), Ok(false), "a cleared message");
        assert!(known.node.heartbeat.is_none() && known.node.reported.is_empty());
    }

    proptest! {
        #[test]
        fn no_message_breaks_it(payload: Vec<u8>, which in 0..4_usize, retained: bool) {
            let mut known = Known::named("orin-3".parse().expect("a node"));
            let topic = ["health", "cap", "m", "rep/os"][which];
            let topic: Topic = format!("reelmill/1/n/orin-3/{topic}").parse().expect("a topic");
            let before = known.clone();
            let heard = known.hear(Message { topic: &topic, payload: &payload, retained }, at(1));
            prop_assert!(heard.is_ok() || known == before);
        }
    }
}
