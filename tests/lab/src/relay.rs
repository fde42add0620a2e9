//! A relay before a server. It passes everything on, and can be told to hold a connection at an exact point, to cut it there
//! or at the next answer, to let nobody through for a while, and to be slow.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout},
};

/// A listener on loopback that passes connections on; all of them are cut when it is dropped.
pub struct Relay {
    /// Its own port.
    pub port: u16,
    orders: Arc<Orders>,
    cut: watch::Sender<()>,
    accepting: AbortHandle,
}

/// Whether the piece at which a connection is held still arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It does: what follows is lost, such as the answer to a request.
    Passed,
    /// It is lost.
    Lost,
}

/// A connection that stands still; it is cut when this is dropped.
pub struct Hold {
    _until_dropped: oneshot::Sender<()>,
}

/// What to do at which piece.
struct Order {
    pieces: usize,
    piece: Piece,
    met: oneshot::Sender<Hold>,
}

#[derive(Default)]
struct Orders {
    order: Mutex<Option<Order>>,
    away_until: Mutex<Option<Instant>>,
    late_by: Mutex<Duration>,
    cut_answer: AtomicBool,
    cut_answers: AtomicUsize,
    connections: AtomicUsize,
}

/// Whose pieces are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Relay {
    /// A relay before the server on that port of loopback.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let orders = Arc::new(Orders::default());
        let cut = watch::Sender::new(());
        let accepting = tokio::spawn(accept(listener, server, orders.clone(), cut.subscribe())).abort_handle();
        Self { port, orders, cut, accepting }
    }

    /// Waits until so many more pieces have come by, from either side on any connection, and holds the connection of the
    /// last of them; `None` if they do not come in time.
    pub async fn hold_at(&self, pieces: usize, piece: Piece, longest: Duration) -> Option<Hold> {
        let (met, held) = oneshot::channel();
        *lock(&self.orders.order) = Some(Order { pieces: pieces.max(1), piece, met });
        let held = timeout(longest, held).await;
        *lock(&self.orders.order) = None;
        held.ok()?.ok()
    }

    /// Cuts all connections, and every new one for so long.
    pub fn cut(&self, away: Duration) {
        *lock(&self.orders.away_until) = Some(Instant::now() + away);
        self.cut.send_replace(());
    }

    /// Lets each piece of the server's answers wait for so long from now on.
    pub fn delay_answers(&self, late_by: Duration) {
        *lock(&self.orders.late_by) = late_by;
    }

    /// Cuts the connection on which the server answers next; its answer is lost.
    pub fn cut_next_answer(&self) {
        self.orders.cut_answer.store(true, Ordering::SeqCst);
    }

    /// How many answers were lost so.
    pub fn cut_answers(&self) -> usize {
        self.orders.cut_answers.load(Ordering::SeqCst)
    }

    /// How many connections there were: as many as requests, where the server hangs up after each.
    pub fn connections(&self) -> usize {
        self.orders.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Orders {
    /// The order for the piece that has come, if it is its turn.
    fn due(&self) -> Option<Order> {
        let mut waiting = lock(&self.order);
        let order = waiting.as_mut()?;
        order.pieces -= 1;
        if order.pieces == 0 { waiting.take() } else { None }
    }

    /// Whether a piece is an answer that is to be lost.
    fn is_cut(&self, from: Side) -> bool {
        let is_cut = from == Side::Server && self.cut_answer.swap(false, Ordering::SeqCst);
        self.cut_answers.fetch_add(usize::from(is_cut), Ordering::SeqCst);
        is_cut
    }

    /// Waits for as long as a piece is to be late.
    async fn delay(&self, from: Side) {
        let late_by = *lock(&self.late_by);
        if from == Side::Server && !late_by.is_zero() {
            tokio::time::sleep(late_by).await;
        }
    }

    fn is_away(&self) -> bool {
        lock(&self.away_until).is_some_and(|until| Instant::now() < until)
    }
}

async fn accept(listener: TcpListener, server: u16, orders: Arc<Orders>, cut: watch::Receiver<()>) {
    // Dropping the set with this task cuts all connections.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        orders.connections.fetch_add(1, Ordering::SeqCst);
        if orders.is_away() {
            continue;
        }
        let (orders, mut cut) = (orders.clone(), cut.clone());
        cut.mark_unchanged();
        connections.spawn(async move {
            tokio::select! {
                // An end of either side ends both.
                _ = relay(client, server, &orders) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn relay(client: TcpStream, server: u16, orders: &Orders) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        ended = pass(Side::Client, &mut from_client, &mut to_server, orders) => ended,
        ended = pass(Side::Server, &mut from_server, &mut to_client, orders) => ended,
    }
}

/// Passes pieces on until the end, or until one is met at which the connection is held.
async fn pass(
    side: Side,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    orders: &Orders,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 || orders.is_cut(side) {
            return Ok(());
        }
        orders.delay(side).await;
        let order = orders.due();
        if order.as_ref().is_none_or(|order| order.piece == Piece::Passed) {
            to.write_all(&piece[..length]).await?;
        }
        if let Some(order) = order {
            let (hold, dropped) = oneshot::channel();
            if order.met.send(Hold { _until_dropped: hold }).is_ok() {
                let _ = dropped.await;
            }
            return Ok(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
