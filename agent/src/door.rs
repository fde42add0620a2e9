//! The agent's door for root on this node: how its line to the broker stands, and a new one for whoever asks. The guard comes
//! here after a change of the system: the page may have a password, and it changes nothing.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::broker::Line;

/// Its place in the agent's runtime folder.
const NAME: &str = "door";
/// A question has so long, and so has an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when no connection can be taken because files have run out.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer questions and answers are none.
const LONGEST: u64 = 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// How the line stands.
    Look,
    /// The same, and that the agent leaves its connection for a new one.
    ConnectAnew,
}

/// How the line stood when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The agent's process: another one counts its connections from its own start.
    pub agent: u32,
    /// Whether there is a connection.
    pub connected: bool,
    /// How many connections have stood.
    pub connections: u64,
}

impl Told {
    /// Whether there is a connection that was begun after `before` was told.
    pub fn is_newer_than(&self, before: &Self) -> bool {
        self.connected && (self.agent != before.agent || self.connections > before.connections)
    }
}

/// Opens the door in the agent's runtime folder: to its own user and to root.
///
/// # Errors
/// If the folder refuses.
pub fn open(folder: &Path) -> io::Result<UnixListener> {
    let path = path(folder);
    // An agent that has ended left its own behind.
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Where it is in that folder.
pub fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Answers one after the other, for ever.
pub async fn serve(listener: UnixListener, line: watch::Receiver<Line>, anew: Arc<Notify>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match timeout(PATIENCE, answer(stream, &line, &anew)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => log::debug!("a question at the door was not answered: {e}"),
                Err(_) => log::debug!("a question at the door did not come to its end"),
            },
            Err(e) => {
                log::debug!("cannot take a connection at the door: {e}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, line: &watch::Receiver<Line>, anew: &Notify) -> io::Result<()> {
    let mut asked = Vec::new();
    (&mut stream).take(LONGEST).read_to_end(&mut asked).await?;
    let question: Question = serde_json::from_slice(&asked)?;
    let told = {
        let line = line.borrow();
        Told { agent: std::process::id(), connected: line.connected, connections: line.connections }
    };
    if question == Question::ConnectAnew {
        log::info!("somebody at the door wants a new connection to the broker");
        anew.notify_one();
    }
    stream.write_all(&serde_json::to_vec(&told)?).await
}

/// Asks at the door of the agent on this node.
///
/// # Errors
/// If nobody answers there in time, or with something else.
pub async fn ask(door: &Path, question: Question) -> io::Result<Told> {
    let exchange = async {
        let mut stream = UnixStream::connect(door).await?;
        stream.write_all(&serde_json::to_vec(&question)?).await?;
        stream.shutdown().await?;
        let mut told = Vec::new();
        stream.take(LONGEST).read_to_end(&mut told).await?;
        Ok(serde_json::from_slice(&told)?)
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Served {
        folder: tempfile::TempDir,
        line: watch::Sender<Line>,
        anew: Arc<Notify>,
    }

    impl Served {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let (line, seen) = watch::channel(Line::default());
            let anew = Arc::new(Notify::new());
            tokio::spawn(serve(open(folder.path()).expect("a door"), seen, anew.clone()));
            Self { folder, line, anew }
        }

        async fn ask(&self, question: Question) -> Told {
            ask(&path(self.folder.path()), question).await.expect("an answer")
        }

        /// Whether a new connection was asked for since this was asked last.
        async fn wants_anew(&self) -> bool {
            timeout(Duration::ZERO, self.anew.notified()).await.is_ok()
        }
    }

    #[tokio::test]
    async fn who_asks_is_told_of_the_line_and_has_it_made_anew() {
        let served = Served::new();
        let told = |connected, connections| Told { agent: std::process::id(), connected, connections };
        assert_eq!(served.ask(Question::Look).await, told(false, 0));
        served.line.send_modify(|line| (line.connected, line.connections) = (true, 3));
        assert_eq!(served.ask(Question::Look).await, told(true, 3));
        assert!(!served.wants_anew().await, "it was only looked");
        assert_eq!(served.ask(Question::ConnectAnew).await, told(true, 3));
        assert!(served.wants_anew().await);
    }

    #[tokio::test]
    async fn only_its_owner_and_root_find_it_open_and_what_an_agent_left_is_no_hindrance() {
        let served = Served::new();
        let door = path(served.folder.path());
        assert_eq!(door.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
        let again = open(served.folder.path()).expect("over the one that is there");
        drop(again);
        let gone = ask(&door, Question::Look).await.expect_err("nobody listens");
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn nonsense_is_not_answered_and_keeps_nobody_out() {
        let served = Served::new();
        for nonsense in [&b""[..], b"reboot", b"\"reboot\"", &[0xff; 4096]] {
            let mut stream = UnixStream::connect(path(served.folder.path())).await.expect("it is open");
            // It may be hung up on before all of it is said.
            let _ = stream.write_all(nonsense).await;
            let _ = stream.shutdown().await;
            let mut told = Vec::new();
            let _ = stream.read_to_end(&mut told).await;
            assert!(told.is_empty(), "{told:?}");
        }
        assert!(!served.wants_anew().await);
        assert_eq!(served.ask(Question::Look).await.connections, 0);
    }

    #[test]
    fn a_connection_is_new_by_its_number_or_by_another_agent() {
        let told = |agent, connected, connections| Told { agent, connected, connections };
        let before = told(7, true, 3);
        assert!(!before.is_newer_than(&before));
        assert!(told(7, true, 4).is_newer_than(&before));
        assert!(!told(7, false, 4).is_newer_than(&before), "it is gone again");
        assert!(told(8, true, 1).is_newer_than(&before));
        assert!(!told(8, false, 0).is_newer_than(&before));
    }
}
