//! Headers of the PROXY protocol: however much of one has come, the same is said of it as of the whole.

use super::super::transport::proxy::{HEADER_BYTES_MAX, parse, wanted};

/// Longest beginning that is looked at byte by byte.
const PREFIX_MAX: usize = 64;

/// Reads a connection's first bytes.
pub fn proxy(bytes: &[u8]) {
    let whole = parse(bytes);
    if let Ok(Some((header, used))) = whole {
        assert!(
            (16..=HEADER_BYTES_MAX).contains(&used) && used <= bytes.len(),
            "{used}"
        );
        let alone = bytes.get(..used).unwrap_or_default();
        assert_eq!(parse(alone), whole, "what follows the header changes it");
        let canonical = header
            .source
            .is_none_or(|s| s.ip() == s.ip().to_canonical());
        assert!(canonical, "{header:?}: limits by address could be evaded");
    }
    for end in 0..bytes.len().min(PREFIX_MAX) {
        let begun = bytes.get(..end).unwrap_or_default();
        match parse(begun) {
            // Never a byte of what follows the header.
            Ok(None) => match whole {
                Ok(Some((_, used))) => assert!((end + 1..=used).contains(&wanted(begun)), "{end}"),
                _ => assert!(wanted(begun) > end, "{end}"),
            },
            said => assert_eq!(said, whole, "{end} bytes say something else than all"),
        }
    }
}
