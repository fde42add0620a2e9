//! One queue's rounds: jobs go in all the time, one strike a round, and at the end all has to have come out once.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reelmill_api::{JobId, QueueName};
use reelmill_lab::{
    queues::Kind,
    relay::{Hold, Relay},
};
use reelmill_queue::{Cursor, DeadLetter, NewMessage, Published, SharedQueue, connect};
use tokio::time::sleep;

use super::{
    crew::{Place, lost_leases},
    field::Field,
    ledger::Ledger,
    strike::{LEASE_SECONDS, LONGEST_WAIT, Line, Point, Strike, Target, Targets},
    toll::{Struck, Toll},
};
use crate::numbers::Numbers;

/// Places for workers; each does two tasks at once.
const PLACES: usize = 3;
/// Jobs that wait or are worked on at once.
const IN_FLIGHT: usize = 8;
/// How long the last jobs may take to end: five attempts and the waits between them.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is to be fought.
#[derive(Clone, Copy, Debug)]
pub struct Battle {
    /// On which queue.
    pub queue: Kind,
    /// How many strikes.
    pub rounds: usize,
    /// What they are drawn from. The same seed draws the same strikes; what they meet is up to the machine.
    pub seed: u64,
}

/// What the tasks of a battle share.
#[derive(Clone)]
struct Shared {
    ledger: Arc<Mutex<Ledger>>,
    over: Arc<AtomicBool>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// The scene of a battle.
struct Scene {
    field: Field,
    places: Vec<Place>,
    /// The line of who submits.
    office: Option<Relay>,
    struck: Struck,
}

impl Battle {
    /// Fights it, and tells what became of it.
    pub async fn run(self) -> Toll {
        let began = Instant::now();
        let field = Field::new(self.queue).await;
        let office = field.line_to_queue().await;
        let queue = connected(&field.queue.url()).await;
        let may_double = queue.limits().may_double;
        let shared = Shared {
            ledger: Arc::new(Mutex::new(Ledger::new(field.store.folder.clone(), may_double))),
            over: Arc::new(AtomicBool::new(false)),
        };
        let submitting = connected(&field.queue_url(office.as_ref())).await;
        let submitting = tokio::spawn(submit(submitting, shared.clone()));
        let following = tokio::spawn(follow(queue.clone(), shared.clone()));
        let mut scene = Scene { field, places: Vec::new(), office, struck: Struck::default() };
        for number in 0..PLACES {
            scene.places.push(Place::new(&scene.field, number).await);
        }
        self.fight(&mut scene, &shared).await;
        shared.over.store(true, Ordering::SeqCst);
        submitting.await.expect("jobs are submitted to the end");
        scene.until("the end of every job", &shared, async || shared.ledger().under_way().is_empty()).await;
        scene.until("empty lanes", &shared, async || lanes_are_empty(&queue).await).await;
        // Whatever comes now would be of a message that was doubled.
        sleep(Duration::from_secs(LEASE_SECONDS + 1)).await;
        scene.until("lanes that stay empty", &shared, async || lanes_are_empty(&queue).await).await;
        following.abort();
        let _ = following.await;
        let dead = dead_letters(&queue).await;
        let logs: Vec<_> = scene.places.iter().map(Place::log).collect();
        logs.iter().filter(|log| log.contains("panicked at")).for_each(|log| shared.ledger().complain(log.clone()));
        keep(&logs);
        let lost_leases = logs.iter().map(|log| lost_leases(log)).sum();
        let struck = scene.struck;
        drop(scene.places);
        let Ok(ledger) = Arc::try_unwrap(shared.ledger) else { unreachable!("all tasks have ended") };
        let (complaints, sums) = ledger.into_inner().unwrap_or_else(PoisonError::into_inner).judge(&dead);
        let Self { queue, rounds, seed } = self;
        Toll { queue, rounds, seed, took: began.elapsed(), complaints, struck, sums, lost_leases }
    }

    async fn fight(self, scene: &mut Scene, shared: &Shared) {
        let mut numbers = Numbers::from_seed(self.seed);
        let has_server = scene.office.is_some();
        let among = Targets { workers: PLACES, has_server, survives: scene.field.queue.survives() };
        for _ in 0..self.rounds {
            scene.mend(shared);
            let strike = Strike::draw(&mut numbers, among);
            let hunted = strike.hunts.then(|| scene.hunted(shared)).flatten();
            scene.strike(Strike { worker: hunted.unwrap_or(strike.worker), ..strike }).await;
        }
    }
}

impl Scene {
    /// The place of the worker with the job that was tried most often.
    fn hunted(&self, shared: &Shared) -> Option<usize> {
        let node = shared.ledger().most_tried()?.to_owned();
        self.places.iter().position(|place| place.is(&node))
    }

    async fn strike(&mut self, strike: Strike) {
        self.struck.count(strike.target);
        let hold = self.point(strike).await;
        let place = &mut self.places[strike.worker];
        match strike.target {
            Target::Worker => {
                place.kill();
                drop(hold);
                place.replace(&self.field);
            }
            Target::Server => {
                tokio::task::block_in_place(|| self.field.queue.kill());
                drop(hold);
                sleep(strike.away).await;
                tokio::task::block_in_place(|| self.field.queue.start_again());
            }
            Target::QueueLine => cut(place.queue.as_ref(), hold, strike.away),
            Target::StoreLine => cut(Some(&place.store), hold, strike.away),
            Target::OfficeLine => cut(self.office.as_ref(), hold, strike.away),
        }
    }

    /// Waits for the point of a strike, and holds the connection there if it is one of a line.
    async fn point(&self, strike: Strike) -> Option<Hold> {
        let (line, pieces, piece) = match strike.point {
            Point::Piece(line, pieces, piece) => (line, pieces, piece),
            Point::Time(time) => {
                sleep(time).await;
                return None;
            }
        };
        let place = &self.places[strike.worker];
        let relay = match line {
            Line::Queue => place.queue.as_ref(),
            Line::Store => Some(&place.store),
            Line::Office => self.office.as_ref(),
        };
        relay.expect("only what there is gets struck").hold_at(pieces, piece, LONGEST_WAIT).await
    }

    fn mend(&mut self, shared: &Shared) {
        for place in &mut self.places {
            place.mend(&self.field).into_iter().for_each(|complaint| shared.ledger().complain(complaint));
        }
    }

    /// Waits for something that has to come, with all workers in their places.
    async fn until(&mut self, what: &str, shared: &Shared, is_there: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !is_there().await {
            if began.elapsed() > PATIENCE {
                let under_way = shared.ledger().under_way();
                keep(&self.places.iter().map(Place::log).collect::<Vec<_>>());
                panic!("waited in vain for {what}; under way: {under_way:?}");
            }
            self.mend(shared);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Cuts the connection that is held, or all, if none is or if they are to stay away.
fn cut(relay: Option<&Relay>, hold: Option<Hold>, away: Duration) {
    if hold.is_none() || !away.is_zero() {
        relay.expect("only what there is gets struck").cut(away);
    }
}

async fn connected(url: &str) -> SharedQueue {
    connect(url, &QueueName::default()).await.unwrap_or_else(|e| panic!("{e}"))
}

/// Submits a job whenever few are under way, until it is over.
async fn submit(queue: SharedQueue, shared: Shared) {
    while !shared.is_over() {
        if shared.ledger().under_way().len() < IN_FLIGHT {
            submit_one(&queue, &shared).await;
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Submits one job, and again where it is not known whether it was stored: its key keeps it from being there twice.
async fn submit_one(queue: &SharedQueue, shared: &Shared) {
    let job = JobId::new(uuid::Uuid::new_v4());
    shared.ledger().open(job);
    let task = Field::task(job);
    let (body, priority) = (task.to_message(), task.priority);
    let message = NewMessage { body, priority, delay: Duration::ZERO, dedupe_key: Some(job.to_string()) };
    let mut first = true;
    loop {
        match queue.publish(&Field::lanes()[0], &message).await {
            Ok(Published::Duplicate) if first => {
                return shared.ledger().complain(format!("job {job} is new, and was taken for a duplicate"));
            }
            Ok(_) => return,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
        first = false;
    }
}

/// Takes all events in, for ever.
async fn follow(queue: SharedQueue, shared: Shared) {
    let mut cursor = Cursor::default();
    loop {
        match queue.events(&cursor, Duration::from_secs(1)).await {
            Ok(events) => {
                cursor = events.next;
                for body in events.bodies {
                    shared.ledger().take(&serde_json::from_slice(&body).expect("an event"));
                }
            }
            // The server is away.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn lanes_are_empty(queue: &SharedQueue) -> bool {
    for lane in Field::lanes() {
        match queue.depth(&lane).await {
            Ok(depth) if depth.ready + depth.delayed + depth.leased.unwrap_or(0) == 0 => {}
            _ => return false,
        }
    }
    true
}

async fn dead_letters(queue: &SharedQueue) -> Vec<DeadLetter> {
    let mut all = Vec::new();
    for lane in Field::lanes() {
        all.extend(queue.dead_letters(&lane, 10_000).await.expect("the queue answers"));
    }
    all
}

/// Keeps the workers' logs, if a folder is named for them.
fn keep(logs: &[String]) {
    let Some(folder) = std::env::var_os("REELMILL_KILL_LOGS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for logs");
    for (number, log) in logs.iter().enumerate() {
        std::fs::write(folder.join(format!("worker-{number}.log")), log).expect("a log is written");
    }
}
