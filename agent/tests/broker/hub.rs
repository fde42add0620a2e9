//! The hub's side: keys, commands, and everything that is said on the fleet's topics.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use jiff::{SignedDuration, Timestamp};
use reelmill_api::fleet::{
    Command, CommandId, Op, PrivateKey, Role, State, Topic, Trust,
    command::{Addressee, Expect, Policy},
    trust::TrustedKey,
};
use reelmill_lab::{mosquitto::Mosquitto, programs::eventually};
use serde_json::Value;

/// A message as it was heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) topic: String,
    pub(crate) payload: String,
}

/// Hears all that is said.
pub(crate) struct Ear {
    said: Arc<Mutex<Vec<Said>>>,
    child: Child,
}

/// A test that fails tells what was heard last.
impl Drop for Ear {
    fn drop(&mut self) {
        if thread::panicking()
            && let Ok(said) = self.said.lock()
        {
            said.iter().rev().take(40).rev().for_each(|said| eprintln!("{}: {}", said.topic, said.payload));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ear {
    /// Listens on all of the fleet's topics; it is there when this returns.
    pub(crate) fn open(broker: &Mosquitto) -> Self {
        Self::of(broker.client("mosquitto_sub"), "reelmill/1/#")
    }

    /// Listens as somebody.
    pub(crate) fn of(client: std::process::Command, filter: &str) -> Self {
        // Into a pipe, the client would tell of its subscription only after many messages.
        let mut command = std::process::Command::new("stdbuf");
        command.arg("-oL").arg(client.get_program()).args(client.get_args());
        // `-d` says when the subscription stands.
        command.args(["-q", "1", "-d", "-F", "@@%t@@%p", "-t", filter]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("mosquitto_sub starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let subscribed = lines.by_ref().any(|line| line.starts_with("Subscribed"));
        assert!(subscribed, "mosquitto_sub subscribed to {filter}");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        thread::spawn(move || {
            for line in lines {
                if let Some((topic, payload)) = line.strip_prefix('@').and_then(|line| line.split_once('@')) {
                    heard.lock().expect("ours").push(Said { topic: topic.to_owned(), payload: payload.to_owned() });
                }
            }
        });
        Self { said, child }
    }

    /// All that was said on topics with this beginning.
    pub(crate) fn on(&self, prefix: &str) -> Vec<String> {
        let said = self.said.lock().expect("ours");
        said.iter().filter(|said| said.topic.starts_with(prefix)).map(|said| said.payload.clone()).collect()
    }

    /// Waits for something on a topic; the last of it.
    pub(crate) fn said_on(&self, topic: &str) -> Value {
        let last = eventually(topic, || self.on(topic).pop().filter(|payload| !payload.is_empty()));
        serde_json::from_str(&last).expect("JSON")
    }

    /// Waits until a node has said so often how it is that there is one of this place; that one.
    pub(crate) fn health_of(&self, node: &str, place: usize) -> Value {
        let topic = format!("reelmill/1/n/{node}/health");
        eventually(&format!("word {place} of {topic}"), || {
            let words: Vec<Value> = self.on(&topic).iter().filter_map(|p| serde_json::from_str(p).ok()).collect();
            let mut conns: Vec<&Value> = words.iter().map(|health| &health["conn"]).collect();
            conns.dedup();
            let conn = conns.get(place)?;
            words.iter().find(|health| health["conn"] == **conn).cloned()
        })
    }

    /// The topics in the order in which something was said on them.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.said.lock().expect("ours").iter().map(|said| said.topic.clone()).collect()
    }

    /// All that was told of a command.
    pub(crate) fn states(&self, node: &str, id: CommandId) -> Vec<State> {
        let topic = format!("reelmill/1/n/{node}/st/{id}");
        self.on(&topic).iter().filter(|p| !p.is_empty()).map(|p| State::parse(p.as_bytes()).expect("a state")).collect()
    }

    /// Waits until a command has ended.
    pub(crate) fn end(&self, node: &str, id: CommandId) -> State {
        let end = || self.states(node, id).into_iter().rfind(|state| state.state.is_final());
        eventually(&format!("the end of {id}, of which was told {:?}", self.states(node, id)), end)
    }

    /// Waits until a node has said so often that it is there or not; the last word.
    pub(crate) fn health(&self, node: &str, state: &str, times: usize) -> Value {
        let topic = format!("reelmill/1/n/{node}/health");
        eventually(&format!("{node} {state}, {times} times"), || {
            let said = self.on(&topic).into_iter().filter_map(|p| serde_json::from_str::<Value>(&p).ok());
            let so: Vec<Value> = said.filter(|health| health["state"] == state).collect();
            (so.len() >= times).then(|| so.last().cloned().expect("at least one"))
        })
    }
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Keys 1 and 2 are operators.
pub(crate) fn trust() -> Trust {
    let key = |(seed, role): (u8, Role)| TrustedKey {
        key: key(seed).public(),
        name: format!("key {seed}").parse().expect("a name"),
        roles: [role].into(),
    };
    Trust::new(1, 1, [(1, Role::Operator), (2, Role::Operator), (3, Role::Admin)].map(key).into()).expect("well formed")
}

/// A command to a node, given now, valid for an hour.
pub(crate) fn command(node: &str, op: &str, args: Value) -> Command {
    let now = Timestamp::now();
    let mut random = [0; 10];
    random.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..10]);
    Command {
        id: CommandId::new(now, random),
        op: Op::parse(&op.parse().expect("a name"), args).expect("an operation"),
        node: Addressee::Node(node.parse().expect("a node")),
        issued_at: now,
        not_before: None,
        exp: now + SignedDuration::from_hours(1),
        ttl_s: None,
        by: "anna".parse().expect("a name"),
        reason: None,
        rollout: None,
        rollout_doc: None,
        policy: Policy::default(),
        expect: Expect::default(),
        crit: Vec::new(),
    }
}

pub(crate) fn topic(node: &str, command: &Command) -> String {
    Topic::Command(node.parse().expect("a node"), command.op.name(), command.id).to_string()
}

/// The message, signed by these keys; bare where there are none.
pub(crate) fn signed(command: &Command, seeds: &[u8]) -> Vec<u8> {
    if seeds.is_empty() {
        return command.to_payload();
    }
    let mut envelope = command.to_envelope();
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)).expect("each once"));
    envelope.to_message()
}

/// Gives a command as the hub does.
pub(crate) fn send(broker: &Mosquitto, node: &str, command: &Command, seeds: &[u8]) {
    broker.publish(&topic(node, command), signed(command, seeds), &["-r"]);
}
