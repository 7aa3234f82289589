//! Sparkplug B (Eclipse Sparkplug 3.0.0, chapter 6; `org.eclipse.tahu.protobuf.Payload`). The codec reads a payload that
//! speaks for itself; [`Births`] reads those of a topic tree, whose aliases mean what an earlier message said.
//!
//! ```text
//! topic    spBv1.0 / group / NBIRTH NDATA NDEATH NCMD DBIRTH DDATA DDEATH DCMD / node [/ device]
//! payload  1 timestamp ms   2 metric*   3 seq 0…255   4 uuid   5 body
//! metric   1 name  2 alias  3 timestamp ms  4 datatype  5 is_historical  6 is_transient  7 is_null  8 metadata
//!          9 properties { 1 key*  2 value* { 1 type  2 is_null  3 int  4 long … } }
//!          10 int  11 long  12 float  13 double  14 boolean  15 string  16 bytes  17 data set  18 template
//! ```
//!
//! | key | value |
//! |---|---|
//! | the metric's name, whole and as it is: `inputs/level`, `Node Control/Rebirth` | by its datatype, below |
//! | `historical` | true, first in every record of historical metrics |
//!
//! Heads: `timestamp` (time of sending), `seq`, `uuid`, `body`; from the topic `group`, `node`, `device`, `type`.
//!
//! Records: the metrics of now are one, and a name that stands twice begins another (so told for the 64 first of a
//! record). Historical metrics follow, those of one time that stand together in a record. The time of a metric stands at
//! its point where it is not the payload's.
//!
//! | datatype | value |
//! |---|---|
//! | 1–4 `Int8`–`Int64` | whole, the sign extended or not |
//! | 5–8 `UInt8`–`UInt64` | whole, large beyond 2⁶³ |
//! | 9, 10 `Float`, `Double` | real |
//! | 11 `Boolean` | bool, also where it came as a number |
//! | 12, 14, 15 `String`, `Text`, `UUID` | text; broken UTF-8 is replaced |
//! | 13 `DateTime` | time |
//! | 17, 18 `Bytes`, `File` | bytes |
//! | 22–34 arrays | one point for each element, all of the metric's key |
//! | 16, 19 `DataSet`, `Template`, extensions | none: not read |
//! | null, or no value | missing |
//!
//! Quality: the property `Quality` of 0 is bad, 192 (and 193–255) good, 500 the last usable value; 1–63 bad and all else
//! uncertain, for nodes that pass on codes of OPC DA. A number that its datatype cannot hold keeps its value and is out
//! of range.
//!
//! Data may leave the datatype out; it is then the birth's. Without a birth a number whose top bit is set is refused,
//! since it may be a negative one. Tolerated without an option: a sequence number that is left out (a zero of a proto3
//! encoder), one that counts on beyond 255, names beside aliases in data, a time of 0 (none), groups and unknown fields.

mod array;
mod births;
mod command;
#[cfg(any(test, feature = "harness"))]
mod encode;
#[cfg(test)]
mod edge_node;
mod limits;
mod metric;
mod names;
mod payload;
#[cfg(test)]
mod tests;
mod topic;

pub(crate) use births::Births;
pub(crate) use limits::Limits;
pub(crate) use topic::Topic;

use self::{names::Known, payload::Envelope};
use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded,
};

/// The `[codec]` table of a profile: there is nothing to choose, a payload says everything of itself.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {}

/// The codec for payloads by themselves: metrics that come by their alias alone are refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sparkplug;

impl Sparkplug {
    /// There is only one.
    ///
    /// # Errors
    /// None.
    pub(crate) fn new(_options: Options) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Codec for Sparkplug {
    fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
        if spelled.is_empty() {
            return Err(
                "an empty key; a metric's whole name is wanted, such as `inputs/level`".into(),
            );
        }
        if spelled.starts_with('/') || spelled.ends_with('/') || spelled.contains("//") {
            return Err(format!(
                "`{spelled}`: a metric's name has no empty level; it looks like `inputs/level`"
            ));
        }
        Ok(OwnedKey::Name(spelled.into()))
    }

    fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
        let envelope = Envelope::read(frame)?;
        envelope.heads(sink)?;
        envelope.read_metrics(Known::Nothing("payloads are read one by one here"), sink)?;
        Ok(Decoded::Whole)
    }
}
