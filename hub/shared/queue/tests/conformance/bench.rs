//! What the tests stand on: a queue of each kind in a folder of its own, a real Redis server, and waiting for conditions.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use reelmill_api::{Lane, Priority, QueueName};
use reelmill_queue::{Leased, NewMessage, QueueError, SharedQueue, connect, sqlite_url};
use tempfile::TempDir;

/// A lease that does not end while a test runs.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// A lease that ends while a test waits for it.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
/// How long a test waits for what must come; only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A queue of some kind, alone in the world.
pub(crate) struct Bench {
    pub(crate) queue: SharedQueue,
    pub(crate) url: String,
    pub(crate) server: Option<RedisServer>,
    pub(crate) _folder: TempDir,
}

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = sqlite_url(&folder.path().join("queue.sqlite"));
        let queue = connect(&url, &QueueName::default()).await.expect("a new file can be opened");
        Self { queue, url, server: None, _folder: folder }
    }

    pub(crate) async fn redis() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = RedisServer::start(folder.path(), &[]).await;
        let url = server.url();
        let queue = connect(&url, &QueueName::default()).await.expect("the server answers");
        Self { queue, url, server: Some(server), _folder: folder }
    }

    /// Another connection to the same queue.
    pub(crate) async fn another(&self) -> SharedQueue {
        connect(&self.url, &QueueName::default()).await.expect("the queue can be opened twice")
    }

    pub(crate) fn server(&self) -> &RedisServer {
        self.server.as_ref().expect("this bench has a Redis server")
    }

    pub(crate) async fn publish(&self, lane: &Lane, body: &str) {
        self.queue.publish(lane, &message(body)).await.expect("the message is stored");
    }

    /// Leases what must be or come there.
    pub(crate) async fn lease(&self, lane: &Lane, lasting: Duration) -> Leased {
        let leased = self.queue.lease(std::slice::from_ref(lane), lasting, PATIENCE).await.expect("the queue answers");
        leased.expect("a message comes in time")
    }

    /// What can be leased at once.
    pub(crate) async fn lease_now(&self, lane: &Lane) -> Option<Leased> {
        self.queue.lease(std::slice::from_ref(lane), LONG, Duration::ZERO).await.expect("the queue answers")
    }
}

pub(crate) fn farm(name: &str) -> QueueName {
    QueueName::try_from(name.to_owned()).expect("a queue's name")
}

pub(crate) fn lane(name: &str) -> Lane {
    farm(name).intake()
}

pub(crate) fn message(body: impl AsRef<[u8]>) -> NewMessage {
    NewMessage { body: body.as_ref().to_vec(), priority: Priority::Normal, delay: Duration::ZERO, dedupe_key: None }
}

pub(crate) fn text(leased: &Leased) -> &str {
    std::str::from_utf8(&leased.body).expect("the test published text")
}

pub(crate) fn is_lost<T>(result: Result<T, QueueError>) -> bool {
    matches!(result, Err(QueueError::LeaseLost { .. }))
}

/// Waits until `condition` answers something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} did not come to pass"))
}

/// A Redis server on a free port of loopback; it dies with this value.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
    args: Vec<String>,
}

impl RedisServer {
    /// Starts a server that keeps its files in `folder`. Without `args` it keeps nothing on disk.
    pub(crate) async fn start(folder: &Path, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        for _ in 0..5 {
            let port = free_port();
            let mut server =
                Self { child: spawn(folder, port, &args), port, folder: folder.to_owned(), args: args.clone() };
            // Somebody else may have taken the port meanwhile; then the server ends at once.
            if server.comes_up().await {
                return server;
            }
        }
        panic!("redis-server did not start on any of five ports");
    }

    async fn comes_up(&mut self) -> bool {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Kills the server as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server has ended");
    }

    /// Starts it again on the same port and files.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port, &self.args);
        assert!(self.comes_up().await, "redis-server did not start again on port {}", self.port);
    }

    /// Sends the server's process a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.expect("`kill` runs").success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Runs `redis-cli` with `input` on its standard input and gives what it prints.
    pub(crate) fn cli(&self, args: &[&str], input: Option<&[u8]>) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(args);
        let output = run(command, input);
        assert!(output.status.success(), "redis-cli {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("redis-cli prints text")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16, args: &[String]) -> Child {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--dir"]).arg(folder).args(["--save", "", "--port"]).arg(port).args(args);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.unwrap_or_else(|e| panic!("cannot start redis-server: {e}\nhint: apt-get install redis-server"))
}

fn run(mut command: Command, input: Option<&[u8]>) -> Output {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("cannot start redis-cli: {e}\nhint: apt-get install redis-tools"));
    if let Some(input) = input {
        let mut stdin = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut stdin, input).expect("redis-cli reads");
    }
    child.wait_with_output().expect("redis-cli ends")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
