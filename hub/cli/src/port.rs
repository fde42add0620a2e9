//! Ports of loopback that a farm keeps for as long as it is up, also while the program that listens there is started again:
//! several farms may be up on one machine, and each begins with the same usual ports.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as Name, UnixListener},
    },
};

/// How many ports, from the usual one on, are looked at.
const NEAR: u16 = 10;

/// A port that is kept.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    /// What other farms see, and which ends with this process. `None` where they would not choose the port.
    _claim: Option<UnixListener>,
}

impl Port {
    /// The usual one, or one of those behind it, as soon as nobody has it and no other farm keeps it; else any free one, if
    /// there is one.
    pub(crate) fn near(usual: u16) -> Self {
        let kept = (usual..usual.saturating_add(NEAR)).find_map(|number| {
            let claim = claim(number)?;
            is_free(number).then_some(Self { address: local(number), _claim: Some(claim) })
        });
        kept.unwrap_or_else(|| {
            let any = TcpListener::bind(local(0)).and_then(|listener| listener.local_addr());
            Self::at(any.unwrap_or_else(|_| local(usual)))
        })
    }

    /// The one that a user named, at that address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, _claim: None }
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A name that one process of a network has at a time, as it is with the port itself, and which leaves no file.
fn claim(number: u16) -> Option<UnixListener> {
    let name = Name::from_abstract_name(format!("reelmill/port/{number}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

fn is_free(number: u16) -> bool {
    TcpListener::bind(local(number)).is_ok()
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nobody else of these tests looks: each of them runs beside others.
    const USUAL: u16 = 7310;

    #[test]
    fn each_farm_has_ports_of_its_own_and_keeps_them_while_nobody_listens() {
        let taken = TcpListener::bind(local(USUAL)).expect("nobody has it");
        let farms: Vec<_> = (0..NEAR - 1).map(|_| Port::near(USUAL)).collect();
        let ports: Vec<_> = farms.iter().map(|port| port.address().port()).collect();
        assert_eq!(ports, (USUAL + 1..USUAL + NEAR).collect::<Vec<_>>());
        let other = Port::near(USUAL).address().port();
        assert!(other > 0 && !(USUAL..USUAL + NEAR).contains(&other), "{other}");
        drop((taken, farms));
        assert_eq!(Port::near(USUAL).address(), local(USUAL));
    }
}
