//! Array values (3.0, 6.4.16): elements packed little-endian into bytes. Every element is a point of its own.

use super::{
    super::super::{
        payload::Reject,
        point::{Point, Sink, Value},
    },
    metric::{datatype, moment, text},
};

/// Hands over the elements of an array; bytes behind the last whole element are none. `like` is the point of the array
/// without its value.
pub(super) fn read<S: Sink>(
    kind: u32,
    bytes: &[u8],
    like: Point<'_>,
    sink: &mut S,
) -> Result<(), Reject> {
    let mut put = |value: Value<'_>| sink.point(Point { value, ..like });
    match kind - datatype::INT8_ARRAY {
        0 => numbers(bytes, &mut put, |b| i64::from(i8::from_le_bytes(b))),
        1 => numbers(bytes, &mut put, |b| i64::from(i16::from_le_bytes(b))),
        2 => numbers(bytes, &mut put, |b| i64::from(i32::from_le_bytes(b))),
        3 => numbers(bytes, &mut put, i64::from_le_bytes),
        4 => numbers(bytes, &mut put, |b| i64::from(u8::from_le_bytes(b))),
        5 => numbers(bytes, &mut put, |b| i64::from(u16::from_le_bytes(b))),
        6 => numbers(bytes, &mut put, |b| i64::from(u32::from_le_bytes(b))),
        7 => values(bytes, &mut put, |b| {
            super::metric::unsigned(u64::from_le_bytes(b))
        }),
        8 => values(bytes, &mut put, |b| {
            Value::Real(f64::from(f32::from_le_bytes(b)))
        }),
        9 => values(bytes, &mut put, |b| Value::Real(f64::from_le_bytes(b))),
        10 => bits(bytes, &mut put),
        11 => texts(bytes, &mut put),
        _ => values(bytes, &mut put, |b| {
            moment(u64::from_le_bytes(b)).map_or(Value::Missing, Value::Time)
        }),
    }
}

fn numbers<const N: usize>(
    bytes: &[u8],
    put: &mut impl FnMut(Value<'_>) -> Result<(), Reject>,
    number: impl Fn([u8; N]) -> i64,
) -> Result<(), Reject> {
    values(bytes, put, |element| Value::Whole(number(element)))
}

fn values<const N: usize>(
    bytes: &[u8],
    put: &mut impl FnMut(Value<'_>) -> Result<(), Reject>,
    value: impl Fn([u8; N]) -> Value<'static>,
) -> Result<(), Reject> {
    let (elements, _rest) = bytes.as_chunks::<N>();
    elements.iter().try_for_each(|element| put(value(*element)))
}

/// Four bytes that count the elements, then a bit each, the first one in the top bit.
fn bits(bytes: &[u8], put: &mut impl FnMut(Value<'_>) -> Result<(), Reject>) -> Result<(), Reject> {
    let Some((count, packed)) = bytes.split_first_chunk() else {
        return Ok(());
    };
    let count = usize::try_from(u32::from_le_bytes(*count)).unwrap_or(usize::MAX);
    let each_bit = packed
        .iter()
        .flat_map(|byte| (0..8).map(move |place| byte & 0x80 >> place != 0));
    each_bit
        .take(count)
        .try_for_each(|bit| put(Value::Bool(bit)))
}

/// Texts, each with a NUL behind it.
fn texts(
    bytes: &[u8],
    put: &mut impl FnMut(Value<'_>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let ended = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(());
    }
    ended
        .split(|byte| *byte == 0)
        .try_for_each(|element| put(Value::Text(&text(element))))
}
