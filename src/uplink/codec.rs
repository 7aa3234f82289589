//! The wire form of what goes up: a batch is its header fields followed by the blocks' bytes as the spool has them.
//!
//! ```text
//!   DeliverRequest  12 len                                   field 2, Batch
//!     Batch         08 lane  10 first  18 count  [20 01]     fields 1..4, canonical: zero is left out
//!                   7A len Reading  7A len Reading …         field 15, concatenated blocks
//! ```

use bytes::{BufMut, Bytes};
use prost::{
    Message as _,
    encoding::{encode_varint, encoded_len_varint},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::{
    domain::{Lane, Sequence},
    proto::platform::{DeliverRequest, DeliverResponse, Gap, Hello, deliver_request::Message},
};

/// Readings of one lane with consecutive sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lane.
    pub lane: Lane,
    /// The first sequence.
    pub first: Sequence,
    /// How many readings.
    pub count: u32,
    /// Whether they belong to a backlog.
    pub backlog: bool,
    /// Entries of field 15, tag and length included; any split.
    pub readings: Vec<Bytes>,
}

/// A message to the platform.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// Opens the stream.
    Hello(Hello),
    /// Readings.
    Batch(Batch),
    /// Sequences that will never come.
    Gap(Gap),
}

const BATCH: u8 = 2 << 3 | 2;
const LANE: u8 = 1 << 3;
const FIRST: u8 = 2 << 3;
const COUNT: u8 = 3 << 3;
const BACKLOG: u8 = 4 << 3;

fn field_len(value: u64) -> usize {
    if value == 0 {
        0
    } else {
        1 + encoded_len_varint(value)
    }
}

fn put_field(tag: u8, value: u64, dst: &mut impl BufMut) {
    if value != 0 {
        dst.put_u8(tag);
        encode_varint(value, dst);
    }
}

impl Batch {
    /// Bytes of the readings.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.readings.iter().map(Bytes::len).sum()
    }

    fn encode(&self, dst: &mut impl BufMut) {
        let fields = [
            (LANE, u64::from(self.lane.number())),
            (FIRST, self.first.0),
            (COUNT, u64::from(self.count)),
            (BACKLOG, u64::from(self.backlog)),
        ];
        let header: usize = fields.iter().map(|(_, value)| field_len(*value)).sum();
        dst.put_u8(BATCH);
        encode_varint((header + self.bytes()) as u64, dst);
        for (tag, value) in fields {
            put_field(tag, value, dst);
        }
        for block in &self.readings {
            dst.put_slice(block);
        }
    }
}

/// Encodes [`Outgoing`], decodes [`DeliverResponse`].
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliverCodec;

/// The encoding half of [`DeliverCodec`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OutgoingEncoder;

/// Bytes that one write gathers before the stream yields to HTTP/2.
const YIELD_BYTES: usize = 256 * 1024;
/// Growth step of the write buffer.
const BUFFER_BYTES: usize = 64 * 1024;
/// Longest header of a batch, with the outer tag and length.
const HEADER_BYTES_MAX: usize = 48;

impl Codec for DeliverCodec {
    type Encode = Outgoing;
    type Decode = DeliverResponse;
    type Encoder = OutgoingEncoder;
    type Decoder = ProstDecoder<DeliverResponse>;

    fn encoder(&mut self) -> OutgoingEncoder {
        OutgoingEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<DeliverRequest, DeliverResponse>::raw_decoder(BufferSettings::default())
    }
}

impl Encoder for OutgoingEncoder {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, item: Outgoing, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let message = match item {
            Outgoing::Batch(batch) => {
                dst.reserve(batch.bytes() + HEADER_BYTES_MAX);
                batch.encode(dst);
                return Ok(());
            }
            Outgoing::Hello(hello) => Message::Hello(hello),
            Outgoing::Gap(gap) => Message::Gap(gap),
        };
        DeliverRequest {
            message: Some(message),
        }
        .encode(dst)
        .map_err(|fault| Status::internal(fault.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::proto::platform::{Batch as Typed, Reading};

    fn block(readings: &[Reading]) -> Bytes {
        let mut bytes = BytesMut::new();
        for reading in readings {
            prost::encoding::message::encode(15, reading, &mut bytes);
        }
        bytes.freeze()
    }

    proptest! {
        #[test]
        fn concatenated_blocks_are_the_typed_batch_byte_for_byte(
            devices in prop::collection::vec("[a-z0-9]{0,12}", 0..9),
            first in any::<u64>(),
            backlog in any::<bool>(),
            cut in 0_usize..9,
        ) {
            let readings: Vec<Reading> = devices
                .into_iter()
                .map(|device_id| Reading { device_id, observed_at_ns: 7, ..Reading::default() })
                .collect();
            let cut = cut.min(readings.len());
            let batch = Batch {
                lane: Lane::Telemetry,
                first: Sequence(first),
                count: u32::try_from(readings.len()).unwrap(),
                backlog,
                readings: vec![block(&readings[..cut]), block(&readings[cut..])],
            };
            let mut bytes = BytesMut::new();
            batch.encode(&mut bytes);
            let typed = Typed {
                lane: 2,
                first_sequence: first,
                count: batch.count,
                backlog,
                readings,
            };
            let typed = DeliverRequest { message: Some(Message::Batch(typed)) };
            prop_assert_eq!(bytes.freeze(), Bytes::from(typed.encode_to_vec()));
        }
    }
}
