//! Writing payloads: as much of it as asking for a rebirth takes.

use super::{
    super::super::wire::{self, put_bytes, put_varint},
    metric::datatype,
};
use crate::domain::UnixNanos;

/// Name of the metric by which a node is asked for its certificates. It never has an alias (3.0, 5.8).
pub(super) const REBIRTH: &str = "Node Control/Rebirth";

/// Appends a field's number and wire type.
pub(super) fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number << 3 | u32::from(wire_type)));
}

/// Appends a varint field.
pub(super) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, wire::VARINT);
    put_varint(out, value);
}

/// Appends a field of bytes.
pub(super) fn put_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, wire::LENGTH);
    put_bytes(out, bytes);
}

/// The payload that asks a node to be born again. Commands have no sequence number.
pub(super) fn rebirth(now: UnixNanos) -> Vec<u8> {
    let now_ms = now.0 / 1_000_000;
    let mut metric = Vec::with_capacity(48);
    put_field(&mut metric, 1, REBIRTH.as_bytes());
    put_number(&mut metric, 3, now_ms);
    put_number(&mut metric, 4, u64::from(datatype::BOOLEAN));
    put_number(&mut metric, 14, 1);
    let mut payload = Vec::with_capacity(64);
    put_number(&mut payload, 1, now_ms);
    put_field(&mut payload, 2, &metric);
    payload
}
