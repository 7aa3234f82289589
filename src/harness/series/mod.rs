//! Real measurements for devices to replay, as they were recorded: gaps, anomalies and offsets included. Only their
//! units are converted to the class's and their times put into UTC; README.md beside this file tells where they come
//! from and under which licence.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use thiserror::Error;

const WATER_FLOW: &[u8] = include_bytes!("water_flow.csv");
const SF_TEMPS: &[u8] = include_bytes!("sf_temps.csv");
/// m³/h in one litre per second.
const M3_PER_H: f64 = 3.6;

/// Why an embedded series cannot be replayed.
#[derive(Debug, Error)]
pub enum Damaged {
    /// A line is no record of two columns.
    #[error("series {series}: {source}")]
    Csv {
        /// Which series.
        series: &'static str,
        /// What is wrong.
        source: csv::Error,
    },
    /// A value or a time that is none.
    #[error("series {series}, record {record}: {text:?} is no {wanted}")]
    Value {
        /// Which series.
        series: &'static str,
        /// Which record, from 1.
        record: usize,
        /// The text found.
        text: String,
        /// What should stand there.
        wanted: &'static str,
    },
}

/// One recorded value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was observed, Unix nanoseconds, UTC.
    pub observed_at_ns: u64,
    /// The value, in the unit of the class's property.
    pub value: f64,
}

/// A series and whose readings it becomes.
#[derive(Debug, Clone)]
pub struct Series {
    /// Short name.
    pub name: &'static str,
    /// Class whose device replays it.
    pub class: &'static str,
    /// The property that it gives, by its proto name.
    pub property: &'static str,
    /// Its samples, in order of their time.
    pub samples: Vec<Sample>,
}

/// All recorded series.
///
/// # Errors
/// An embedded file is damaged.
pub fn recorded() -> Result<Vec<Series>, Damaged> {
    Ok(vec![water_flow()?, sf_temps()?])
}

fn water_flow() -> Result<Series, Damaged> {
    let series = "water_flow";
    let samples = records(
        series,
        WATER_FLOW,
        |time, value| Some((time.parse::<Timestamp>().ok()?, value * M3_PER_H)),
        [0, 1],
    )?;
    Ok(Series {
        name: series,
        class: "supply_pipe_flow",
        property: "flow",
        samples,
    })
}

fn sf_temps() -> Result<Series, Damaged> {
    let series = "sf_temps";
    let zone = TimeZone::get("America/Los_Angeles").or(Err(Damaged::Value {
        series,
        record: 0,
        text: "America/Los_Angeles".to_owned(),
        wanted: "known time zone",
    }))?;
    let samples = records(
        series,
        SF_TEMPS,
        |time, fahrenheit| {
            let local = DateTime::strptime("%Y/%m/%d %H:%M:%S", time).ok()?;
            let at = zone.to_timestamp(local).ok()?;
            Some((at, (fahrenheit - 32.0) / 1.8))
        },
        [1, 0],
    )?;
    Ok(Series {
        name: series,
        class: "weather_station",
        property: "temperature",
        samples,
    })
}

/// Reads `(time, value)` from the named columns.
fn records(
    series: &'static str,
    bytes: &[u8],
    convert: impl Fn(&str, f64) -> Option<(Timestamp, f64)>,
    [time_column, value_column]: [usize; 2],
) -> Result<Vec<Sample>, Damaged> {
    let mut samples = Vec::new();
    for (row, record) in csv::Reader::from_reader(bytes).records().enumerate() {
        let record = record.map_err(|source| Damaged::Csv { series, source })?;
        let fault = |wanted, text: &str| Damaged::Value {
            series,
            record: row + 1,
            text: text.to_owned(),
            wanted,
        };
        let text = record.get(value_column).unwrap_or_default();
        let value: f64 = text.parse().ok().ok_or_else(|| fault("number", text))?;
        let time = record.get(time_column).unwrap_or_default();
        let (at, value) = convert(time, value).ok_or_else(|| fault("time", time))?;
        let observed_at_ns = u64::try_from(at.as_nanosecond())
            .ok()
            .ok_or_else(|| fault("time after 1970", time))?;
        samples.push(Sample {
            observed_at_ns,
            value,
        });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: u64 = 3_600_000_000_000;

    fn find(series: &Series, at: &str) -> Option<f64> {
        let ns = u64::try_from(at.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        let found = series.samples.iter().find(|s| s.observed_at_ns == ns)?;
        Some((found.value * 1000.0).round() / 1000.0)
    }

    #[test]
    fn flow_is_converted_to_cubic_metres_an_hour_at_its_own_offset() {
        let series = water_flow().unwrap();
        assert_eq!(series.samples.len(), 1268);
        assert_eq!(find(&series, "2022-03-20T10:00:00Z"), Some(362.124));
        assert_eq!(find(&series, "2022-05-16T19:00:00Z"), Some(375.228));
    }

    #[test]
    fn temperatures_follow_the_daylight_saving_of_their_place() {
        let series = sf_temps().unwrap();
        assert_eq!(series.samples.len(), 8759);
        assert_eq!(find(&series, "2010-01-01T08:00:00Z"), Some(8.778));
        // 14 March: 01:00 PST, then a 02:00 that the clocks there never showed (it is 03:00 PDT), then 04:00 PDT.
        assert_eq!(find(&series, "2010-03-14T09:00:00Z"), Some(10.722));
        assert_eq!(find(&series, "2010-03-14T10:00:00Z"), Some(10.444));
        assert_eq!(find(&series, "2010-03-14T11:00:00Z"), Some(9.944));
        // 7 November: 01:00 PDT, then 02:00 PST two hours later.
        assert_eq!(find(&series, "2010-11-07T08:00:00Z"), Some(12.167));
        assert_eq!(find(&series, "2010-11-07T09:00:00Z"), None);
        assert_eq!(find(&series, "2010-11-07T10:00:00Z"), Some(11.778));
    }

    #[test]
    fn no_series_goes_back_in_time_or_repeats_one() {
        for series in recorded().unwrap() {
            for pair in series.samples.windows(2) {
                let step = pair[1].observed_at_ns.checked_sub(pair[0].observed_at_ns);
                assert!(
                    step.is_some_and(|ns| ns >= HOUR_NS),
                    "{}: {pair:?}",
                    series.name
                );
            }
        }
    }
}
