//! The attributes of a reading, encoded as they come: what the transport knew, then the members that the class does not
//! know. A protobuf map keeps one value a key, so a key that is taken gets `#2` behind it: nothing is lost silently.

use std::{fmt::Write as _, ops::Range};

use prost::Message as _;

use super::{payload::Reject, wire};
use crate::{domain::QuarantineReason, proto::platform::Reading};

/// Key of `Reading.attributes`.
const ATTRIBUTES: u8 = 8 << 3 | wire::LENGTH;
const ENTRY_KEY: u8 = 1 << 3 | wire::LENGTH;
const ENTRY_VALUE: u8 = 2 << 3 | wire::LENGTH;
/// What stands before the name of a member that the class does not know.
pub(super) const MEMBER_PREFIX: &str = "member.";

/// Key of `Batch.readings`.
const READINGS: u8 = 15 << 3 | wire::LENGTH;

/// An encoded reading with one more attribute, as an entry of `Batch.readings`. A name that it has already takes the new
/// value, as protobuf reads maps.
///
/// # Errors
/// The bytes are no encoded reading.
pub fn with_attribute(reading: &[u8], (name, value): (&str, &str)) -> Result<Vec<u8>, Reject> {
    let decoded = Reading::decode(reading)
        .map_err(|error| Reject::new(QuarantineReason::MalformedProtobuf, error.to_string()))?;
    if decoded.device_id.is_empty() {
        return Err(Reject::new(
            QuarantineReason::Empty,
            "a reading of no device",
        ));
    }
    let mut attributes = Attributes::default();
    attributes.put_transport(name, value);
    let mut bytes = vec![READINGS];
    let length = reading.len() + attributes.bytes.len();
    wire::put_varint(&mut bytes, length as u64);
    bytes.extend_from_slice(reading);
    bytes.extend_from_slice(&attributes.bytes);
    Ok(bytes)
}

#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The key in work.
    key: String,
}

#[derive(Debug)]
struct Entry {
    key: Range<usize>,
    end: usize,
}

impl Attributes {
    /// Lets go of all but the first entries.
    pub(super) fn keep(&mut self, entries: usize) {
        self.entries.truncate(entries);
        self.bytes
            .truncate(self.entries.last().map_or(0, |entry| entry.end));
    }

    /// An attribute of the transport.
    pub(super) fn put_transport(&mut self, name: &str, value: &str) {
        self.key.clear();
        self.key.push_str(name);
        self.put(value);
    }

    /// A member that the class does not know, as raw JSON; false if one of this name stands behind the first
    /// `transport` entries already.
    pub(super) fn put_member(&mut self, name: &str, raw: &str, transport: usize) -> bool {
        self.key.clear();
        self.key.push_str(MEMBER_PREFIX);
        self.key.push_str(name);
        if self.holds(transport) {
            return false;
        }
        self.put(raw);
        true
    }

    /// Whether one of the entries behind the first `skipped` has the key in work.
    fn holds(&self, skipped: usize) -> bool {
        let key = self.key.as_bytes();
        let mut entries = self.entries.iter().skip(skipped);
        entries.any(|entry| self.bytes.get(entry.key.clone()) == Some(key))
    }

    fn put(&mut self, value: &str) {
        let name = self.key.len();
        let mut number = 1_u32;
        while self.holds(0) {
            number += 1;
            self.key.truncate(name);
            let _infallible = write!(self.key, "#{number}");
        }
        let (key, value) = (self.key.as_bytes(), value.as_bytes());
        let framed = |bytes: &[u8]| 1 + wire::varint_bytes(bytes.len() as u64) + bytes.len();
        self.bytes.push(ATTRIBUTES);
        wire::put_varint(&mut self.bytes, (framed(key) + framed(value)) as u64);
        self.bytes.push(ENTRY_KEY);
        wire::put_bytes(&mut self.bytes, key);
        let end = self.bytes.len();
        let key = end - key.len()..end;
        self.bytes.push(ENTRY_VALUE);
        wire::put_bytes(&mut self.bytes, value);
        let end = self.bytes.len();
        self.entries.push(Entry { key, end });
    }
}
