//! RabbitMQ: a persistent message to a quorum queue, confirmed; a consumer that holds one at a time, and basic.ack, which the
//! server does not answer.

use futures::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::NAME;
use crate::queues::notes::Noting;

/// `delivery_mode` of a message that survives the server's restart.
const PERSISTENT: u8 = 2;

pub(in super::super) struct Queue {
    channel: Channel,
    _connection: Connection,
}

impl Queue {
    pub(super) async fn open(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("it answers");
        let channel = connection.create_channel().await.expect("a channel");
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        channel.queue_declare(NAME.into(), QueueDeclareOptions::durable(), arguments).await.expect("a queue");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { channel, _connection: connection }
    }

    pub(super) async fn publish(&self, body: &str) {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish("".into(), NAME.into(), options, body.as_bytes(), properties).await;
        let confirmed = sent.expect("sent").await.expect("an answer");
        assert!(matches!(confirmed, Confirmation::Ack(None)), "stored");
    }

    pub(super) async fn consume(self, noting: &Noting) {
        self.channel.basic_qos(1, BasicQosOptions::default()).await.expect("one at a time");
        let options = BasicConsumeOptions::default();
        let consumer = self.channel.basic_consume(NAME.into(), "".into(), options, FieldTable::default()).await;
        let mut consumer = consumer.expect("a consumer");
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery.expect("a message");
            noting.note(&delivery.data);
            delivery.ack(BasicAckOptions::default()).await.expect("sent");
        }
        panic!("the server ended the consumer");
    }
}
