//! Reading a single value and handing it over.

use super::{
    super::{
        super::{
            super::{
                payload::Reject,
                point::{Key, Moment, Point, Sink, Value},
                quality::Quality,
            },
            bits::{HexText, gb18030},
            malformed,
        },
        compile::MANGLED_MAX,
        plan::{Field, Place, Source},
        scalar::{self, Kind},
        value::{formed, is_fill, mangled, shifted, with_bits},
    },
    Run, Scope,
};

/// What a number came to.
enum Number {
    Whole(i128),
    Real(f64),
    /// The bytes are none of this type.
    Broken,
}

impl<S: Sink> Run<'_, '_, S> {
    pub(super) fn field(
        &mut self,
        field: &Field,
        scope: Scope,
        at: usize,
    ) -> Result<usize, Reject> {
        let (kind, count) = match &field.source {
            Source::Word(slot) => {
                if let Some(word) = self.words.get(*slot).copied().flatten() {
                    self.number(field, Number::Whole(word), &[], scope)?;
                }
                return Ok(at);
            }
            Source::Wire(kind, count) => (kind, *count),
        };
        let count = self.count(count, scope.end.saturating_sub(at), at)?;
        if count > kind.width_max() {
            return Err(malformed(
                at,
                format_args!("{count} bytes are too many for its type"),
            ));
        }
        let raw = self.bytes(at, count, scope)?;
        match field.mangle {
            None => self.typed(field, kind, raw, scope)?,
            Some(change) => {
                let mut room = [0; MANGLED_MAX];
                let changed = mangled(raw, change, &mut room);
                let changed = changed.ok_or_else(|| {
                    malformed(at, format_args!("{count} bytes are too many to be changed"))
                })?;
                self.typed(field, kind, changed, scope)?;
            }
        }
        Ok(at.saturating_add(count))
    }

    #[inline]
    fn typed(
        &mut self,
        field: &Field,
        kind: &Kind,
        raw: &[u8],
        scope: Scope,
    ) -> Result<(), Reject> {
        let value = match kind {
            Kind::Int(int) => return self.number(field, Number::Whole(int.read(raw)), raw, scope),
            Kind::Float(_, order) => {
                return self.number(field, Number::Real(scalar::float(raw, *order)), raw, scope);
            }
            Kind::BcdBe | Kind::BcdLe => {
                let number = scalar::digits(raw, kind, field.sign)
                    .map_or(Number::Broken, |number| Number::Whole(i128::from(number)));
                return self.number(field, number, raw, scope);
            }
            _ if is_fill(field, raw) => Some(Value::Missing),
            Kind::HexBe => {
                return self.emit(field, Some(Value::Text(HexText::of(raw).as_str())), scope);
            }
            Kind::HexLe => {
                return self.emit(
                    field,
                    Some(Value::Text(HexText::of_le(raw).as_str())),
                    scope,
                );
            }
            Kind::Text => {
                let text = raw.split(|byte| *byte == 0).next().unwrap_or_default();
                match std::str::from_utf8(text) {
                    Ok(text) => Some(Value::Text(text.trim_end())),
                    Err(_) => return self.emit(field, Some(Value::Text(&gb18030(raw))), scope),
                }
            }
            Kind::Gb18030 => {
                return self.emit(field, Some(Value::Text(gb18030(raw).trim_end())), scope);
            }
            Kind::Digits => match std::str::from_utf8(raw) {
                Ok(text) if text.trim().is_empty() => Some(Value::Missing),
                Ok(text) => scalar::decimal(text).map(Value::Decimal),
                Err(_) => None,
            },
            Kind::Bytes => Some(Value::Bytes(raw)),
            Kind::Calendar(calendar) => calendar
                .read(raw)
                .map(|civil| Value::Time(Moment::Local(civil))),
        };
        self.emit(field, value, scope)
    }

    #[inline]
    fn number(
        &mut self,
        field: &Field,
        number: Number,
        raw: &[u8],
        scope: Scope,
    ) -> Result<(), Reject> {
        let word = match number {
            Number::Whole(word) => Some(word),
            _ => None,
        };
        self.keep(field.keep_word, word);
        let number = match number {
            Number::Whole(word) => Number::Whole(with_bits(field, word)),
            other => other,
        };
        let kept = match number {
            Number::Whole(number) => Some(number),
            _ => None,
        };
        self.keep(field.keep_number, kept);
        if field.place == Place::Nowhere {
            return Ok(());
        }
        let is_missing = kept.is_some_and(|kept| field.missing_numbers.contains(&kept));
        let value = match number {
            _ if is_missing || is_fill(field, raw) => Some(Value::Missing),
            Number::Whole(number) => formed(field, number),
            Number::Real(number) => Some(Value::Real(number)),
            Number::Broken => None,
        };
        self.emit(field, value, scope)
    }

    /// Hands a value over; none is one that its type does not have.
    #[inline]
    fn emit(
        &mut self,
        field: &Field,
        value: Option<Value<'_>>,
        scope: Scope,
    ) -> Result<(), Reject> {
        if let Some(place) = field
            .keep_moment
            .and_then(|slot| self.moments.get_mut(slot))
        {
            *place = match value {
                Some(Value::Time(moment)) => Some(moment),
                _ => None,
            };
        }
        let given = value.unwrap_or(Value::Missing);
        match &field.place {
            Place::Nowhere => Ok(()),
            Place::Head(name) => self.sink.head(Key::Name(name), given),
            Place::Point(code) => {
                let mut point = Point::new(Key::Code(*code), given);
                if value.is_none() {
                    point.quality = Quality::OUT_OF_RANGE;
                }
                let observed = field
                    .observed
                    .and_then(|slot| self.moments.get(slot).copied().flatten());
                point.time = observed.and_then(|moment| shifted(moment, scope.shift_s));
                self.is_open = true;
                self.sink.point(point)
            }
        }
    }
}
