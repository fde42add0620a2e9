//! Where other machines can have this node's metrics: at its page, by the address that it has on the way to the broker where
//! the page listens at all of them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reelmill_api::nodes::MetricsAt;
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often the way is looked at: a node may be given another address.
const EVERY: Duration = Duration::from_secs(30);

/// Where the metrics are, of a page that listens there.
pub(super) fn metrics_at(page: &[SocketAddr], way: Option<IpAddr>) -> MetricsAt {
    let open = || page.iter().filter(|at| !at.ip().is_loopback());
    if let Some(at) = open().find(|at| !at.ip().is_unspecified()) {
        return MetricsAt::At(*at);
    }
    let Some(everywhere) = open().next() else {
        return MetricsAt::nowhere("its page listens on loopback only");
    };
    match way {
        None => MetricsAt::nowhere("it does not know its address on the way to the broker"),
        Some(own) if own.is_loopback() => {
            MetricsAt::nowhere("the broker is on the same machine: name an address in page.listen")
        }
        Some(own) => {
            // The system takes both on an IPv6 listener, and only IPv4 on the other.
            let matching = open().find(|at| at.is_ipv4() == own.is_ipv4()).or_else(|| open().find(|at| at.is_ipv6()));
            MetricsAt::At(SocketAddr::new(own, matching.unwrap_or(everywhere).port()))
        }
    }
}

/// This node's address on the way to the broker, looked at again and again until `stop`; `None` while it is not known.
pub(super) fn follow(host: String, port: u16, stop: CancellationToken) -> watch::Receiver<Option<IpAddr>> {
    let (tell, told) = watch::channel(None);
    let look = async move {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // One that cannot be found out now is most likely still the same.
            if let Some(own) = own_address(&host, port).await {
                tell.send_replace(Some(own));
            }
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(look).await });
    told
}

/// Asks the system which address it would send from; nothing is sent.
async fn own_address(host: &str, port: u16) -> Option<IpAddr> {
    for at in lookup_host((host, port)).await.ok()? {
        let any: IpAddr = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let Ok(socket) = UdpSocket::bind((any, 0)).await else { continue };
        if socket.connect(at).await.is_ok() {
            return socket.local_addr().ok().map(|own| own.ip());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &[&str], way: Option<&str>, want: Result<&str, &str>) {
        let page: Vec<SocketAddr> = page.iter().map(|at| at.parse().expect("an address")).collect();
        let found = metrics_at(&page, way.map(|ip| ip.parse().expect("an address")));
        let want = match want {
            Ok(at) => MetricsAt::At(at.parse().expect("an address")),
            Err(why) => MetricsAt::nowhere(why),
        };
        assert_eq!(found, want, "{page:?} {way:?}");
    }

    #[test]
    fn metrics_are_where_others_reach_the_page() {
        let way = Some("10.0.0.3");
        check(&["127.0.0.1:9310"], way, Err("its page listens on loopback only"));
        check(&[], way, Err("its page listens on loopback only"));
        check(&["127.0.0.1:9310", "192.168.1.7:80"], way, Ok("192.168.1.7:80"));
        check(&["0.0.0.0:9310"], way, Ok("10.0.0.3:9310"));
        check(&["[::]:9310"], way, Ok("10.0.0.3:9310"));
        check(&["[::]:1", "0.0.0.0:2"], way, Ok("10.0.0.3:2"));
        check(&["[::]:1", "0.0.0.0:2"], Some("fd00::3"), Ok("[fd00::3]:1"));
        check(&["0.0.0.0:9310"], None, Err("it does not know its address on the way to the broker"));
        let near = "the broker is on the same machine: name an address in page.listen";
        check(&["0.0.0.0:9310"], Some("127.0.0.1"), Err(near));
    }

    #[tokio::test]
    async fn the_system_knows_the_way() {
        assert_eq!(own_address("127.0.0.1", 1).await, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(own_address("no.such.host.invalid", 1).await, None);
    }
}
