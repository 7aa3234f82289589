//! What the tests of all codecs share: a sink that writes everything down, the public vectors, and the two ways in which
//! every vector is spoilt.

use serde_json::Value as Json;

use super::{
    super::{
        payload::Reject,
        point::{Key, Moment, OwnedKey, Point, Sink, Value},
        quality::Quality,
    },
    Codec, Decoded, Framing,
};

/// A value that outlives its payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Missing,
    Bool(bool),
    Whole(i64),
    Large(u64),
    /// A decimal or floating point number.
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    Time(Moment),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Missing => Self::Missing,
            Value::Bool(value) => Self::Bool(value),
            Value::Whole(value) => Self::Whole(value),
            Value::Large(value) => Self::Large(value),
            Value::Decimal(value) => {
                Self::Number(value.mantissa as f64 / 10_f64.powi(i32::from(value.places)))
            }
            Value::Real(value) => Self::Number(value),
            Value::Text(value) => Self::Text(value.to_owned()),
            Value::Bytes(value) => Self::Bytes(value.to_owned()),
            Value::Time(value) => Self::Time(value),
        }
    }
}

/// A point that outlives its payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) key: OwnedKey,
    pub(crate) value: Owned,
    pub(crate) unit: Option<&'static str>,
    pub(crate) quality: Quality,
    pub(crate) time: Option<Moment>,
}

/// Writes everything down.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Recorder {
    pub(crate) heads: Vec<(OwnedKey, Owned)>,
    pub(crate) records: Vec<Vec<Found>>,
    open: Vec<Found>,
}

fn owned(key: Key<'_>) -> OwnedKey {
    match key {
        Key::Name(name) => OwnedKey::Name(name.into()),
        Key::Code(code) => OwnedKey::Code(code),
    }
}

impl Sink for Recorder {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        self.heads.push((owned(key), value.into()));
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        self.open.push(Found {
            key: owned(point.key),
            value: point.value.into(),
            unit: point.unit,
            quality: point.quality,
            time: point.time,
        });
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        self.records.push(std::mem::take(&mut self.open));
        Ok(())
    }
}

impl Recorder {
    /// The value of a head.
    pub(crate) fn head(&self, key: &OwnedKey) -> Option<&Owned> {
        self.heads.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The first point of a key, in any record.
    pub(crate) fn found(&self, key: &OwnedKey) -> Option<&Found> {
        self.records
            .iter()
            .flatten()
            .find(|found| found.key == *key)
    }
}

/// Cuts a payload and decodes every frame of it; parts are joined when the last of a message has come.
pub(crate) fn read_all<C: Codec>(codec: &C, payload: &[u8]) -> Result<Recorder, Reject> {
    let mut recorder = Recorder::default();
    let mut rest = payload;
    let mut first: Option<&[u8]> = None;
    let mut joined = Vec::new();
    while let Framing::Frame { skip, len } = codec.frame(rest) {
        let (frame, behind) = rest[skip..].split_at(len);
        rest = behind;
        match codec.decode(frame, &mut recorder)? {
            Decoded::Whole => {}
            Decoded::Part(part) => {
                first.get_or_insert(frame);
                joined.extend_from_slice(part.body);
                if part.number == part.total {
                    let first = first.take().unwrap();
                    codec.decode_joined(first, &std::mem::take(&mut joined), &mut recorder)?;
                }
            }
        }
    }
    Ok(recorder)
}

/// A line of tests/vectors.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    pub(crate) expect: Json,
}

const FRAMES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/vectors/frames.jsonl"
));
const BAD_FRAMES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/vectors/bad_frames.jsonl"
));

fn vectors_of(text: &str, format: &str) -> Vec<Vector> {
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let wanted = lines.filter(|line| line["format"] == format);
    wanted
        .map(|line| {
            let input = line["input"].as_str().unwrap();
            let input = match line["encoding"].as_str().unwrap() {
                "hex" => unhex(input),
                _ => input.as_bytes().to_owned(),
            };
            Vector {
                name: line["name"].as_str().unwrap().to_owned(),
                input,
                expect: line["expect"].clone(),
            }
        })
        .collect()
}

/// The public frames of a format.
pub(crate) fn vectors(format: &str) -> Vec<Vector> {
    vectors_of(FRAMES, format)
}

/// The public frames of a format that are to be refused.
pub(crate) fn bad_vectors(format: &str) -> Vec<Vector> {
    vectors_of(BAD_FRAMES, format)
}

/// Bytes of hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Every beginning of a payload: none panics, none gives a record that the whole does not give.
pub(crate) fn truncations<C: Codec>(codec: &C, payload: &[u8]) {
    let whole = read_all(codec, payload).unwrap();
    for end in 0..payload.len() {
        if let Ok(part) = read_all(codec, &payload[..end]) {
            let more = part
                .records
                .iter()
                .any(|record| !whole.records.contains(record));
            assert!(!more, "{end} bytes of {}: {part:?}", payload.len());
        }
    }
}

/// Every single bit turned: none panics. `same` says of each outcome that differs from the whole whether the format has
/// no check there (byte, what came out); where the format has a check, it says no.
pub(crate) fn bit_flips<C: Codec>(
    codec: &C,
    payload: &[u8],
    unchecked: impl Fn(usize, &Recorder) -> bool,
) {
    let whole = read_all(codec, payload).unwrap();
    for bit in 0..payload.len() * 8 {
        let mut spoilt = payload.to_vec();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        if let Ok(found) = read_all(codec, &spoilt) {
            let lost = found.records.is_empty();
            assert!(
                lost || found == whole || unchecked(bit / 8, &found),
                "bit {} of byte {} goes unseen: {found:?}",
                bit % 8,
                bit / 8
            );
        }
    }
}
