//! The server's side of the wire: a batch is taken as its header and the bytes of its readings, undecoded, so that
//! storing it costs little.

use bytes::{Buf, Bytes};
use prost::{
    Message as _,
    encoding::{WireType, decode_key, decode_varint},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::proto::platform::{DeliverRequest, DeliverResponse, Gap, Hello};

/// Readings of one lane with consecutive sequences, undecoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RawBatch {
    /// The lane's number.
    pub(super) lane: i32,
    /// The first sequence.
    pub(super) first: u64,
    /// How many readings.
    pub(super) count: u32,
    /// Whether they belong to a backlog.
    pub(super) backlog: bool,
    /// Entries of field 15, tag and length included.
    pub(super) readings: Bytes,
}

/// A message from a gateway.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// Opens the stream.
    Hello(Hello),
    /// Readings.
    Batch(RawBatch),
    /// Sequences that will never come.
    Gap(Gap),
}

const READINGS: u32 = 15;
const READINGS_TAG: u8 = 0x7A;

fn invalid(fault: impl ToString) -> Status {
    Status::invalid_argument(fault.to_string())
}

/// Takes `len` bytes, if there are so many.
fn take(src: &mut impl Buf, len: u64) -> Result<Bytes, Status> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > src.remaining() {
        return Err(invalid("a length goes beyond its message"));
    }
    Ok(src.copy_to_bytes(len))
}

/// Reads a `DeliverRequest`.
///
/// # Errors
/// `INVALID_ARGUMENT`: not the protobuf wire format, or no message in it.
pub(super) fn parse(mut src: Bytes) -> Result<Incoming, Status> {
    if src.first() != Some(&0x12) {
        use crate::proto::platform::deliver_request::Message;
        return match DeliverRequest::decode(src).map_err(invalid)?.message {
            Some(Message::Hello(hello)) => Ok(Incoming::Hello(hello)),
            Some(Message::Gap(gap)) => Ok(Incoming::Gap(gap)),
            Some(Message::Batch(_)) | None => Err(invalid("no message in the request")),
        };
    }
    src.advance(1);
    let len = decode_varint(&mut src).map_err(invalid)?;
    let body = take(&mut src, len)?;
    if src.has_remaining() {
        return Err(invalid("bytes behind the batch"));
    }
    batch(body).map(Incoming::Batch)
}

fn batch(mut src: Bytes) -> Result<RawBatch, Status> {
    let mut batch = RawBatch::default();
    while src.has_remaining() {
        if src.first() == Some(&READINGS_TAG) {
            // the canonical order: readings are last, and all that is left
            batch.readings = src;
            return Ok(batch);
        }
        let (field, wire) = decode_key(&mut src).map_err(invalid)?;
        match (field, wire) {
            (1..=4, WireType::Varint) => {
                let value = decode_varint(&mut src).map_err(invalid)?;
                match field {
                    1 => batch.lane = i32::try_from(value).map_err(invalid)?,
                    2 => batch.first = value,
                    3 => batch.count = u32::try_from(value).map_err(invalid)?,
                    _ => batch.backlog = value != 0,
                }
            }
            (READINGS, _) => return Err(invalid("a reading is not length-delimited")),
            _ => return Err(invalid(format!("unexpected field {field} in a batch"))),
        }
    }
    Ok(batch)
}

/// What the platform looks at in every reading; the rest stays encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glimpse<'a> {
    /// The whole entry of field 15, tag and length included.
    pub(super) entry: &'a [u8],
    /// The encoded `Reading`.
    pub(super) reading: &'a [u8],
    /// Device id.
    pub(super) device: &'a [u8],
    /// Class id.
    pub(super) class: &'a [u8],
    /// When it was observed, Unix nanoseconds.
    pub(super) observed_at_ns: u64,
    /// When the gateway received it, Unix nanoseconds.
    pub(super) received_at_ns: u64,
}

/// Walks the entries of field 15.
#[derive(Debug, Clone)]
pub(super) struct Readings<'a> {
    rest: &'a [u8],
}

impl<'a> Readings<'a> {
    /// Walks `bytes`.
    #[must_use]
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn entry(&mut self) -> Option<Glimpse<'a>> {
        let whole = self.rest;
        let mut at = whole.strip_prefix(&[READINGS_TAG])?;
        let len = usize::try_from(decode_varint(&mut at).ok()?).ok()?;
        let (reading, rest) = at.split_at_checked(len)?;
        let entry = whole.get(..whole.len() - rest.len())?;
        self.rest = rest;
        glimpse(entry, reading)
    }
}

impl<'a> Iterator for Readings<'a> {
    type Item = Result<Glimpse<'a>, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.entry().ok_or_else(|| {
            self.rest = &[];
            invalid("a reading is not in the protobuf wire format")
        }))
    }
}

fn glimpse<'a>(entry: &'a [u8], reading: &'a [u8]) -> Option<Glimpse<'a>> {
    let mut seen = Glimpse {
        entry,
        reading,
        device: &[],
        class: &[],
        observed_at_ns: 0,
        received_at_ns: 0,
    };
    let mut at = reading;
    while !at.is_empty() {
        let (field, wire) = decode_key(&mut at).ok()?;
        match wire {
            WireType::LengthDelimited => {
                let len = usize::try_from(decode_varint(&mut at).ok()?).ok()?;
                let (value, rest) = at.split_at_checked(len)?;
                at = rest;
                match field {
                    1 => seen.device = value,
                    2 => seen.class = value,
                    _ => {}
                }
            }
            WireType::SixtyFourBit => {
                let (value, rest) = at.split_first_chunk::<8>()?;
                at = rest;
                match field {
                    3 => seen.observed_at_ns = u64::from_le_bytes(*value),
                    4 => seen.received_at_ns = u64::from_le_bytes(*value),
                    _ => {}
                }
            }
            WireType::Varint => {
                decode_varint(&mut at).ok()?;
            }
            WireType::ThirtyTwoBit => at = at.get(4..)?,
            WireType::StartGroup | WireType::EndGroup => return None,
        }
    }
    Some(seen)
}

/// Decodes [`Incoming`], encodes [`DeliverResponse`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlatformCodec;

/// The decoding half of [`PlatformCodec`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IncomingDecoder;

impl Codec for PlatformCodec {
    type Encode = DeliverResponse;
    type Decode = Incoming;
    type Encoder = ProstEncoder<DeliverResponse>;
    type Decoder = IncomingDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<DeliverResponse, DeliverRequest>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> IncomingDecoder {
        IncomingDecoder
    }
}

impl Decoder for IncomingDecoder {
    type Item = Incoming;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Incoming>, Status> {
        let whole = src.copy_to_bytes(src.remaining());
        parse(whole).map(Some)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(256 * 1024, 32 * 1024)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::platform::{Batch, Reading, deliver_request::Message};

    proptest! {
        #[test]
        fn a_typed_batch_is_taken_apart(
            ids in prop::collection::vec(("[a-z]{0,9}", "[a-z]{0,9}", any::<u64>()), 0..6),
            first in any::<u64>(),
            backlog in any::<bool>(),
        ) {
            let readings: Vec<Reading> = ids
                .iter()
                .map(|(device, class, at)| Reading {
                    device_id: device.clone(),
                    class_id: class.clone(),
                    observed_at_ns: *at,
                    received_at_ns: at / 2,
                    value: Bytes::from_static(b"xyz"),
                    profile_id: "p".into(),
                    ..Reading::default()
                })
                .collect();
            let count = u32::try_from(readings.len()).unwrap();
            let typed = Batch { lane: 2, first_sequence: first, count, backlog, readings };
            let typed = DeliverRequest { message: Some(Message::Batch(typed)) };
            let Incoming::Batch(raw) = parse(typed.encode_to_vec().into()).unwrap() else {
                panic!("not a batch");
            };
            prop_assert_eq!((raw.lane, raw.first, raw.count, raw.backlog), (2, first, count, backlog));
            let seen: Vec<_> = Readings::new(&raw.readings).map(Result::unwrap).collect();
            prop_assert_eq!(seen.len(), ids.len());
            let mut again = Vec::new();
            for (glimpse, (device, class, at)) in seen.iter().zip(&ids) {
                prop_assert_eq!(glimpse.device, device.as_bytes());
                prop_assert_eq!(glimpse.class, class.as_bytes());
                prop_assert_eq!((glimpse.observed_at_ns, glimpse.received_at_ns), (*at, at / 2));
                again.extend_from_slice(glimpse.entry);
                prop_assert!(glimpse.entry.ends_with(glimpse.reading));
            }
            prop_assert_eq!(&raw.readings[..], &again[..]);
        }

        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut batch = vec![0x12, u8::try_from(bytes.len()).unwrap()];
            batch.extend(&bytes);
            if let Ok(Incoming::Batch(raw)) = parse(batch.into()) {
                Readings::new(&raw.readings).for_each(drop);
            }
            Readings::new(&bytes).for_each(drop);
        }
    }
}
