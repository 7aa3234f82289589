//! The body of a message: serial number, time of sending, and elements until its end.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
            quality::Quality,
        },
        bits::{Bytes, HexText, bcd, bcd_be, gb18030},
        malformed, unsupported,
    },
    Direction, Header,
    elements::{self, Kind, SERIES_STEP_S},
};

/// A time as a station writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    At(Civil),
    /// The year says that the clock was never set.
    Unset,
    /// No date.
    Broken,
}

impl Stamp {
    /// Of yyMMddHHmm or yyMMddHHmmss in BCD.
    fn of(bytes: &[u8], unset_year: u8) -> Self {
        let [year, month, day, hour, minute, rest @ ..] = bytes else {
            return Self::Broken;
        };
        let digits = |byte: &u8| bcd(*byte).unwrap_or(u8::MAX);
        if digits(year) == unset_year {
            return Self::Unset;
        }
        let second = rest.first().map_or(0, digits);
        let date = (2_000 + u16::from(digits(year)), digits(month), digits(day));
        Civil::new(date, (digits(hour), digits(minute), second)).map_or(Self::Broken, Self::At)
    }

    fn value(self) -> Value<'static> {
        match self {
            Self::At(civil) => Value::Time(Moment::Local(civil)),
            Self::Unset | Self::Broken => Value::Missing,
        }
    }
}

/// What the bodies of a function hold behind serial number and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing that is a reading: heartbeat, configuration, clock, confirmations.
    None,
    /// Elements; a station's type stands behind its address.
    Report,
    /// Elements without a station's type.
    Bare,
    /// The version of the station's software.
    Version,
}

const fn content(function: u8) -> Content {
    match function {
        0x30..=0x3A | 0x44 => Content::Report,
        0x46 => Content::Bare,
        0x45 => Content::Version,
        // The maker's own, by the standard's frame.
        0xE0..=0xFF => Content::Report,
        _ => Content::None,
    }
}

struct Body<'a, 's, S> {
    bytes: Bytes<'a>,
    sink: &'s mut S,
    function: u8,
    unset_year: u8,
    /// The station's address where the body gives it.
    station: Option<&'a [u8]>,
    clock_unset: bool,
    /// Time of the record in work.
    observed: Option<Stamp>,
    /// Points of the record in work.
    points: usize,
    /// Between the values of a uniform series.
    step_s: Option<u64>,
}

/// Reads a body from its serial number to its end.
pub(super) fn read<S: Sink>(
    bytes: Bytes<'_>,
    header: &Header,
    unset_year: u8,
    sink: &mut S,
) -> Result<(), Reject> {
    let mut body = Body {
        bytes,
        sink,
        function: header.function,
        unset_year,
        station: None,
        clock_unset: false,
        observed: None,
        points: 0,
        step_s: None,
    };
    body.front()?;
    if header.direction == Direction::Down {
        return Ok(());
    }
    match content(header.function) {
        Content::None => Ok(()),
        Content::Version => body.version(),
        Content::Report | Content::Bare => body.elements(),
    }
}

impl<S: Sink> Body<'_, '_, S> {
    fn front(&mut self) -> Result<(), Reject> {
        let serial = self.bytes.u16_be()?;
        self.sink
            .head(Key::Name("serial"), Value::Whole(i64::from(serial)))?;
        let sent = Stamp::of(self.bytes.take(6)?, self.unset_year);
        self.sink.head(Key::Name("sent"), sent.value())?;
        self.note_clock(sent)
    }

    fn note_clock(&mut self, stamp: Stamp) -> Result<(), Reject> {
        if stamp == Stamp::Unset && !self.clock_unset {
            self.clock_unset = true;
            self.sink
                .head(Key::Name("clock_unset"), Value::Bool(true))?;
        }
        Ok(())
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        if self.points == 0
            && let Some(observed) = self.observed
        {
            self.sink
                .point(Point::new(Key::Code(elements::TIME), observed.value()))?;
        }
        self.points += 1;
        self.sink.point(point)
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        if std::mem::take(&mut self.points) > 0 {
            self.sink.end_record()?;
        }
        Ok(())
    }

    fn version(&mut self) -> Result<(), Reject> {
        self.guide(elements::STATION)?;
        self.guide(elements::STATION)?;
        self.station()?;
        self.bytes.u8()?;
        let version = gb18030(self.bytes.rest());
        self.point(Point::new(
            Key::Name("version"),
            Value::Text(version.trim()),
        ))?;
        self.end_record()
    }

    fn elements(&mut self) -> Result<(), Reject> {
        while !self.bytes.is_empty() {
            match u64::from(self.bytes.u8()?) {
                elements::TIME => {
                    self.guide(elements::TIME)?;
                    let observed = Stamp::of(self.bytes.take(5)?, self.unset_year);
                    self.note_clock(observed)?;
                    self.end_record()?;
                    self.observed = Some(observed);
                    self.step_s = None;
                }
                elements::STATION => {
                    self.guide(elements::STATION)?;
                    self.station()?;
                }
                elements::MANUAL => {
                    self.guide(elements::MANUAL)?;
                    let text = gb18030(self.rest());
                    let value = Value::Text(text.trim());
                    self.point(Point::new(Key::Code(elements::MANUAL), value))?;
                }
                elements::PICTURE => {
                    self.guide(elements::PICTURE)?;
                    let value = Value::Bytes(self.rest());
                    self.point(Point::new(Key::Code(elements::PICTURE), value))?;
                }
                elements::CUSTOM => {
                    let id = elements::CUSTOM << 8 | u64::from(self.bytes.u8()?);
                    self.element(id)?;
                }
                id => self.element(id)?,
            }
        }
        self.end_record()
    }

    /// The second byte of a two-byte guide is its first one again.
    fn guide(&mut self, id: u64) -> Result<(), Reject> {
        let at = self.bytes.at();
        match u64::from(self.bytes.u8()?) {
            second if second == id => Ok(()),
            second => Err(malformed(
                at,
                format_args!("{id:02X} is wanted, not {second:02X}"),
            )),
        }
    }

    fn station(&mut self) -> Result<(), Reject> {
        let station = self.bytes.take(5)?;
        match self.station {
            Some(before) if before != station => {
                return Err(unsupported("a message of several stations"));
            }
            Some(_) => {}
            None => {
                let text = HexText::of(station);
                self.sink
                    .head(Key::Name("station"), Value::Text(text.as_str()))?;
            }
        }
        let is_first = self.station.replace(station).is_none();
        if content(self.function) == Content::Report {
            let kind = HexText::of(self.bytes.take(1)?);
            if is_first {
                self.sink
                    .head(Key::Name("station_type"), Value::Text(kind.as_str()))?;
            }
        }
        Ok(())
    }

    fn element(&mut self, id: u64) -> Result<(), Reject> {
        let definition = self.bytes.u8()?;
        let (width, places) = (usize::from(definition >> 3), definition & 7);
        let bytes = self.bytes.take(width)?;
        let point = Point {
            unit: elements::unit(id),
            ..Point::new(Key::Code(id), Value::Missing)
        };
        match elements::kind(id) {
            Kind::Step => {
                self.step_s = step_s(bytes);
                let value = self.step_s.and_then(|step| i64::try_from(step).ok());
                let value = value.map_or(Value::Missing, Value::Whole);
                self.point(Point { value, ..point })
            }
            Kind::Word => {
                let word = bytes
                    .iter()
                    .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
                let value = i64::try_from(word).map_or(Value::Large(word), Value::Whole);
                self.point(Point { value, ..point })
            }
            Kind::Series { width, places } => self.series(
                point,
                bytes.chunks_exact(width).map(|bytes| binary(bytes, places)),
            ),
            Kind::Digits => {
                let behind = self.bytes.rest().len();
                let is_uniform = matches!(self.function, 0x31 | 0x38) && self.step_s.is_some();
                if is_uniform && width > 0 && behind > 0 && behind.is_multiple_of(width) {
                    return self.uniform(point, bytes, places);
                }
                let (value, quality) = digits(bytes, places);
                self.point(Point {
                    value,
                    quality,
                    ..point
                })
            }
        }
    }

    /// Values so many seconds apart, the first at the record's time.
    fn series<'v>(
        &mut self,
        point: Point<'_>,
        values: impl Iterator<Item = (Value<'v>, Quality)>,
    ) -> Result<(), Reject> {
        let step = self.step_s.unwrap_or(SERIES_STEP_S);
        let mut behind_s = 0;
        for (value, quality) in values {
            let time = match self.observed {
                Some(Stamp::At(first)) => Some(Moment::Local(first.plus_seconds(behind_s))),
                _ => None,
            };
            self.point(Point {
                key: point.key,
                value,
                unit: point.unit,
                quality,
                time,
            })?;
            behind_s += step;
        }
        Ok(())
    }

    /// A uniform report: the values of one element until the end of the body.
    fn uniform(&mut self, point: Point<'_>, first: &[u8], places: u8) -> Result<(), Reject> {
        let width = first.len();
        let rest = self.rest();
        let values = std::iter::once(first).chain(rest.chunks_exact(width));
        self.series(point, values.map(|bytes| digits(bytes, places)))
    }
}

impl<'a, S> Body<'a, '_, S> {
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.rest();
        self.bytes = Bytes::new(&[]);
        rest
    }
}

/// Seconds of a step of days, hours and minutes.
fn step_s(bytes: &[u8]) -> Option<u64> {
    let [days, hours, minutes] = bytes else {
        return None;
    };
    let (days, hours, minutes) = (bcd(*days)?, bcd(*hours)?, bcd(*minutes)?);
    let step = (u64::from(days) * 24 + u64::from(hours)) * 3_600 + u64::from(minutes) * 60;
    (step > 0).then_some(step)
}

/// A binary number whose bits are all set where there is none.
fn binary(bytes: &[u8], places: u8) -> (Value<'static>, Quality) {
    if bytes.iter().all(|byte| *byte == 0xFF) {
        return (Value::Missing, Quality::GOOD);
    }
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | i64::from(*byte));
    (Value::Decimal(Decimal::new(number, places)), Quality::GOOD)
}

/// BCD; FF throughout is missing, FF in front of digits is a minus sign. What are no digits is missing too, and bad.
fn digits(bytes: &[u8], places: u8) -> (Value<'_>, Quality) {
    if bytes.iter().all(|byte| *byte == 0xFF) {
        return (Value::Missing, Quality::GOOD);
    }
    if bytes.len() > 10 {
        return (Value::Bytes(bytes), Quality::GOOD);
    }
    let number = match bytes {
        [0xFF, digits @ ..] => bcd_be(digits).map(|number| -number),
        digits => bcd_be(digits),
    };
    match number {
        Some(number) => (Value::Decimal(Decimal::new(number, places)), Quality::GOOD),
        None => (Value::Missing, Quality::BAD),
    }
}
