//! A join file's network as a file of systemd-networkd.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use reelmill_api::enrol::{Network, Subnet};

/// The file's text. All that goes into it are addresses that were parsed, and a name that has no white space.
///
/// # Errors
/// If no machine can have this network.
pub fn file(network: &Network) -> Result<String, String> {
    network.check()?;
    let matched = match &network.interface {
        Some(name) => format!("Name={name}\n"),
        // Cables, and no bridges, tunnels or the like.
        None => "Type=ether\nKind=!*\n".to_owned(),
    };
    let Subnet(address, bits) = network.address;
    let mut text = format!(
        "# From the join file; written anew at every boot.\n[Match]\n{matched}\n[Network]\nAddress={address}/{bits}\nDHCP=no\n"
    );
    for server in &network.dns {
        writeln!(text, "DNS={server}").expect("a text grows");
    }
    if let Some(gateway) = network.gateway {
        write!(text, "\n[Route]\nGateway={gateway}\n").expect("a text grows");
        if !contains(network.address, gateway) {
            // As with providers that give each machine a network of its own.
            text.push_str("GatewayOnLink=yes\n");
        }
    }
    Ok(text)
}

/// Whether an address is in the network, or can be reached without one.
fn contains(Subnet(own, bits): Subnet, other: IpAddr) -> bool {
    let bits = u32::from(bits);
    match (own, other) {
        (IpAddr::V4(own), IpAddr::V4(other)) => {
            (own.to_bits() ^ other.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(own), IpAddr::V6(other)) => {
            let is_link_local = |at: Ipv6Addr| at.segments()[0] & 0xffc0 == 0xfe80;
            is_link_local(other) || (own.to_bits() ^ other.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interface: Option<&str>, subnet: &str, gateway: Option<&str>, dns: &[&str]) -> Result<String, String> {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        file(&Network {
            interface: interface.map(str::to_owned),
            address: Subnet::try_from(subnet.to_owned()).expect("an address and its length"),
            gateway: gateway.map(address),
            dns: dns.iter().map(|at| address(at)).collect(),
        })
    }

    const HEAD: &str = "# From the join file; written anew at every boot.\n[Match]\n";

    #[test]
    fn a_network_is_written_whole() {
        assert_eq!(
            check(Some("enP8p1s0"), "10.0.0.7/24", Some("10.0.0.1"), &["10.0.0.1", "fd00::1"]),
            Ok(format!(
                "{HEAD}Name=enP8p1s0\n\n[Network]\nAddress=10.0.0.7/24\nDHCP=no\nDNS=10.0.0.1\nDNS=fd00::1\n\n[Route]\nGateway=10.0.0.1\n"
            ))
        );
        assert_eq!(
            check(None, "fd00::7/64", None, &[]),
            Ok(format!("{HEAD}Type=ether\nKind=!*\n\n[Network]\nAddress=fd00::7/64\nDHCP=no\n"))
        );
    }

    #[test]
    fn a_gateway_elsewhere_is_on_the_link() {
        let on_link =
            |subnet, gateway| check(None, subnet, Some(gateway), &[]).map(|text| text.contains("GatewayOnLink=yes"));
        assert_eq!(on_link("203.0.113.7/32", "172.31.1.1"), Ok(true));
        assert_eq!(on_link("10.0.0.7/25", "10.0.0.200"), Ok(true));
        assert_eq!(on_link("10.0.0.7/8", "10.9.9.9"), Ok(false));
        assert_eq!(on_link("fd00::7/64", "fe80::1"), Ok(false));
        assert_eq!(on_link("fd00::7/128", "fd00::1"), Ok(true));
    }

    #[test]
    fn what_would_say_more_or_nothing_is_refused() {
        for name in ["eth0\nName=*", "*", "eth 0", "", "lo", "..", "a-name-too-long1"] {
            let told = check(Some(name), "10.0.0.7/24", None, &[]).expect_err(name);
            assert!(told.starts_with("`network.interface`"), "{told}");
        }
        let table = [
            (check(None, "127.0.0.1/8", None, &[]), "`network.address` is 127.0.0.1, which no machine can have"),
            (
                check(None, "10.0.0.7/24", Some("fd00::1"), &[]),
                "`network.gateway` is fd00::1, which 10.0.0.7/24 cannot go through",
            ),
            (
                check(None, "10.0.0.7/24", Some("10.0.0.7"), &[]),
                "`network.gateway` is 10.0.0.7, which 10.0.0.7/24 cannot go through",
            ),
            (check(None, "10.0.0.7/24", None, &["0.0.0.0"]), "`network.dns` has 0.0.0.0, which nobody can be asked at"),
        ];
        for (told, want) in table {
            assert_eq!(told, Err(want.to_owned()));
        }
    }
}
