//! Frames that a profile describes: public vectors, what is refused and why, round trips, damage.

mod faults;
mod frames;
mod steps;
mod vendors;

use super::{
    super::{
        super::point::{Moment, Value},
        encoding::{Encoder, Report},
        testing::{Found, Owned, Recorder, read_all, unhex},
    },
    *,
};
use crate::domain::UnixNanos;

fn layout(toml: &str) -> Layout {
    Layout::new(toml::from_str(toml).unwrap()).unwrap()
}

fn fault(toml: &str) -> String {
    Layout::new(toml::from_str(toml).unwrap()).unwrap_err()
}

fn read(layout: &Layout, hex: &str) -> Recorder {
    read_all(layout, &unhex(hex)).unwrap()
}

/// The first point of a name.
fn found(layout: &Layout, recorder: &Recorder, name: &str) -> Option<Found> {
    recorder.found(&layout.clone().key(name).unwrap()).cloned()
}

fn value(layout: &Layout, recorder: &Recorder, name: &str) -> Owned {
    found(layout, recorder, name).unwrap().value
}

/// All points of a name.
fn all(layout: &Layout, recorder: &Recorder, name: &str) -> Vec<Owned> {
    let key = layout.clone().key(name).unwrap();
    let points = recorder.records.iter().flatten();
    points
        .filter(|point| point.key == key)
        .map(|point| point.value.clone())
        .collect()
}

fn head(recorder: &Recorder, name: &str) -> Owned {
    recorder.head(&OwnedKey::Name(name.into())).unwrap().clone()
}

/// Payload of named points, from a device of address 11223344 at 2026-03-04 05:06:07 UTC.
fn write(layout: &Layout, points: &[(&str, Value<'_>)]) -> Vec<u8> {
    let points: Vec<_> = points
        .iter()
        .map(|(name, value)| (layout.clone().key(name).unwrap(), *value))
        .collect();
    let report = Report {
        address: "11223344",
        at: UnixNanos(1_772_600_767_000_000_000),
        east_s: 0,
        serial: 7,
        points: &points,
    };
    layout.encode(&report).unwrap()
}
