//! Metrics of nodes that are not here, served as they were recorded; a test changes them as it likes.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

type Texts = Arc<Mutex<BTreeMap<String, String>>>;

/// A server of texts by their path, on loopback, until the test's end.
pub(crate) struct Recorded {
    /// Where.
    pub(crate) at: SocketAddr,
    texts: Texts,
}

impl Recorded {
    pub(crate) fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let texts = Texts::default();
        let shared = texts.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who asks may go away.
                let _ = answer(stream, &shared);
            }
        });
        Self { at, texts }
    }

    /// Serves this at a path from now on.
    pub(crate) fn put(&self, path: &str, text: &str) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), text.to_owned());
    }

    /// Serves nothing there any more.
    pub(crate) fn remove(&self, path: &str) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

fn answer(mut stream: TcpStream, texts: &Texts) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut line) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let text = texts.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
    let (status, text) = text.map_or(("404 Not Found", String::new()), |text| ("200 OK", text));
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{text}", text.len())
}
