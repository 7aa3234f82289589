//! WebSocket: the request that opens one, and the frames that follow. However the bytes are cut up on their way, the same
//! comes out of them.

use super::super::transport::{
    frame::{Decoder, FrameFault},
    upgrade::{self, Opening},
};

/// Largest message: small, so that its limit is met.
const MESSAGE_BYTES_MAX: u32 = 512;
/// Longest request that is looked at byte by byte.
const PREFIX_MAX: usize = 256;

/// The first byte says what the rest is, and how it is cut up.
pub fn websocket(bytes: &[u8]) {
    match bytes.split_first() {
        None => {}
        Some((&how, rest)) if how & 1 == 0 => open(rest),
        Some((&how, rest)) => frames(rest, usize::from(how >> 1).max(1)),
    }
}

fn open(bytes: &[u8]) {
    let whole = upgrade::read(bytes);
    if let Opening::Accepted { answer, used } = &whole {
        assert!(*used <= bytes.len() && answer.starts_with(b"HTTP/1.1 101 "));
        let ends = answer.windows(4).filter(|end| end == b"\r\n\r\n").count();
        assert_eq!(ends, 1, "the client has a say in the answer's end");
    }
    if let Opening::Refused { answer } = &whole {
        assert!(answer.starts_with(b"HTTP/1.1 ") && !answer.starts_with(b"HTTP/1.1 1"));
    }
    for end in 0..bytes.len().min(PREFIX_MAX) {
        let begun = upgrade::read(bytes.get(..end).unwrap_or_default());
        if let Opening::Accepted { used, .. } = &begun {
            assert!(*used <= end);
            assert_eq!(begun, whole, "what follows the request changes it");
        }
    }
}

/// What a stream of frames amounts to.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    payload: Vec<u8>,
    close: Option<u16>,
}

fn frames(bytes: &[u8], step: usize) {
    let whole = decode([bytes.to_vec()].into_iter());
    let pieces = decode(bytes.chunks(step).map(<[u8]>::to_vec));
    assert_eq!(
        whole, pieces,
        "the pieces of a stream say something else than the stream"
    );
}

fn decode(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Stream, FrameFault> {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut stream = Stream {
        payload: Vec::new(),
        close: None,
    };
    for mut piece in pieces {
        let decoded = decoder.decode(&mut piece)?;
        assert!(decoded.ping.is_none_or(|ping| ping.len() <= 125));
        let payload = piece.get(..decoded.payload);
        stream
            .payload
            .extend_from_slice(payload.expect("no more payload than bytes"));
        stream.close = decoded.close;
        if stream.close.is_some() {
            break;
        }
    }
    Ok(stream)
}
