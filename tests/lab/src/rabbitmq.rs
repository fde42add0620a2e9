//! A real RabbitMQ server on free ports with a folder, a node name and a port mapper of its own. It takes some ten seconds
//! to start, so tests that need nothing special of it share one: started by the first, stopped after the last.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use tempfile::TempDir;

use crate::programs::{Running, eventually, free_port, output};

/// What lets the tests' programs into the server's Erlang; it listens on loopback only.
const COOKIE: &str = "reelmill-lab";
/// Starts a server and its port mapper and stops both when nobody holds the lock `users` in the folder `$1` any more, then
/// removes its data, `$4`. If it has ended before, another one may be shared already: `$5` is this one's port.
const SUPERVISOR: &str = r#"
"$2" -port "$ERL_EPMD_PORT" -address 127.0.0.1 & mapper=$!
"$3" & server=$!
while sleep 5 && kill -0 $server; do
    exec 9>"$1/users"
    if flock -n -x 9; then break; fi
    exec 9>&-
done
case "$(cat "$1/address")" in "$5 "*) rm -f "$1/address";; esac
kill -9 $server $mapper
wait
rm -rf "$4"
"#;

/// Tells a server that was killed and has lost its streams where they are.
const REMEMBER: &str = r#"
Coordinator = rabbit_stream_coordinator,
#{data_dir := Folder, names := #{directory_rev := Names}} = ra_system:fetch(coordination),
case {dets:lookup(Names, Coordinator), filelib:wildcard("*/config", Folder)} of
    {[], [Config]} ->
        ok = dets:insert(Names, {Coordinator, list_to_binary(filename:dirname(Config))}),
        ok = dets:sync(Names),
        ok = ra:restart_server(coordination, {Coordinator, node()}),
        told;
    _ -> known
end."#;

/// Where one server lives.
#[derive(Clone, Debug)]
struct Site {
    folder: PathBuf,
    port: u16,
    distribution: u16,
    mapper: u16,
}

/// A server of one's own; stopped when dropped.
pub struct RabbitMq {
    /// Its port.
    pub port: u16,
    site: Site,
    running: Running,
    _mapper: Running,
    _data: TempDir,
}

impl RabbitMq {
    /// Starts a server with more lines for `rabbitmq.conf`, and Erlang terms for the application `rabbit`.
    pub fn start_with(lines: &str, terms: &str) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        // Somebody else may take a port before the server does; then it ends at once.
        let (site, running, mapper) = (0..3)
            .find_map(|_| {
                let site = Site::new(data.path());
                site.configure(lines, terms);
                let mut mapper = bound_to_us("epmd");
                mapper.args(["-port", &site.mapper.to_string(), "-address", "127.0.0.1"]);
                let mapper = start_for_good(mapper);
                Some((site.clone(), site.come_up()?, mapper))
            })
            .expect("rabbitmq-server starts on one of three ports");
        Self { port: site.port, site, running, _mapper: mapper, _data: data }
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts it again on the same port and files; whether it had lost the name of its streams, which it was told then.
    pub fn start_again(&mut self) -> bool {
        self.running = self.site.come_up().expect("rabbitmq-server starts again on its ports");
        let had_lost = self.evaluate(REMEMBER) == "told";
        if had_lost {
            eprintln!("rabbitmq-server has lost its streams (Erlang/OTP issue 8513), and was told where they are");
        }
        had_lost
    }

    /// Lets it hang: it keeps its connections and answers nobody.
    pub fn pause(&self) {
        self.running.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running.signal(Signal::CONT);
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Has the server evaluate an Erlang expression; what it says.
    pub fn evaluate(&self, expression: &str) -> String {
        self.site.evaluate(expression)
    }
}

/// A virtual host of the shared server that nobody else uses; deleted when dropped.
pub struct VirtualHost {
    site: Site,
    name: String,
    /// Held as long as the server is used.
    _user: File,
}

impl VirtualHost {
    /// Makes one; starts the server if need be.
    pub fn new() -> Self {
        let (site, user) = shared();
        let name = format!("lab-{}-{}", std::process::id(), free_port());
        site.evaluate(&format!(
            "ok = rabbit_vhost:add(<<\"{name}\">>, <<\"lab\">>), ok = rabbit_auth_backend_internal:set_permissions(\
             <<\"guest\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"lab\">>)."
        ));
        Self { site, name, _user: user }
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}/{}", self.site.port, self.name)
    }

    /// Has the server evaluate an Erlang expression; what it says.
    pub fn evaluate(&self, expression: &str) -> String {
        self.site.evaluate(expression)
    }
}

impl Default for VirtualHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        let name = &self.name;
        let said = self.site.try_to_evaluate(&format!("ok = rabbit_vhost:delete(<<\"{name}\">>, <<\"lab\">>)."));
        if let Err(said) = said {
            eprintln!("virtual host {name} stays until the server is stopped: {said}");
        }
    }
}

/// The server that tests share, and the lock that keeps it alive.
fn shared() -> (Site, File) {
    let folder = std::env::temp_dir().join(format!("reelmill-lab-rabbitmq-{}", rustix::process::getuid().as_raw()));
    let _ = fs::DirBuilder::new().mode(0o700).create(&folder);
    let open = |name: &str| File::create(folder.join(name)).expect("a lock of ours");
    let user = open("users");
    flock(&user, FlockOperation::LockShared).expect("the lock can be had");
    let starting = open("starting");
    flock(&starting, FlockOperation::LockExclusive).expect("the lock can be had");
    let site = Site::read(&folder).unwrap_or_else(|| {
        let site = Site::shared(&folder, [free_port(), free_port(), free_port()]);
        site.configure("", "");
        site.supervise(&folder);
        eventually("the shared rabbitmq-server", || TcpStream::connect(("127.0.0.1", site.port)).ok());
        site.write(&folder);
        site
    });
    (site, user)
}

impl Site {
    fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, port: free_port(), distribution: free_port(), mapper: free_port() }
    }

    /// The one below that folder which listens at these ports, each of which has its own data.
    fn shared(folder: &Path, [port, distribution, mapper]: [u16; 3]) -> Self {
        Self { folder: folder.join(format!("data-{port}")), port, distribution, mapper }
    }

    /// The shared one, if it runs.
    fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("address")).ok()?;
        let mut ports = text.split_whitespace().map(str::parse);
        let mut port = || ports.next()?.ok();
        let site = Self::shared(folder, [port()?, port()?, port()?]);
        TcpStream::connect(("127.0.0.1", site.port)).ok()?;
        Some(site)
    }

    fn write(&self, folder: &Path) {
        let text = format!("{} {} {}", self.port, self.distribution, self.mapper);
        fs::write(folder.join("address"), text).expect("a file of ours");
    }

    fn configure(&self, lines: &str, terms: &str) {
        fs::create_dir_all(&self.folder).expect("a folder of ours");
        let write = |name: &str, text: &str| fs::write(self.folder.join(name), text).expect("a file of ours");
        let listener = format!("listeners.tcp.1 = 127.0.0.1:{}", self.port);
        write("rabbitmq.conf", &format!("{listener}\nlog.file.level = warning\n{lines}\n"));
        write("advanced.config", &format!("[{{rabbit, [{terms}]}}].\n"));
        write("enabled_plugins", "[].\n");
        let cookie = self.folder.join(".erlang.cookie");
        if !cookie.exists() {
            // Erlang takes no cookie that others may read.
            write(".erlang.cookie", COOKIE);
            fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).expect("a file of ours");
        }
    }

    fn environment(&self, command: &mut Command) {
        let at = |name: &str| self.folder.join(name);
        command.env("HOME", &self.folder).env("RABBITMQ_NODENAME", self.node());
        command.env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")).env("RABBITMQ_MNESIA_BASE", at("mnesia"));
        command.env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")).env("RABBITMQ_LOG_BASE", at("log"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")).env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        command.env("RABBITMQ_DIST_PORT", self.distribution.to_string());
        command.env("ERL_EPMD_PORT", self.mapper.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        // Then the script becomes the server, instead of staying before it.
        command.env("RUNNING_UNDER_SYSTEMD", "true").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }

    fn node(&self) -> String {
        format!("lab-{}@localhost", self.distribution)
    }

    /// A server that answers; `None` if it ended instead, after what it said.
    fn come_up(&self) -> Option<Running> {
        let mut command = bound_to_us(&server());
        self.environment(&mut command);
        let said = self.folder.join("said");
        command.stdout(File::create(&said).expect("a file of ours"));
        let mut running = start_for_good(command);
        let is_up = eventually("rabbitmq-server", || {
            let ended = running.has_ended();
            (ended || TcpStream::connect(("127.0.0.1", self.port)).is_ok()).then_some(!ended)
        });
        if !is_up {
            eprintln!("rabbitmq-server ended: {}", fs::read_to_string(&said).unwrap_or_default());
        }
        is_up.then_some(running)
    }

    /// Starts it so that it outlives this process, as others use it as well.
    fn supervise(&self, folder: &Path) {
        let mut command = Command::new("setsid");
        command.args(["--fork", "sh", "-c", SUPERVISOR, "sh"]).arg(folder).args(["epmd", &server()]);
        command.arg(&self.folder).arg(self.port.to_string());
        self.environment(&mut command);
        assert!(command.status().is_ok_and(|left| left.success()), "a supervisor for rabbitmq-server starts");
    }

    fn evaluate(&self, expression: &str) -> String {
        // Right after its port is open, the server may not let Erlang in.
        let answer = eventually("rabbitmq-server's Erlang", || match self.try_to_evaluate(expression) {
            Err(said) if said.contains("failed to connect") => None,
            answer => Some(answer),
        });
        answer.unwrap_or_else(|said| panic!("rabbitmq-server, {expression}: {said}"))
    }

    fn try_to_evaluate(&self, expression: &str) -> Result<String, String> {
        let mut command = Command::new("erl_call");
        // Two under one name would not be let in at the same time.
        let own = format!("lab{}x{}", std::process::id(), free_port());
        command
            .args(["-c", COOKIE, "-h", &own, "-n", &self.node(), "-e"])
            .env("ERL_EPMD_PORT", self.mapper.to_string());
        command.env("HOME", &self.folder);
        // Without the end of the line, the form is taken for incomplete.
        let ran = output(command, format!("{expression}\n"));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        match said.strip_prefix("{ok, ").and_then(|said| said.trim().strip_suffix('}')) {
            Some(answer) if ran.status.success() => Ok(answer.to_owned()),
            _ => Err(format!("{said}{}", String::from_utf8_lossy(&ran.stderr))),
        }
    }
}

/// Starts a command of [`bound_to_us`] from a thread that ends with this process: that of the caller may be one of a pool,
/// which ends when it has been idle for a while.
fn start_for_good(command: Command) -> Running {
    type Order = (Command, mpsc::Sender<Running>);
    static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, ordered) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (command, started) in ordered {
                let _ = started.send(Running::start(command));
            }
        });
        orders
    });
    let (started, running) = mpsc::channel();
    STARTER.send((command, started)).expect("the starter lives");
    running.recv().expect("the program starts")
}

/// A command that is killed when the thread that starts it ends, however it ends.
fn bound_to_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// The server itself: what Debian puts on the path would become another user first.
fn server() -> String {
    let own = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    if Path::new(own).exists() { own.to_owned() } else { "rabbitmq-server".to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn operators_are_told_what_the_tests_do() {
        let text = include_str!("../../../docs/operate/queues.md");
        assert!(text.contains(super::REMEMBER.trim()), "{}", super::REMEMBER);
    }
}
