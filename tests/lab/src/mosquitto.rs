//! A real Mosquitto as the fleet runs it: TLS with client certificates on both listeners, the node's access list on one,
//! the hub's on the other. It can be killed, stopped and started again, and keeps its sessions over a clean stop.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::programs::{Running, eventually, free_port, output};

/// What a node may do: read its own commands, write its own states. The broker puts the certificate's name for `%u`. All
/// lines are patterns: a `topic` line that belongs to no user is for clients without a name only.
const NODE_ACL: &str = include_str!("../../../hub/acl/nodes.acl");
/// What the hub and the operator may do.
const HUB_ACL: &str = include_str!("../../../hub/acl/operators.acl");

/// The broker; stopped when dropped.
pub struct Mosquitto {
    /// The port of the fleet's listener.
    pub fleet: u16,
    /// The port of the listener for the hub and operators.
    pub hub: u16,
    running: Running,
    authority: CertifiedIssuer<'static, KeyPair>,
    data: TempDir,
}

/// A certificate with its key, in PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Mosquitto {
    /// Starts a broker.
    pub fn start() -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let authority = authority("reelmill test authority");
        fs::write(data.path().join("ca.pem"), authority.pem()).expect("a file of ours");
        issue(&authority, data.path(), "127.0.0.1");
        issue(&authority, data.path(), "hub");
        fs::write(data.path().join("node.acl"), NODE_ACL).expect("a file of ours");
        fs::write(data.path().join("hub.acl"), HUB_ACL).expect("a file of ours");
        // Somebody else may take a port before the broker does; then it ends at once.
        let (fleet, hub, running) = (0..5)
            .find_map(|_| {
                let (fleet, hub) = (free_port(), free_port());
                fs::write(data.path().join("mosquitto.conf"), config(data.path(), fleet, hub)).expect("a file of ours");
                Some((fleet, hub, come_up(data.path(), [fleet, hub])?))
            })
            .expect("mosquitto starts on two of ten ports");
        Self { fleet, hub, running, authority, data }
    }

    /// The certificate of the authority that both sides trust.
    pub fn ca(&self) -> PathBuf {
        self.data.path().join("ca.pem")
    }

    /// A folder with `ca.pem`, `hub.pem`, `hub.key` and the files of each identity.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// The identity of a node, or of anyone with that name.
    pub fn identity(&self, name: &str) -> Identity {
        issue(&self.authority, self.data.path(), name)
    }

    /// An identity of that name which another authority vouches for.
    pub fn stranger(&self, name: &str) -> Identity {
        let folder = self.data.path().join("strangers");
        fs::create_dir_all(&folder).expect("a folder of ours");
        issue(&authority("another authority"), &folder, name)
    }

    /// Kills the broker as a power cut would.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Stops it as an administrator does; it saves its sessions.
    pub fn stop(&mut self) {
        self.running.signal(Signal::TERM);
        self.running.wait();
    }

    /// Starts it again on the same ports and files.
    pub fn start_again(&mut self) {
        self.running = come_up(self.data.path(), [self.fleet, self.hub]).expect("mosquitto starts again on its ports");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.path().join("log")).unwrap_or_default()
    }

    /// A command for `mosquitto_pub`, `mosquitto_sub` or `mosquitto_rr` with the hub's identity.
    pub fn client(&self, program: &str) -> Command {
        let identity = Identity { cert: self.data.path().join("hub.pem"), key: self.data.path().join("hub.key") };
        self.client_as(program, self.hub, &identity)
    }

    /// The same on any port and with any identity.
    pub fn client_as(&self, program: &str, port: u16, identity: &Identity) -> Command {
        let mut command = Command::new(program);
        command.args(["-V", "5", "-h", "127.0.0.1", "-p", &port.to_string(), "--cafile"]).arg(self.ca());
        command.arg("--cert").arg(&identity.cert).arg("--key").arg(&identity.key);
        command
    }

    /// Publishes as the hub, with QoS 1; more words as on the command line of `mosquitto_pub`.
    pub fn publish(&self, topic: &str, payload: impl AsRef<[u8]>, words: &[&str]) {
        let mut command = self.client("mosquitto_pub");
        // An empty message is asked for by a word of its own.
        let empty = payload.as_ref().is_empty();
        command.args(["-q", "1", "-t", topic, if empty { "-n" } else { "-s" }]).args(words);
        let ran = output(command, payload);
        assert!(ran.status.success(), "mosquitto_pub {topic}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a certificate")
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, folder: &Path, name: &str) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([name.to_owned()]).expect("a plain name");
    params.distinguished_name.push(DnType::CommonName, name);
    let cert = params.signed_by(&key, authority).expect("a certificate");
    let identity = Identity { cert: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&identity.cert, cert.pem()).expect("a file of ours");
    fs::write(&identity.key, key.serialize_pem()).expect("a file of ours");
    identity
}

fn config(folder: &Path, fleet: u16, hub: u16) -> String {
    let folder = folder.display();
    let listener = |port: u16, acl: &str| {
        format!(
            "listener {port} 127.0.0.1\ncafile {folder}/ca.pem\ncertfile {folder}/127.0.0.1.pem\n\
             keyfile {folder}/127.0.0.1.key\nrequire_certificate true\nuse_identity_as_username true\n\
             acl_file {folder}/{acl}.acl\n"
        )
    };
    format!(
        "per_listener_settings true\npersistence true\npersistence_location {folder}/\nmax_queued_messages 2000\n\
         persistent_client_expiration 30d\nmessage_size_limit 262144\nlog_dest file {folder}/log\nlog_type all\n\
         user root\n{}use_username_as_clientid true\n{}",
        listener(fleet, "node"),
        listener(hub, "hub"),
    )
}

/// A broker that takes connections; `None` if it ended instead.
fn come_up(folder: &Path, ports: [u16; 2]) -> Option<Running> {
    // Debian keeps servers where only root's own path looks.
    let program = [Path::new("/usr/sbin/mosquitto"), Path::new("mosquitto")].into_iter().find(|p| p.exists());
    let mut command = Command::new(program.unwrap_or(Path::new("mosquitto")));
    command.arg("-c").arg(folder.join("mosquitto.conf")).stdout(Stdio::null());
    let mut running = Running::start(command);
    eventually("mosquitto", || {
        let ended = running.has_ended();
        let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
        (ended || ports.iter().all(listens)).then_some(!ended)
    })
    .then_some(running)
}
