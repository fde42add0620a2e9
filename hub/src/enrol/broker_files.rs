//! What a broker that is not the hub's needs of the farm's authority, such as Mosquitto: its certificate, the list of what is
//! revoked, and certificates for the hub and an operator at it.

use std::{
    fs::{self, DirBuilder, Permissions},
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::operator::Files;
use crate::{
    ca::Identity,
    config::Config,
    fleet::all_names,
    folder::{private_folder, write_atomically},
};

/// The broker's user reads these by the folder's group.
const FOR_GROUP: u32 = 0o640;

/// For whom the authority makes files.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// For a broker of yours, such as Mosquitto, and for the hub and an operator at it; all of them anew each time.
    Broker(BrokerFiles),
}

/// Where they go.
#[derive(Debug, Args)]
pub struct BrokerFiles {
    /// The broker's folder: ca.pem, crl.pem, broker.pem and broker.key, which the folder's group may read
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A name or address by which nodes and the hub reach the broker; again for more [default: fleet.names]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

/// Makes the files; what is to be printed.
///
/// # Errors
/// If the authority cannot be opened, a name cannot be in a certificate, or a file cannot be written.
pub async fn issue(config: &Config, command: CaCommand, now: Timestamp) -> anyhow::Result<String> {
    let CaCommand::Broker(BrokerFiles { out, names }) = command;
    let data = config.data()?;
    let Files { db, ca } = Files::open(data).await?;
    let names = if names.is_empty() { &config.fleet.names } else { &names };
    let names = all_names(IpAddr::V4(Ipv4Addr::LOCALHOST), names);

    let broker = ca.server(&names)?;
    let crl = ca.crl(&db.revoked().await?, now)?;
    if !out.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o750).create(&out);
        made.with_context(|| format!("cannot make the broker's folder {}", out.display()))?;
    }
    for (name, text) in [("ca.pem", ca.pem()), ("crl.pem", &crl), ("broker.key", &broker.key_pem)] {
        write(&out.join(name), text, FOR_GROUP)?;
    }
    write(&out.join("broker.pem"), &broker.cert_pem, FOR_GROUP)?;

    let own = data.join("fleet");
    private_folder(&own).with_context(|| format!("cannot make {}", own.display()))?;
    write(&own.join("ca.pem"), ca.pem(), 0o600)?;
    for client in ["hub", "operator"] {
        let Identity { cert_pem, key_pem } = ca.client(client)?;
        write(&own.join(format!("{client}.key")), &key_pem, 0o600)?;
        write(&own.join(format!("{client}.pem")), &cert_pem, 0o600)?;
    }
    Ok(format!("{} is the broker's, for {}; {} is the hub's\n", out.display(), names.join(", "), own.display()))
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let written = write_atomically(path, text.as_bytes());
    let written = written.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)));
    written.with_context(|| format!("cannot write {}", path.display()))
}
