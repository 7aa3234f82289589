//! The protobuf wire format, as much of it as a reading needs: writing into a buffer, reading without a copy.
//!
//! ```text
//! field = varint(number << 3 | type) payload      type 0 varint, 1 eight bytes, 2 varint length + bytes, 5 four bytes
//! ```

/// Wire type of a varint.
pub(super) const VARINT: u8 = 0;
/// Wire type of eight bytes, little-endian.
pub(super) const FIXED64: u8 = 1;
/// Wire type of a length and that many bytes.
pub(super) const LENGTH: u8 = 2;
/// Wire type of four bytes, little-endian.
pub(super) const FIXED32: u8 = 5;

/// Appends a varint.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

/// Bytes that a varint takes.
#[inline]
pub(super) const fn varint_bytes(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a length and the bytes.
#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// `ZigZag`: small magnitudes become small numbers.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "ZigZag is defined on the bits")]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "ZigZag is defined on the bits")]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A reader of wire bytes. Every step says `None` where the bytes end or break the format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// A varint of at most ten bytes that fits 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if shift == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7F) << (shift * 7);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A field's number and wire type. Groups and unassigned types are left to the caller.
    #[inline]
    pub(super) fn key(&mut self) -> Option<(u32, u8)> {
        let key = u32::try_from(self.varint()?).ok()?;
        let number = key >> 3;
        (number > 0).then_some((number, (key & 7) as u8))
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A length and that many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(super) fn fixed64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.as_array()?))
    }

    /// Four bytes, little-endian.
    #[inline]
    pub(super) fn fixed32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.as_array()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_varint_comes_back_and_its_size_is_foretold(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_bytes(value));
            prop_assert_eq!(Wire::new(&out).varint(), Some(value));
        }

        #[test]
        fn zigzag_comes_back(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn a_varint_that_does_not_fit_is_none() {
        assert_eq!(Wire::new(&[0xFF; 11]).varint(), None);
        assert_eq!(Wire::new(&[0x80]).varint(), None);
        let mut ten = [0xFF; 10];
        ten[9] = 1;
        assert_eq!(Wire::new(&ten).varint(), Some(u64::MAX));
    }
}
