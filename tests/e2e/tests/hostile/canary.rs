//! What a hostile source must never touch: a host, a file and a socket that notice any touch.

use std::{
    io::{ErrorKind, Read as _},
    mem::MaybeUninit,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use reelmill_lab::media;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tempfile::TempDir;

/// Text that is in the canary's files and nowhere else.
pub(crate) const SECRET: &str = "canary-5d1c9e0b";

/// A host, files and a socket that notice any touch.
pub(crate) struct Canary {
    /// Where the host listens, for TCP and UDP.
    pub(crate) port: u16,
    folder: TempDir,
    callers: Callers,
    udp: UdpSocket,
    unix: UnixListener,
    watch: OwnedFd,
    host: Option<JoinHandle<()>>,
}

/// Who called, and the first bytes of what they said.
type Callers = Arc<Mutex<Vec<(SocketAddr, String)>>>;

impl Canary {
    /// A canary with files that a media program could play.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let words = "-f lavfi -i testsrc2=size=96x64:rate=10 -t 1 -c:v libx264 -preset ultrafast";
        media::make(folder.path(), &format!("{words} -metadata title={SECRET} canary.ts"));
        media::make(folder.path(), &format!("{words} -metadata title={SECRET} canary.mov"));
        std::fs::write(folder.path().join("canary.txt"), SECRET).expect("a file");
        let nested = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{SECRET}.ts\n#EXT-X-ENDLIST\n");
        std::fs::write(folder.path().join("canary.m3u8"), nested).expect("a file");
        let (tcp, udp) = host();
        let unix = UnixListener::bind(folder.path().join("canary.sock")).expect("a socket");
        udp.set_nonblocking(true).and_then(|()| unix.set_nonblocking(true)).expect("sockets");
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify");
        for name in ["canary.ts", "canary.mov", "canary.txt", "canary.m3u8"] {
            inotify::add_watch(&watch, folder.path().join(name), WatchFlags::OPEN | WatchFlags::ACCESS).expect(name);
        }
        let (port, callers) = (tcp.local_addr().expect("it is bound").port(), Callers::default());
        let heard = callers.clone();
        let host = std::thread::spawn(move || listen(&tcp, &heard));
        Self { port, folder, callers, udp, unix, watch, host: Some(host) }
    }

    /// The folder of its files: `canary.ts`, `.mov`, `.txt`, `.m3u8` and `.sock`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What was touched since the last look.
    pub(crate) fn touched(&self) -> Vec<String> {
        let mut touched = self.called();
        let mut buffer = [0; 2048];
        while let Ok((bytes, _)) = self.udp.recv_from(&mut buffer) {
            touched.push(format!("a datagram of {bytes} bytes"));
        }
        while self.unix.accept().is_ok() {
            touched.push("the unix socket".to_owned());
        }
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.watch, &mut space);
        while let Ok(event) = reader.next() {
            let what = if event.events().contains(ReadFlags::OPEN) { "opened" } else { "read" };
            touched.push(format!("a file was {what}"));
        }
        touched.sort();
        touched.dedup();
        touched
    }

    /// Who called. Calls are heard in their order, so ours is heard after all that were made before it.
    fn called(&self) -> Vec<String> {
        let ours = TcpStream::connect(("127.0.0.1", self.port)).and_then(|s| s.local_addr()).expect("the host listens");
        let heard = || self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        reelmill_lab::programs::eventually("the canary host", || heard().iter().any(|(a, _)| *a == ours).then_some(()));
        let all = std::mem::take(&mut *heard());
        all.into_iter().filter(|(a, _)| *a != ours).map(|(_, said)| format!("the host was told {said:?}")).collect()
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // The word that ends its thread.
        let _ =
            TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut s| std::io::Write::write_all(&mut s, b"end"));
        self.host.take().map(JoinHandle::join);
    }
}

/// One free port for both protocols.
fn host() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        match UdpSocket::bind(tcp.local_addr().expect("it is bound")) {
            Ok(udp) => return (tcp, udp),
            Err(e) => assert_eq!(e.kind(), ErrorKind::AddrInUse, "{e}"),
        }
    }
}

fn listen(tcp: &TcpListener, callers: &Callers) {
    while let Ok((mut socket, from)) = tcp.accept() {
        let mut said = [0; 40];
        // Whoever says nothing is heard all the same.
        let _ = socket.set_read_timeout(Some(std::time::Duration::from_secs(2)));
        let bytes = socket.read(&mut said).unwrap_or(0);
        if &said[..bytes] == b"end" {
            return;
        }
        let said = String::from_utf8_lossy(&said[..bytes]).into_owned();
        callers.lock().unwrap_or_else(PoisonError::into_inner).push((from, said));
    }
}
