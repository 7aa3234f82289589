//! Frames of Modbus RTU in a payload. On a line, silence parts them; here only their lengths and their checks do.
//!
//! ```text
//!  reply to 1–4     unit  fc     n  values(n)        CRC          n even for registers
//!  request of 1–4   unit  fc     start(2) count(2)   CRC          and behind it, at once, its reply: one frame
//!  5, 6, 15, 16     unit  fc     4 bytes             CRC          15, 16 as requests: start count n values(n)
//!  exception        unit  fc|80  code                CRC
//! ```

use super::super::Framing;
use super::super::bits::crc16_modbus;
use super::map::{bytes_of, reads_bits};

/// Bytes of a frame that is no reply with values, and of a request.
pub(super) const SHORT: usize = 8;
/// Bytes of an exception.
pub(super) const EXCEPTION: usize = 5;
/// So many bytes at the front of a payload may belong to no frame: the name that a DTU writes is shorter. Each of them
/// may cost one check of a frame, so the search is bounded.
const NOISE_MAX: usize = 256;

/// Check of a frame's bytes: found and computed; none if there are none.
pub(super) fn crc(frame: &[u8]) -> Option<(u16, u16)> {
    let (body, found) = frame.split_last_chunk()?;
    Some((u16::from_le_bytes(*found), crc16_modbus(body)))
}

fn is_intact(bytes: &[u8], len: usize) -> bool {
    let check = bytes.get(..len).and_then(crc);
    check.is_some_and(|(found, computed)| found == computed)
}

/// Length of the reply to a reading that stands at the front, by its count of bytes.
pub(super) fn reply_len(bytes: &[u8]) -> Option<usize> {
    let &[_, function, count, ..] = bytes else {
        return None;
    };
    let fits = count > 0 && (reads_bits(function) || count % 2 == 0);
    fits.then(|| usize::from(count) + 5)
}

/// Length of the frame at the front whose check is right. A request and the reply behind it are one.
fn intact(bytes: &[u8]) -> Option<usize> {
    let intact = |len: &usize| is_intact(bytes, *len);
    match *bytes.get(1)? {
        1..=4 => reply_len(bytes).filter(intact).or_else(|| {
            let request = Some(SHORT).filter(intact)?;
            Some(request + answer_len(bytes).unwrap_or(0))
        }),
        5 | 6 => Some(SHORT).filter(intact),
        15 | 16 => Some(SHORT).filter(intact).or_else(|| {
            let written = bytes.get(6)?;
            Some(usize::from(*written) + 9).filter(intact)
        }),
        0x81..=0x86 | 0x8F | 0x90 => Some(EXCEPTION).filter(intact),
        _ => None,
    }
}

/// Length of the reply behind the request at the front, if it is its.
pub(super) fn answer_len(bytes: &[u8]) -> Option<usize> {
    let (&[unit, function, _, _, high, low, ..], reply) = bytes.split_first_chunk::<SHORT>()?;
    let len = reply_len(reply)?;
    let asked = bytes_of(function, u16::from_be_bytes([high, low]));
    let is_its = reply.starts_with(&[unit, function]) && len == asked + 5;
    (is_its && is_intact(reply, len)).then_some(len)
}

/// Length that a frame at the front would have, by its function; none if no frame begins so.
fn said_len(bytes: &[u8]) -> Option<usize> {
    let &[unit, function, ..] = bytes else {
        return None;
    };
    match function {
        _ if unit > 247 => None,
        1..=4 => Some(reply_len(bytes).unwrap_or(SHORT)),
        5 | 6 | 15 | 16 => Some(SHORT),
        0x81..=0x86 | 0x8F | 0x90 => Some(EXCEPTION),
        _ => None,
    }
}

/// What stands at the front of a payload: an intact frame wins, unless one that is spoilt stands whole before it.
pub(super) fn find(bytes: &[u8]) -> Framing {
    let rest = |skip: usize| bytes.get(skip..).unwrap_or_default();
    let found =
        (0..bytes.len().min(NOISE_MAX)).find_map(|skip| intact(rest(skip)).map(|len| (skip, len)));
    let spoilt = said_len(bytes).filter(|len| *len <= bytes.len());
    match (found, spoilt) {
        (Some((skip, _)), Some(len)) if len <= skip => Framing::Frame { skip: 0, len },
        (Some((skip, len)), _) => Framing::Frame { skip, len },
        (None, Some(len)) => Framing::Frame { skip: 0, len },
        (None, None) => begun(bytes),
    }
}

/// The first place in reach at which a frame could have begun that is not whole yet.
fn begun(bytes: &[u8]) -> Framing {
    let skip = (0..bytes.len().min(NOISE_MAX)).find(|skip| {
        let rest = bytes.get(*skip..).unwrap_or_default();
        match rest {
            // the last byte alone is a unit or the end of a line
            [unit] => *skip == 0 && (1..=247).contains(unit),
            [0, ..] => false,
            _ => said_len(rest).is_some_and(|len| len > rest.len()),
        }
    });
    skip.map_or(Framing::Nothing, |skip| Framing::Partial { skip })
}
