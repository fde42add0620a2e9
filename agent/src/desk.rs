//! The agent's desk: what it knows of its node now and knew in the last minutes, for everybody who tells of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reelmill_api::snapshot::Snapshot;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use crate::standing::Standing;

/// So far back the page's curves go.
const SPAN: Duration = Duration::from_secs(5 * 60);

/// One look at the node, and what follows from it.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// How the node stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// The figures that curves are made of.
    pub point: Point,
    /// All that is known.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

/// What curves are made of, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point([Option<f64>; Point::COLUMNS.len()]);

/// The desk.
#[derive(Debug)]
pub struct Desk {
    newest: watch::Sender<Arc<Sample>>,
    points: Mutex<VecDeque<Point>>,
    most: usize,
}

impl Desk {
    /// A desk with a first look on it; the next ones come every `interval`.
    pub fn new(first: Snapshot, interval: Duration) -> Self {
        let most = SPAN.as_secs() / interval.as_secs().max(1);
        let sample = Sample::new(first, Duration::ZERO);
        let points = Mutex::new(VecDeque::from([sample.point]));
        let most = usize::try_from(most).unwrap_or(1).max(1);
        Self { newest: watch::Sender::new(Arc::new(sample)), points, most }
    }

    /// Puts a look on the desk that was taken `at` this time since the agent's start.
    pub fn publish(&self, snapshot: Snapshot, at: Duration) {
        let sample = Sample::new(snapshot, at);
        {
            let mut points = self.points();
            while points.len() >= self.most {
                points.pop_front();
            }
            points.push_back(sample.point);
        }
        self.newest.send_replace(Arc::new(sample));
    }

    /// The newest look.
    pub fn newest(&self) -> Arc<Sample> {
        self.newest.borrow().clone()
    }

    /// Tells of each look from now on; one that comes late sees only the newest.
    pub fn watch(&self) -> watch::Receiver<Arc<Sample>> {
        self.newest.subscribe()
    }

    /// The last minutes, oldest first.
    pub fn history(&self) -> Vec<Point> {
        self.points().iter().copied().collect()
    }

    fn points(&self) -> MutexGuard<'_, VecDeque<Point>> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    fn new(snapshot: Snapshot, at: Duration) -> Self {
        Self { standing: Standing::of(&snapshot), point: Point::of(&snapshot, at), snapshot }
    }
}

impl Point {
    /// What its figures are: seconds since the agent's start, then percents, degrees, watts and frames per second. Of
    /// several GPUs, engines or disks, the busiest or fullest.
    pub const COLUMNS: [&str; 9] =
        ["seconds", "cpu", "memory", "gpu", "encoder", "decoder", "celsius", "watts", "disk"];

    /// The figures, in the order of [`Point::COLUMNS`].
    pub fn figures(&self) -> &[Option<f64>] {
        &self.0
    }

    /// The figures of a look.
    pub fn of(snapshot: &Snapshot, at: Duration) -> Self {
        let gpus = |of: fn(&reelmill_api::snapshot::Gpu) -> Option<f64>| most(snapshot.gpus.iter().filter_map(of));
        let memory = snapshot.memory.and_then(|m| percent(m.used_bytes, m.total_bytes));
        let disks = snapshot.disks.iter().filter(|disk| !disk.read_only);
        Self([
            figure(Some(at.as_secs_f64())),
            figure(snapshot.cpu.utilisation_percent),
            figure(memory),
            figure(gpus(|gpu| gpu.utilisation_percent)),
            figure(most(gpus(|gpu| gpu.encoder_percent).into_iter().chain(engine(snapshot, "nvenc")))),
            figure(most(gpus(|gpu| gpu.decoder_percent).into_iter().chain(engine(snapshot, "nvdec")))),
            figure(snapshot.hottest().map(|(_, celsius)| celsius)),
            figure(watts(snapshot)),
            figure(most(disks.filter_map(|d| percent(d.total_bytes.saturating_sub(d.available_bytes), d.total_bytes)))),
        ])
    }
}

/// Each figure by its name.
impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Self::COLUMNS.iter().zip(&self.0))
    }
}

/// With one digit: more is noise, and every page would carry it.
fn figure(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(|value| (value * 10.0).round() / 10.0)
}

fn most(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "a part of a hundred")]
fn percent(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64 * 100.0)
}

/// How busy a Jetson's engines of a kind are; those without power are not.
fn engine(snapshot: &Snapshot, kind: &str) -> Option<f64> {
    let engines = snapshot.engines.iter().filter(|engine| engine.name.starts_with(kind));
    most(engines.filter_map(|engine| if engine.on { engine.percent } else { Some(0.0) }))
}

/// What the board draws, or where it has no meter, its GPUs.
#[expect(clippy::cast_precision_loss, reason = "milliwatts of a machine")]
fn watts(snapshot: &Snapshot) -> Option<f64> {
    let gpus = snapshot.gpus.iter().filter_map(|gpu| gpu.power_milliwatts).reduce(|a, b| a.saturating_add(b));
    snapshot.board_milliwatts().or(gpus).map(|milliwatts| milliwatts as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use reelmill_api::snapshot::{Broker, Cpu, Disk, Engine, Farm, Gpu, JournalError, Memory, Rail, Temperature};

    use super::*;
    use crate::standing::State;

    fn busy(percent: f64) -> Snapshot {
        Snapshot { cpu: Cpu { utilisation_percent: Some(percent), ..Cpu::default() }, ..Snapshot::default() }
    }

    #[test]
    fn keeps_five_minutes_and_forgets_the_oldest() {
        let desk = Desk::new(busy(0.0), Duration::from_secs(60));
        for minute in 1..=7 {
            desk.publish(busy(f64::from(minute)), Duration::from_secs(60) * minute);
        }
        let seen: Vec<_> = desk.history().iter().map(|Point(figures)| (figures[0], figures[1])).collect();
        let want = [3.0, 4.0, 5.0, 6.0, 7.0_f64].map(|minute| (Some(minute * 60.0), Some(minute)));
        assert_eq!(seen, want);
        assert_eq!(desk.newest().snapshot, busy(7.0));
    }

    #[test]
    fn each_look_is_told_as_it_is_and_judged() {
        let desk = Desk::new(busy(0.0), Duration::from_secs(1));
        let mut watch = desk.watch();
        assert!(!watch.has_changed().expect("the desk is there"));
        let farm = Farm { broker: Some(Broker::default()), ..Farm::default() };
        let error = |n: u32| JournalError { message: n.to_string(), ..JournalError::default() };
        let told = Snapshot { farm: Some(farm), journal: Some((0..10).map(error).collect()), ..busy(1.0) };
        desk.publish(told.clone(), Duration::from_secs(1));
        let sample = watch.borrow_and_update().clone();
        assert_eq!(sample.standing.state, State::BrokerLost);
        assert_eq!(sample.snapshot, told);
    }

    fn figures(snapshot: &Snapshot) -> String {
        serde_json::to_string(Point::of(snapshot, Duration::from_millis(1500)).figures()).expect("figures")
    }

    #[test]
    fn a_curve_shows_the_busiest_of_several_and_nothing_for_what_is_absent() {
        assert_eq!(figures(&Snapshot::default()), "[1.5,null,null,null,null,null,null,null,null]");
        let engine = |name: &str, on, percent| Engine { name: name.to_owned(), on, percent, mhz: None };
        let jetson = Snapshot {
            memory: Some(Memory { total_bytes: 8, used_bytes: 3, ..Memory::default() }),
            gpus: vec![Gpu { utilisation_percent: Some(f64::NAN), ..Gpu::default() }],
            engines: vec![
                engine("nvenc0", true, Some(79.0)),
                engine("nvenc1", false, None),
                engine("nvdec0", false, None),
            ],
            temperatures: vec![Temperature { name: "tj".to_owned(), celsius: 52.562, ..Temperature::default() }],
            rails: vec![Rail { name: "VDD_IN".to_owned(), milliwatts: Some(12_673), ..Rail::default() }],
            disks: vec![Disk { total_bytes: 10, available_bytes: 9, ..Disk::default() }],
            ..busy(31.26)
        };
        assert_eq!(figures(&jetson), "[1.5,31.3,37.5,null,79.0,0.0,52.6,12.7,10.0]");
        let gpu =
            |encoder, power| Gpu { encoder_percent: Some(encoder), power_milliwatts: Some(power), ..Gpu::default() };
        let server = Snapshot { gpus: vec![gpu(10.0, 30_000), gpu(90.0, 42_000)], ..Snapshot::default() };
        assert_eq!(figures(&server), "[1.5,null,null,null,90.0,null,null,72.0,null]");
    }

    #[test]
    fn a_point_names_its_figures() {
        let point = serde_json::to_string(&Point::of(&busy(31.26), Duration::from_millis(1533))).expect("figures");
        assert_eq!(
            point,
            r#"{"seconds":1.5,"cpu":31.3,"memory":null,"gpu":null,"encoder":null,"decoder":null,"celsius":null,"watts":null,"disk":null}"#
        );
    }
}
