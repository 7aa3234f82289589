//! What could not be read, kept with its bytes until an operator has looked at it; bounded, the oldest goes first.
//!
//! ```text
//! 0      version       2
//! 1      reason        `QuarantineReason`
//! 2      lane
//! 3      kind          0 a payload as the device sent it, 1 an encoded reading that the platform refused
//! 4..8   CRC-32C       over bytes 0..4 and everything from byte 8 on
//! 8..16  received at   Unix nanoseconds
//! 16..36 lengths       of class, device, topic, detail, client: u32 each
//! 36..   class, device, topic, detail, client, payload
//! ```
//! All numbers are big-endian. Entries of version 1 lack the client, its length included, and are read as well. An entry
//! counts as one reading in its lane's ledger. How entries leave by an operator's command: `release`.

use super::keys;
use crate::{
    domain::{Lane, PieceId, QuarantineReason, UnixNanos},
    store::{Batch, Key, Start, Step, Store, StoreError},
};

const VERSION: u8 = 2;
/// The version before clients were kept.
const VERSION_WITHOUT_CLIENT: u8 = 1;
/// What stands before the lengths.
const HEADER_BYTES: usize = 16;
/// Bytes kept of each of class, device, topic, detail and client.
const TEXT_BYTES_MAX: usize = 4096;

/// Where an entry that is damaged itself is taken to stand.
pub(super) const OF_DAMAGED: (Lane, QuarantineReason) = (Lane::Telemetry, QuarantineReason::Empty);

/// A payload that cannot be read, on its way to quarantine.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineEntry<'a> {
    /// The lane its readings would have taken.
    pub lane: Lane,
    /// Why it cannot be read.
    pub reason: QuarantineReason,
    /// The class's id, as the topic says.
    pub class: &'a str,
    /// The device's id, as the topic says.
    pub device: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// More of why, for people.
    pub detail: &'a str,
    /// Who sent it, as the broker let it in: `class/device`, an application's name, or `anonymous`; empty where nobody
    /// did.
    pub client: &'a str,
    /// When it was received.
    pub received_at: UnixNanos,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Its name, if it is a piece that waits for the rest of a message; it is known by it until the process ends.
    pub piece: Option<PieceId>,
}

/// A payload or reading in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number, ascending with time.
    pub id: u64,
    /// The lane in whose ledger it stands.
    pub lane: Lane,
    /// Why it is here.
    pub reason: QuarantineReason,
    /// Whether the bytes are an encoded `Reading` rather than a device's payload.
    pub encoded: bool,
    /// The class's id.
    pub class: String,
    /// The device's id.
    pub device: String,
    /// The topic it came on; empty for an encoded reading.
    pub topic: String,
    /// More of why, for people.
    pub detail: String,
    /// Who sent it; empty for an encoded reading and for what an earlier version put in.
    pub client: String,
    /// When it was received; for an encoded reading, when its block was.
    pub received_at: UnixNanos,
    /// Its bytes.
    pub payload: Vec<u8>,
}

fn clipped(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(TEXT_BYTES_MAX)).0
}

/// What kind of bytes an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Payload = 0,
    Reading = 1,
}

pub(super) fn encode(entry: &QuarantineEntry<'_>, kind: Kind) -> Vec<u8> {
    let texts = [
        entry.class,
        entry.device,
        entry.topic,
        entry.detail,
        entry.client,
    ]
    .map(clipped);
    let bytes = texts.iter().map(|text| text.len() + 4).sum::<usize>() + entry.payload.len();
    let mut out = Vec::with_capacity(HEADER_BYTES + bytes);
    out.extend_from_slice(&[
        VERSION,
        entry.reason.code(),
        entry.lane.number(),
        kind as u8,
    ]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&entry.received_at.0.to_be_bytes());
    for text in texts {
        out.extend_from_slice(&u32::try_from(text.len()).unwrap_or_default().to_be_bytes());
    }
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(entry.payload);
    let crc = checksum(&out).unwrap_or_default();
    if let Some(place) = out.get_mut(4..8) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    out
}

fn checksum(entry: &[u8]) -> Option<u32> {
    let (head, rest) = entry.split_at_checked(4)?;
    Some(crc32c::crc32c_append(crc32c::crc32c(head), rest.get(4..)?))
}

/// Lane and reason of an entry, its checksum not looked at.
pub(super) fn peek(entry: &[u8]) -> Option<(Lane, QuarantineReason)> {
    let [_, reason, lane, ..] = entry.first_chunk::<HEADER_BYTES>()?;
    Some((
        Lane::from_number(*lane)?,
        QuarantineReason::from_code(*reason)?,
    ))
}

pub(super) fn decode(id: u64, entry: &[u8]) -> Option<Quarantined> {
    let (lane, reason) = peek(entry)?;
    let (header, mut rest) = entry.split_first_chunk::<HEADER_BYTES>()?;
    let [version, _, _, kind, c0, c1, c2, c3, received_at @ ..] = header;
    let kept = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
    if Some(kept) != checksum(entry) {
        return None;
    }
    let texts = match *version {
        VERSION => 5,
        VERSION_WITHOUT_CLIENT => 4,
        _ => return None,
    };
    let (lengths, behind) = rest.split_at_checked(4 * texts)?;
    rest = behind;
    let mut texts = lengths.as_chunks::<4>().0.iter().map(|length| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(String::from_utf8_lossy(text).into_owned())
    });
    let (class, device) = (texts.next()??, texts.next()??);
    let (topic, detail) = (texts.next()??, texts.next()??);
    let client = texts.next().unwrap_or_else(|| Some(String::new()))?;
    drop(texts);
    Some(Quarantined {
        id,
        lane,
        reason,
        encoded: *kind == Kind::Reading as u8,
        class,
        device,
        topic,
        detail,
        client,
        received_at: UnixNanos(u64::from_be_bytes(*received_at)),
        payload: rest.to_vec(),
    })
}

/// What the quarantine holds in sum; kept on disk beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// The oldest entry's number, or a lower one.
    pub(super) low: u64,
    /// The number that the next entry takes.
    pub(super) next: u64,
    /// Bytes of all entries.
    pub(super) bytes: u64,
    /// Bytes of damaged blocks that were set aside.
    pub(super) damaged_bytes: u64,
    /// Entries by reason, in the order of `QuarantineReason::ALL`.
    counts: [u64; QuarantineReason::ALL.len()],
}

impl Sum {
    pub(super) fn count(&self, reason: QuarantineReason) -> u64 {
        QuarantineReason::ALL
            .iter()
            .zip(self.counts)
            .find_map(|(known, count)| (*known == reason).then_some(count))
            .unwrap_or_default()
    }

    fn slot(&mut self, reason: QuarantineReason) -> Option<&mut u64> {
        let at = QuarantineReason::ALL
            .iter()
            .position(|known| *known == reason)?;
        self.counts.get_mut(at)
    }

    /// Takes an entry in; its key.
    pub(super) fn admit(&mut self, reason: QuarantineReason, bytes: usize) -> Key {
        let id = self.next;
        self.next += 1;
        self.bytes += bytes as u64;
        if let Some(count) = self.slot(reason) {
            *count += 1;
        }
        keys::quarantine(id)
    }

    /// Lets an entry go.
    pub(super) fn release(&mut self, reason: QuarantineReason, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
        if let Some(count) = self.slot(reason) {
            *count = count.saturating_sub(1);
        }
    }

    /// Lets the oldest entries go until the bound holds; the lanes whose ledger is concerned.
    pub(super) fn evict(
        &mut self,
        store: &Store,
        bytes_max: u64,
        batch: &mut Batch,
    ) -> Result<Vec<Lane>, StoreError> {
        let mut lanes = Vec::new();
        if self.bytes <= bytes_max {
            return Ok(lanes);
        }
        let start = keys::quarantine(self.low);
        store.scan(
            start..keys::quarantine_end(),
            Start::At(start),
            |key, entry| {
                if self.bytes <= bytes_max {
                    return Step::Stop;
                }
                batch.delete(*key);
                self.low = keys::number(key) + 1;
                let (lane, reason) = peek(entry).unwrap_or(OF_DAMAGED);
                self.release(reason, entry.len());
                lanes.push(lane);
                Step::Next
            },
        )?;
        Ok(lanes)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [self.low, self.next, self.bytes, self.damaged_bytes] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        for (reason, count) in QuarantineReason::ALL.iter().zip(self.counts) {
            out.push(reason.code());
            out.extend_from_slice(&count.to_be_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (sealed, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(sealed) != u32::from_be_bytes(*crc) {
            return None;
        }
        let (fields, counts) = sealed.split_at_checked(32)?;
        let (fields, _) = fields.as_chunks::<8>();
        let [low, next, bytes, damaged_bytes] = *fields.first_chunk::<4>()?;
        let mut sum = Self {
            low: u64::from_be_bytes(low),
            next: u64::from_be_bytes(next),
            bytes: u64::from_be_bytes(bytes),
            damaged_bytes: u64::from_be_bytes(damaged_bytes),
            ..Self::default()
        };
        let (counts, _) = counts.as_chunks::<9>();
        for [code, count @ ..] in counts {
            let reason = QuarantineReason::from_code(*code)?;
            *sum.slot(reason)? = u64::from_be_bytes(*count);
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRY: QuarantineEntry<'_> = QuarantineEntry {
        lane: Lane::Bulk,
        reason: QuarantineReason::EnumCode,
        class: "manhole_cover",
        device: "1",
        topic: "v1/manhole_cover/1/up",
        detail: "code \"ajar\"",
        client: "manhole_cover/1",
        received_at: UnixNanos(5),
        payload: b"{\"state\":\"ajar\"}",
        piece: None,
    };

    #[test]
    fn an_entry_comes_back_with_its_bytes() {
        let bytes = encode(&ENTRY, Kind::Payload);
        let entry = decode(9, &bytes).unwrap();
        assert_eq!(
            (entry.id, entry.lane, entry.reason),
            (9, ENTRY.lane, ENTRY.reason)
        );
        assert_eq!(
            (entry.class.as_str(), entry.device.as_str()),
            (ENTRY.class, ENTRY.device)
        );
        assert_eq!(
            (entry.topic.as_str(), entry.detail.as_str()),
            (ENTRY.topic, ENTRY.detail)
        );
        assert_eq!(
            (entry.payload.as_slice(), entry.encoded),
            (ENTRY.payload, false)
        );
        assert_eq!(entry.received_at, ENTRY.received_at);
        assert_eq!(entry.client, ENTRY.client);
    }

    /// An entry as version 1 wrote it: class `c`, device `d`, topic `t`, detail `x`, payload `{`.
    const FIRST_VERSION: &str =
        "0101030042e43f0800000000000000050000000100000001000000010000000163647478 7b";

    #[test]
    fn an_entry_of_the_first_version_is_read_without_its_client() {
        let bytes = hex::decode(FIRST_VERSION.replace(' ', "")).unwrap();
        let entry = decode(3, &bytes).unwrap();
        assert_eq!(
            (entry.lane, entry.reason),
            (Lane::Bulk, QuarantineReason::MalformedJson)
        );
        assert_eq!((entry.class.as_str(), entry.device.as_str()), ("c", "d"));
        assert_eq!((entry.topic.as_str(), entry.detail.as_str()), ("t", "x"));
        assert_eq!(
            (entry.client.as_str(), entry.payload.as_slice()),
            ("", &b"{"[..])
        );
        assert_eq!(entry.received_at, UnixNanos(5));
    }

    #[test]
    fn the_sum_comes_back_as_it_was_written() {
        let mut sum = Sum::default();
        sum.admit(QuarantineReason::EnumCode, 100);
        sum.admit(QuarantineReason::PlatformRefused, 50);
        assert_eq!(Sum::decode(&sum.encode()), Some(sum.clone()));
        assert_eq!((sum.bytes, sum.next), (150, 2));
        assert_eq!(sum.count(QuarantineReason::EnumCode), 1);
    }

    proptest! {
        #[test]
        fn a_damaged_entry_is_found_and_nothing_panics(at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = encode(&ENTRY, Kind::Payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(1, &bytes), None);
            prop_assert_eq!(decode(1, &bytes[..at]), None);
        }
    }
}
