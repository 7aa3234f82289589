//! The header of the PROXY protocol, version 2, by which a load balancer says whose connection it passes on
//! (`HAProxy`'s proxy-protocol.txt, section 2.2). Pure: bytes in, header or fault out.
//!
//! ```text
//!  0           12        13         14       16
//!  ┌───────────┬─────────┬──────────┬────────┬─────────────────────────────┬───────────┐
//!  │ signature │ version │ family   │ length │ source, destination, ports  │ TLVs      │
//!  │           │ command │ protocol │ u16 BE │ 12 (IPv4) or 36 (IPv6) bytes│ (skipped) │
//!  └───────────┴─────────┴──────────┴────────┴─────────────────────────────┴───────────┘
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// The bytes that no other protocol begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes before the addresses.
pub const FIXED_BYTES: usize = 16;
/// Longest header taken, TLVs included: the addresses of Unix sockets need 232, the rest is for what balancers add.
pub const HEADER_BYTES_MAX: usize = 536;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Who connected to the balancer; `None` if the balancer speaks for itself (LOCAL) or does not know: then the
    /// connection's own address counts.
    pub source: Option<SocketAddr>,
}

/// Why a header is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[expect(
    clippy::module_name_repetitions,
    reason = "`Fault` alone would say nothing where it is used"
)]
pub enum ProxyFault {
    /// The bytes are no header.
    #[error("no PROXY header of version 2")]
    Missing,
    /// The header says something that the protocol does not know.
    #[error("a PROXY header with an unknown command, family or protocol")]
    Unknown,
    /// The header is longer than [`HEADER_BYTES_MAX`].
    #[error("a PROXY header of more than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// The header is too short for its addresses.
    #[error("a PROXY header too short for its addresses")]
    TooShort,
}

/// Reads a header and says how many bytes it takes; `None` if more bytes are needed.
///
/// # Errors
/// [`ProxyFault`]: the bytes are no header, or one that cannot be trusted to mean what it says.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProxyFault> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes.get(..begun) != SIGNATURE.get(..begun) {
        return Err(ProxyFault::Missing);
    }
    let Some((&fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Err(ProxyFault::TooLong);
    }
    let passed_on = match command {
        0x20 => false,
        0x21 => true,
        _ => return Err(ProxyFault::Unknown),
    };
    let read = match (passed_on, family) {
        (false, _) | (true, 0x00 | 0x31) => |_: &[u8]| Some(None),
        (true, 0x11) => |block: &[u8]| v4(block).map(Some),
        (true, 0x21) => |block: &[u8]| v6(block).map(Some),
        _ => return Err(ProxyFault::Unknown),
    };
    let Some(block) = rest.get(..length) else {
        return Ok(None);
    };
    let source = read(block).ok_or(ProxyFault::TooShort)?;
    Ok(Some((Header { source }, FIXED_BYTES + length)))
}

/// Bytes that have to be there before [`parse`] can say more than at `bytes`, and not one of what follows the header.
#[must_use]
pub fn wanted(bytes: &[u8]) -> usize {
    match bytes.first_chunk::<FIXED_BYTES>() {
        None => FIXED_BYTES,
        Some([.., high, low]) => FIXED_BYTES + usize::from(u16::from_be_bytes([*high, *low])),
    }
}

fn v4(block: &[u8]) -> Option<SocketAddr> {
    let (&[a, b, c, d, _, _, _, _, high, low, _, _], _) = block.split_first_chunk::<12>()?;
    let port = u16::from_be_bytes([high, low]);
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
}

fn v6(block: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (_, rest) = rest.split_first_chunk::<16>()?;
    let (&[high, low, _, _], _) = rest.split_first_chunk::<4>()?;
    let address = Ipv6Addr::from(*source).to_canonical();
    Some(SocketAddr::new(address, u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE, &[command, family][..], &length, block].concat()
    }

    fn v4_block() -> Vec<u8> {
        vec![192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x07, 0x5b]
    }

    #[test]
    fn addresses_of_both_families_are_read_and_tlvs_skipped() {
        let mut block = v4_block();
        block.extend([0x04, 0, 3, 1, 2, 3]);
        let bytes = [header(0x21, 0x11, &block), b"CONNECT".to_vec()].concat();
        let (read, used) = parse(&bytes).unwrap().unwrap();
        assert_eq!(read.source, Some("192.0.2.7:12345".parse().unwrap()));
        assert_eq!(&bytes[used..], b"CONNECT");
        let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let block = [&source.octets()[..], &[0; 16], &[0x30, 0x39, 0, 1]].concat();
        let (read, _) = parse(&header(0x21, 0x21, &block)).unwrap().unwrap();
        assert_eq!(read.source, Some("[2001:db8::7]:12345".parse().unwrap()));
    }

    #[test]
    fn a_balancer_may_speak_for_itself_or_not_know() {
        for bytes in [
            header(0x20, 0x11, &v4_block()),
            header(0x20, 0x77, &[]),
            header(0x21, 0x00, &[]),
            header(0x21, 0x31, &[0; 216]),
        ] {
            let (read, used) = parse(&bytes).unwrap().unwrap();
            assert_eq!((read.source, used), (None, bytes.len()));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_the_first_wrong_byte() {
        let block = v4_block();
        let long = header(0x21, 0x11, &[0; HEADER_BYTES_MAX - FIXED_BYTES + 1]);
        for (bytes, fault) in [
            (b"\x10".to_vec(), ProxyFault::Missing),
            (b"PROXY TCP4 1.2.3.4".to_vec(), ProxyFault::Missing),
            (header(0x11, 0x11, &block), ProxyFault::Unknown),
            (header(0x22, 0x11, &block), ProxyFault::Unknown),
            (header(0x21, 0x12, &block), ProxyFault::Unknown),
            (header(0x21, 0x41, &block), ProxyFault::Unknown),
            (header(0x21, 0x11, &block[..11]), ProxyFault::TooShort),
            (header(0x21, 0x21, &[0; 35]), ProxyFault::TooShort),
            (long[..FIXED_BYTES].to_vec(), ProxyFault::TooLong),
        ] {
            assert_eq!(parse(&bytes), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn a_header_in_pieces_is_waited_for_and_no_byte_behind_it_is_wanted() {
        let bytes = header(0x21, 0x11, &v4_block());
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
            assert!(wanted(&bytes[..end]) > end);
        }
        assert_eq!(wanted(&bytes), bytes.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let signed = [&SIGNATURE[..], &bytes].concat();
            for bytes in [&bytes, &signed] {
                if let Ok(Some((_, used))) = parse(bytes) {
                    prop_assert!(used <= bytes.len() && used <= HEADER_BYTES_MAX);
                }
            }
        }
    }
}
