//! Payloads of every format: what frames are cut, what points come of them, and that neither has an end of its own.
//!
//! ```text
//!  byte 0: a set of sets.toml │ payload ─frame─▶ frames ─decode─▶ points, counted
//!                                                  └─ a check that fails is mended, and the frame decoded again
//! ```
//!
//! The mending is for the fuzzer, which would look long for a body that fits its CRC; a device has no trouble with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::super::{
    codec::{Any, Codec, Decoded, Framing},
    payload::Reject,
    point::{Key, Point, Sink, Value},
};
use crate::domain::QuarantineReason;

/// Most points, heads and records together that a byte of a frame may come to. A word of flags is a point for each bit, and
/// the densest frames are full of such words: 8. By pointers, an element of two bytes (`0,`) is a record with all that
/// is held of the elements around it: at most the 8 keys of a set, half of them a byte, and its end. Twice the larger.
const PER_BYTE: usize = 16;
/// What a frame may come to whatever its length: its heads, and the points whose presence costs no byte of its own.
const PER_FRAME: usize = 64;

/// A codec as a profile would have it.
#[derive(serde::Deserialize)]
struct Described {
    kind: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    options: toml::Table,
}

#[derive(serde::Deserialize)]
struct Sets {
    set: Vec<Described>,
}

static DESCRIBED: LazyLock<Vec<Described>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(dir().join("sets.toml")).expect("a file of sets");
    let sets: Sets = toml::from_str(&text).expect("a list of sets");
    sets.set
});
static OPENED: LazyLock<Vec<Any>> = LazyLock::new(|| DESCRIBED.iter().map(opened).collect());

/// Where the sets and the files that they name lie.
fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/normalise/fuzz")
}

fn opened(set: &Described) -> Any {
    let mut codec = Any::open(&set.kind, set.options.clone(), &dir()).expect("a codec");
    for key in &set.keys {
        codec.key(key).expect("a key");
    }
    codec
}

/// The thing of a list that a byte means; any byte means one.
fn chosen<T>(list: &[T], choice: u8) -> &T {
    let at = usize::from(choice).checked_rem(list.len());
    at.and_then(|at| list.get(at)).expect("there are sets")
}

/// The codec of a set, to be given further keys.
pub(super) fn fresh(choice: u8) -> Any {
    opened(chosen(&DESCRIBED, choice))
}

/// Reads a payload.
pub fn codecs(bytes: &[u8]) {
    if let Some((choice, payload)) = bytes.split_first() {
        read(chosen(&OPENED, *choice), payload);
    }
}

/// Cuts a payload, decodes its frames, joins what came in parts.
pub(super) fn read(codec: &impl Codec, payload: &[u8]) {
    let mut rest = payload;
    let mut messages: BTreeMap<u64, (&[u8], Vec<u8>)> = BTreeMap::new();
    loop {
        match codec.frame(rest) {
            Framing::Frame { skip, len } => {
                assert!(len > 0, "a frame of nothing: the payload has no end");
                let behind = skip.checked_add(len).expect("a place");
                let frame = rest.get(skip..behind).expect("a frame within the payload");
                rest = rest.get(behind..).unwrap_or_default();
                decode(codec, frame, &mut messages);
            }
            Framing::Partial { skip } => {
                assert!(skip < rest.len(), "the beginning of a frame has no byte");
                break;
            }
            Framing::Nothing => break,
        }
    }
    for (first, body) in messages.values() {
        let mut count = Count::of(first.len() + body.len());
        // Refused or not: what a broken body says is not asked.
        drop(codec.decode_joined(first, body, &mut count));
    }
}

fn decode<'a>(
    codec: &impl Codec,
    frame: &'a [u8],
    messages: &mut BTreeMap<u64, (&'a [u8], Vec<u8>)>,
) {
    match codec.decode(frame, &mut Count::of(frame.len())) {
        Ok(Decoded::Part(part)) => {
            assert!(
                (1..=part.total).contains(&part.number),
                "packet {} of {}",
                part.number,
                part.total
            );
            let (_, body) = messages
                .entry(part.message)
                .or_insert_with(|| (frame, Vec::new()));
            body.extend_from_slice(part.body);
        }
        Err(reject) if reject.reason == QuarantineReason::FrameCheck => {
            if let Some(mended) = mended(frame, &reject) {
                // The second answer counts points only; its parts would not outlive the frame.
                drop(codec.decode(&mended, &mut Count::of(mended.len())));
            }
        }
        Ok(Decoded::Whole) | Err(_) => {}
    }
}

/// The frame with the check that was computed in the last place where the wrong one stands.
fn mended(frame: &[u8], reject: &Reject) -> Option<Vec<u8>> {
    let (found, computed) = reject.detail.split_once(" in the frame, ")?;
    let found = u16::from_str_radix(found.rsplit(' ').next()?, 16).ok()?;
    let computed = u16::from_str_radix(computed.strip_suffix(" computed")?, 16).ok()?;
    let put = |old: &[u8], new: &[u8]| {
        let at = frame
            .windows(old.len())
            .rposition(|window| *window == *old)?;
        let mut mended = frame.to_vec();
        mended.get_mut(at..at + old.len())?.copy_from_slice(new);
        Some(mended)
    };
    match (u8::try_from(found), u8::try_from(computed)) {
        (Ok(found), Ok(computed)) => put(&[found], &[computed]),
        _ => put(&found.to_le_bytes(), &computed.to_le_bytes())
            .or_else(|| put(&found.to_be_bytes(), &computed.to_be_bytes())),
    }
}

/// Counts what it is given, and looks at it.
struct Count {
    left: usize,
}

impl Count {
    fn of(bytes: usize) -> Self {
        Self {
            left: bytes * PER_BYTE + PER_FRAME,
        }
    }

    fn one(&mut self, what: Key<'_>) {
        assert!(
            self.left > 0,
            "more than {PER_BYTE} for a byte and {PER_FRAME} for a frame: {what:?}"
        );
        self.left -= 1;
    }
}

fn looked_at(value: Value<'_>) {
    if let Value::Decimal(decimal) = value {
        // The powers of ten of a reading's arithmetic go to 10^18.
        assert!(decimal.places <= 18, "{decimal:?}");
    }
}

impl Sink for Count {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        self.one(key);
        looked_at(value);
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        self.one(point.key);
        looked_at(point.value);
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        self.one(Key::Name("the end of a record"));
        Ok(())
    }
}
