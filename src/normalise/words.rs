//! Eight bytes of text at a time. Names, keys and values of payloads are a dozen bytes long: looked at one by one, the end of
//! each is a branch that no processor foresees.

/// A byte in each byte of a word.
pub(super) const fn in_each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of the bytes that are `mark`; above the first of them of some others, too.
#[inline]
const fn equal(word: u64, mark: u64) -> u64 {
    let differs = word ^ mark;
    differs.wrapping_sub(in_each(1)) & !differs & in_each(0x80)
}

/// The same of the bytes below `bound`, of those below 128.
#[inline]
const fn below(word: u64, bound: u64) -> u64 {
    word.wrapping_sub(bound) & !word & in_each(0x80)
}

/// Where the first mark stands, from the front.
#[inline]
const fn first(marked: u64) -> usize {
    marked.trailing_zeros() as usize / 8
}

/// Where the first of these bytes stands. `marks` are made by [`in_each`]; none of them is 0.
#[inline]
pub(super) fn first_of<const N: usize>(marks: &[u64; N], bytes: &[u8]) -> Option<usize> {
    let marked = |bytes: [u8; 8]| {
        let word = u64::from_le_bytes(bytes);
        marks
            .iter()
            .fold(0, |found, mark| found | equal(word, *mark))
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let marked = marked(*word);
        if marked != 0 {
            return Some(at * 8 + first(marked));
        }
    }
    let mut last = [0; 8];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    let marked = marked(last);
    (marked != 0).then(|| words.len() * 8 + first(marked))
}

/// How many bytes from the front are plain in a JSON text, as far as whole words go: no quote, no backslash, no control
/// character (RFC 8259, clause 7).
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let mut plain = 0;
    for word in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let marked =
            equal(word, in_each(b'"')) | equal(word, in_each(b'\\')) | below(word, in_each(0x20));
        if marked != 0 {
            return plain + first(marked);
        }
        plain += 8;
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKS: [u64; 3] = [in_each(b'='), in_each(b';'), in_each(b'&')];

    proptest! {
        #[test]
        fn the_first_mark_is_found_as_by_looking_at_each_byte(bytes in proptest::collection::vec(
            prop_oneof![Just(b'='), Just(b';'), Just(b'<'), Just(0xBD_u8), any::<u8>()], 0..40,
        )) {
            let wanted = bytes.iter().position(|byte| b"=;&".contains(byte));
            prop_assert_eq!(first_of(&MARKS, &bytes), wanted);
        }

        #[test]
        fn plain_text_ends_where_a_byte_is_not(bytes in proptest::collection::vec(
            prop_oneof![4 => any::<u8>(), 1 => Just(0x20_u8), 1 => Just(0x1F), 20 => b'a'..=b'z'], 0..40,
        )) {
            let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let wanted = bytes.iter().position(is_special);
            let words = bytes.len() / 8 * 8;
            prop_assert_eq!(plain(&bytes), wanted.filter(|at| *at < words).unwrap_or(words));
        }
    }
}
