//! Sizes and durations as people write them (`512MiB`, `30s`), both ways: what is printed can be read again and gives
//! the same number.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// Reads a size: a number, whole or with a decimal point, and a unit; a bare whole number is bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let factor = if unit.is_empty() {
        1
    } else {
        SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|&(_, factor)| factor)
            .ok_or_else(|| {
                format!("has the unknown unit {unit:?}: B, KiB, MiB, GiB, TiB, kB, MB, GB or TB")
            })?
    };
    scaled(number, factor).ok_or_else(|| "is no size, for example 512MiB".to_owned())
}

/// Writes a size in the largest binary unit that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    SIZE_UNITS
        .iter()
        .filter(|(name, _)| name.ends_with("iB"))
        .find(|&&(_, factor)| bytes >= factor && bytes.is_multiple_of(factor))
        .map_or_else(
            || format!("{bytes}B"),
            |&(name, factor)| format!("{}{name}", bytes / factor),
        )
}

/// Reads a duration: numbers with units, one or several (`1h30m`); a bare number is refused, for nobody knows its unit.
///
/// # Errors
/// It is none; in words that go behind the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut millis = 0_u64;
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("is no duration, for example 30s".to_owned());
    }
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        if number.is_empty() {
            return Err("is no duration, for example 30s".to_owned());
        }
        if tail.is_empty() {
            return Err("has no unit: ms, s, m, h or d, for example 30s".to_owned());
        }
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let factor = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .map(|&(_, factor)| factor)
            .ok_or_else(|| format!("has the unknown unit {:?}: ms, s, m, h or d", unit.trim()))?;
        let part = scaled(number, factor).ok_or("is no duration, for example 30s")?;
        millis = millis.checked_add(part).ok_or("is too long a duration")?;
        rest = next.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration in the largest unit that divides it.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    DURATION_UNITS
        .iter()
        .skip(1)
        .find(|&&(_, factor)| millis.is_multiple_of(factor))
        .map_or_else(
            || format!("{millis}ms"),
            |&(name, factor)| format!("{}{name}", millis / factor),
        )
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.trim(), unit.trim())
}

/// `number × factor`, exact up to nine decimals; `None` if it is no number or does not fit.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, decimals) = match number.split_once('.') {
        None => (number.as_str(), ""),
        Some((_, "")) => return None,
        Some(parts) => parts,
    };
    let whole: u64 = whole.parse().ok()?;
    let mut value = whole.checked_mul(factor)?;
    if !decimals.is_empty() {
        if decimals.len() > 9 {
            return None;
        }
        let digits: u64 = decimals.parse().ok()?;
        let scale = 10_u64.pow(u32::try_from(decimals.len()).ok()?);
        let part = u128::from(digits) * u128::from(factor) / u128::from(scale);
        value = value.checked_add(u64::try_from(part).ok()?)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1_000", 1000),
            ("512MiB", 512 << 20),
            ("512 mib", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("1GB", 1_000_000_000),
            ("64kB", 64_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "MiB",
            "-1",
            "1.",
            ".5",
            "1.5.5",
            "12 parsecs",
            "1e9",
            "99999999999999TiB",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [
            ("30s", 30_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for bad in ["", "30", "s", "30x", "30s5", "-1s", "1 fortnight"] {
            assert!(parse_duration(bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(n in any::<u64>(), millis in 0..u64::MAX / 2) {
            prop_assert_eq!(parse_size(&size_text(n)), Ok(n));
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            drop(parse_size(&text));
            drop(parse_duration(&text));
        }
    }
}
