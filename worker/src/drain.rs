//! A drain of the node: its worker finishes what it has in work and leases nothing more, for as long as that takes, until it is
//! told to go on or is stopped. SIGUSR1 begins it and SIGUSR2 ends it. It is noted in the folder that the workers of the node
//! share, where the others see it, and a worker that comes back after a crash.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::admission::Node;

/// How soon a worker sees what another one was told.
const LOOK: Duration = Duration::from_secs(1);

/// The signals that begin and end a drain.
#[derive(Debug)]
pub struct Signals {
    begin: Signal,
    end: Signal,
}

impl Signals {
    /// Catches them from now on. To be called within a runtime.
    ///
    /// # Errors
    /// If they cannot be caught.
    pub fn new() -> io::Result<Self> {
        Ok(Self { begin: signal(SignalKind::user_defined1())?, end: signal(SignalKind::user_defined2())? })
    }
}

/// Whether the node drains.
#[derive(Debug, Default)]
pub struct Drain {
    node: Node,
    /// There while it does; without a folder of the node's, only this process knows.
    mark: Option<PathBuf>,
    on: watch::Sender<bool>,
    /// This worker was told, and not another one.
    told: AtomicBool,
    /// Calls off live tasks, which have no end to wait for.
    live: Mutex<CancellationToken>,
}

impl Drain {
    /// That of this node. A worker that shall empty its lanes and end is none of it, and has [`Drain::default`].
    pub fn of(node: &Node) -> Self {
        let drain =
            Self { mark: node.folder().map(|folder| folder.join("drain")), node: node.clone(), ..Self::default() };
        drain.look();
        drain
    }

    /// Whether nothing is to be leased.
    pub fn is_on(&self) -> bool {
        self.look();
        *self.on.borrow()
    }

    /// Whether tasks are in work on the node, those of its other workers too, as far as they are counted.
    pub async fn is_node_busy(&self) -> bool {
        let busy = self.node.is_in_use().await;
        // What cannot be told must not be taken for idle.
        busy.inspect_err(|failure| log::error!("{}", failure.lines())).unwrap_or(true)
    }

    /// Returns once it is over; at once where it is.
    pub async fn ended(&self) {
        // The sender is here for as long as anybody waits.
        let _ = self.on.subscribe().wait_for(|on| !on).await;
    }

    /// What ends when live tasks are to be handed back.
    pub fn live(&self) -> CancellationToken {
        self.lock().clone()
    }

    /// Has live tasks handed back that run now.
    pub fn call_off_live(&self) {
        std::mem::take(&mut *self.lock()).cancel();
    }

    /// Does what the signals say, for ever; `tell` is told of each change.
    pub async fn follow(&self, signals: &mut Signals, tell: impl Fn(bool)) {
        let mut was = self.is_on();
        tell(was);
        loop {
            tokio::select! {
                _ = signals.begin.recv() => self.begin(),
                _ = signals.end.recv() => self.end(),
                () = tokio::time::sleep(LOOK) => {}
            }
            let is = self.is_on();
            if is != was {
                log::info!(
                    "{}",
                    if is { "draining: no more tasks are taken" } else { "the drain is over: taking tasks" }
                );
                if is {
                    self.call_off_live();
                }
                tell(is);
                was = is;
            }
        }
    }

    /// This worker ends as it was told to, and the next one takes tasks.
    pub fn over(&self) {
        if self.told.load(Ordering::Relaxed) {
            self.end();
        }
    }

    fn begin(&self) {
        self.told.store(true, Ordering::Relaxed);
        self.note(true, |mark| fs::write(mark, ""));
    }

    fn end(&self) {
        self.told.store(false, Ordering::Relaxed);
        self.note(false, |mark| match fs::remove_file(mark) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        });
    }

    fn note(&self, on: bool, write: impl FnOnce(&PathBuf) -> io::Result<()>) {
        match &self.mark {
            None => self.set(on),
            Some(mark) => match write(mark) {
                Ok(()) => self.set(on),
                Err(e) => log::error!(
                    "cannot note a drain in {}: {e}\nhint: [admission] folder (NODE_FOLDER) must be a folder that the \
                     node's workers alone may write to",
                    mark.display()
                ),
            },
        }
    }

    fn look(&self) {
        if let Some(mark) = &self.mark {
            self.set(mark.exists());
        }
    }

    fn set(&self, on: bool) {
        self.on.send_if_modified(|was| std::mem::replace(was, on) != on);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_of_a_node_see_it_and_one_that_comes_back_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::new(&folder.path().join("node"), Some(2), None).expect("our folder");
        let [told, other] = [(); 2].map(|()| Drain::of(&node));
        assert!(!told.is_on() && !other.is_on());
        told.begin();
        assert!(told.is_on() && other.is_on() && Drain::of(&node).is_on());
        other.over();
        assert!(told.is_on(), "who only saw it does not end it");
        told.over();
        assert!(!other.is_on() && !Drain::of(&node).is_on());
    }

    #[test]
    fn without_a_shared_folder_it_is_one_workers() {
        let [told, other] = [(); 2].map(|()| Drain::of(&Node::default()));
        let live = told.live();
        told.begin();
        assert!(told.is_on() && !other.is_on());
        told.call_off_live();
        assert!(live.is_cancelled() && !told.live().is_cancelled(), "those that begin later are not called off");
        told.end();
        assert!(!told.is_on());
    }

    #[tokio::test]
    async fn a_node_is_busy_while_one_of_its_workers_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::new(&folder.path().join("node"), Some(1), None).expect("our folder");
        let drain = Drain::of(&node);
        assert!(!drain.is_node_busy().await);
        let seats = crate::admission::Seats::new(1, node);
        let seat = seats.free().await.expect("a folder");
        assert!(drain.is_node_busy().await);
        drop(seat);
        assert!(!drain.is_node_busy().await);
    }
}
