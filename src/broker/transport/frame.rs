//! WebSocket frames from clients (RFC 6455, section 5), taken apart in place: payloads of binary frames move to the
//! front of the buffer they came in, so that nothing is copied elsewhere and nothing waits between two reads but the
//! place within the current frame. MQTT packets need not keep to frames (MQTT 5, section 6).
//!
//! ```text
//!  ┌──────────────┬───────────────┬────────────────────┬──────────┬─────────┐
//!  │ fin rsv op   │ mask length 7 │ length 16 or 64    │ mask key │ payload │
//!  │ 1 byte       │ 1 byte        │ 0, 2 or 8 bytes    │ 4 bytes  │         │
//!  └──────────────┴───────────────┴────────────────────┴──────────┴─────────┘
//! ```

use thiserror::Error;

/// Longest header of a client's frame.
const HEAD_BYTES_MAX: usize = 14;
/// Longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: u32 = 125;
/// Control frames in a row without data between them. A client that pings every second for a quarter of an hour
/// without a word of MQTT stays below.
const CONTROLS_MAX: u16 = 1024;
/// Longest header of a frame to a client.
pub(super) const SENT_HEAD_BYTES_MAX: usize = 10;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why a client's frames are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[expect(
    clippy::module_name_repetitions,
    reason = "`Fault` alone would say nothing where it is used"
)]
pub enum FrameFault {
    /// The client broke the framing.
    #[error("broken WebSocket framing: {0}")]
    Protocol(&'static str),
    /// A text frame: MQTT is binary (MQTT-6.0.0-1).
    #[error("a text frame, but MQTT is binary")]
    Text,
    /// A frame or message beyond the limit.
    #[error("a WebSocket message over the limit")]
    TooBig,
    /// Nothing but control frames.
    #[error("more than {CONTROLS_MAX} control frames in a row")]
    Chatter,
}

impl FrameFault {
    /// The close code that tells the client (RFC 6455, section 7.4.1).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::Text => 1003,
            Self::Chatter => 1008,
            Self::TooBig => 1009,
        }
    }
}

/// What a piece of the stream held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of MQTT, now at the front of the buffer.
    pub payload: usize,
    /// The last ping's payload, to be answered; earlier ones need no answer of their own (section 5.5.3).
    pub ping: Option<Box<[u8]>>,
    /// The client closes, with this code; what follows is not looked at.
    pub close: Option<u16>,
}

/// The place within a client's frames.
#[derive(Debug)]
pub struct Decoder {
    head: [u8; HEAD_BYTES_MAX],
    have: u8,
    place: Place,
    op: u8,
    mask: [u8; 4],
    left: u32,
    /// Bytes of the current message so far.
    message: u32,
    message_max: u32,
    /// Whether a message's last frame has not come.
    fragmented: bool,
    controls: u16,
    control: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Payload,
}

impl Decoder {
    /// A stream's beginning; messages may have `message_max` bytes.
    #[must_use]
    pub const fn new(message_max: u32) -> Self {
        Self {
            head: [0; HEAD_BYTES_MAX],
            have: 0,
            place: Place::Head,
            op: 0,
            mask: [0; 4],
            left: 0,
            message: 0,
            message_max,
            fragmented: false,
            controls: 0,
            control: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream apart.
    ///
    /// # Errors
    /// [`FrameFault`]: the stream cannot be read any further.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, FrameFault> {
        let mut decoded = Decoded::default();
        let mut at = 0;
        while decoded.close.is_none() {
            if self.place == Place::Head {
                let rest = bytes.get(at..).unwrap_or_default();
                let used = self.read_head(rest)?;
                at += used;
                if self.place == Place::Head {
                    break;
                }
            }
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let count = rest
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let Some(piece) = rest.get_mut(..count) else {
                break;
            };
            unmask(piece, &mut self.mask);
            if self.op >= CLOSE {
                self.control.extend_from_slice(piece);
            } else {
                bytes.copy_within(at..at + count, decoded.payload);
                decoded.payload += count;
            }
            at += count;
            self.left -= u32::try_from(count).unwrap_or(self.left);
            if self.left > 0 {
                break;
            }
            self.place = Place::Head;
            if self.op >= CLOSE {
                self.end_control(&mut decoded)?;
            }
        }
        Ok(decoded)
    }

    /// Reads header bytes until the header is complete.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, FrameFault> {
        let mut used = 0;
        for &byte in bytes {
            if let Some(place) = self.head.get_mut(usize::from(self.have)) {
                *place = byte;
            }
            self.have += 1;
            used += 1;
            if self.have == 2 {
                self.check_start()?;
            }
            if self.have >= 2 && usize::from(self.have) == self.head_length() {
                self.have = 0;
                self.start()?;
                self.place = Place::Payload;
                break;
            }
        }
        Ok(used)
    }

    const fn head_length(&self) -> usize {
        let [_, second, ..] = self.head;
        match second & 0x7f {
            126 => 8,
            127 => 14,
            _ => 6,
        }
    }

    fn check_start(&mut self) -> Result<(), FrameFault> {
        let [first, second, ..] = self.head;
        let (op, last) = (first & 0x0f, first & 0x80 != 0);
        if first & 0x70 != 0 {
            return Err(FrameFault::Protocol("a reserved bit is set"));
        }
        if second & 0x80 == 0 {
            return Err(FrameFault::Protocol("a frame is not masked"));
        }
        match op {
            TEXT => return Err(FrameFault::Text),
            BINARY if self.fragmented => {
                return Err(FrameFault::Protocol("a message within a message"));
            }
            CONTINUATION if !self.fragmented => {
                return Err(FrameFault::Protocol("a continuation of nothing"));
            }
            BINARY | CONTINUATION => {
                if op == BINARY {
                    self.message = 0;
                }
                self.fragmented = !last;
            }
            CLOSE | PING | PONG => {
                if !last || u32::from(second & 0x7f) > CONTROL_BYTES_MAX {
                    return Err(FrameFault::Protocol("a control frame is long or in pieces"));
                }
                self.controls += 1;
                if self.controls > CONTROLS_MAX {
                    return Err(FrameFault::Chatter);
                }
            }
            _ => return Err(FrameFault::Protocol("an unknown kind of frame")),
        }
        self.op = op;
        Ok(())
    }

    /// The header is complete.
    fn start(&mut self) -> Result<(), FrameFault> {
        let [_, second, a, b, c, d, e, f, g, h, i, j, k, l] = self.head;
        let (length, shortest, mask) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([a, b])), 126, [c, d, e, f]),
            127 => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                (length, 1 << 16, [i, j, k, l])
            }
            short => (u64::from(short), 0, [a, b, c, d]),
        };
        if length < shortest {
            return Err(FrameFault::Protocol("a length is not in its shortest form"));
        }
        let length = u32::try_from(length).map_err(|_over| FrameFault::TooBig)?;
        if self.op < CLOSE {
            self.message = self.message.saturating_add(length);
            if self.message > self.message_max {
                return Err(FrameFault::TooBig);
            }
            if length > 0 {
                self.controls = 0;
            }
        }
        self.mask = mask;
        self.left = length;
        Ok(())
    }

    fn end_control(&mut self, decoded: &mut Decoded) -> Result<(), FrameFault> {
        let payload = std::mem::take(&mut self.control);
        match self.op {
            PING => decoded.ping = Some(payload.into()),
            CLOSE => {
                decoded.close = Some(match payload.first_chunk::<2>() {
                    Some(code) => checked(u16::from_be_bytes(*code))?,
                    None if payload.is_empty() => 1000,
                    None => return Err(FrameFault::Protocol("half a close code")),
                });
            }
            _ => {}
        }
        Ok(())
    }
}

/// Codes that an endpoint may send (section 7.4).
const fn checked(code: u16) -> Result<u16, FrameFault> {
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(code),
        _ => Err(FrameFault::Protocol("a close code that nobody may send")),
    }
}

/// Takes the mask off, and turns the key to where the next piece goes on.
fn unmask(bytes: &mut [u8], key: &mut [u8; 4]) {
    let [a, b, c, d] = *key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= mask;
    }
    let turned = rest.len() % 4;
    key.rotate_left(turned);
}

/// The header of a binary frame to a client, and its length.
pub(super) fn sent_head(payload: usize) -> ([u8; SENT_HEAD_BYTES_MAX], u8) {
    let mut head = [0; SENT_HEAD_BYTES_MAX];
    let [first, second, a, b, ..] = &mut head;
    *first = 0x80 | BINARY;
    if let Ok(short) = u8::try_from(payload)
        && short < 126
    {
        *second = short;
        return (head, 2);
    }
    if let Ok(medium) = u16::try_from(payload) {
        *second = 126;
        [*a, *b] = medium.to_be_bytes();
        return (head, 4);
    }
    *second = 127;
    if let Some((_, length)) = head.split_first_chunk_mut::<2>()
        && let Ok(length) = <&mut [u8; 8]>::try_from(length)
    {
        *length = u64::try_from(payload).unwrap_or(u64::MAX).to_be_bytes();
    }
    (head, 10)
}

/// A pong to a client; payloads of control frames are short.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[0x80 | PONG, length & 0x7f][..], payload].concat()
}

/// A close to a client.
pub(super) fn close(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x80 | CLOSE, 2, high, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    /// A client's frame.
    fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(0x80 | short as u8),
            medium @ 126..65536 => {
                bytes.push(0x80 | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
        bytes
    }

    fn decode(stream: &[u8]) -> Result<(Vec<u8>, Decoded), FrameFault> {
        let mut bytes = stream.to_vec();
        let decoded = Decoder::new(1 << 20).decode(&mut bytes)?;
        bytes.truncate(decoded.payload);
        Ok((bytes, decoded))
    }

    #[test]
    fn messages_in_pieces_with_a_ping_between_give_their_bytes_in_order() {
        let stream = [
            framed(0x02, b"ab"),
            framed(0x89, b"one"),
            framed(0x00, b""),
            framed(0x89, b"two"),
            framed(0x80, b"cd"),
            framed(0x8a, b"unasked"),
            framed(0x82, b"ef"),
        ]
        .concat();
        let (payload, decoded) = decode(&stream).unwrap();
        assert_eq!(payload, b"abcdef");
        assert_eq!(decoded.ping.as_deref(), Some(&b"two"[..]));
        assert_eq!(decoded.close, None);
    }

    #[test]
    fn a_close_is_heard_and_what_follows_is_not() {
        let stream = [framed(0x88, &[0x03, 0xe9, b'x']), framed(0x81, b"text")].concat();
        assert_eq!(decode(&stream).unwrap().1.close, Some(1001));
        assert_eq!(decode(&framed(0x88, &[])).unwrap().1.close, Some(1000));
    }

    #[test]
    fn what_breaks_the_framing_is_told_by_its_code() {
        let mut unmasked = framed(0x82, b"ab");
        unmasked[1] &= 0x7f;
        let long_form = [&[0x82, 0x80 | 126, 0, 5][..], &KEY].concat();
        let longer_form = [&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 255, 255][..], &KEY].concat();
        let huge = [&[0x82, 0x80 | 127][..], &[0xff; 8], &KEY].concat();
        let pieces = [
            framed(0x02, &vec![0; 600_000]),
            framed(0x00, &vec![0; 600_000]),
        ];
        for (stream, code) in [
            (unmasked, 1002),
            (framed(0xc2, b"ab"), 1002),
            (framed(0x83, b"ab"), 1002),
            (framed(0x8b, b"ab"), 1002),
            (framed(0x80, b"ab"), 1002),
            ([framed(0x02, b"ab"), framed(0x82, b"cd")].concat(), 1002),
            (framed(0x09, b"ab"), 1002),
            (framed(0x89, &[0; 126]), 1002),
            (framed(0x88, &[3]), 1002),
            (framed(0x88, &[0x03, 0xed]), 1002),
            (long_form, 1002),
            (longer_form, 1002),
            (framed(0x81, b"text"), 1003),
            (framed(0x82, &vec![0; (1 << 20) + 1]), 1009),
            (huge, 1009),
            (pieces.concat(), 1009),
            (
                framed(0x89, b"").repeat(usize::from(CONTROLS_MAX) + 1),
                1008,
            ),
        ] {
            assert_eq!(
                decode(&stream).unwrap_err().code(),
                code,
                "{:x?}",
                stream.get(..16)
            );
        }
    }

    #[test]
    fn heads_to_clients_have_the_shortest_form() {
        for (length, wanted) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65535, &[0x82, 126, 255, 255]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let (head, used) = sent_head(length);
            assert_eq!(&head[..usize::from(used)], wanted);
        }
    }

    proptest! {
        #[test]
        fn frames_cut_anywhere_give_the_same_bytes(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
            cuts in proptest::collection::vec(1..50_usize, 1..40),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|p| [framed(0x82, p), framed(0x89, b"p")].concat()).collect();
            let mut decoder = Decoder::new(1 << 20);
            let (mut seen, mut rest, mut cuts) = (Vec::<u8>::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                let mut piece = piece.to_vec();
                let decoded = decoder.decode(&mut piece).unwrap();
                seen.extend(&piece[..decoded.payload]);
                rest = tail;
            }
            prop_assert_eq!(seen, payloads.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new(1000);
            let length = bytes.len();
            if let Ok(decoded) = decoder.decode(&mut bytes) {
                prop_assert!(decoded.payload <= length);
            }
        }
    }
}
