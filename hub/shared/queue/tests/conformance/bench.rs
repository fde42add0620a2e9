//! What the tests stand on: a queue of each kind, alone with its file or server, and waiting for conditions.

use std::{path::Path, time::Duration};

use reelmill_api::{Lane, Priority, QueueName};
use reelmill_lab::{nats::Nats, rabbitmq::VirtualHost, redis::Redis, sqs::Sqs};
use reelmill_queue::{Depth, Leased, NewMessage, QueueError, SharedQueue, connect, sqlite_url};
use tempfile::TempDir;

/// A lease that does not end while a test runs.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// A lease that ends while a test waits for it.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
/// How long a test waits for what must come; only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The depth of a lane with nothing on it.
pub(crate) const EMPTY: Depth = Depth { ready: 0, delayed: 0, leased: Some(0), dead: 0, oldest_ready: None };

/// A queue of some kind, alone in the world.
pub(crate) struct Bench {
    pub(crate) queue: SharedQueue,
    pub(crate) url: String,
    /// Kept for as long as the queue is used.
    pub(crate) keep: Keep,
}

/// Where a queue's messages lie.
pub(crate) enum Keep {
    Folder { _folder: TempDir },
    Server(Redis),
    Rabbit(VirtualHost),
    Nats(Nats),
    Moto(Sqs),
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = sqlite_url(&folder.path().join("queue.sqlite"));
        let queue = connect(&url, &QueueName::default()).await.expect("a new file can be opened");
        Self { queue, url, keep: Keep::Folder { _folder: folder } }
    }

    pub(crate) async fn redis() -> Self {
        let server = Redis::start();
        let url = format!("{}/0", server.url());
        let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
        Self { queue, url, keep: Keep::Server(server) }
    }

    pub(crate) async fn nats() -> Self {
        let server = Nats::start();
        let url = server.url();
        let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
        Self { queue, url, keep: Keep::Nats(server) }
    }

    pub(crate) fn nats_server(&self) -> &Nats {
        match &self.keep {
            Keep::Nats(server) => server,
            _ => panic!("this bench has no NATS server"),
        }
    }

    pub(crate) async fn rabbit() -> Self {
        let host = VirtualHost::new();
        let url = host.url();
        let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
        Self { queue, url, keep: Keep::Rabbit(host) }
    }

    pub(crate) async fn sqs() -> Self {
        let server = Sqs::start();
        let url = server.url();
        let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
        Self { queue, url, keep: Keep::Moto(server) }
    }

    pub(crate) fn moto(&self) -> &Sqs {
        match &self.keep {
            Keep::Moto(server) => server,
            _ => panic!("this bench has no SQS server"),
        }
    }

    /// Another connection to the same queue.
    pub(crate) async fn another(&self) -> SharedQueue {
        connect(&self.url, &QueueName::default()).await.expect("the queue can be opened twice")
    }

    pub(crate) fn host(&self) -> &VirtualHost {
        match &self.keep {
            Keep::Rabbit(host) => host,
            _ => panic!("this bench has no RabbitMQ server"),
        }
    }

    pub(crate) fn server(&self) -> &Redis {
        match &self.keep {
            Keep::Server(server) => server,
            _ => panic!("this bench has no Redis server"),
        }
    }

    pub(crate) async fn publish(&self, lane: &Lane, body: &str) {
        self.queue.publish(lane, &message(body)).await.expect("the message is stored");
    }

    /// Asserts how full a lane is, as far as its server tells. The age is another matter.
    pub(crate) async fn check_depth(&self, lane: &Lane, want: Depth) {
        let depth = self.queue.depth(lane).await.expect("a depth");
        let leased = want.leased.filter(|_| self.queue.limits().counts_leased);
        assert_eq!(depth, Depth { leased, oldest_ready: depth.oldest_ready, ..want });
    }

    /// Leases what must be or come there.
    pub(crate) async fn lease(&self, lane: &Lane, lasting: Duration) -> Leased {
        let leased = self.queue.lease(std::slice::from_ref(lane), lasting, PATIENCE).await.expect("the queue answers");
        leased.expect("a message comes in time")
    }

    /// What can be leased at once.
    pub(crate) async fn lease_now(&self, lane: &Lane) -> Option<Leased> {
        self.queue.lease(std::slice::from_ref(lane), LONG, Duration::ZERO).await.expect("the queue answers")
    }
}

pub(crate) fn farm(name: &str) -> QueueName {
    QueueName::try_from(name.to_owned()).expect("a queue's name")
}

pub(crate) fn lane(name: &str) -> Lane {
    farm(name).intake()
}

pub(crate) fn message(body: impl AsRef<[u8]>) -> NewMessage {
    NewMessage { body: body.as_ref().to_vec(), priority: Priority::Normal, delay: Duration::ZERO, dedupe_key: None }
}

pub(crate) fn text(leased: &Leased) -> &str {
    std::str::from_utf8(&leased.body).expect("the test published text")
}

/// Writes a certificate for loopback, its key and its authority (itself) into `folder`.
pub(crate) fn certificate(folder: &Path, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let at = |end: &str| folder.join(format!("{name}.{end}")).to_str().expect("a temporary path is text").to_owned();
    std::fs::write(at("pem"), made.cert.pem()).expect("written");
    std::fs::write(at("key"), made.signing_key.serialize_pem()).expect("written");
    at("pem")
}

pub(crate) fn is_lost<T>(result: Result<T, QueueError>) -> bool {
    matches!(result, Err(QueueError::LeaseLost { .. }))
}

/// Waits until `condition` answers something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} did not come to pass"))
}
