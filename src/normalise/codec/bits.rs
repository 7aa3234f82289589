//! What many formats share: bytes taken in order, BCD, checks, bits, text in GB 18030.

use std::borrow::Cow;

use super::{super::payload::Reject, malformed};

/// Bytes taken from the front; every step that runs out of them says where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// Bytes taken so far.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Reject> {
        let taken = self
            .rest()
            .get(..count)
            .ok_or_else(|| malformed(self.at, format_args!("{count} bytes are wanted")))?;
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let at = self.at;
        self.take(N)?
            .first_chunk()
            .copied()
            .ok_or_else(|| malformed(at, format_args!("{N} bytes are wanted")))
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Reject> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16_be(&mut self) -> Result<u16, Reject> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16_le(&mut self) -> Result<u16, Reject> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32_be(&mut self) -> Result<u32, Reject> {
        self.array().map(u32::from_be_bytes)
    }
}

/// The two digits of a BCD byte as a number; none if one is above 9.
#[inline]
pub(crate) const fn bcd(byte: u8) -> Option<u8> {
    let (high, low) = (byte >> 4, byte & 0x0F);
    if high > 9 || low > 9 {
        None
    } else {
        Some(high * 10 + low)
    }
}

/// BCD with the most significant digits first; none if a digit is above 9 or there are more than 18 of them.
#[inline]
pub(crate) fn bcd_be(bytes: &[u8]) -> Option<i64> {
    (bytes.len() <= 9).then_some(())?;
    bytes
        .iter()
        .try_fold(0_i64, |sum, &byte| Some(sum * 100 + i64::from(bcd(byte)?)))
}

/// BCD with the least significant digits first.
#[inline]
pub(crate) fn bcd_le(bytes: &[u8]) -> Option<i64> {
    (bytes.len() <= 9).then_some(())?;
    bytes
        .iter()
        .rev()
        .try_fold(0_i64, |sum, &byte| Some(sum * 100 + i64::from(bcd(byte)?)))
}

/// Sum of the bytes modulo 256.
#[inline]
pub(crate) fn sum8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Exclusive or of the bytes.
#[inline]
pub(crate) fn xor8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[expect(clippy::indexing_slicing, reason = "computed at compile time")]
const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    let mut start = 0_u16;
    while byte < 256 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xA001
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
        start += 1;
    }
    table
}

static CRC16: [u16; 256] = crc16_table();

/// CRC-16/MODBUS: polynomial 8005 reflected, initial FFFF.
#[inline]
pub(crate) fn crc16_modbus(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        let entry = CRC16.get(usize::from((crc & 0xFF) ^ u16::from(*byte)));
        crc >> 8 ^ entry.copied().unwrap_or_default()
    })
}

/// A number shown as `width` hexadecimal digits, most significant first, without allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HexText {
    digits: [u8; 32],
    len: usize,
}

impl HexText {
    /// Of bytes in their order; at most 16 of them.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; 32];
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        for (place, nibble) in digits.iter_mut().zip(nibbles) {
            *place = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'A' + nibble - 10,
            };
        }
        Self {
            digits,
            len: (bytes.len() * 2).min(32),
        }
    }

    /// The same of bytes whose least significant stands first.
    pub(crate) fn of_le(bytes: &[u8]) -> Self {
        let mut reversed = [0; 16];
        for (place, byte) in reversed.iter_mut().zip(bytes.iter().rev()) {
            *place = *byte;
        }
        Self::of(reversed.get(..bytes.len().min(16)).unwrap_or_default())
    }

    pub(crate) fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.len).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// GB 18030 text without what follows its first NUL; what cannot be read becomes U+FFFD. Text never fails a reading.
pub(crate) fn gb18030(bytes: &[u8]) -> Cow<'_, str> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    encoding_rs::GB18030.decode_without_bom_handling(text).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_give_their_published_values() {
        assert_eq!(crc16_modbus(b"123456789"), 0x4B37);
        assert_eq!(sum8(&[0xFF, 2]), 1);
        assert_eq!(xor8(&[0x0F, 0xFF]), 0xF0);
    }

    #[test]
    fn digits_are_read_from_both_ends_and_only_digits() {
        assert_eq!(bcd_be(&[0x12, 0x34]), Some(1234));
        assert_eq!(bcd_le(&[0x12, 0x34]), Some(3412));
        assert_eq!(bcd_le(&[0x1A]), None);
        assert_eq!(bcd_be(&[0x99; 10]), None);
    }

    #[test]
    fn bytes_are_shown_in_both_orders() {
        assert_eq!(HexText::of(&[0x01, 0xAB]).as_str(), "01AB");
        assert_eq!(HexText::of_le(&[0x01, 0xAB]).as_str(), "AB01");
    }

    #[test]
    fn broken_text_is_read_as_far_as_it_goes() {
        assert_eq!(gb18030(&[0xBA, 0xC5, 0, 0xFF]), "号");
        assert_eq!(gb18030(&[b'a', 0xFF]), "a\u{FFFD}");
    }
}
