//! One reading while it is being written: its value, its qualities and its attributes grow side by side, then they are
//! put behind each other as `sensegate.platform.v1.Reading`, fields ascending.
//!
//! ```text
//! 0x7A length │ 0A device │ 12 class │ 19 observed │ 21 received │ 28 source │ 32 value │ 3A quality … │ 42 attribute …
//!             └──── head: once a payload ────┘     └─── fixed width ────┘     └──────── grown a reading ────────┘
//! ```

mod finish;
mod beside;

use super::{
    attributes::Attributes,
    class::Class,
    memory::{Band, Crossing, Memory, Noted},
    payload::{Encoded, Limits, MEMBER_BYTES_MAX, MEMBERS_MAX, Payload, Reject},
    plan::{Form, Integer, Slot},
    quality::Quality,
    wire,
};
use crate::domain::{Lane, QuarantineReason, UnixNanos};

const READINGS: u8 = 15 << 3 | wire::LENGTH;
const DEVICE_ID: u8 = 1 << 3 | wire::LENGTH;
const OBSERVED_AT: u8 = 3 << 3 | wire::FIXED64;
const RECEIVED_AT: u8 = 4 << 3 | wire::FIXED64;
const TIME_SOURCE: u8 = 5 << 3;
const VALUE: u8 = 6 << 3 | wire::LENGTH;
const ALARMS: u8 = 9 << 3 | wire::LENGTH;
const QUALITIES: u8 = 7 << 3 | wire::LENGTH;
/// Both times and the source: 9 + 9 + 2 bytes.
const TIMES_BYTES: usize = 20;
const TIME_SOURCE_DEVICE: u8 = 1;
const TIME_SOURCE_ARRIVAL: u8 = 3;

/// Buffers that live from payload to payload.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    head: Vec<u8>,
    value: Vec<u8>,
    qualities: Vec<u8>,
    attributes: Attributes,
    /// Alarms and the profile's id.
    tail: Vec<u8>,
    /// Values that alarms or news are judged by.
    noted: Vec<Noted>,
    /// `{class}/{device}`.
    name: String,
}

/// The reading in work.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    class: &'a Class,
    received_at: UnixNanos,
    limits: &'a Limits,
    out: &'a mut Encoded,
    /// Attributes of the payload, which every reading of it carries.
    transport: Bound,
    /// Unknown members of the reading in work.
    unknown: Bound,
    readings: usize,
    fields: usize,
    memory: Option<&'a Memory>,
    device: &'a str,
    /// What is passed on of a device that says the same again and again.
    pub(super) news: Option<News<'a>>,
    lane: Lane,
    pub(super) observed_at: Option<UnixNanos>,
}

/// When a reading is news.
#[derive(Debug, Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) bands: &'a [Band],
    pub(super) heartbeat_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    count: usize,
    bytes: usize,
}

impl Bound {
    fn add(&mut self, bytes: usize) -> Result<(), String> {
        self.count += 1;
        self.bytes += bytes;
        if self.count > MEMBERS_MAX || self.bytes > MEMBER_BYTES_MAX {
            return Err(format!(
                "more than {MEMBERS_MAX} of them or {MEMBER_BYTES_MAX} bytes"
            ));
        }
        Ok(())
    }
}

impl<'a> Sheet<'a> {
    /// Starts a payload.
    pub(super) fn new(
        class: &'a Class,
        payload: &Payload<'a>,
        limits: &'a Limits,
        out: &'a mut Encoded,
    ) -> Result<Self, Reject> {
        let head = &mut out.scratch.head;
        head.clear();
        head.push(DEVICE_ID);
        wire::put_bytes(head, payload.device.as_bytes());
        head.extend_from_slice(&class.plan.class_entry);
        let attributes = &mut out.scratch.attributes;
        attributes.keep(0);
        let mut transport = Bound::default();
        for (name, value) in payload.attributes {
            transport.add(name.len() + value.len()).map_err(|why| {
                Reject::new(
                    QuarantineReason::TooLarge,
                    format!("user properties: {why}"),
                )
            })?;
            attributes.put_transport(name, value);
        }
        let mut sheet = Self {
            class,
            received_at: payload.received_at,
            limits,
            out,
            transport,
            unknown: Bound::default(),
            readings: 0,
            fields: 0,
            memory: payload.memory,
            device: payload.device,
            news: None,
            lane: class.lane(),
            observed_at: None,
        };
        sheet.clear();
        Ok(sheet)
    }

    pub(super) const fn class(&self) -> &'a Class {
        self.class
    }

    /// Readings of this payload that are finished.
    pub(super) const fn readings(&self) -> usize {
        self.readings
    }

    fn clear(&mut self) {
        let scratch = &mut self.out.scratch;
        scratch.value.clear();
        scratch.qualities.clear();
        scratch.tail.clear();
        scratch.noted.clear();
        if self.unknown.count > 0 {
            scratch.attributes.keep(self.transport.count);
        }
        self.unknown = Bound::default();
        self.fields = 0;
        self.observed_at = None;
    }

    /// The field's key and then its value.
    #[inline]
    fn put(&mut self, slot: &Slot) -> &mut Vec<u8> {
        self.fields += 1;
        let value = &mut self.out.scratch.value;
        match *slot.key {
            [byte] => value.push(byte),
            ref key => value.extend_from_slice(key),
        }
        value
    }

    /// A floating point number; what is out of range is flagged, not changed.
    #[inline]
    pub(super) fn put_number(&mut self, slot: &Slot, number: f64) {
        let value = self.put(slot);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float field has a float's precision; its range is the caller's to check"
        )]
        if slot.form == Form::Float {
            value.extend_from_slice(&(number as f32).to_le_bytes());
        } else {
            value.extend_from_slice(&number.to_le_bytes());
        }
        self.judge(slot, number);
    }

    /// Flags a number that is not finite or outside of the field's plausible range.
    #[inline]
    pub(super) fn judge(&mut self, slot: &Slot, number: f64) {
        self.note(slot, number);
        if slot.plausible(number) && number.is_finite() {
            return;
        }
        self.out.out_of_range += 1;
        let quality = if number.is_finite() {
            Quality::RANGE_EXCEEDED
        } else {
            Quality::OUT_OF_RANGE
        };
        self.flag(slot.number, quality);
    }

    /// Notes a value that an alarm or news is judged by.
    #[inline]
    pub(super) fn note(&mut self, slot: &Slot, value: f64) {
        if self.news.is_some() || !slot.thresholds.is_empty() {
            self.out.scratch.noted.push((slot.number, value));
        }
    }

    /// Flags an enum's number that the enum does not know.
    pub(super) fn flag_unknown_code(&mut self, slot: &Slot) {
        self.out.out_of_range += 1;
        self.flag(slot.number, Quality::OUT_OF_RANGE);
    }

    /// An integer; none if it does not fit the field.
    #[inline]
    #[expect(
        clippy::cast_sign_loss,
        reason = "negative numbers go as their two's complement"
    )]
    pub(super) fn put_signed(&mut self, slot: &Slot, form: Integer, number: i64) -> Option<()> {
        match form {
            Integer::Int32 => {
                let number = i32::try_from(number).ok()?;
                wire::put_varint(self.put(slot), i64::from(number) as u64);
            }
            Integer::Int64 => wire::put_varint(self.put(slot), number as u64),
            Integer::Sint32 => {
                let number = i32::try_from(number).ok()?;
                wire::put_varint(self.put(slot), wire::zigzag(i64::from(number)));
            }
            Integer::Sint64 => wire::put_varint(self.put(slot), wire::zigzag(number)),
            Integer::Sfixed32 => {
                let number = i32::try_from(number).ok()?;
                self.put(slot).extend_from_slice(&number.to_le_bytes());
            }
            Integer::Sfixed64 => self.put(slot).extend_from_slice(&number.to_le_bytes()),
            _ => return self.put_unsigned(slot, form, u64::try_from(number).ok()?),
        }
        self.judge(slot, number as f64);
        Some(())
    }

    /// An integer that is not negative; none if it does not fit the field.
    #[inline]
    pub(super) fn put_unsigned(&mut self, slot: &Slot, form: Integer, number: u64) -> Option<()> {
        match form {
            Integer::Uint32 => {
                let number = u32::try_from(number).ok()?;
                wire::put_varint(self.put(slot), u64::from(number));
            }
            Integer::Uint64 => wire::put_varint(self.put(slot), number),
            Integer::Fixed32 => {
                let number = u32::try_from(number).ok()?;
                self.put(slot).extend_from_slice(&number.to_le_bytes());
            }
            Integer::Fixed64 => self.put(slot).extend_from_slice(&number.to_le_bytes()),
            _ => return self.put_signed(slot, form, i64::try_from(number).ok()?),
        }
        self.judge(slot, number as f64);
        Some(())
    }

    #[inline]
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "the value of a boolean field"
    )]
    pub(super) fn put_bool(&mut self, slot: &Slot, value: bool) {
        self.put(slot).push(u8::from(value));
        self.note(slot, f64::from(u8::from(value)));
    }

    #[inline]
    pub(super) fn put_text(&mut self, slot: &Slot, text: &str) {
        wire::put_bytes(self.put(slot), text.as_bytes());
    }

    /// An enum's number.
    #[inline]
    #[expect(
        clippy::cast_sign_loss,
        reason = "negative numbers go as their two's complement"
    )]
    pub(super) fn put_code(&mut self, slot: &Slot, number: i32) {
        wire::put_varint(self.put(slot), i64::from(number) as u64);
        self.note(slot, f64::from(number));
    }

    /// The whole value as it came, with so many fields that the class knows.
    pub(super) fn put_value(&mut self, bytes: &[u8], fields: usize) {
        self.out.scratch.value.extend_from_slice(bytes);
        self.fields = fields;
    }

    /// An alarm of the reading, which lifts it to the alarm lane. What the device itself says and its class says as well is
    /// said once.
    pub(super) fn put_alarm(
        &mut self,
        code: &str,
        level: i32,
        (field_number, crossing): (u32, Crossing),
    ) {
        self.lane = Lane::Alarm;
        let level = u64::try_from(level).unwrap_or(0);
        let tail = &mut self.out.scratch.tail;
        let start = tail.len();
        let code_bytes = wire::varint_bytes(code.len() as u64) + code.len();
        let field_bytes = match field_number {
            0 => 0,
            number => 1 + wire::varint_bytes(u64::from(number)),
        };
        let raised_bytes = if crossing == Crossing::Raised { 2 } else { 0 };
        let bytes = 2 + code_bytes + wire::varint_bytes(level) + field_bytes + raised_bytes;
        tail.push(ALARMS);
        wire::put_varint(tail, bytes as u64);
        tail.push(1 << 3 | wire::LENGTH);
        wire::put_bytes(tail, code.as_bytes());
        tail.push(2 << 3);
        wire::put_varint(tail, level);
        if field_number > 0 {
            tail.push(3 << 3);
            wire::put_varint(tail, u64::from(field_number));
        }
        if crossing == Crossing::Raised {
            tail.extend_from_slice(&[4 << 3, 1]);
        }
        let (said, entry) = tail.split_at(start);
        if said.windows(entry.len()).any(|said| said == entry) {
            tail.truncate(start);
        }
    }

    /// The encoded entry `profile_id`.
    pub(super) fn put_profile(&mut self, entry: &[u8]) {
        self.out.scratch.tail.extend_from_slice(entry);
    }

    /// A device that reports and has no value is no fault of the payload: the reading says so.
    pub(super) fn flag_if_empty(&mut self) {
        if self.fields == 0 {
            self.flag(0, Quality::BAD);
        }
    }

    /// Flags a field; 0 is the whole reading.
    pub(super) fn flag(&mut self, field_number: u32, quality: Quality) {
        let out = &mut self.out.scratch.qualities;
        let number_bytes = match field_number {
            0 => 0,
            number => 1 + wire::varint_bytes(u64::from(number)),
        };
        out.push(QUALITIES);
        wire::put_varint(out, number_bytes as u64 + 5);
        if field_number > 0 {
            out.push(1 << 3 | wire::VARINT);
            wire::put_varint(out, u64::from(field_number));
        }
        out.push(2 << 3 | wire::FIXED32);
        out.extend_from_slice(&quality.0.to_le_bytes());
    }
}

/// A member's name in an error message, cut to what a line holds.
pub(super) fn member(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("member {short:?}")
}

/// The reject of a member that stands twice.
pub(super) fn twice(name: &str) -> Reject {
    let detail = format!("{} stands twice", member(name));
    Reject::new(QuarantineReason::FieldDuplicate, detail)
}
