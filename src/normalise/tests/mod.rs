//! Behaviour of the whole stage: declarations in, payloads in, wire bytes out.

mod catalogue;
mod class_dir;
mod json;
mod refusals;
mod protobuf;
mod round_trip;

use std::{sync::OnceLock, time::Duration};

use prost::Message as _;

use super::{Classes, Encoded, Limits, Payload, PayloadFormat, Reject, normalise};
use crate::{
    domain::UnixNanos,
    proto::platform::{Batch, Reading},
};

const DEVICE: &str = "510104-7";
/// 2026-11-23T00:00:00Z.
const NOW: UnixNanos = UnixNanos(1_795_392_000_000_000_000);

const LIMITS: Limits = Limits {
    readings_per_payload_max: 100,
    reading_bytes_max: 4_096,
    skew_max: Duration::from_secs(300),
};

fn embedded() -> &'static Classes {
    static CLASSES: OnceLock<Classes> = OnceLock::new();
    CLASSES.get_or_init(|| Classes::embedded().unwrap())
}

fn payload(format: PayloadFormat, bytes: &[u8]) -> Payload<'_> {
    Payload {
        device: DEVICE,
        format,
        bytes,
        received_at: NOW,
        memory: None,
        attributes: &[],
    }
}

/// What comes out of one payload, decoded by prost.
fn read(class: &str, payload: &Payload<'_>) -> Result<(Vec<Reading>, Encoded), Reject> {
    let class = embedded().get(class).unwrap();
    let mut out = Encoded::default();
    normalise(class, payload, &LIMITS, &mut out)?;
    let readings = Batch::decode(&*out.bytes).unwrap().readings;
    assert_eq!(readings.len(), out.count as usize);
    Ok((readings, out))
}
