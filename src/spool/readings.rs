//! The little that the spool knows of a reading's encoding: entries `0x7A, length, Reading` in a row (field 15 of
//! `Batch`), so that a block can be cut between readings, and a reading's device and class, so that a refused one can
//! be listed. Everything else is somebody else's.

/// Tag of `Batch.readings`.
const ENTRY_TAG: u8 = 0x7A;
/// Tag of `Reading.device_id`.
const DEVICE_TAG: u8 = 0x0A;
/// Tag of `Reading.class_id`.
const CLASS_TAG: u8 = 0x12;

/// Splits a varint off the front; none if there is none.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7F).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// Splits `tag, length, bytes` off the front.
fn delimited(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (length, rest) = varint(rest)?;
    (found == tag)
        .then(|| rest.split_at_checked(usize::try_from(length).ok()?))
        .flatten()
}

/// The byte at which the entry number `skip` starts; none if there are not so many.
pub(super) fn offset_of(entries: &[u8], skip: u64) -> Option<usize> {
    let mut rest = entries;
    for _ in 0..skip {
        (_, rest) = delimited(rest, ENTRY_TAG)?;
    }
    Some(entries.len() - rest.len())
}

/// The encoded reading number `at`.
pub(super) fn reading_at(entries: &[u8], at: u64) -> Option<&[u8]> {
    let from = offset_of(entries, at)?;
    Some(delimited(entries.get(from..)?, ENTRY_TAG)?.0)
}

/// Device and class of an encoded reading, empty where they cannot be read.
pub(super) fn device_and_class(reading: &[u8]) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some((device, rest)) = delimited(reading, DEVICE_TAG) else {
        return (String::new(), String::new());
    };
    let class = delimited(rest, CLASS_TAG).map(|(class, _)| text(class));
    (text(device), class.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_is_cut_between_readings() {
        let entries = b"z\x02hiz\x00z\x03abc";
        assert_eq!(offset_of(entries, 0), Some(0));
        assert_eq!(offset_of(entries, 2), Some(6));
        assert_eq!(offset_of(entries, 3), Some(entries.len()));
        assert_eq!(offset_of(entries, 4), None);
        assert_eq!(reading_at(entries, 2), Some(&b"abc"[..]));
    }

    #[test]
    fn a_reading_tells_its_device_and_class() {
        let reading = b"\x0a\x02d1\x12\x03abc\x19";
        assert_eq!(
            device_and_class(reading),
            ("d1".to_owned(), "abc".to_owned())
        );
        assert_eq!(device_and_class(b"\x12"), (String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), at in 0_u64..9) {
            drop(reading_at(&bytes, at).map(device_and_class));
            drop(device_and_class(&bytes));
        }
    }
}
