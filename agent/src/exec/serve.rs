//! The helper's socket: who may ask, one question a connection, and the end when nobody asks.

use std::{io, os::unix::fs::MetadataExt as _, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    helper::Helper,
    wire::{Answer, MAX_REQUEST, Request},
};
use crate::{
    deeds::{Outcome, Told, Undone},
    ledger::LedgerError,
};

/// A question is one line, which its asker has at hand.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// An agent asks one thing at a time; more connections than this are somebody keeping the helper busy.
const MOST_CONNECTIONS: usize = 16;

/// Answers until nobody has asked for `idle`, until `stop`, or until nothing can be written down any more. What is being
/// done is done to its end, except what can be stopped without harm.
///
/// # Errors
/// If the ledger or the socket fails.
pub async fn serve(
    listener: UnixListener,
    helper: Helper,
    idle: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let door = Door { owner: owner(&listener)?, helper: Arc::new(Mutex::new(helper)), stop: stop.clone() };
    let mut open: JoinSet<Result<(), LedgerError>> = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => ended??,
            connection = listener.accept() => {
                let (stream, _) = connection?;
                if open.len() < MOST_CONNECTIONS {
                    open.spawn(door.clone().attend(stream));
                }
            }
            () = sleep(idle), if open.is_empty() => break,
        }
    }
    while let Some(ended) = open.join_next().await {
        ended??;
    }
    Ok(())
}

/// Whose socket it is: systemd gave it to the agent's user.
fn owner(listener: &UnixListener) -> io::Result<u32> {
    let address = listener.local_addr()?;
    let path = address.as_pathname().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(path.metadata()?.uid())
}

/// What each connection needs.
#[derive(Clone)]
struct Door {
    owner: u32,
    helper: Arc<Mutex<Helper>>,
    stop: CancellationToken,
}

impl Door {
    async fn attend(self, stream: UnixStream) -> Result<(), LedgerError> {
        let peer = stream.peer_cred();
        let (input, mut output) = stream.into_split();
        let mut input = BufReader::new(input);
        let request = match peer {
            Ok(peer) if [0, self.owner].contains(&peer.uid()) => read(&mut input).await,
            Ok(peer) => {
                log::warn!("user {} asked, process {:?}, and may not", peer.uid(), peer.pid());
                Err(Undone::for_good("refused", "only the agent's user may ask the root helper"))
            }
            Err(e) => Err(Undone::for_now("refused", format!("the kernel does not say who asks: {e}"))),
        };
        let outcome = match request {
            Ok(request) => self.work(&request, &mut input, &mut output).await,
            Err(undone) => Ok(Err(undone)),
        };
        let answer = match &outcome {
            Ok(Ok(result)) => Answer::Done(result.clone()),
            Ok(Err(undone)) => Answer::Undone(undone.clone()),
            Err(e) => Answer::Undone(Undone::for_now("no_ledger", reelmill_daemon::report::render(e))),
        };
        write(&mut output, &answer).await;
        outcome.map(drop)
    }

    /// Has it done, tells how far it is, and stops it, where that does no harm, when nobody listens any more.
    async fn work(
        &self,
        request: &Request,
        input: &mut BufReader<OwnedReadHalf>,
        output: &mut OwnedWriteHalf,
    ) -> Result<Outcome, LedgerError> {
        let stop = self.stop.child_token();
        let (tell, mut told) = mpsc::channel(8);
        // Who listens too slowly hears less.
        let tell: Told = Arc::new(move |percent| {
            let _ = tell.try_send(percent);
        });
        let work = async {
            let mut helper = self.helper.lock().await;
            if stop.is_cancelled() {
                return Ok(Err(Undone::for_now("stopped", "it was called off before it began")));
            }
            helper.answer(request, &tell, &stop).await
        };
        tokio::pin!(work);
        let mut more = [0; 64];
        loop {
            tokio::select! {
                biased;
                Some(percent) = told.recv() => write(output, &Answer::Told(percent)).await,
                outcome = &mut work => return outcome,
                // More than the question is nothing to us; the end of it is.
                heard = input.read(&mut more), if !stop.is_cancelled() => if !matches!(heard, Ok(1..)) { stop.cancel() },
            }
        }
    }
}

async fn read(input: &mut BufReader<OwnedReadHalf>) -> Result<Request, Undone> {
    let mut line = Vec::new();
    let reading = async { input.take(MAX_REQUEST as u64).read_until(b'\n', &mut line).await };
    let malformed = |why: String| Err(Undone::for_good("malformed", why));
    match timeout(READ_LIMIT, reading).await {
        Err(_) => return Err(Undone::for_now("too_slow", "the question did not come to its end")),
        Ok(Err(e)) => return malformed(format!("the question cannot be read: {e}")),
        Ok(Ok(_)) => {}
    }
    if line.last() != Some(&b'\n') {
        return malformed(format!("the question is no line of at most {MAX_REQUEST} bytes"));
    }
    serde_json::from_slice(&line).or_else(|e| malformed(format!("the question: {e}")))
}

/// Answers somebody who may have gone.
async fn write(output: &mut OwnedWriteHalf, answer: &Answer) {
    let mut line = serde_json::to_vec(answer).expect("an answer holds only texts and numbers");
    line.push(b'\n');
    let _ = output.write_all(&line).await;
}
