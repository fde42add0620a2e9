//! Our end of the line: what is said on it, and what is heard.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use reelmill_api::fleet::{Class, Topic};
use rumqttc::v5::{
    AsyncClient,
    mqttbytes::{
        QoS,
        v5::{Filter, Publish, PublishProperties},
    },
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    line::{CONNECT_TIMEOUT, Heard, IN_FLIGHT, Told, drive, seconds},
};

/// Messages that wait to be heard; for more the broker waits.
const INBOX: usize = 4 * IN_FLIGHT as usize;

/// How soon what waits to be said is tried again.
const SOON: Duration = Duration::from_millis(10);

/// Our end of the line. Nothing that is said while there is no connection is kept: whoever says it says it again.
pub struct Link {
    heard: mpsc::Receiver<Told>,
    client: Option<AsyncClient>,
    remark: Option<String>,
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
    pub fn open(settings: &Settings) -> Self {
        let (tell, heard) = mpsc::channel(INBOX);
        let (anew, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let driver = tokio::spawn(drive(settings.clone(), tell, anew.clone(), stop.clone()));
        Self { heard, client: None, remark: None, waiting: VecDeque::new(), anew, stop, driver }
    }

    /// Leaves the present connection, if there is one, for a new one, and waits with none.
    pub fn connect_anew(&self) {
        self.anew.notify_one();
    }

    /// What happens next; says what waits meanwhile. Can be dropped while it waits.
    pub async fn hear(&mut self) -> Heard {
        let told = loop {
            self.flush();
            if self.waiting.is_empty() {
                break self.heard.recv().await;
            }
            // The connection does not tell when it has written what it was given.
            if let Ok(told) = tokio::time::timeout(SOON, self.heard.recv()).await {
                break told;
            }
        };
        let Told { heard, client, remark } = told.unwrap_or_else(|| Heard::Lost(String::new()).into());
        self.remark = remark;
        match &heard {
            Heard::Up(_) => self.client = client,
            Heard::Lost(_) => self.forget(),
            _ => {}
        }
        heard
    }

    /// To what was heard last: what can be done about a loss; where there is room again, why the broker did not take what it
    /// was told, if it did not.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    fn forget(&mut self) {
        self.client = None;
        self.waiting.clear();
    }

    /// Takes a message off the broker's hands.
    pub fn acknowledge(&mut self, message: Publish) {
        self.say(Word::Ack(message));
    }

    /// Subscribes to all of these in one request.
    pub fn subscribe(&mut self, filters: Vec<Filter>) {
        self.say(Word::Subscribe(filters));
    }

    /// Publishes as the topic demands; `correlation` answers a request.
    pub fn publish(&mut self, topic: &Topic, payload: Vec<u8>, correlation: Option<Vec<u8>>) {
        let properties = PublishProperties { correlation_data: correlation.map(Into::into), ..properties(topic) };
        self.publish_with(topic, payload, properties);
    }

    /// Publishes a command that the broker forgets after `within`; of that class.
    pub fn command(&mut self, topic: &Topic, payload: Vec<u8>, within: Duration, class: Class) {
        let mut properties = properties(topic);
        properties.message_expiry_interval = Some(seconds(within));
        properties.user_properties.push(("reelmill-class".to_owned(), class.as_str().to_owned()));
        self.publish_with(topic, payload, properties);
    }

    fn publish_with(&mut self, topic: &Topic, payload: Vec<u8>, mut properties: PublishProperties) {
        let delivery = topic.delivery();
        if payload.len() > delivery.limit {
            log::error!("a message of {} bytes on {topic} is larger than {}; not sent", payload.len(), delivery.limit);
            return;
        }
        if payload.is_empty() {
            properties.message_expiry_interval = None;
        }
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
    pub fn flush(&mut self) {
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
    pub async fn close(mut self) {
        self.say(Word::Goodbye);
        self.stop.cancel();
        let end = async {
            while self.client.is_some() {
                self.hear().await;
                self.flush();
            }
        };
        // It comes to nothing where the broker takes nothing any more.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, end).await;
        self.driver.abort();
    }
}

fn properties(topic: &Topic) -> PublishProperties {
    PublishProperties {
        message_expiry_interval: topic.delivery().expires_after.map(seconds),
        content_type: Some("application/json".to_owned()),
        user_properties: vec![("reelmill-v".to_owned(), "1".to_owned())],
        ..PublishProperties::default()
    }
}
