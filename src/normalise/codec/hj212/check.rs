//! The standard's own CRC (HJ 212-2017, Annex A). It takes the polynomial of CRC-16/MODBUS and is another sum: each byte
//! is joined with the *high* byte of the sum, and the low byte is dropped.
//!
//! What is dropped cannot matter, so all that a byte hands to the next one is eight bits, and the step is linear over
//! them: `state' = step(state ^ byte)`. Eight bytes are eight lookups that do not wait for each other, joined by XOR; only
//! the last byte needs all sixteen bits. Byte by byte, the sum alone would cost more than the rest of a frame.

const BLOCK: usize = 8;

#[expect(clippy::indexing_slicing, reason = "at compile time")]
const fn sum_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u16;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0xA001
            } else {
                sum >> 1
            };
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
}

/// By how many steps a byte is followed, counting its own, and the byte: what it adds to the state.
#[expect(clippy::indexing_slicing, reason = "at compile time")]
const fn state_tables() -> [[u8; 256]; BLOCK] {
    let sums = sum_table();
    let mut tables = [[0; 256]; BLOCK];
    let mut byte = 0;
    while byte < 256 {
        let mut state = (sums[byte] >> 8) as u8;
        let mut steps = 0;
        while steps < BLOCK {
            tables[steps][byte] = state;
            state = (sums[state as usize] >> 8) as u8;
            steps += 1;
        }
        byte += 1;
    }
    tables
}

static SUMS: [u16; 256] = sum_table();
static STATES: [[u8; 256]; BLOCK] = state_tables();

#[inline]
fn entry<T: Copy + Default>(table: &[T; 256], byte: u8) -> T {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The CRC of a data segment.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    let Some((last, before)) = bytes.split_last() else {
        return 0xFFFF;
    };
    let [one, two, three, four, five, six, seven, eight] = &STATES;
    let (blocks, rest) = before.as_chunks();
    let state = blocks
        .iter()
        .fold(0xFF, |state, &[a, b, c, d, e, f, g, h]| {
            let early = entry(seven, b) ^ entry(six, c) ^ entry(five, d) ^ entry(four, e);
            let late = entry(three, f) ^ entry(two, g) ^ entry(one, h);
            entry(eight, state ^ a) ^ early ^ late
        });
    let state = rest
        .iter()
        .fold(state, |state, byte| entry(one, state ^ byte));
    entry(&SUMS, state ^ last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::crc;

    /// As the standard writes it.
    fn bitwise(bytes: &[u8]) -> u16 {
        let mut sum = 0xFFFF_u16;
        for byte in bytes {
            sum = sum >> 8 ^ u16::from(*byte);
            for _ in 0..8 {
                let carry = sum & 1;
                sum >>= 1;
                if carry == 1 {
                    sum ^= 0xA001;
                }
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn the_tables_give_what_the_bitwise_rule_gives(bytes: Vec<u8>) {
            prop_assert_eq!(crc(&bytes), bitwise(&bytes));
        }
    }

    #[test]
    fn the_sum_is_not_that_of_modbus() {
        assert_eq!(crc(b""), 0xFFFF);
        assert_ne!(
            crc(b"QN=1"),
            super::super::super::bits::crc16_modbus(b"QN=1")
        );
    }
}
