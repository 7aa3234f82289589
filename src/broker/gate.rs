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
    /// Be told that connections come too fast.
    ConnectRate,
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

    /// Whether the limits have room for a connection of an address now.
    pub(crate) fn has_room(&self, address: IpAddr) -> bool {
        if self.open.load(Ordering::Relaxed) >= self.open_max {
            return false;
        }
        // Most configurations allow one address as many as all.
        self.per_address_max >= self.open_max
            || locked(&self.addresses)
                .get(&source(address))
                .is_none_or(|&count| count < self.per_address_max)
    }

    /// Counts a connection in; the error is why it has to go if there is not even room to tell it so.
    pub(crate) fn enter(&self, address: IpAddr) -> Result<Entry, Entry> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= self.open_max.saturating_add(TURNED_AWAY_MAX) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Entry::Busy);
        }
        let mut addresses = locked(&self.addresses);
        let count = addresses.entry(source(address)).or_default();
        if *count >= self.per_address_max.saturating_add(TURNED_AWAY_MAX) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Entry::AddressQuota);
        }
        *count += 1;
        Ok(if *count > self.per_address_max {
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
pub(crate) fn source(address: IpAddr) -> IpAddr {
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
        assert_eq!(gate.enter(here), Ok(Entry::Free));
        assert_eq!(gate.enter(here), Ok(Entry::Free));
        for _ in 0..TURNED_AWAY_MAX {
            assert_eq!(
                gate.enter(IpAddr::from([127, 0, 0, 2])),
                Ok(match gate.open.load(Ordering::Relaxed) - 2 {
                    1..=10 => Entry::Busy,
                    _ => Entry::AddressQuota,
                })
            );
        }
        assert_eq!(gate.enter(here), Err(Entry::Busy));
        assert!(!gate.has_room(here));
        gate.exit(here);
        assert_eq!(gate.enter(here), Ok(Entry::Busy));
    }

    #[test]
    fn neighbours_in_an_ipv6_network_share_a_quota_and_others_do_not() {
        let gate = Gate::new(100, 1);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(gate.enter(at("2001:db8::1")), Ok(Entry::Free));
        assert_eq!(gate.enter(at("2001:db8::2")), Ok(Entry::AddressQuota));
        assert_eq!(gate.enter(at("2001:db8:0:1::2")), Ok(Entry::Free));
        gate.exit(at("2001:db8::1"));
        gate.exit(at("2001:db8::2"));
        assert_eq!(gate.enter(at("2001:db8::3")), Ok(Entry::Free));
    }
}
