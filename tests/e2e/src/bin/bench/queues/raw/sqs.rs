//! SQS: `SendMessage`; `ReceiveMessage` of one, waiting at the server, and `DeleteMessage`.

use aws_credential_types::Credentials;
use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Region},
};
use aws_smithy_http_client::Builder;

use super::NAME;
use crate::queues::notes::Noting;

const WAIT_S: i32 = 2;

pub(in super::super) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// At moto's address, which says a region and keys that it does not look at.
    pub(super) async fn open(url: &str) -> Self {
        let host = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('?')).expect("keys and a region").0;
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKLAB", "lab/secret", None, None, "bench"))
            .http_client(Builder::new().build_http())
            .endpoint_url(format!("http://{host}"));
        let client = Client::from_conf(config.build());
        let created = client.create_queue().queue_name(NAME).send().await.expect("a queue");
        Self { client, url: created.queue_url.expect("it has an address") }
    }

    pub(super) async fn publish(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.expect("stored");
    }

    pub(super) async fn consume(self, noting: &Noting) {
        let Self { client, url } = self;
        loop {
            let receive = client.receive_message().queue_url(&url).max_number_of_messages(1).wait_time_seconds(WAIT_S);
            for message in receive.send().await.expect("an answer").messages.unwrap_or_default() {
                noting.note(message.body.expect("a body").as_bytes());
                let receipt = message.receipt_handle.expect("a receipt");
                client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.expect("it was ours");
            }
        }
    }
}
