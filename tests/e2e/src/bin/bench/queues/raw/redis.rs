//! Redis: XADD; XREADGROUP, XACK and XDEL.

use redis::{AsyncCommands as _, aio::MultiplexedConnection, streams::StreamReadOptions, streams::StreamReadReply};

use super::NAME;
use crate::queues::notes::Noting;

const GROUP: &str = "bench";

pub(in super::super) struct Stream(MultiplexedConnection);

impl Stream {
    pub(super) async fn open(url: &str) -> Self {
        let client = redis::Client::open(url).expect("an address");
        // A read that blocks has no other limit than its own.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.expect("it answers");
        // All but the first find it there.
        let _: Result<(), _> = connection.xgroup_create_mkstream(NAME, GROUP, "0").await;
        Self(connection)
    }

    pub(super) async fn publish(&self, body: &str) {
        let _: String = self.0.clone().xadd(NAME, "*", &[("body", body)]).await.expect("stored");
    }

    pub(super) async fn consume(self, number: usize, noting: &Noting) {
        let Self(mut connection) = self;
        loop {
            let options = StreamReadOptions::default().group(GROUP, number).count(1).block(2000);
            let read: Option<StreamReadReply> =
                connection.xread_options(&[NAME], &[">"], &options).await.expect("an answer");
            for entry in read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids) {
                noting.note(&entry.get::<Vec<u8>>("body").expect("a body"));
                let mut done = redis::pipe();
                done.xack(NAME, GROUP, &[&entry.id]).ignore().xdel(NAME, &[&entry.id]).ignore();
                done.exec_async(&mut connection).await.expect("it was ours");
            }
        }
    }
}
