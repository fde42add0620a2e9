//! The connection to the broker, lost and found again. It knows topics and deliveries, and nothing of commands.

use std::{collections::VecDeque, sync::Arc};

use reelmill_api::{
    NodeId,
    fleet::topic::{Topic, filter},
    preset::Tag,
};
use rumqttc::v5::{
    AsyncClient,
    mqttbytes::{
        QoS,
        v5::{Filter, Publish, PublishProperties, RetainForwardRule},
    },
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    line::{CONNECT_TIMEOUT, Heard, IN_FLIGHT, drive, seconds},
};

/// Messages that wait for the conductor: those that wait for an acknowledgement, and those that nobody acknowledges.
const INBOX: usize = 4 * IN_FLIGHT as usize;

/// Our end of the line. Nothing that is said while there is no connection is kept: whoever says it says it again.
pub(super) struct Link {
    heard: mpsc::Receiver<(Heard, Option<AsyncClient>)>,
    client: Option<AsyncClient>,
    waiting: VecDeque<Word>,
    anew: Arc<Notify>,
    stop: CancellationToken,
    driver: tokio::task::JoinHandle<()>,
}

/// Something to be said.
enum Word {
    Ack(Publish),
    Subscribe(Vec<Filter>),
    Publish { topic: String, qos: QoS, retain: bool, payload: Vec<u8>, properties: PublishProperties },
    Goodbye,
}

impl Link {
    /// Begins to connect, and goes on until it is closed.
    pub(super) fn open(settings: &Settings) -> Self {
        let (tell, heard) = mpsc::channel(INBOX);
        let (anew, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let driver = tokio::spawn(drive(settings.clone(), tell, anew.clone(), stop.clone()));
        Self { heard, client: None, waiting: VecDeque::new(), anew, stop, driver }
    }

    /// Leaves the present connection, if there is one, for a new one, and waits with none.
    pub(super) fn connect_anew(&self) {
        self.anew.notify_one();
    }

    /// What happens next. Can be dropped while it waits.
    pub(super) async fn hear(&mut self) -> Heard {
        let (heard, client) = self.heard.recv().await.unwrap_or((Heard::Lost(String::new()), None));
        match &heard {
            Heard::Up(_) => self.client = client,
            Heard::Lost(_) => self.forget(),
            _ => {}
        }
        heard
    }

    fn forget(&mut self) {
        self.client = None;
        self.waiting.clear();
    }

    /// Takes a message off the broker's hands.
    pub(super) fn acknowledge(&mut self, message: Publish) {
        self.say(Word::Ack(message));
    }

    /// Subscribes to all that concerns the node, and asks for what is retained there.
    pub(super) fn subscribe(&mut self, node: &NodeId, tags: &[Tag]) {
        let mut filters = vec![filter::commands(node), filter::desired(node)];
        filters.extend(tags.iter().map(filter::group));
        let filters = filters.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce)).collect();
        self.say(Word::Subscribe(filters));
    }

    /// Asks for an answer that the broker gives after all that it has to send now: it takes requests in their order, so
    /// a second subscription to the same, without what is retained, is a question without any effect.
    pub(super) fn ask_for_the_end(&mut self, node: &NodeId) {
        let mut again = Filter::new(filter::desired(node), QoS::AtLeastOnce);
        again.retain_forward_rule = RetainForwardRule::Never;
        self.say(Word::Subscribe(vec![again]));
    }

    /// Publishes as the topic demands; `correlation` answers a request.
    pub(super) fn publish(&mut self, topic: &Topic, payload: Vec<u8>, correlation: Option<Vec<u8>>) {
        let delivery = topic.delivery();
        if payload.len() > delivery.limit {
            log::error!("a message of {} bytes on {topic} is larger than {}; not sent", payload.len(), delivery.limit);
            return;
        }
        let properties = PublishProperties {
            message_expiry_interval: delivery.expires_after.map(seconds).filter(|_| !payload.is_empty()),
            correlation_data: correlation.map(Into::into),
            content_type: Some("application/json".to_owned()),
            user_properties: vec![("reelmill-v".to_owned(), "1".to_owned())],
            ..PublishProperties::default()
        };
        let qos = if delivery.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        self.say(Word::Publish { topic: topic.to_string(), qos, retain: delivery.retained, payload, properties });
    }

    fn say(&mut self, word: Word) {
        if self.client.is_some() {
            self.waiting.push_back(word);
            self.flush();
        }
    }

    /// Hands over as much as the connection takes now. A broker that takes nothing is lost after two keep-alives, and
    /// what waits goes with it.
    pub(super) fn flush(&mut self) {
        let Some(client) = &self.client else { return };
        while let Some(word) = self.waiting.front() {
            let taken = match word {
                Word::Ack(message) => client.try_ack(message),
                Word::Subscribe(filters) => client.try_subscribe_many(filters.clone()),
                Word::Publish { topic, qos, retain, payload, properties } => client.try_publish_with_properties(
                    topic.clone(),
                    *qos,
                    *retain,
                    payload.clone(),
                    properties.clone(),
                ),
                Word::Goodbye => client.try_disconnect(),
            };
            if taken.is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Says goodbye, so that there is no last will, and ends.
    pub(super) async fn close(mut self) {
        self.say(Word::Goodbye);
        self.stop.cancel();
        while self.client.is_some() && !self.waiting.is_empty() {
            self.hear().await;
            self.flush();
        }
        if self.client.is_none() {
            self.driver.abort();
        }
        if tokio::time::timeout(CONNECT_TIMEOUT, &mut self.driver).await.is_err() {
            self.driver.abort();
        }
    }
}
