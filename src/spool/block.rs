//! What stands on disk for a run of sequences: a block of readings, or a gap that says why there are none.
//!
//! ```text
//! 0      version       1
//! 1      codec         0 readings as they are, 1 readings under zstd, 2 gap
//! 2..4   flags         bit 0 gap is sealed, bit 1 gap's sequences never were readings
//! 4..8   CRC-32C       over bytes 0..4 and everything from byte 8 on
//! 8..16  first sequence
//! 16..24 count         sequences: first .. first + count
//! 24..28 raw length    of the payload before compression
//! 28..36 oldest        when the first reading was received, Unix nanoseconds
//! 36..44 newest        when the last one was
//! 44..   payload       codec 0, 1: field 15 of `Batch`, one entry for each reading, ready to be concatenated
//!                      codec 2: reason (one byte, `GapReason`), then the detail in UTF-8
//! ```
//! All numbers are big-endian. The same bytes in the same place mean the same for ever: a change is a new version.
//!
//! A gap is *sealed* before it is handed to the uplink: from then on it is not extended, and an acknowledgement of it
//! means that the platform knows of the gap. An acknowledgement that covers an unsealed gap means that the platform
//! holds the readings themselves.

use std::fmt;

use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

use crate::domain::{DropReason, Sequence, SequenceRange, UnixNanos};

/// The version that this code writes.
const VERSION: u8 = 1;
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 44;
/// Largest raw length believed: a group never comes near it, and a lying header must not take the memory.
const RAW_BYTES_MAX: usize = 256 << 20;
/// Below this a block is not worth a compressor's frame.
const COMPRESS_BYTES_MIN: usize = 128;

const FLAG_SEALED: u16 = 1;
const FLAG_NUMBERS: u16 = 1 << 1;

/// Why sequences will never come. The numbers are those of `sensegate.platform.v1.GapReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapReason {
    /// The lane was full and let go of its oldest readings.
    Capacity = 1,
    /// They had become too old.
    Expired = 2,
    /// The disk gave back something else than was written.
    Corruption = 3,
    /// An operator removed them.
    Operator = 4,
}

impl GapReason {
    /// The number on disk and on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Capacity),
            2 => Some(Self::Expired),
            3 => Some(Self::Corruption),
            4 => Some(Self::Operator),
            _ => None,
        }
    }

    /// The column of the ledger that its readings stand in.
    pub(super) const fn drop_reason(self) -> DropReason {
        match self {
            Self::Corruption => DropReason::Corruption,
            Self::Capacity | Self::Expired | Self::Operator => DropReason::Capacity,
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capacity => "capacity",
            Self::Expired => "expired",
            Self::Corruption => "corruption",
            Self::Operator => "operator",
        })
    }
}

/// What is wrong with the bytes of an item.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum BlockFault {
    #[error("item of {0} bytes is shorter than its header")]
    Short(usize),
    #[error("item has version {0}, this software reads version {VERSION}")]
    Version(u8),
    #[error("item does not match its checksum")]
    Checksum,
    #[error("item has codec {0}, which is not known")]
    Codec(u8),
    #[error("item has an impossible {0}")]
    Field(&'static str),
    #[error("block cannot be decompressed")]
    Decompress,
}

/// How an item's payload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Codec {
    Raw = 0,
    Zstd = 1,
    Gap = 2,
}

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) codec: Codec,
    flags: u16,
    pub(super) range: SequenceRange,
    pub(super) raw_bytes: u32,
    pub(super) oldest: UnixNanos,
    pub(super) newest: UnixNanos,
}

impl Header {
    pub(super) fn is_gap(&self) -> bool {
        self.codec == Codec::Gap
    }

    /// Whether a gap may have been told to the platform.
    pub(super) fn is_sealed(&self) -> bool {
        self.flags & FLAG_SEALED != 0
    }

    fn gap_of(&self) -> GapOf {
        if self.flags & FLAG_NUMBERS == 0 {
            GapOf::Readings
        } else {
            GapOf::Numbers
        }
    }

    /// Reads a header without looking at the checksum.
    pub(super) fn peek(item: &[u8]) -> Result<Self, BlockFault> {
        let header = item
            .first_chunk::<HEADER_BYTES>()
            .ok_or(BlockFault::Short(item.len()))?;
        let [version, codec, ..] = *header;
        if version != VERSION {
            return Err(BlockFault::Version(version));
        }
        let codec = match codec {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            2 => Codec::Gap,
            other => return Err(BlockFault::Codec(other)),
        };
        let first = u64_at(header, 8);
        let next = first
            .checked_add(u64_at(header, 16))
            .filter(|next| *next > first)
            .ok_or(BlockFault::Field("count"))?;
        Ok(Self {
            codec,
            flags: u16::from_be_bytes(array_at(header, 2)),
            range: SequenceRange::new(Sequence(first), Sequence(next)),
            raw_bytes: u32::from_be_bytes(array_at(header, 24)),
            oldest: UnixNanos(u64_at(header, 28)),
            newest: UnixNanos(u64_at(header, 36)),
        })
    }
}

fn array_at<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    header
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

fn u64_at(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_be_bytes(array_at(header, at))
}

fn checksum(item: &[u8]) -> Option<u32> {
    let (head, rest) = item.split_at_checked(4)?;
    Some(crc32c::crc32c_append(crc32c::crc32c(head), rest.get(4..)?))
}

/// Reads and checks an item: header and payload as stored.
pub(super) fn open(item: &[u8]) -> Result<(Header, &[u8]), BlockFault> {
    let header = Header::peek(item)?;
    let kept = item.get(4..8).and_then(|crc| crc.first_chunk::<4>());
    if kept.map(|crc| u32::from_be_bytes(*crc)) != checksum(item) {
        return Err(BlockFault::Checksum);
    }
    Ok((header, item.get(HEADER_BYTES..).unwrap_or_default()))
}

fn seal_bytes(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut item = Vec::with_capacity(HEADER_BYTES + payload.len());
    item.extend_from_slice(&[VERSION, header.codec as u8]);
    item.extend_from_slice(&header.flags.to_be_bytes());
    item.extend_from_slice(&[0; 4]);
    item.extend_from_slice(&header.range.first.0.to_be_bytes());
    item.extend_from_slice(&header.range.count().to_be_bytes());
    item.extend_from_slice(&header.raw_bytes.to_be_bytes());
    item.extend_from_slice(&header.oldest.0.to_be_bytes());
    item.extend_from_slice(&header.newest.0.to_be_bytes());
    item.extend_from_slice(payload);
    let crc = checksum(&item).unwrap_or_default();
    if let Some(place) = item.get_mut(4..8) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    item
}

/// What a gap's sequences were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GapOf {
    /// Readings, which the ledger counts as dropped.
    Readings,
    /// Numbers that no reading ever had, or that the ledger has counted already.
    Numbers,
}

/// A gap: sequences that will never come, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GapNote {
    pub(super) range: SequenceRange,
    pub(super) reason: GapReason,
    pub(super) detail: String,
    pub(super) sealed: bool,
    pub(super) of: GapOf,
    /// When the oldest of the readings had been received.
    pub(super) since: UnixNanos,
}

impl GapNote {
    /// Whether more dropped readings may be added to it.
    pub(super) fn may_grow(&self) -> bool {
        self.reason == GapReason::Capacity && self.of == GapOf::Readings && !self.sealed
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(1 + self.detail.len());
        payload.push(self.reason.code());
        payload.extend_from_slice(self.detail.as_bytes());
        let sealed = if self.sealed { FLAG_SEALED } else { 0 };
        let numbers = if self.of == GapOf::Numbers {
            FLAG_NUMBERS
        } else {
            0
        };
        let header = Header {
            codec: Codec::Gap,
            flags: sealed | numbers,
            range: self.range,
            raw_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            oldest: self.since,
            newest: self.since,
        };
        seal_bytes(&header, &payload)
    }

    /// The gap that a checked item holds.
    pub(super) fn of(header: &Header, payload: &[u8]) -> Result<Self, BlockFault> {
        let (code, detail) = payload.split_first().ok_or(BlockFault::Field("reason"))?;
        Ok(Self {
            range: header.range,
            reason: GapReason::from_code(*code).ok_or(BlockFault::Field("reason"))?,
            detail: String::from_utf8_lossy(detail).into_owned(),
            sealed: header.is_sealed(),
            of: header.gap_of(),
            since: header.oldest,
        })
    }
}

/// Where a block's readings stand and when they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) range: SequenceRange,
    pub(super) oldest: UnixNanos,
    pub(super) newest: UnixNanos,
}

/// Turns readings into blocks; keeps the compressor and its buffer.
pub(super) struct BlockWriter {
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockWriter")
    }
}

impl BlockWriter {
    pub(super) fn new(zstd_level: i32) -> std::io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(zstd_level)?,
            scratch: Vec::new(),
        })
    }

    /// The block of some readings: compressed, if that makes it smaller.
    pub(super) fn encode(&mut self, placed: &Placed, readings: &[u8]) -> Vec<u8> {
        let codec = if self.compress(readings) {
            Codec::Zstd
        } else {
            Codec::Raw
        };
        let header = Header {
            codec,
            flags: 0,
            range: placed.range,
            raw_bytes: u32::try_from(readings.len()).unwrap_or(u32::MAX),
            oldest: placed.oldest,
            newest: placed.newest,
        };
        match codec {
            Codec::Zstd => seal_bytes(&header, &self.scratch),
            Codec::Raw | Codec::Gap => seal_bytes(&header, readings),
        }
    }

    fn compress(&mut self, readings: &[u8]) -> bool {
        if readings.len() < COMPRESS_BYTES_MIN {
            return false;
        }
        self.scratch.clear();
        self.scratch
            .reserve(zstd::zstd_safe::compress_bound(readings.len()));
        let done = self
            .compressor
            .compress_to_buffer(readings, &mut self.scratch);
        done.is_ok_and(|bytes| bytes < readings.len())
    }
}

/// Turns blocks back into readings; keeps the decompressor.
pub(super) struct BlockReader {
    decompressor: Decompressor<'static>,
}

impl fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockReader")
    }
}

impl BlockReader {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            decompressor: Decompressor::new()?,
        })
    }

    /// The readings of a checked block.
    pub(super) fn readings(
        &mut self,
        header: &Header,
        payload: &[u8],
    ) -> Result<Vec<u8>, BlockFault> {
        let raw_bytes = usize::try_from(header.raw_bytes)
            .ok()
            .filter(|bytes| *bytes <= RAW_BYTES_MAX)
            .ok_or(BlockFault::Field("raw length"))?;
        let readings = match header.codec {
            Codec::Raw => payload.to_vec(),
            Codec::Zstd => self
                .decompressor
                .decompress(payload, raw_bytes)
                .ok()
                .ok_or(BlockFault::Decompress)?,
            Codec::Gap => return Err(BlockFault::Codec(Codec::Gap as u8)),
        };
        if readings.len() == raw_bytes {
            Ok(readings)
        } else {
            Err(BlockFault::Field("raw length"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A raw block of version 1, as the first release wrote it: sequences 7..9, `z` + length + body twice.
    const FIXTURE_RAW: &str = concat!(
        "01000000512329ab00000000000000070000000000000002000000080000000000000064000000000000006e",
        "7a0268697a026f6b",
    );
    /// A sealed gap of version 1: sequences 3..10, capacity, "full".
    const FIXTURE_GAP: &str = concat!(
        "010200016eca404d000000000000000300000000000000070000000500000000000000640000000000000064",
        "0166756c6c",
    );

    fn placed(first: u64, count: u64) -> Placed {
        Placed {
            range: SequenceRange::new(Sequence(first), Sequence(first + count)),
            oldest: UnixNanos(100),
            newest: UnixNanos(110),
        }
    }

    #[test]
    fn blocks_of_the_first_version_are_read_for_ever() {
        let raw = hex::decode(FIXTURE_RAW).unwrap();
        let (header, payload) = open(&raw).unwrap();
        assert_eq!(header.range, placed(7, 2).range);
        assert_eq!(
            (header.oldest, header.newest),
            (UnixNanos(100), UnixNanos(110))
        );
        let readings = BlockReader::new()
            .unwrap()
            .readings(&header, payload)
            .unwrap();
        assert_eq!(readings, b"z\x02hiz\x02ok");
        assert_eq!(
            BlockWriter::new(1)
                .unwrap()
                .encode(&placed(7, 2), &readings),
            raw
        );

        let gap = hex::decode(FIXTURE_GAP).unwrap();
        let (header, payload) = open(&gap).unwrap();
        let note = GapNote::of(&header, payload).unwrap();
        assert_eq!(note.range, SequenceRange::new(Sequence(3), Sequence(10)));
        assert_eq!(
            (note.reason, note.detail.as_str()),
            (GapReason::Capacity, "full")
        );
        assert!(note.sealed && note.of == GapOf::Readings);
        assert_eq!(note.encode(), gap);
    }

    proptest! {
        #[test]
        fn readings_come_back_as_they_went_in(
            first in 0_u64..1 << 60,
            count in 1_u64..5000,
            readings in proptest::collection::vec(any::<u8>(), 0..4000),
            repeat in 1_usize..6,
        ) {
            let readings = readings.repeat(repeat);
            let block = BlockWriter::new(3).unwrap().encode(&placed(first, count), &readings);
            let (header, payload) = open(&block).unwrap();
            prop_assert_eq!(header.range, placed(first, count).range);
            prop_assert_eq!(BlockReader::new().unwrap().readings(&header, payload).unwrap(), readings);
        }

        #[test]
        fn any_flipped_bit_is_found(
            readings in proptest::collection::vec(any::<u8>(), 0..600),
            at in any::<proptest::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let mut block = BlockWriter::new(3).unwrap().encode(&placed(1, 3), &readings);
            let at = at.index(block.len());
            block[at] ^= 1 << bit;
            prop_assert!(open(&block).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), fixed in any::<bool>()) {
            if fixed && bytes.len() >= HEADER_BYTES {
                bytes[0] = VERSION;
                bytes[1] %= 3;
                let crc = checksum(&bytes).unwrap();
                bytes[4..8].copy_from_slice(&crc.to_be_bytes());
            }
            if let Ok((header, payload)) = open(&bytes) {
                drop(GapNote::of(&header, payload));
                drop(BlockReader::new().unwrap().readings(&header, payload));
            }
        }
    }
}
