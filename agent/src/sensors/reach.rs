//! Where the node is, as its tags tell it: `mesh` with a Tailscale address, `lan` while a target that was configured
//! answers over something else than the mesh.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reelmill_api::snapshot::Network;
use tokio::{
    net::{TcpStream, lookup_host},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often the target is tried.
const EVERY: Duration = Duration::from_secs(30);
/// On a LAN an answer takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tailscale's interfaces are called so, with a number.
const MESH_INTERFACE: &str = "tailscale";

/// Tries a target, as in `10.0.0.5:9000` or `store.lan:443`, until `stop`; whether it answers is in the receiver.
pub fn follow(target: String, stop: CancellationToken) -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        stop.run_until_cancelled(async {
            loop {
                tell.send_replace(reaches(&target).await);
                sleep(EVERY).await;
            }
        })
        .await;
    });
    told
}

/// Whether the target takes a connection, and not over the mesh.
pub async fn reaches(target: &str) -> bool {
    let connect = async {
        let addresses: Vec<SocketAddr> = lookup_host(target).await.ok()?.collect();
        let stream = TcpStream::connect(addresses.as_slice()).await.ok()?;
        stream.local_addr().ok()
    };
    let from = timeout(PATIENCE, connect).await.ok().flatten();
    from.is_some_and(|from| !is_mesh_address(from.ip()))
}

/// Whether one of the interfaces is Tailscale's and has one of its addresses.
pub fn is_mesh(networks: &[Network]) -> bool {
    let address = |text: &String| text.split('/').next().and_then(|text| text.parse().ok());
    let mut tailscale = networks.iter().filter(|network| network.name.starts_with(MESH_INTERFACE));
    tailscale.any(|network| network.addresses.iter().filter_map(address).any(is_mesh_address))
}

/// Tailscale gives addresses of 100.64.0.0/10 and of fd7a:115c:a1e0::/48.
fn is_mesh_address(address: IpAddr) -> bool {
    let within_four = |address: Ipv4Addr| address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    let within_six = |address: Ipv6Addr| address.segments()[..3] == [0xfd7a, 0x115c, 0xa1e0];
    match address.to_canonical() {
        IpAddr::V4(address) => within_four(address),
        IpAddr::V6(address) => within_six(address),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn network(name: &str, addresses: &[&str]) -> Network {
        let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
        Network { name: name.to_owned(), addresses, ..Network::default() }
    }

    #[test]
    fn a_tailscale_interface_counts_once_it_has_an_address() {
        let table = [
            (network("tailscale0", &["100.101.102.103/32"]), true),
            (network("tailscale0", &["fd7a:115c:a1e0::ab12/128"]), true),
            (network("tailscale0", &["fe80::1/64"]), false),
            (network("tailscale0", &[]), false),
            (network("eth0", &["100.101.102.103/32"]), false),
            (network("tailscale0", &["100.128.0.1/32", "rubbish"]), false),
        ];
        for (network, want) in table {
            assert_eq!(is_mesh(std::slice::from_ref(&network)), want, "{network:?}");
        }
    }

    #[tokio::test]
    async fn a_target_is_reached_while_it_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = listener.local_addr().expect("it is bound").to_string();
        assert!(reaches(&target).await);
        drop(listener);
        assert!(!reaches(&target).await);
        assert!(!reaches("no target at all").await);
    }
}
