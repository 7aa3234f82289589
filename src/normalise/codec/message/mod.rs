//! Any protobuf message, described by the .proto file that its vendor delivers (<https://protobuf.dev/programming-guides/encoding/>).
//! The keys of a profile are compiled into a tree of field numbers; a payload is walked along it as it came.
//!
//! ```text
//! message = (varint(number << 3 | type) payload)*      type 0 varint, 1 eight bytes, 2 length + bytes, 5 four bytes
//! ```
//!
//! | key | means |
//! |---|---|
//! | `battery`, `status.battery` | a field, by its name in the .proto file or in JSON; of a message within |
//! | `readings[].value` | the field in every element of a repeated message |
//! | `temperatures[]` | every element of a repeated field, packed or not: several points of one key |
//! | `labels[site]`, `zones[3].level` | the entry of a map; keys are text, whole numbers or `true`, `false` |
//!
//! Records and heads: a payload is one record. With `each = "readings"` every element of that repeated message is one,
//! its fields (`readings[].value`) are points, and all else (`device_id`) is head. Heads have the keys of their fields.
//!
//! | type | value |
//! |---|---|
//! | `int32` … `sfixed64` | whole, large beyond 2⁶³ |
//! | `float`, `double` | real |
//! | `bool`, `string`, `bytes` | bool, text (broken UTF-8 is replaced), bytes |
//! | an enum | the name of its value as text, or with `enums = "numbers"` whole; a number without a name stays whole and is out of range |
//! | `google.protobuf.Timestamp` | time; before 1970 missing and out of range |
//! | `google.protobuf.Duration` | decimal in s |
//! | `google.protobuf.DoubleValue` … `BytesValue` | what they wrap |
//!
//! A field without presence (proto3 without `optional`) that is left out is zero, as protobuf has it; senders that leave
//! out what they do not measure are read with `zeros = "missing"`, and then give no point. It is zero only where its own
//! message is there. Fields that nobody reads are not looked at. A field of another wire type than declared is refused,
//! and so is one that is to stand once and stands twice. Groups are stepped over; extensions are not read.

mod file;
#[cfg(any(test, feature = "harness"))]
mod encode;
pub(crate) mod fields;
mod path;
mod scalar;
mod schema;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use file::open;
use std::collections::HashMap;

use prost_reflect::{DescriptorPool, MessageDescriptor};

use self::{path::segments, schema::Schema, walk::Walk};
use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded,
};

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Full name of the message, for example `vendor.v1.Report`. No default: nothing in a payload says it.
    pub(crate) message: String,
    /// The repeated message whose elements are records, for example `readings` or `body.readings`. By default the whole
    /// payload is one record.
    pub(crate) each: Option<String>,
    /// What an enum is read as. By default names, since they mean something without the .proto file.
    pub(crate) enums: Enums,
    /// What a field without presence is that is left out. By default zero, as protobuf has it.
    pub(crate) zeros: Zeros,
}

/// What an enum is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Enums {
    /// Text: the name of the value.
    #[default]
    Names,
    /// The number.
    Numbers,
}

/// What a field without presence is that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Zeros {
    /// Zero, false or empty.
    #[default]
    Read,
    /// Not there.
    Missing,
}

/// The codec for one message.
#[derive(Debug)]
pub(crate) struct Message {
    descriptor: MessageDescriptor,
    schema: Schema,
    zeros: Zeros,
    /// Keys by their codes.
    keys: Vec<Box<str>>,
    codes: HashMap<Box<str>, u64>,
}

impl Message {
    /// For a message of a pool.
    ///
    /// # Errors
    /// The pool does not have it, or `each` is none of its repeated messages.
    pub(crate) fn new(options: Options, pool: &DescriptorPool) -> Result<Self, String> {
        let name = options.message.trim_start_matches('.');
        let descriptor = pool.get_message_by_name(name).ok_or_else(|| {
            if name.is_empty() {
                "message is missing: the full name of the payload's message, such as `vendor.v1.Report`".to_owned()
            } else {
                format!("message: there is no `{name}` in the .proto files; a full name is wanted, with its package")
            }
        })?;
        let mut schema = Schema::new(options.enums);
        if let Some(each) = &options.each {
            let each = each.strip_suffix("[]").unwrap_or(each);
            schema.set_each(&descriptor, &segments(each)?)?;
        }
        Ok(Self {
            descriptor,
            schema,
            zeros: options.zeros,
            keys: Vec::new(),
            codes: HashMap::new(),
        })
    }
}

impl Codec for Message {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if let Some(code) = self.codes.get(spelled) {
            return Ok(OwnedKey::Code(*code));
        }
        let code = self.keys.len() as u64;
        let segments = segments(spelled)?;
        self.schema
            .enter(&self.descriptor, &segments, code)
            .map_err(|why| format!("`{spelled}`: {why}"))?;
        self.keys.push(spelled.into());
        self.codes.insert(spelled.into(), code);
        Ok(OwnedKey::Code(code))
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        Walk::run(&self.schema, self.zeros, frame, sink)?;
        Ok(Decoded::Whole)
    }
}
