//! What a profile's author writes, and what a payload may spell alike: units, formats of times, pointers, keys.
//!
//! ```text
//!  byte 0: which of the four │ lines of text
//! ```

use super::{
    super::{
        codec::{Codec, pointer},
        moment::{Clock, TimeFormat, zone_east_s},
        point::{Decimal, Value},
        ucum::{self, Conversion},
    },
    codecs::{fresh, read},
};
use crate::domain::UnixNanos;

const CLOCK: Clock = Clock {
    east_s: 8 * 3_600,
    received_at: UnixNanos(1_795_392_001_000_000_000),
};

/// Reads lines of text.
pub fn spellings(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match choice % 4 {
        0 => units(text),
        1 => times(text),
        2 => pointers(text),
        _ => keys(text),
    }
}

/// Two units, a line each.
fn units(text: &str) {
    let (from, to) = text.split_once('\n').unwrap_or((text, text));
    for unit in [from, to] {
        let known = ucum::alias(unit).is_none_or(|code| ucum::validate(code).is_ok());
        assert!(known, "{unit:?} stands for what is no unit");
        if let Ok(itself) = ucum::conversion(unit, unit) {
            assert_eq!(itself, Conversion::IDENTITY, "{unit:?}");
        }
    }
    let Ok(there) = ucum::conversion(from, to) else {
        return;
    };
    assert!(
        there.mul_num > 0 && there.mul_den > 0 && there.add_den > 0,
        "{there:?}"
    );
    assert!(
        ucum::validate(from).is_ok() && ucum::validate(to).is_ok(),
        "what is no unit converts"
    );
    if let Ok(back) = ucum::conversion(to, from) {
        assert_eq!(
            (back.mul_num, back.mul_den),
            (there.mul_den, there.mul_num),
            "{from:?} to {to:?} and back"
        );
    }
}

/// A format, and a time of it.
fn times(text: &str) {
    let (format, time) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(east_s) = zone_east_s(time) {
        assert!(east_s.unsigned_abs() <= 14 * 3_600, "{time:?} is no zone");
    }
    let Ok(format) = TimeFormat::new(format) else {
        return;
    };
    let read = format.parse(&Value::Text(time), CLOCK);
    let padded = format.parse(&Value::Text(&format!(" {time}\t")), CLOCK);
    assert_eq!(read, padded, "blanks around a time change it");
    let number = time.parse::<i64>().unwrap_or_default();
    for value in [
        Value::Whole(number),
        Value::Large(number.unsigned_abs()),
        Value::Decimal(Decimal::new(number, 3)),
        Value::Real(time.parse().unwrap_or(f64::NAN)),
        Value::Bytes(time.as_bytes()),
    ] {
        let _whatever = format.parse(&value, CLOCK);
    }
}

/// Where the elements are (no line: none), pointers, and in the last line JSON that they read.
fn pointers(text: &str) {
    let mut lines = text.lines();
    let payload = lines.next_back().unwrap_or_default();
    let each = lines.next().filter(|each| !each.is_empty());
    let each = each.map(|each| ("each".to_owned(), toml::Value::String(each.to_owned())));
    let options = toml::Table::from_iter(each);
    let Ok(mut codec) = options
        .try_into()
        .map_err(|why: toml::de::Error| why.to_string())
        .and_then(pointer::Pointer::new)
    else {
        return;
    };
    for line in lines {
        if let Ok(key) = codec.key(line) {
            assert_eq!(codec.key(line), Ok(key), "{line:?} twice is two");
        }
    }
    read(&codec, payload.as_bytes());
}

/// A codec, and what it is asked for in lines.
fn keys(text: &str) {
    let mut characters = text.chars();
    let choice = u32::from(characters.next().unwrap_or_default()).to_le_bytes();
    let [choice, ..] = choice;
    let mut codec = fresh(choice);
    for line in characters.as_str().lines() {
        if let Ok(key) = codec.key(line) {
            assert_eq!(codec.key(line), Ok(key), "{line:?} twice is two");
        }
    }
}
