//! How often somebody may ask: a bucket for each address, so that one that floods us is turned away before any work is done.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Instant,
};

/// Requests at once.
const BURST: f64 = 30.0;
/// Requests a second after that.
const RATE: f64 = 1.0;
/// Addresses that are remembered; beyond, those that have been quiet the longest are forgotten.
const ADDRESSES: usize = 4096;

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct Gate(HashMap<IpAddr, (f64, Instant)>);

impl Gate {
    /// Whether one more request of that address is listened to.
    pub(super) fn lets_in(&mut self, address: IpAddr, now: Instant) -> bool {
        let address = network(address);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            self.0.retain(|_, (left, at)| *left + now.duration_since(*at).as_secs_f64() * RATE < BURST);
            if self.0.len() >= ADDRESSES {
                return false;
            }
        }
        let (left, at) = self.0.entry(address).or_insert((BURST, now));
        *left = (*left + now.duration_since(*at).as_secs_f64() * RATE).min(BURST);
        *at = now;
        let enough = *left >= 1.0;
        if enough {
            *left -= 1.0;
        }
        enough
    }
}

/// Who has one address of IPv6 has the 64 bits behind it too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_floods_is_turned_away_and_nobody_else() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let let_in = (0..100).filter(|_| gate.lets_in(at("10.0.0.1"), now)).count();
        assert_eq!(let_in, 30);
        assert!(gate.lets_in(at("10.0.0.2"), now));
        let later = now + Duration::from_secs(2);
        assert_eq!((0..9).filter(|_| gate.lets_in(at("10.0.0.1"), later)).count(), 2);
        assert!((0..30).all(|n| gate.lets_in(at(&format!("fd00::{n:x}")), now)));
        assert!(!gate.lets_in(at("fd00::ffff"), now), "the same network");
        assert!(!gate.lets_in(at("::ffff:10.0.0.1"), later), "the same address");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        for n in 0..10_000_u32 {
            gate.lets_in(IpAddr::V4(n.into()), now);
        }
        assert_eq!(gate.0.len(), ADDRESSES);
        assert!(gate.lets_in(at("10.0.0.1"), now + Duration::from_secs(60)));
        assert_eq!(gate.0.len(), 1);
    }
}
