//! Which networks a machine can have.

use super::super::{Network, Subnet};

/// The longest name of an interface that Linux knows.
const LONGEST_INTERFACE: usize = 15;

impl Network {
    /// Looks at what each value alone cannot tell.
    ///
    /// # Errors
    /// If the interface has no name that Linux knows, or somebody who is to be asked is nobody.
    pub fn check(&self) -> Result<(), String> {
        if self.interface.as_ref().is_some_and(|name| !is_interface(name)) {
            let why = "`network.interface` must be a name such as eth0: up to 15 letters, digits, `.`, `_` and `-`";
            return Err(why.to_owned());
        }
        let Subnet(address, bits) = self.address;
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err(format!("`network.address` is {address}, which no machine can have"));
        }
        if let Some(server) = self.dns.iter().find(|server| server.is_unspecified() || server.is_multicast()) {
            return Err(format!("`network.dns` has {server}, which nobody can be asked at"));
        }
        let bad = |gateway: &std::net::IpAddr| {
            gateway.is_ipv4() != address.is_ipv4() || gateway.is_unspecified() || *gateway == address
        };
        match self.gateway.filter(bad) {
            Some(gateway) => Err(format!("`network.gateway` is {gateway}, which {address}/{bits} cannot go through")),
            None => Ok(()),
        }
    }
}

fn is_interface(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST_INTERFACE).contains(&name.len()) && name.bytes().all(known) && !matches!(name, "." | ".." | "lo")
}
