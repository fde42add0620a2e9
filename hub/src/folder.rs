//! The hub's data folder: where each thing lies, the keys of the embedded store, and the lock that keeps a second hub
//! out.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use reelmill_api::NodeId;
use reelmill_daemon::{Hinted, Secret, SecretRef};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The hub's database in its data folder.
pub(crate) const DATABASE: &str = "hub.sqlite";
/// Where a hub that is ready says where it can be reached.
const ADDRESSES: &str = "hub.json";
/// The folder of the farm's authority there.
pub(crate) const CA: &str = "ca";

/// An opened data folder. Nobody else has it open.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    _lock: File,
}

/// Both keys of the embedded store.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The access key.
    pub access: Secret,
    /// The secret key.
    pub secret: Secret,
}

/// `hub.json`: where a hub that is ready can be reached, for the programs started beside it. It holds no secret, only
/// where the keys lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The hub's API and page.
    pub api: String,
    /// The store.
    pub store: String,
    /// The queue; absent where its address may hold a password, that is when it is not the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The queue's name.
    pub queue_name: String,
    /// Where uploads go.
    pub input_bucket: String,
    /// Where output goes.
    pub output_bucket: String,
    /// References to the store's keys; absent when the store is not the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyReferences>,
    /// The hub's own broker; absent where it brings none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetAddresses>,
    /// Where nodes ask to be taken in; absent where nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
}

/// What of `hub.json` others read here.
#[derive(Deserialize)]
struct Announced {
    door: Option<String>,
}

/// The door of the hub that runs with the data folder `root`, if one runs and has a door.
pub(crate) fn announced_door(root: &Path) -> Option<String> {
    let json = fs::read(root.join(ADDRESSES)).ok()?;
    serde_json::from_slice::<Announced>(&json).ok()?.door
}

/// Where the hub's own broker is, and who may speak to it. All files are PEM and lie in the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetAddresses {
    /// `HOST:PORT`, for nodes and operators alike.
    pub broker: String,
    /// Who vouches for the broker.
    pub ca: PathBuf,
    /// An operator's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// A node on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeAddresses>,
}

/// The identity of a node on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeAddresses {
    /// Its name.
    pub name: NodeId,
    /// Its certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Where the embedded store's keys lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyReferences {
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

impl Folder {
    /// Opens the folder, making it where it is missing, and takes its lock.
    ///
    /// # Errors
    /// If it cannot be made, or another hub has it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let doing = || format!("cannot open the data folder {}", path.display());
        private_folder(path).with_context(doing)?;
        let root = path.canonicalize().with_context(doing)?;
        let lock = private_file().create(true).write(true).truncate(false).open(root.join("hub.lock"));
        let lock = lock.with_context(doing)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let error = format!("another reelmill-hub uses the data folder {}", root.display());
                return Err(Hinted::new(error, "stop it first, or give this one a folder of its own").into());
            }
            Err(TryLockError::Error(e)) => return Err(e).with_context(doing),
        }
        let folder = Self { root, _lock: lock };
        folder.withdraw_addresses();
        Ok(folder)
    }

    /// The hub's database.
    pub fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// Whose commands nodes obey, unless the configuration names another file.
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust.json")
    }

    /// The folder of the farm's authority.
    pub fn ca(&self) -> PathBuf {
        self.root.join(CA)
    }

    /// The embedded queue's address.
    pub fn queue_url(&self) -> String {
        format!("sqlite://{}", self.root.join("queue.sqlite").display())
    }

    /// The embedded store's folder, made where it is missing.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn store(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join("store");
        private_folder(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The keys of the embedded store, drawn at the first start.
    ///
    /// # Errors
    /// If they cannot be read or made.
    pub fn keys(&self) -> anyhow::Result<Keys> {
        let folder = self.root.join("keys");
        private_folder(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let access = format!("RM{}", &random_hex()[..18].to_uppercase());
        let secret = format!("{}{}", random_hex(), random_hex());
        Ok(Keys { access: self.key("access_key", &access)?, secret: self.key("secret_key", &secret)? })
    }

    /// References to the keys, for other programs.
    pub fn key_references(&self) -> KeyReferences {
        let reference = |name: &str| format!("file:{}", self.root.join("keys").join(name).display());
        KeyReferences { access_key: reference("access_key"), secret_key: reference("secret_key") }
    }

    fn key(&self, name: &str, drawn: &str) -> anyhow::Result<Secret> {
        let path = self.root.join("keys").join(name);
        if !path.exists() {
            write_atomically(&path, drawn.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(SecretRef::File(path).resolve()?)
    }

    /// Files of the fleet: who is who at the hub's own broker.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn fleet(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join("fleet");
        private_folder(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The port that something embedded, `store` or `fleet`, had last time.
    pub fn port_of(&self, what: &str) -> Option<u16> {
        fs::read_to_string(self.root.join(format!("{what}.port"))).ok()?.trim().parse().ok()
    }

    /// Remembers that port, so that addresses stay good over restarts.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remember_port_of(&self, what: &str, port: u16) -> anyhow::Result<()> {
        let path = self.root.join(format!("{what}.port"));
        write_atomically(&path, format!("{port}\n").as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Says where the hub can be reached: its presence means that the hub is ready.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn announce(&self, addresses: &Addresses) -> anyhow::Result<()> {
        let path = self.root.join(ADDRESSES);
        let json = serde_json::to_vec_pretty(addresses).context("cannot write hub.json")?;
        write_atomically(&path, &json).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes that back: at the start what an earlier hub left, and at the end.
    pub fn withdraw_addresses(&self) {
        match fs::remove_file(self.root.join(ADDRESSES)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => log::warn!("cannot remove hub.json: {e}"),
            _ => {}
        }
    }
}

/// 122 random bits from the system.
pub(crate) fn random_hex() -> String {
    Uuid::new_v4().simple().to_string()
}

pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Whoever reads sees the old content or the new, never a part; after a power cut too.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let mut file = private_file().create(true).write(true).truncate(true).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn draws_private_keys_once() {
        let parent = tempfile::tempdir().expect("a folder");
        let root = parent.path().join("data");
        let first = Folder::open(&root).expect("a folder").keys().expect("keys");
        let again = Folder::open(&root).expect("the same").keys().expect("keys");
        assert_eq!(first.secret.expose(), again.secret.expose());
        assert_eq!((first.access.expose().len(), first.secret.expose().len()), (20, 64));
        assert_eq!([mode(&root), mode(&root.join("keys")), mode(&root.join("keys/secret_key"))], [0o700, 0o700, 0o600]);
        let other = Folder::open(&parent.path().join("other")).expect("another").keys().expect("keys");
        assert_ne!(first.secret.expose(), other.secret.expose());
    }

    #[test]
    fn a_second_hub_is_kept_out() {
        let root = tempfile::tempdir().expect("a folder");
        let first = Folder::open(root.path()).expect("a folder");
        let error = Folder::open(root.path()).expect_err("it is taken");
        assert!(error.to_string().contains("another reelmill-hub"), "{error}");
        drop(first);
        Folder::open(root.path()).expect("it is free again");
    }

    #[test]
    fn a_start_takes_back_what_an_earlier_hub_announced() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("hub.json"), "{}").expect("a file");
        let _folder = Folder::open(root.path()).expect("a folder");
        assert!(!root.path().join("hub.json").exists());
    }
}
