//! What the vault held when it was opened, record by record in the order of keys, read in pages while it is asked for.
//!
//! A damaged place on the disk costs the records in it and no more: it is passed over, counted and told in the log. A
//! disk that cannot be read at all ends the reading and condemns the vault, because whoever knows only a part of what is
//! there would write over the rest.

use std::{ops::Range, sync::Arc, thread, time::Duration, vec};

use super::intake::{Door, Shared};
use crate::{
    broker::archive::{KINDS, RecordKey},
    store::{KEY_BYTES, Key, Start, Step, Store, StoreError},
};

/// Bytes of a page, about: what is in memory at a time.
const PAGE_BYTES: usize = 1 << 20;
/// How often a disk that fails is asked again.
const ATTEMPTS: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Every key of the broker.
pub(super) const fn all() -> Range<Key> {
    let (mut start, mut end) = ([0; KEY_BYTES], [0; KEY_BYTES]);
    start[0] = KINDS.start;
    end[0] = KINDS.end;
    start..end
}

/// The records; each step may read the disk.
#[derive(Debug)]
pub struct Records {
    store: Arc<Store>,
    shared: Arc<Shared>,
    page: vec::IntoIter<(RecordKey, Vec<u8>)>,
    /// Where the next page starts; none: there is none.
    next: Option<Key>,
    found: u64,
}

impl Records {
    pub(super) fn new(store: Arc<Store>, shared: Arc<Shared>) -> Self {
        Self {
            store,
            shared,
            page: Vec::new().into_iter(),
            next: Some(all().start),
            found: 0,
        }
    }

    fn turn_page(&mut self, from: Key) {
        match self.read(from) {
            Ok((page, next)) => {
                self.next = next;
                self.found += page.len() as u64;
                self.page = page.into_iter();
            }
            Err(fault) => {
                tracing::error!(%fault, "the sessions cannot be loaded: nothing more is written");
                self.next = None;
                self.shared.shut(Door::Condemned(fault.to_string()));
            }
        }
    }

    /// A page of records, and where the next one starts.
    #[expect(clippy::type_complexity, reason = "records, as the archive names them")]
    fn read(&self, from: Key) -> Result<(Vec<(RecordKey, Vec<u8>)>, Option<Key>), StoreError> {
        let mut failures = 0;
        loop {
            let mut page = Vec::new();
            let mut bytes = 0;
            let scanned = self
                .store
                .scan(from..all().end, Start::At(from), |key, value| {
                    page.push((*key, value.to_vec()));
                    bytes += KEY_BYTES + value.len();
                    if bytes < PAGE_BYTES {
                        Step::Next
                    } else {
                        Step::Stop
                    }
                });
            let behind = page.last().map(|(key, _)| after(key));
            match (scanned, behind) {
                (Ok(()), _) if bytes < PAGE_BYTES => return Ok((page, None)),
                // What was read before a fault is good; the fault is met again by the next page.
                (_, Some(behind)) => return Ok((page, Some(behind))),
                (Ok(()), None) => return Ok((page, None)),
                (Err(StoreError::Corrupt { cause, .. }), None) => {
                    let next = pass_over(from, |from| self.is_readable(from))?;
                    self.shared.metrics.unreadable.increment(1);
                    tracing::error!(
                        from = %hex::encode(from),
                        to = %next.map_or_else(|| "the end".to_owned(), hex::encode),
                        %cause,
                        "records of sessions are damaged: they are passed over"
                    );
                    return Ok((page, next));
                }
                (Err(fault), None) => {
                    failures += 1;
                    if failures >= ATTEMPTS {
                        return Err(fault);
                    }
                    thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn is_readable(&self, from: Key) -> Result<bool, StoreError> {
        let range = from..all().end;
        match self.store.scan(range, Start::At(from), |_, _| Step::Stop) {
            Ok(()) => Ok(true),
            Err(StoreError::Corrupt { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

impl Iterator for Records {
    type Item = (RecordKey, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.page.next() {
                return Some(record);
            }
            let from = self.next?;
            self.turn_page(from);
            if self.next.is_none() {
                tracing::info!(records = self.found, "records of sessions read");
            }
        }
    }
}

/// The first key above one that cannot be read from, from which one can; none: there is none.
fn pass_over(
    from: Key,
    readable: impl Fn(Key) -> Result<bool, StoreError>,
) -> Result<Option<Key>, StoreError> {
    let end = number(&all().end);
    let mut bad = number(&from);
    let mut step = 1_u128;
    let mut good = loop {
        let at = bad.saturating_add(step);
        if at >= end {
            break end;
        }
        if readable(key(at))? {
            break at;
        }
        bad = at;
        step = step.saturating_mul(2);
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if readable(key(middle))? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok((good < end).then(|| key(good)))
}

fn after(at: &Key) -> Key {
    key(number(at).saturating_add(1))
}

fn number(key: &Key) -> u128 {
    key.iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn key(number: u128) -> Key {
    let [_, _, _, _, _, _, key @ ..] = number.to_be_bytes();
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_is_damaged_is_passed_over() {
        let start = number(&all().start);
        for (first, last) in [(0, 0), (0, 1), (5, 300), (7, 70_000)] {
            let damaged = start + first..=start + last;
            let next = pass_over(key(start + first), |from| {
                Ok(!damaged.contains(&number(&from)))
            });
            assert_eq!(next.unwrap(), Some(key(start + last + 1)));
        }
        let all_damaged = pass_over(key(start), |_| Ok(false));
        assert_eq!(all_damaged.unwrap(), None);
    }
}
