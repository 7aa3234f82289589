//! A codec in a value of another: the bytes of a `LoRaWAN` frame as base64 in a JSON uplink, a meter's frame as hexadecimal
//! text. Its points join the outer record.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    super::{
        codec::{Codec as _, Decoded, Framing, malformed, unsupported},
        payload::Reject,
        point::{Key, Point, Sink, Value},
    },
    plan::{Nested, Table},
    spec::Encoding,
    stage::{Reach, Stage, Waiting},
};

/// Most bytes that a value may hold for the inner codec.
const INNER_BYTES_MAX: usize = 64 * 1024;

/// Reads the inner payload, if the record has one.
///
/// # Errors
/// It is not written as the profile says, or the inner codec cannot read it.
pub(super) fn read(nested: &Nested, stage: &mut Stage) -> Result<(), Reject> {
    let Some(bytes) = inner(nested, stage)? else {
        return Ok(());
    };
    let mut listener = Inner {
        table: &nested.table,
        stage,
    };
    let mut rest = &*bytes;
    while let Framing::Frame { skip, len } = nested.codec.frame(rest) {
        let end = skip.saturating_add(len).max(1);
        let frame = rest.get(skip..end).unwrap_or_default();
        match nested.codec.decode(frame, &mut listener) {
            Ok(Decoded::Whole) => {}
            Ok(Decoded::Part(_)) => return Err(unsupported("an inner message of several packets")),
            Err(reject) => return Err(reject.within("inner payload")),
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(())
}

fn inner(nested: &Nested, stage: &Stage) -> Result<Option<Vec<u8>>, Reject> {
    let found = nested.from.iter().find_map(|source| {
        stage
            .get(*source)
            .filter(|cell| cell.value != Waiting::Missing)
    });
    let Some(cell) = found else {
        return Ok(None);
    };
    let bytes = match (stage.value(cell), nested.encoding) {
        (Value::Bytes(bytes), _) => bytes.to_owned(),
        (Value::Text(text), Encoding::Plain) => text.as_bytes().to_owned(),
        (Value::Text(text), Encoding::Base64) => STANDARD
            .decode(text)
            .map_err(|why| malformed(0, format_args!("inner payload: no base64: {why}")))?,
        (Value::Text(text), Encoding::Hex) => hex::decode(text).map_err(|why| {
            malformed(0, format_args!("inner payload: no hexadecimal text: {why}"))
        })?,
        _ => return Err(malformed(0, "inner payload: neither text nor bytes")),
    };
    if bytes.len() > INNER_BYTES_MAX {
        return Err(malformed(
            0,
            format_args!("inner payload: over {INNER_BYTES_MAX} bytes"),
        ));
    }
    Ok(Some(bytes))
}

/// What the inner codec speaks to: one record with the outer one.
struct Inner<'a> {
    table: &'a Table,
    stage: &'a mut Stage,
}

impl Sink for Inner<'_> {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        if let Some(source) = self.table.get(key) {
            self.stage.put(source, value, Reach::Record);
        }
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        match self.table.get(point.key) {
            Some(source) => self.stage.point(source, &point),
            None => self.stage.unmapped = self.stage.unmapped.saturating_add(1),
        }
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        Ok(())
    }
}
