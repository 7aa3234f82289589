//! The packet path: a byte stream cut into packets and each of them read, in both versions. However the stream is cut
//! up on its way, the same packets come out of it; and what is read in place agrees with the library's reader.

use bytes::BytesMut;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

use super::super::wire::{
    Frame, Greeting, Publish, Version, first_frame, frame, read_forwarded, read_greeting,
    read_request,
};

/// Largest packet, bytes: small, so that its limit is met.
const BYTES_MAX: u32 = 4096;

/// What was read of a packet.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Packet {
        first: u8,
        bytes: usize,
        taken: bool,
    },
    Fault(u8),
}

/// Reads a stream; the first byte says how.
pub fn packet(bytes: &[u8]) {
    let Some((&how, stream)) = bytes.split_first() else {
        return;
    };
    let (version, greets) = match how & 3 {
        0 => (Version::V3, false),
        1 => (Version::V5, false),
        _ => (Version::V5, true),
    };
    let whole = read_stream((version, greets), [stream].into_iter());
    let step = usize::from(how >> 2).max(1);
    let pieces = read_stream((version, greets), stream.chunks(step));
    assert_eq!(
        whole, pieces,
        "the pieces of a stream say something else than the stream"
    );
}

fn read_stream<'a>(
    (mut version, mut greets): (Version, bool),
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Vec<Read> {
    let mut reads = Vec::new();
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut used = 0;
        while let Some(rest) = waiting.get(used..) {
            let found = if greets {
                first_frame(rest, BYTES_MAX)
            } else {
                frame(rest, BYTES_MAX)
            };
            let found = match found {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(violation) => {
                    reads.push(Read::Fault(violation.reason.into()));
                    return reads;
                }
            };
            let taken = if greets {
                let greeting = read_greeting(found);
                if let Ok(Greeting::Connect(spoken, _)) = greeting {
                    version = spoken;
                }
                greets = false;
                matches!(greeting, Ok(Greeting::Connect(..)))
            } else {
                read_one(version, found)
            };
            reads.push(Read::Packet {
                first: found.first,
                bytes: found.whole.len(),
                taken,
            });
            used += found.whole.len();
        }
        waiting.drain(..used);
        assert!(
            waiting.len() <= usize::try_from(BYTES_MAX).unwrap_or(usize::MAX) + piece.len(),
            "more waits than the largest packet"
        );
    }
    reads
}

fn read_one(version: Version, found: Frame<'_>) -> bool {
    match found.first >> 4 {
        1 => read_greeting(found).is_ok(),
        3 => match Publish::read(version, found) {
            Ok(publish) => {
                agrees(version, found.whole, &publish);
                true
            }
            Err(_) => false,
        },
        _ => read_request(version, found).is_ok(),
    }
}

/// Whether the library reads the same; it may refuse what we take (message expiry 0), and takes what we refuse.
fn agrees(version: Version, whole: &[u8], ours: &Publish<'_>) {
    assert!(!ours.topic.contains(['+', '#', '\0']), "{ours:?}");
    let mut bytes = BytesMut::from(whole);
    let theirs = match version {
        Version::V3 => match v3::Codec::new(0).decode(&mut bytes) {
            Ok(Some((v3::Packet::Publish(publish), _))) => publish,
            _ => return,
        },
        Version::V5 => match v5::Codec::new(0, 0).decode(&mut bytes) {
            Ok(Some((v5::Packet::Publish(publish), _))) => publish,
            _ => return,
        },
    };
    assert_eq!(&*theirs.topic, ours.topic);
    assert_eq!(&*theirs.payload, ours.payload);
    assert_eq!(theirs.packet_id.map_or(0, u16::from), ours.id);
    // What is forwarded can be read back by ourselves: that is what a restart does.
    drop(read_forwarded(&ours.forwarded()));
}
