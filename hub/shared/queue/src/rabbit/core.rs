//! What all calls of the driver share: the two connections, what is declared, what is leased, and the deeds made of them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex as StdMutex, PoisonError, Weak},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions},
    types::FieldTable,
};
use reelmill_api::{Lane, Priority, QueueName};
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::{
    address::Address,
    bell::Bell,
    board::Board,
    leases::{Due, Held, Home, Leases},
    link::{Desk, Line, Trouble, answer},
    names::{self, ready},
    parcel::{self, Parcel},
    seen::Seen,
    socket::Dialer,
    topology::{Found, Topology},
};
use crate::QueueError;

/// How long the caretaker waits for a lease that a call is busy with.
const BUSY: Duration = Duration::from_millis(50);
/// The pause after a lease could not be renewed.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// The driver's inside.
pub(super) struct Core {
    pub(super) address: Address,
    /// Where messages are leased and counted.
    pub(super) leasing: Line,
    /// Where they are published.
    pub(super) publishing: Line,
    pub(super) topology: Topology,
    pub(super) leases: Leases,
    pub(super) bell: Bell,
    pub(super) board: Board,
    pub(super) seen: Seen,
    /// Held by the call that has dead letters in hand.
    pub(super) dead_letters: Mutex<()>,
    /// Queues in which messages of strangers were seen, which must be copied before they can be leased.
    strange: StdMutex<HashSet<String>>,
    /// This process' queue for renewed leases, used by one at a time.
    aside: Mutex<String>,
}

impl Core {
    pub(super) fn new(address: Address, farm: &QueueName) -> Result<Arc<Self>, QueueError> {
        let dialer = Dialer::new(&address)?;
        let core = Arc::new(Self {
            leasing: Line::new(&address, &dialer, false),
            publishing: Line::new(&address, &dialer, true),
            address,
            topology: Topology::default(),
            leases: Leases::default(),
            bell: Bell::new(farm),
            board: Board::new(farm),
            seen: Seen::new(farm),
            dead_letters: Mutex::default(),
            strange: StdMutex::default(),
            aside: Mutex::new(format!("{farm}.held.{}", Uuid::now_v7())),
        });
        tokio::spawn(take_care(Arc::downgrade(&core)));
        Ok(core)
    }

    /// Sees to it that the queues of a lane are there: what is ready by priority, and the dead letters.
    pub(super) async fn prepare(&self, lane: &Lane) -> Result<HashMap<Priority, Found>, Trouble> {
        let mut found = HashMap::new();
        for priority in [Priority::Normal, Priority::High, Priority::Low] {
            let name = ready(lane, priority);
            found.insert(priority, self.topology.queue(&self.leasing, &name, names::quorum()).await?);
        }
        self.topology.queue(&self.leasing, &names::dead(lane), names::quorum()).await?;
        Ok(found)
    }

    /// How many messages lie ready in each of these queues.
    pub(super) async fn counts(&self, queues: &[String]) -> Result<Vec<u64>, Trouble> {
        let desk = self.leasing.desk().await?;
        let options = QueueDeclareOptions::durable().passive();
        let count = async |queue: &String| {
            let asked = desk.queue_declare(queue.as_str().into(), options, FieldTable::default());
            Ok::<_, Trouble>(u64::from(answer("a count", asked).await?.message_count()))
        };
        // All are asked before the first has answered.
        let counts = try_join_all(queues.iter().map(count)).await;
        let counts = self.noting_what_is_missing(counts)?;
        desk.put_back();
        Ok(counts)
    }

    /// Forgets what was declared if it turned out not to be there, so that the next try declares it anew.
    fn noting_what_is_missing<T>(&self, result: Result<T, Trouble>) -> Result<T, Trouble> {
        if result.as_ref().is_err_and(Trouble::is_missing) {
            self.topology.forget();
        }
        result
    }

    /// Puts a parcel where it waits: for its delay, then for a worker.
    pub(super) async fn put(&self, parcel: &Parcel, delay: Duration) -> Result<(), Trouble> {
        self.prepare(&parcel.lane).await?;
        let exchange = match names::delay(delay) {
            None => String::new(),
            Some(seconds) => {
                let name = names::later(&parcel.lane, seconds);
                if self.topology.later(&self.leasing, &name, seconds).await? {
                    self.board.note_delay(self, &parcel.lane, seconds).await?;
                }
                name
            }
        };
        let sent = self.publishing.send(&exchange, &parcel.home(), parcel.properties(), &parcel.body).await;
        self.noting_what_is_missing(sent)?;
        if exchange.is_empty() {
            self.bell.ring(self, &parcel.lane).await;
        }
        Ok(())
    }

    /// Puts a dead letter among the others of its lane.
    pub(super) async fn bury(&self, parcel: &Parcel, reason: &str) -> Result<(), Trouble> {
        self.prepare(&parcel.lane).await?;
        let dead = names::dead(&parcel.lane);
        let sent = self.publishing.send("", &dead, parcel.dead(reason), &parcel.body).await;
        self.noting_what_is_missing(sent)
    }

    /// Takes the first message of a queue, if there is one.
    pub(super) async fn fetch(&self, lane: &Lane, priority: Priority, found: Found) -> Result<Option<Held>, Trouble> {
        let name = ready(lane, priority);
        if self.strange.lock().unwrap_or_else(PoisonError::into_inner).contains(&name) {
            // While it cannot be copied it stays where it is, or each try would count as a delivery.
            self.publishing.check_room().await?;
        }
        let desk = self.leasing.desk().await?;
        let got = answer("a message", desk.basic_get(name.as_str().into(), BasicGetOptions::default())).await;
        let Some(mut got) = self.noting_what_is_missing(got)? else {
            desk.put_back();
            return Ok(None);
        };
        let tag = got.delivery.delivery_tag;
        let parcel = Parcel::read(lane, priority, &mut got.delivery);
        let mut held = Held { desk, tag, home: Home::Lane, parcel, since: Instant::now() };
        if held.parcel.id.is_empty() || found == Found::Foreign {
            // What has no name gets one now, for good: the next delivery must have the same.
            self.strange.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            if held.parcel.id.is_empty() {
                held.parcel.id = Uuid::now_v7().to_string();
            }
            self.renew(&mut held).await?;
        }
        Ok(Some(held))
    }

    /// Exchanges a delivery for a fresh one of a copy, which nobody else can get: the server takes back what is not
    /// acknowledged for too long. The copy is kept before the original is acknowledged, so that a crash at any point
    /// leaves one or both of them.
    pub(super) async fn renew(&self, held: &mut Held) -> Result<(), Trouble> {
        let aside = self.aside.lock().await;
        self.topology.passing(&self.leasing, &aside, names::held()).await?;
        let nonce = Uuid::new_v4().to_string();
        let properties = held.parcel.renewal(&nonce);
        let sent = self.publishing.send(&aside, &held.parcel.home(), properties, &held.parcel.body).await;
        self.noting_what_is_missing(sent)?;
        // From here on the copy counts: whatever fails, it is on its way to the lane.
        let renewed = self.fetch_renewed(&aside, &nonce).await;
        held.ack().await.map_err(|_| Trouble::Lost)?;
        let (desk, tag) = renewed.ok().flatten().ok_or(Trouble::Lost)?;
        std::mem::replace(&mut held.desk, desk).put_back();
        (held.tag, held.home, held.since) = (tag, Home::Aside, Instant::now());
        Ok(())
    }

    async fn fetch_renewed(&self, aside: &str, nonce: &str) -> Result<Option<(Desk, u64)>, Trouble> {
        let desk = self.leasing.desk().await?;
        let mut others = Vec::new();
        let found = loop {
            let got = answer("a message", desk.basic_get(aside.into(), BasicGetOptions::default())).await?;
            match got {
                Some(got) if parcel::is_renewal(&got.delivery, nonce) => break Some(got.delivery.delivery_tag),
                // One whose renewal broke off; it goes to its lane when its time is over.
                Some(other) => others.push(other.delivery.delivery_tag),
                None => break None,
            }
        };
        for tag in others {
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            answer("a return", desk.basic_nack(tag, options)).await?;
        }
        Ok(found.map(|tag| (desk, tag)))
    }

    /// Returns what ran out, to be delivered again as the next attempt.
    async fn take_back(&self, held: Box<Held>) {
        let (lane, home) = (held.parcel.lane.clone(), held.home);
        let returned = match home {
            Home::Lane => held.nack().await,
            Home::Aside => match self.put(&held.parcel, Duration::ZERO).await {
                Ok(()) => held.ack().await,
                Err(trouble) => Err(trouble),
            },
        };
        match returned {
            Ok(()) => held.desk.put_back(),
            // Its channel is closed with it, and the server returns what is unacknowledged.
            Err(trouble) => log::debug!("a lease on lane {lane} ran out and could not be returned: {trouble}"),
        }
        if home == Home::Lane {
            self.bell.ring(self, &lane).await;
        }
    }

    async fn keep_alive(&self, nonce: &str, lease: &super::leases::Lease) {
        let Ok(mut held) = lease.hold().await else { return };
        let Some(delivery) = held.as_mut() else { return };
        match self.renew(delivery).await {
            Ok(()) => {}
            Err(Trouble::Lost) => {
                log::warn!("a lease on lane {} was lost while it was renewed", delivery.parcel.lane);
                *held = None;
                self.leases.forget(nonce);
            }
            Err(trouble) => {
                log::debug!("a lease on lane {} is not renewed yet: {trouble}", delivery.parcel.lane);
                tokio::time::sleep(RENEWAL_PAUSE).await;
            }
        }
    }

    /// Publishes to a stream.
    pub(super) async fn append(&self, stream: &str, arguments: FieldTable, body: &[u8]) -> Result<(), Trouble> {
        self.topology.queue(&self.leasing, stream, arguments).await?;
        let properties = BasicProperties::default().with_delivery_mode(2);
        self.noting_what_is_missing(self.publishing.send("", stream, properties, body).await)
    }
}

/// Ends leases in time and renews what becomes old, until the queue is dropped.
async fn take_care(core: Weak<Core>) {
    loop {
        let Some(strong) = core.upgrade() else { return };
        let renew_after = strong.address.renew_after();
        tokio::select! {
            () = strong.leases.due(renew_after, BUSY) => {}
            // Now and then it is looked whether the queue is still in use.
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let due = strong.leases.take_due(renew_after);
        join_all(due.into_iter().map(|due| async {
            match due {
                Due::Expired(held) => strong.take_back(held).await,
                Due::Renewal(nonce, lease) => strong.keep_alive(&nonce, &lease).await,
            }
        }))
        .await;
    }
}
