//! The text of a data segment: pairs, what their values are, and which of them belong to one factor.

use smallvec::SmallVec;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
            quality::Quality,
            words::{first_of, in_each},
        },
        malformed,
    },
    RUN_MAX,
};

/// `key=value`; a factor's key is `factor-kind`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// Factor and kind, split at the last dash of the key.
    pub(super) factor: Option<(&'a str, &'a str)>,
}

/// The pairs of a text, in order. Whatever stands between separators without `=` is none and is stepped over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pairs<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What stands behind the pairs taken so far.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

const SEPARATORS: [u64; 3] = [in_each(b'&'), in_each(b','), in_each(b';')];
const END_OF_KEY: [u64; 4] = [in_each(b'='), in_each(b';'), in_each(b','), in_each(b'&')];

/// Text between two places, without blanks around it.
#[inline]
fn part(text: &str, from: usize, to: usize) -> &str {
    let part = text.get(from..to).unwrap_or_default();
    match part.as_bytes() {
        [first, .., last] if *first > b' ' && *last > b' ' => part,
        [only] if *only > b' ' => part,
        _ => part.trim_ascii(),
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        loop {
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            let bytes = rest.as_bytes();
            let equals = first_of(&END_OF_KEY, bytes).unwrap_or(bytes.len());
            if bytes.get(equals) != Some(&b'=') {
                self.at += (equals + 1).min(bytes.len());
                continue;
            }
            let value = bytes.get(equals + 1..).unwrap_or_default();
            let len = first_of(&SEPARATORS, value);
            let end = len.map_or(bytes.len(), |len| equals + 1 + len);
            self.at += (end + 1).min(bytes.len());
            let key = bytes.get(..equals).unwrap_or_default();
            let dash = key.iter().rposition(|byte| *byte == b'-');
            return Some(Pair {
                key: part(rest, 0, equals),
                value: part(rest, equals + 1, end),
                factor: dash.map(|dash| (part(rest, 0, dash), part(rest, dash + 1, equals))),
            });
        }
    }
}

/// Quality by the letter of a `-Flag` (HJ 212-2017, table 9) or the digit that HJ/T 212-2005 gives to air stations.
fn quality_of(flag: &str) -> Quality {
    let [letter] = flag.as_bytes() else {
        return if flag.is_empty() {
            Quality::GOOD
        } else {
            Quality::UNCERTAIN
        };
    };
    match letter.to_ascii_uppercase() {
        b'N' | b'1' | b'3' => Quality::GOOD,
        b'F' | b'M' => Quality::OUT_OF_SERVICE,
        b'S' => Quality::SUBSTITUTE,
        b'D' => Quality::SENSOR_FAILURE,
        b'P' => Quality::DEVICE_FAILURE,
        b'C' | b'0' => Quality::SENSOR_CALIBRATION,
        b'T' => Quality::SENSOR_NOT_ACCURATE,
        b'B' => Quality::NO_COMMUNICATION,
        _ => Quality::UNCERTAIN,
    }
}

/// A time of 14 digits, or 17 with milliseconds; separators of a written date are stepped over.
pub(super) fn time_of(text: &str) -> Option<Moment> {
    let mut digits = [0; 17];
    let mut count = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte - b'0';
                count += 1;
            }
            b'-' | b'/' | b':' | b'.' | b' ' | b'T' => {}
            _ => return None,
        }
    }
    if count != 14 && count != 17 {
        return None;
    }
    let [
        y1,
        y2,
        y3,
        y4,
        mo1,
        mo2,
        d1,
        d2,
        h1,
        h2,
        mi1,
        mi2,
        s1,
        s2,
        ms @ ..,
    ] = digits;
    let year = u16::from(y1 * 10 + y2) * 100 + u16::from(y3 * 10 + y4);
    let civil = Civil::new(
        (year, mo1 * 10 + mo2, d1 * 10 + d2),
        (h1 * 10 + h2, mi1 * 10 + mi2, s1 * 10 + s2),
    )?;
    let millis = ms.iter().fold(0, |sum, digit| sum * 10 + u32::from(*digit));
    civil.with_nanos(millis * 1_000_000).map(Moment::Local)
}

/// A number in plain decimal digits, at most 18 characters, so that it fits.
fn decimal(text: &str) -> Option<Decimal> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut mantissa, mut places, mut count, mut step) = (0_i64, 0, 0, 0);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + i64::from(byte - b'0');
                places += step;
                count += 1;
            }
            b'.' if step == 0 => step = 1,
            _ => return None,
        }
    }
    (count > 0).then(|| Decimal::new(sign * mantissa, places))
}

/// What devices write for want of a value.
const ABSENT: [&str; 5] = ["null", "none", "na", "n/a", "nil"];

/// Decimal where it is plain digits, a floating number where it has an exponent or too many digits, missing where it is
/// empty or says so, text otherwise.
fn value_of(text: &str) -> Value<'_> {
    if let Some(decimal) = decimal(text) {
        return Value::Decimal(decimal);
    }
    if let Ok(number) = text.parse::<f64>() {
        return if number.is_finite() {
            Value::Real(number)
        } else {
            Value::Missing
        };
    }
    let is_absent = text.bytes().all(|byte| matches!(byte, b'-' | b'*'))
        || ABSENT
            .iter()
            .any(|absent| text.eq_ignore_ascii_case(absent));
    if is_absent {
        Value::Missing
    } else {
        Value::Text(text)
    }
}

/// The pairs of one factor that stand next to each other: their flag and time may follow them.
struct Run<'a> {
    factor: &'a str,
    values: SmallVec<[Pair<'a>; 8]>,
    quality: Quality,
    time: Option<Moment>,
}

impl<'a> Run<'a> {
    fn take(&mut self, kind: &str, pair: Pair<'a>) -> Result<(), Reject> {
        if kind.eq_ignore_ascii_case("Flag") {
            self.quality = quality_of(pair.value);
        } else if kind.eq_ignore_ascii_case("SampleTime") {
            self.time = time_of(pair.value);
        } else {
            if self.values.len() == RUN_MAX {
                let factor = self.factor;
                return Err(malformed(
                    0,
                    format_args!("factor {factor} has more than {RUN_MAX} values"),
                ));
            }
            self.values.push(pair);
        }
        Ok(())
    }

    fn flush<S: Sink>(&mut self, otherwise: Option<Moment>, sink: &mut S) -> Result<usize, Reject> {
        for pair in &self.values {
            sink.point(Point {
                key: Key::Name(pair.key),
                value: value_of(pair.value),
                unit: None,
                quality: self.quality,
                time: self.time.or(otherwise),
            })?;
        }
        self.quality = Quality::GOOD;
        self.time = None;
        let flushed = self.values.len();
        self.values.clear();
        Ok(flushed)
    }
}

/// Reads the contents of `CP`: `DataTime` is a head, all else are points of one record. Where packets were joined, each
/// has a `DataTime` of its own; points behind one that differs from the first carry it.
pub(super) fn read<S: Sink>(contents: &str, sink: &mut S) -> Result<(), Reject> {
    let mut run = Run {
        factor: "",
        values: SmallVec::new(),
        quality: Quality::GOOD,
        time: None,
    };
    let (mut first_time, mut time, mut count) = (None, None, 0);
    for pair in Pairs::new(contents) {
        let Some((factor, kind)) = pair.factor else {
            count += run.flush(time, sink)?;
            run.factor = "";
            if pair.key == "DataTime" {
                let moment = time_of(pair.value);
                if first_time.is_none() {
                    first_time = moment;
                    let value = moment.map_or(Value::Missing, Value::Time);
                    sink.head(Key::Name(pair.key), value)?;
                }
                time = moment.filter(|_| moment != first_time);
            } else if !pair.key.is_empty() {
                let point = Point::new(Key::Name(pair.key), plain_value(pair));
                sink.point(Point { time, ..point })?;
                count += 1;
            }
            continue;
        };
        if factor != run.factor {
            count += run.flush(time, sink)?;
            run.factor = factor;
        }
        run.take(kind, pair)?;
    }
    count += run.flush(time, sink)?;
    if count > 0 { sink.end_record() } else { Ok(()) }
}

/// The value of a pair without a factor: `RestartTime` and the like are times.
fn plain_value(pair: Pair<'_>) -> Value<'_> {
    if pair.key.ends_with("Time")
        && let Some(time) = time_of(pair.value)
    {
        return Value::Time(time);
    }
    value_of(pair.value)
}
