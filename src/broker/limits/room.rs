//! The waiting room: sockets whose turn to come in has not come. Source addresses take turns, each address's sockets
//! come in the order in which they came; who has waited too long is sent away; and when the room is full, the address
//! with the most sockets in it loses its latest, so that nobody can fill it against others.
//!
//! ```text
//!  round:     10.0.0.1 ─▶ 10.0.0.9 ─▶ 10.0.0.4        the first one's first socket is next; then it goes to the end
//!                │            │           │
//!             s1 s4 s5       s2          s3 s6        sockets of one address
//!  ages:      s1 s2 s3 s4 s5 s6                       all sockets, the oldest first
//!  lengths:   1: {10.0.0.9}  2: {10.0.0.4}  3: {10.0.0.1}
//! ```
//!
//! Every operation takes a bounded number of steps, whatever the number of sockets and addresses. A waiting socket is
//! no connection yet: it takes its place here (under 120 bytes with a TCP stream and its peer's address, and as much
//! again for the first one of an address), its file, and what the system keeps for it.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use foldhash::fast::RandomState;

use super::{
    bucket::Nanos,
    chain::{Links, List, Places},
};

/// Places that are kept when the room is empty again.
const PLACES_KEPT: usize = 1024;

#[derive(Debug)]
struct Waiting<T> {
    pending: T,
    since: Nanos,
    source: u32,
    /// Among the sockets of its source.
    turn: Links,
    /// Among all.
    age: Links,
}

#[derive(Debug)]
struct Source {
    address: IpAddr,
    sockets: List,
    length: u32,
    /// Among the sources that take turns.
    round: Links,
    /// Among the sources of the same length.
    peers: Links,
}

/// What became of a newcomer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered<T> {
    /// It waits.
    Waits,
    /// It waits, in the place of the latest socket of the address that had the most.
    Instead(IpAddr, T),
    /// There is no room: its own address has as many as any other.
    Full(T),
}

/// A socket that leaves the room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaver<T> {
    pub(crate) source: IpAddr,
    pub(crate) pending: T,
    pub(crate) since: Nanos,
}

/// The room.
#[derive(Debug)]
pub(crate) struct Room<T> {
    waiting: Places<Waiting<T>>,
    waiting_max: usize,
    ages: List,
    sources: Places<Source>,
    by_address: HashMap<IpAddr, u32, RandomState>,
    round: List,
    /// The sources with one socket, with two, and so on.
    lengths: Vec<List>,
    longest: u32,
}

impl<T> Room<T> {
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self {
            waiting: Places::new(),
            waiting_max: waiting_max.clamp(1, 1 << 30),
            ages: List::EMPTY,
            sources: Places::new(),
            by_address: HashMap::with_hasher(RandomState::default()),
            round: List::EMPTY,
            lengths: Vec::new(),
            longest: 0,
        }
    }

    /// Sockets that wait.
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A socket of a source comes in.
    pub(crate) fn enter(&mut self, source: IpAddr, pending: T, now: Nanos) -> Entered<T> {
        if self.len() < self.waiting_max {
            self.seat(source, pending, now);
            return Entered::Waits;
        }
        let own = self.by_address.get(&source).copied();
        let own_length = own
            .and_then(|at| self.sources.get(at))
            .map_or(0, |s| s.length);
        if own_length + 1 >= self.longest {
            return Entered::Full(pending);
        }
        let displaced = self.latest_of_longest().and_then(|at| self.take(at));
        self.seat(source, pending, now);
        match displaced {
            Some(leaver) => Entered::Instead(leaver.source, leaver.pending),
            None => Entered::Waits,
        }
    }

    /// The socket whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Leaver<T>> {
        let source = self.round.first();
        let at = self.sources.get(source)?.sockets.first();
        self.round
            .unlink(&mut self.sources, source, |s| &mut s.round);
        self.round.push(&mut self.sources, source, |s| &mut s.round);
        self.take(at)
    }

    /// Since when the oldest socket waits.
    pub(crate) fn oldest(&self) -> Option<Nanos> {
        Some(self.waiting.get(self.ages.first())?.since)
    }

    /// The oldest socket, if it has waited for this long.
    pub(crate) fn expire(&mut self, now: Nanos, wait_max: Duration) -> Option<Leaver<T>> {
        (now.since(self.oldest()?) >= wait_max)
            .then(|| self.take(self.ages.first()))
            .flatten()
    }

    fn seat(&mut self, address: IpAddr, pending: T, now: Nanos) {
        let source = match self.by_address.get(&address) {
            Some(&at) => at,
            None => {
                let at = self.sources.insert(Source {
                    address,
                    sockets: List::EMPTY,
                    length: 0,
                    round: Links::LOOSE,
                    peers: Links::LOOSE,
                });
                self.by_address.insert(address, at);
                self.round.push(&mut self.sources, at, |s| &mut s.round);
                at
            }
        };
        let at = self.waiting.insert(Waiting {
            pending,
            since: now,
            source,
            turn: Links::LOOSE,
            age: Links::LOOSE,
        });
        self.ages.push(&mut self.waiting, at, |w| &mut w.age);
        if let Some(source) = self.sources.get_mut(source) {
            source.sockets.push(&mut self.waiting, at, |w| &mut w.turn);
        }
        self.resize(source, |length| length + 1);
    }

    fn take(&mut self, at: u32) -> Option<Leaver<T>> {
        let source = self.waiting.get(at)?.source;
        self.ages.unlink(&mut self.waiting, at, |w| &mut w.age);
        let address = {
            let source = self.sources.get_mut(source)?;
            source
                .sockets
                .unlink(&mut self.waiting, at, |w| &mut w.turn);
            source.address
        };
        let waiting = self.waiting.remove(at)?;
        if self.resize(source, |length| length.saturating_sub(1)) == 0 {
            self.round
                .unlink(&mut self.sources, source, |s| &mut s.round);
            self.sources.remove(source);
            self.by_address.remove(&address);
        }
        if self.is_empty() && self.waiting.capacity() > PLACES_KEPT {
            *self = Self::new(self.waiting_max);
        }
        Some(Leaver {
            source: address,
            pending: waiting.pending,
            since: waiting.since,
        })
    }

    /// Moves a source, whose length changes by one, among the lengths; the new length.
    fn resize(&mut self, source: u32, change: fn(u32) -> u32) -> u32 {
        let Some(entry) = self.sources.get_mut(source) else {
            return 0;
        };
        let old = entry.length;
        let new = change(old);
        entry.length = new;
        if let Some(peers) = of_length(&mut self.lengths, old) {
            peers.unlink(&mut self.sources, source, |s| &mut s.peers);
            if old == self.longest && peers.is_empty() {
                // A source moves by one, so the longest now is as long as this one has become.
                self.longest = new;
            }
        }
        if new > 0 && of_length(&mut self.lengths, new).is_none() {
            self.lengths.push(List::EMPTY);
        }
        if let Some(peers) = of_length(&mut self.lengths, new) {
            peers.push(&mut self.sources, source, |s| &mut s.peers);
        }
        self.longest = self.longest.max(new);
        new
    }

    fn latest_of_longest(&mut self) -> Option<u32> {
        let source = of_length(&mut self.lengths, self.longest)?.first();
        Some(self.sources.get(source)?.sockets.last())
    }
}

/// The list of the sources of a length; there is none for 0.
fn of_length(lengths: &mut [List], length: u32) -> Option<&mut List> {
    lengths.get_mut(usize::try_from(length.checked_sub(1)?).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    fn address(number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    /// The room in the words of its description, without any regard for time taken.
    #[derive(Default)]
    struct Model {
        round: VecDeque<IpAddr>,
        sockets: BTreeMap<IpAddr, VecDeque<(u64, u32)>>,
    }

    impl Model {
        fn len(&self) -> usize {
            self.sockets.values().map(VecDeque::len).sum()
        }

        fn length(&self, source: IpAddr) -> usize {
            self.sockets.get(&source).map_or(0, VecDeque::len)
        }

        fn seat(&mut self, source: IpAddr, socket: u32, now: u64) {
            if self.length(source) == 0 {
                self.round.push_back(source);
            }
            self.sockets
                .entry(source)
                .or_default()
                .push_back((now, socket));
        }

        fn forget_if_empty(&mut self, source: IpAddr) {
            if self.length(source) == 0 {
                self.sockets.remove(&source);
                self.round.retain(|other| *other != source);
            }
        }

        fn next(&mut self) -> Option<u32> {
            let source = self.round.pop_front()?;
            self.round.push_back(source);
            let (_, socket) = self.sockets.get_mut(&source)?.pop_front()?;
            self.forget_if_empty(source);
            Some(socket)
        }

        fn expire(&mut self, now: u64, wait: u64) -> Option<u32> {
            let (since, socket, source) = self
                .sockets
                .iter()
                .map(|(source, queue)| (queue[0].0, queue[0].1, *source))
                .min_by_key(|oldest| (oldest.0, oldest.1))?;
            if now - since < wait {
                return None;
            }
            self.sockets.get_mut(&source)?.pop_front();
            self.forget_if_empty(source);
            Some(socket)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn the_room_does_what_its_model_does(
            most in 1_usize..40,
            steps in prop::collection::vec((0_u8..5, 0_u16..6, 0_u64..40), 1..300),
        ) {
            let mut room = Room::new(most);
            let mut model = Model::default();
            let wait = 200;
            let (mut now, mut number) = (0, 0_u32);
            for (what, who, pause) in steps {
                now += pause;
                match what {
                    0..=2 => {
                        number += 1;
                        let source = address(who);
                        let longest = model.sockets.values().map(VecDeque::len).max().unwrap_or(0);
                        let entered = room.enter(source, number, Nanos(now));
                        if model.len() < most {
                            prop_assert_eq!(entered, Entered::Waits);
                            model.seat(source, number, now);
                        } else if model.length(source) + 1 >= longest {
                            prop_assert_eq!(entered, Entered::Full(number));
                        } else {
                            let Entered::Instead(victim, socket) = entered else {
                                panic!("{entered:?}");
                            };
                            prop_assert_eq!(model.length(victim), longest);
                            let latest = model.sockets.get_mut(&victim).unwrap().pop_back();
                            prop_assert_eq!(latest.map(|(_, socket)| socket), Some(socket));
                            model.forget_if_empty(victim);
                            model.seat(source, number, now);
                        }
                    }
                    3 => {
                        let next = room.next().map(|leaver| leaver.pending);
                        prop_assert_eq!(next, model.next());
                    }
                    _ => {
                        let wait_max = Duration::from_nanos(wait);
                        let gone = room.expire(Nanos(now), wait_max).map(|leaver| leaver.pending);
                        prop_assert_eq!(gone, model.expire(now, wait));
                    }
                }
                prop_assert_eq!(room.len(), model.len());
                prop_assert!(room.len() <= most);
            }
            while let Some(leaver) = room.next() {
                prop_assert_eq!(Some(leaver.pending), model.next());
            }
            prop_assert_eq!(model.next(), None);
        }
    }

    #[test]
    fn one_address_with_a_hundred_thousand_sockets_delays_another_by_one_turn() {
        let mut room = Room::new(50_000);
        let (crowd, lone) = (address(1), address(2));
        for socket in 0..100_000_u32 {
            room.enter(crowd, socket, Nanos(1));
        }
        assert_eq!(room.len(), 50_000);
        assert!(matches!(
            room.enter(lone, 7, Nanos(2)),
            Entered::Instead(victim, 49_999) if victim == crowd
        ));
        assert_eq!(room.next().unwrap().source, crowd);
        assert_eq!(room.next().unwrap().source, lone);
    }

    #[test]
    fn a_million_comings_and_goings_leave_nothing_behind() {
        let mut room = Room::new(20_000);
        for round in 0..50_u64 {
            for socket in 0..20_000_u16 {
                room.enter(address(socket % 7_000), socket, Nanos(round));
            }
            while room.next().is_some() {}
        }
        assert!(room.is_empty() && room.sources.len() == 0 && room.by_address.is_empty());
        assert!(room.waiting.capacity() <= PLACES_KEPT && room.lengths.capacity() <= 8);
    }

    #[test]
    fn a_waiting_socket_takes_what_the_page_says() {
        // A TCP stream of the runtime has 32 bytes, an address with its port as many.
        assert!(size_of::<Waiting<[u64; 8]>>() <= 112);
        assert!(size_of::<Source>() + size_of::<(IpAddr, u32)>() <= 80);
    }
}
