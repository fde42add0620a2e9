//! A relay before a server that can lose an answer: the request goes through, then the connection is cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

pub(crate) struct Cutter {
    port: u16,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    cut: AtomicBool,
    cuts: AtomicUsize,
    connections: AtomicUsize,
}

impl Cutter {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let orders = Arc::new(Orders::default());
        tokio::spawn({
            let orders = orders.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    orders.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(relay(client, server, orders.clone()));
                }
            }
        });
        Self { port, orders }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were: as many as requests, where the server hangs up after each.
    pub(crate) fn connections(&self) -> usize {
        self.orders.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn cut_next_answer(&self) {
        self.orders.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.orders.cuts.load(Ordering::SeqCst)
    }
}

async fn relay(client: TcpStream, server: u16, orders: Arc<Orders>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let answers = async {
        let mut answer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut answer).await {
            if orders.cut.swap(false, Ordering::SeqCst) {
                orders.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to_client.write_all(&answer[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = copy(&mut from_client, &mut to_server) => {}
    }
}
