//! A network for machines: a bridge of the host's, in which the host has an address too.

use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::programs::output;

/// The bridge; gone when dropped.
#[derive(Debug)]
pub struct Bridge {
    name: String,
    /// The network is `10.211.THIS.0/24`.
    third: u8,
}

impl Bridge {
    /// A new one, with a network that no other bridge of these tests has.
    pub fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let first = u8::try_from(std::process::id() % 251).expect("below 251").wrapping_add(count);
        // Another test program may have it.
        (0..251)
            .map(|step| Self { name: format!("rmlab{}", first.wrapping_add(step)), third: first.wrapping_add(step) })
            .find(|bridge| ip(&format!("link add {} type bridge", bridge.name)))
            .inspect(|bridge| {
                assert!(
                    ip(&format!("address add {}/24 dev {}", bridge.host(), bridge.name)),
                    "an address of the host's"
                );
                assert!(ip(&format!("link set {} up", bridge.name)), "{} comes up", bridge.name);
            })
            .expect("root may make one of 251 bridges")
    }

    /// The host's address.
    pub fn host(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// An address; `last` is 1 for the host, and the machines have the others.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 211, self.third, last)
    }

    /// Its interface on the host.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Bridge {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        ip(&format!("link delete {}", self.name));
    }
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    output(command, "").status.success()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{nspawn::Setup, programs::eventually};

    #[test]
    fn machines_in_one_network_reach_each_other_and_the_host() {
        const TEST: &str = "machines_in_one_network_reach_each_other_and_the_host";
        let Some(one) = Setup::new(TEST) else { return };
        let bridge = Bridge::new();
        let one = one.at(&bridge, "one", bridge.address(11)).boot();
        let two = Setup::new(TEST).expect("as before").at(&bridge, "two", bridge.address(12)).boot();
        assert_eq!((one.ok(&["hostname"]), two.ok(&["hostname"])), ("one".to_owned(), "two".to_owned()));
        // Nothing listens on that port: who refuses is there.
        for address in [bridge.address(12), bridge.host()] {
            let reach = format!("exec 3<>/dev/tcp/{address}/9");
            eventually(&format!("an answer of {address}"), || {
                let said = one.run(&["bash", "-c", &reach]).stderr;
                String::from_utf8_lossy(&said).contains("Connection refused").then_some(())
            });
        }
    }
}
