//! The books of a fan-out load, without I/O: what was sent, what is owed, what came.

use std::time::{Duration, Instant};

/// Time after which a message whose deliveries have not all come no longer holds its place in the window.
const OVERDUE: Duration = Duration::from_secs(5);
/// Bytes of a payload's head: publisher, slot, generation, time.
const HEAD_BYTES: usize = 20;
/// Bytes of a payload.
pub(super) const PAYLOAD_BYTES: usize = 128;

/// What a payload says of itself.
///
/// ```text
/// | publisher (4) | slot (4) | generation (4) | sent, ns since the load began (8) | filler (108) |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) publisher: u32,
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) sent_ns: u64,
}

impl Stamp {
    pub(super) fn bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let parts = [
            &self.publisher.to_be_bytes()[..],
            &self.slot.to_be_bytes()[..],
            &self.generation.to_be_bytes()[..],
            &self.sent_ns.to_be_bytes()[..],
        ];
        for (byte, part) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *part;
        }
        bytes
    }

    /// Of a packet whose payload is one of ours.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let payload = frame.last_chunk::<PAYLOAD_BYTES>()?;
        let (publisher, rest) = payload.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        Some(Self {
            publisher: u32::from_be_bytes(*publisher),
            slot: u32::from_be_bytes(*slot),
            generation: u32::from_be_bytes(*generation),
            sent_ns: u64::from_be_bytes(*rest.first_chunk()?),
        })
    }
}

/// A place in a publisher's window.
#[derive(Debug, Clone, Copy)]
struct Slot {
    generation: u32,
    /// Deliveries and acknowledgements that are still to come.
    owed: usize,
    sent_at: Instant,
}

/// Sums of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Messages published.
    pub published: u64,
    /// Deliveries that these are to give.
    pub expected: u64,
    /// Deliveries that came.
    pub delivered: u64,
    /// Publishes answered with an error.
    pub rejected: u64,
}

impl Sums {
    /// Since earlier sums.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            published: self.published - earlier.published,
            expected: self.expected - earlier.expected,
            delivered: self.delivered - earlier.delivered,
            rejected: self.rejected - earlier.rejected,
        }
    }

    /// Part of the deliveries that never came, percent.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        let lost = self.expected.saturating_sub(self.delivered);
        100.0 * super::super::ratio(lost, super::super::ratio(self.expected, 1.0))
    }
}

/// The windows of all publishers and the sums.
#[derive(Debug)]
pub(super) struct Account {
    slots: Vec<Slot>,
    window: usize,
    fan: usize,
    /// PUBACKs of one message: 0 or 1.
    acknowledgements: usize,
    /// Slots that may be sent on: publisher and slot.
    free: Vec<(usize, usize)>,
    pub(super) sums: Sums,
}

impl Account {
    /// Of so many publishers with so large windows; all slots are free. A window of 0 counts without one.
    pub(super) fn new(
        (publishers, window): (usize, usize),
        fan: usize,
        acknowledgements: usize,
        now: Instant,
    ) -> Self {
        let slot = Slot {
            generation: 0,
            owed: 0,
            sent_at: now,
        };
        let free = (0..window).flat_map(|slot| (0..publishers).map(move |p| (p, slot)));
        Self {
            slots: vec![slot; publishers * window],
            window,
            fan,
            acknowledgements,
            free: free.collect(),
            sums: Sums::default(),
        }
    }

    /// The slots that became free since the last time.
    pub(super) fn take_free(&mut self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.free)
    }

    /// Gives a list back so that its memory is used again.
    pub(super) fn give_back(&mut self, mut list: Vec<(usize, usize)>) {
        if self.free.is_empty() {
            list.clear();
            self.free = list;
        }
    }

    /// A message leaves in a slot; its generation.
    pub(super) fn sent(&mut self, (publisher, slot): (usize, usize), now: Instant) -> u32 {
        self.sums.published += 1;
        self.sums.expected += u64::try_from(self.fan).unwrap_or(0);
        let owed = self.fan + self.acknowledgements;
        self.slots
            .get_mut(publisher * self.window + slot)
            .filter(|_| self.window > 0)
            .map_or(0, |slot| {
                *slot = Slot {
                    generation: slot.generation.wrapping_add(1),
                    owed,
                    sent_at: now,
                };
                slot.generation
            })
    }

    /// A delivery came.
    pub(super) fn delivered(&mut self, stamp: Stamp) {
        self.sums.delivered += 1;
        let place = usize::try_from(stamp.publisher)
            .and_then(|publisher| usize::try_from(stamp.slot).map(|slot| (publisher, slot)));
        if let Ok(place) = place {
            self.settle(place, Some(stamp.generation));
        }
    }

    /// A PUBACK came for what is in a slot; whether it refuses.
    pub(super) fn acknowledged(&mut self, place: (usize, usize), code: u8) {
        self.sums.rejected += u64::from(code >= 0x80);
        self.settle(place, None);
    }

    fn settle(&mut self, (publisher, slot): (usize, usize), generation: Option<u32>) {
        if slot >= self.window {
            return;
        }
        let Some(held) = self.slots.get_mut(publisher * self.window + slot) else {
            return;
        };
        // What was given up may come after all: it is counted, its place has gone on.
        if held.owed == 0 || generation.is_some_and(|of| of != held.generation) {
            return;
        }
        held.owed -= 1;
        if held.owed == 0 {
            self.free.push((publisher, slot));
        }
    }

    /// Frees the slots whose deliveries have not come in time; how many.
    pub(super) fn give_up_overdue(&mut self, now: Instant) -> usize {
        let before = self.free.len();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.owed > 0 && now.saturating_duration_since(slot.sent_at) >= OVERDUE {
                slot.owed = 0;
                self.free.push((at / self.window, at % self.window));
            }
        }
        self.free.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(slot: u32, generation: u32) -> Stamp {
        Stamp {
            publisher: 1,
            slot,
            generation,
            sent_ns: 7,
        }
    }

    #[test]
    fn a_stamp_is_read_from_the_end_of_its_packet() {
        let mut frame = b"topic".to_vec();
        frame.extend_from_slice(&stamp(2, 3).bytes());
        frame.resize(5 + PAYLOAD_BYTES, 0);
        assert_eq!(Stamp::of(&frame), Some(stamp(2, 3)));
        assert_eq!(Stamp::of(b"short"), None);
    }

    #[test]
    fn a_slot_is_free_when_every_delivery_and_the_acknowledgement_have_come() {
        let now = Instant::now();
        let mut account = Account::new((2, 3), 2, 1, now);
        assert_eq!(account.take_free().len(), 6);
        let generation = account.sent((1, 2), now);
        account.delivered(stamp(2, generation));
        account.acknowledged((1, 2), 0);
        assert!(account.take_free().is_empty());
        account.delivered(stamp(2, generation));
        assert_eq!(account.take_free(), [(1, 2)]);
        let sums = account.sums;
        assert_eq!((sums.published, sums.expected, sums.delivered), (1, 2, 2));
        assert!(sums.loss_percent().abs() < f64::EPSILON);
    }

    #[test]
    fn what_does_not_come_is_given_up_and_counted_as_lost_until_it_comes_late() {
        let now = Instant::now();
        let mut account = Account::new((2, 1), 1, 0, now);
        account.take_free();
        let first = account.sent((1, 0), now);
        assert_eq!(account.give_up_overdue(now), 0);
        assert_eq!(account.give_up_overdue(now + OVERDUE), 1);
        assert!((account.sums.loss_percent() - 100.0).abs() < f64::EPSILON);
        account.take_free();
        let second = account.sent((1, 0), now);
        account.delivered(stamp(0, first));
        assert!(account.take_free().is_empty(), "the place has gone on");
        account.delivered(stamp(0, second));
        assert_eq!(account.take_free().len(), 1);
        assert!(account.sums.loss_percent().abs() < f64::EPSILON);
    }

    #[test]
    fn a_flood_is_counted_without_a_window() {
        let now = Instant::now();
        let mut account = Account::new((1, 0), 10, 0, now);
        assert_eq!(account.sent((0, 0), now), 0);
        let before = account.sums;
        account.delivered(Stamp {
            publisher: 0,
            ..stamp(0, 0)
        });
        let since = account.sums.since(before);
        assert_eq!((since.published, since.delivered), (0, 1));
        assert!((account.sums.loss_percent() - 90.0).abs() < 1e-9);
    }
}
