//! The bell: whoever puts something on a lane rings it, so that waiting workers look at once and need not look often.
//!
//! Consumers would be told by the server itself, but each takes a message as soon as there is one, whether its worker has
//! a place for it or not; and a worker that waits on ten lanes would hold ten.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use lapin::{
    BasicProperties, ExchangeKind,
    message::DeliveryResult,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use reelmill_api::{Lane, QueueName};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::{
    core::Core,
    link::{Desk, Trouble, answer},
};

/// How many rings are kept for an ear that is slow; one would do.
const RINGS_KEPT: i32 = 16;

/// The bell of a farm.
pub(super) struct Bell {
    exchange: String,
    rings: Arc<Rings>,
    ear: Mutex<Option<Ear>>,
    /// Whether the exchange was declared on this connection or an earlier one.
    hung: StdMutex<bool>,
}

/// What was heard of all lanes.
#[derive(Default)]
pub(super) struct Rings {
    /// How often the bell was heard.
    count: watch::Sender<u64>,
    /// The count when each lane was rung for last.
    last: StdMutex<HashMap<String, u64>>,
}

impl Rings {
    fn note(&self, lane: &str) {
        self.count.send_modify(|count| {
            *count += 1;
            self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.to_owned(), *count);
        });
    }

    /// Counts the rings.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// Which of these lanes were rung for since there were so many rings.
    pub(super) fn since(&self, lanes: &[Lane], count: u64) -> Vec<Lane> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().filter(|lane| last.get(lane.as_str()).is_some_and(|last| *last > count)).cloned().collect()
    }
}

/// This process' queue of rings.
struct Ear {
    desk: Desk,
    queue: String,
    lanes: HashSet<Lane>,
}

impl Bell {
    pub(super) fn new(farm: &QueueName) -> Self {
        Self {
            exchange: format!("{farm}.bell"),
            rings: Arc::default(),
            ear: Mutex::default(),
            hung: StdMutex::new(false),
        }
    }

    /// Tells that something became ready. A ring that is lost costs a waiting worker the time until its next look.
    pub(super) async fn ring(&self, core: &Core, lane: &Lane) {
        if let Err(trouble) = self.try_to_ring(core, lane).await {
            *self.hung.lock().unwrap_or_else(PoisonError::into_inner) = false;
            log::debug!("the bell of lane {lane} was not rung: {trouble}");
        }
    }

    async fn try_to_ring(&self, core: &Core, lane: &Lane) -> Result<(), Trouble> {
        self.rings.note(lane.as_str());
        let desk = core.publishing.desk().await?;
        self.hang(&desk).await?;
        let (exchange, key) = (self.exchange.as_str().into(), lane.as_str().into());
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let ringing = async { desk.basic_publish(exchange, key, options, b"", properties).await?.await };
        answer("the bell", ringing).await?;
        desk.put_back();
        Ok(())
    }

    /// Hears the bells of these lanes from now on.
    pub(super) async fn listen(&self, core: &Core, lanes: &[Lane]) -> Result<(), Trouble> {
        let mut ear = self.ear.lock().await;
        if ear.as_ref().is_none_or(|ear| !ear.desk.is_open()) {
            *ear = None;
            *ear = Some(self.open_ear(core).await?);
        }
        let Some(ear) = ear.as_mut() else { return Ok(()) };
        for lane in lanes.iter().filter(|lane| !ear.lanes.contains(lane)).cloned().collect::<Vec<_>>() {
            let (queue, exchange, key) =
                (ear.queue.as_str().into(), self.exchange.as_str().into(), lane.as_str().into());
            let binding = ear.desk.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default());
            answer("a binding", binding).await?;
            ear.lanes.insert(lane);
        }
        Ok(())
    }

    /// What was heard.
    pub(super) fn rings(&self) -> &Rings {
        &self.rings
    }

    async fn open_ear(&self, core: &Core) -> Result<Ear, Trouble> {
        let desk = core.leasing.desk().await?;
        *self.hung.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.hang(&desk).await?;
        let queue = format!("{}.{}", self.exchange, Uuid::new_v4());
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(RINGS_KEPT));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        answer("a queue", desk.queue_declare(queue.as_str().into(), options, arguments)).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consuming = desk.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let consumer = answer("a consumer", consuming).await?;
        let rings = self.rings.clone();
        consumer.set_delegate(move |ring: DeliveryResult| {
            if let Ok(Some(ring)) = ring {
                rings.note(ring.routing_key.as_str());
            }
            std::future::ready(())
        });
        Ok(Ear { desk, queue, lanes: HashSet::new() })
    }

    /// Sees to it that the exchange is there.
    async fn hang(&self, desk: &Desk) -> Result<(), Trouble> {
        if *self.hung.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = self.exchange.as_str().into();
        let hanging = desk.exchange_declare(exchange, ExchangeKind::Direct, options, FieldTable::default());
        answer("an exchange", hanging).await?;
        *self.hung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_lanes_were_rung_for() {
        let (rings, lanes) = (Rings::default(), ["a", "b", "c"].map(|name| name.parse::<Lane>().expect("a lane")));
        ["c", "a", "other"].into_iter().for_each(|lane| rings.note(lane));
        for (since, rung) in [(0, vec![&lanes[0], &lanes[2]]), (1, vec![&lanes[0]]), (2, vec![]), (3, vec![])] {
            assert_eq!(rings.since(&lanes, since).iter().collect::<Vec<_>>(), rung, "{since}");
        }
        assert_eq!(*rings.listen().borrow(), 3);
    }
}
