//! How many connections there may be, in all and from one source address. A client beyond the limit is still heard up
//! to its CONNECT and told why it has to go, as long as not too many such clients are in at once; beyond that, sockets
//! are closed unheard.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::line::locked;

/// Connections beyond the limit that are heard up to their CONNECT.
const TURNED_AWAY_MAX: usize = 64;

/// What a new connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Come in.
    Free,
    /// Be told that the broker is busy.
    Busy,
    /// Be told that its address has too many connections.
    AddressQuota,
}

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Gate {
    open: AtomicUsize,
    open_max: usize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    per_address_max: usize,
}

impl Gate {
    pub(crate) fn new(open_max: usize, per_address_max: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            open_max,
            addresses: Mutex::new(HashMap::new()),
            per_address_max,
        }
    }

    /// Counts a connection in; `None` if there is not even room to turn it away.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Entry> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= self.open_max.saturating_add(TURNED_AWAY_MAX) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut addresses = locked(&self.addresses);
        let count = addresses.entry(source(address)).or_default();
        if *count >= self.per_address_max.saturating_add(TURNED_AWAY_MAX) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        Some(if *count > self.per_address_max {
            Entry::AddressQuota
        } else if open >= self.open_max {
            Entry::Busy
        } else {
            Entry::Free
        })
    }

    /// Counts a connection out.
    pub(crate) fn exit(&self, address: IpAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let mut addresses = locked(&self.addresses);
        let source = source(address);
        if let Some(count) = addresses.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(&source);
            }
        }
    }
}

/// One customer's address: of IPv6, the /64 that any of them can pick addresses from.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_told_first_and_shut_the_door_then() {
        let gate = Gate::new(2, 10);
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(gate.enter(here), Some(Entry::Free));
        assert_eq!(gate.enter(here), Some(Entry::Free));
        for _ in 0..TURNED_AWAY_MAX {
            assert_eq!(
                gate.enter(IpAddr::from([127, 0, 0, 2])),
                Some(match gate.open.load(Ordering::Relaxed) - 2 {
                    1..=10 => Entry::Busy,
                    _ => Entry::AddressQuota,
                })
            );
        }
        assert_eq!(gate.enter(here), None);
        gate.exit(here);
        assert_eq!(gate.enter(here), Some(Entry::Busy));
    }

    #[test]
    fn neighbours_in_an_ipv6_network_share_a_quota_and_others_do_not() {
        let gate = Gate::new(100, 1);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(gate.enter(at("2001:db8::1")), Some(Entry::Free));
        assert_eq!(gate.enter(at("2001:db8::2")), Some(Entry::AddressQuota));
        assert_eq!(gate.enter(at("2001:db8:0:1::2")), Some(Entry::Free));
        gate.exit(at("2001:db8::1"));
        gate.exit(at("2001:db8::2"));
        assert_eq!(gate.enter(at("2001:db8::3")), Some(Entry::Free));
    }
}
