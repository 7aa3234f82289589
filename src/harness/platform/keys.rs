//! The platform's disk: one `RocksDB`, one column family.
//!
//! ```text
//!   holder = gateway length, 1 byte · gateway · incarnation, 16 bytes · lane, 1 byte
//!   'b' holder first sequence, 8 BE   →  01 · flags · count, 4 BE · stored at, 8 BE · entries of field 15
//!   'g' holder first sequence, 8 BE   →  Gap, encoded
//!   'r' holder sequence, 8 BE         →  reason, text
//!   'p' holder                        →  LanePosition, encoded
//!   'c' holder class                  →  readings stored, 8 BE
//! ```
//! A reading that was refused stands under 'r' and splits its batch in two.

use crate::domain::{Incarnation, Lane, Sequence};

/// Whose lane it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The gateway's id, at most 255 bytes.
    pub gateway: String,
    /// The incarnation of its spool.
    pub incarnation: [u8; 16],
    /// The lane.
    pub lane: Lane,
}

impl Holder {
    /// The incarnation as the domain knows it.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        Incarnation(self.incarnation)
    }
}

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Readings.
    Batch,
    /// Sequences that will never come.
    Gap,
    /// A refused reading.
    Refused,
    /// A lane's position.
    Position,
    /// Readings of a class.
    Count,
}

impl Kind {
    /// The first byte of its keys.
    #[must_use]
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Batch => b'b',
            Self::Gap => b'g',
            Self::Refused => b'r',
            Self::Position => b'p',
            Self::Count => b'c',
        }
    }
}

/// A key: kind, holder, tail.
#[must_use]
pub(super) fn key(kind: Kind, holder: &Holder, tail: &[u8]) -> Vec<u8> {
    let gateway = holder.gateway.as_bytes();
    let len = u8::try_from(gateway.len()).unwrap_or(u8::MAX);
    let mut key = Vec::with_capacity(2 + gateway.len() + 17 + tail.len());
    key.push(kind.byte());
    key.push(len);
    key.extend(gateway.iter().take(usize::from(len)));
    key.extend(holder.incarnation);
    key.push(holder.lane.number());
    key.extend(tail);
    key
}

/// The key of something at a sequence.
#[must_use]
pub(super) fn key_at(kind: Kind, holder: &Holder, sequence: u64) -> Vec<u8> {
    key(kind, holder, &sequence.to_be_bytes())
}

/// Holder and tail of a key.
#[must_use]
pub(super) fn split(key: &[u8]) -> Option<(Holder, &[u8])> {
    let (_kind, rest) = key.split_first()?;
    let (len, rest) = rest.split_first()?;
    let (gateway, rest) = rest.split_at_checked(usize::from(*len))?;
    let (incarnation, rest) = rest.split_first_chunk::<16>()?;
    let (lane, tail) = rest.split_first()?;
    let holder = Holder {
        gateway: String::from_utf8_lossy(gateway).into_owned(),
        incarnation: *incarnation,
        lane: Lane::from_number(*lane)?,
    };
    Some((holder, tail))
}

/// The sequence at the end of a key.
#[must_use]
pub(super) fn sequence(tail: &[u8]) -> Option<Sequence> {
    Some(Sequence(u64::from_be_bytes(tail.try_into().ok()?)))
}

/// Version of the batch value.
const VERSION: u8 = 1;
const BACKLOG: u8 = 1;
const HEADER_LEN: usize = 14;

/// A stored batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    /// Whether it came as backlog.
    pub(super) backlog: bool,
    /// How many readings.
    pub(super) count: u32,
    /// When it was stored, Unix nanoseconds.
    pub(super) stored_at_ns: u64,
    /// Entries of field 15.
    pub(super) readings: &'a [u8],
}

impl<'a> Stored<'a> {
    /// The value of a batch.
    #[must_use]
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEADER_LEN + self.readings.len());
        value.push(VERSION);
        value.push(if self.backlog { BACKLOG } else { 0 });
        value.extend(self.count.to_be_bytes());
        value.extend(self.stored_at_ns.to_be_bytes());
        value.extend(self.readings);
        value
    }

    /// Reads the value of a batch.
    #[must_use]
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let (&[version, flags], rest) = value.split_first_chunk::<2>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (stored_at, readings) = rest.split_first_chunk::<8>()?;
        (version == VERSION).then(|| Self {
            backlog: flags & BACKLOG != 0,
            count: u32::from_be_bytes(*count),
            stored_at_ns: u64::from_be_bytes(*stored_at),
            readings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_holder_and_sequence_and_read_back() {
        let holder = Holder {
            gateway: "chengdu-7".into(),
            incarnation: [9; 16],
            lane: Lane::Bulk,
        };
        let low = key_at(Kind::Batch, &holder, 255);
        let high = key_at(Kind::Batch, &holder, 256);
        assert!(low < high);
        let (read, tail) = split(&high).unwrap();
        assert_eq!((read, sequence(tail)), (holder, Some(Sequence(256))));
        assert_eq!(split(&high[..9]), None);
    }

    #[test]
    fn a_batch_reads_back() {
        let stored = Stored {
            backlog: true,
            count: 7,
            stored_at_ns: 11,
            readings: b"abc",
        };
        let value = stored.encode();
        assert_eq!(Stored::decode(&value), Some(stored));
        assert_eq!(Stored::decode(&value[..13]), None);
    }
}
