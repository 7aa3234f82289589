//! From a payload to the wire bytes of readings, under the schema of its class. Pure: no sockets, no tasks, no clock,
//! no counters of its own; what is to be counted is handed back.
//!
//! ```text
//! proto/sensegate/classes/v1/*.proto ─┐ build.rs
//!                                     ▼
//!   --class-dir/*.proto ──protox──▶ descriptors ──rules──▶ Classes ── one Plan per class
//!                                                                          │
//!                payload ──▶ json │ protobuf ──▶ value, qualities, attributes ──▶ 0x7A len Reading …
//! ```
//!
//! A class is a protobuf message; its options say what protobuf cannot. Everything a reading needs of its class is
//! compiled into a plan once, so that the path of a reading meets no descriptor, no map and no `DynamicMessage`.

mod quality;
mod ucum;
mod wire;
mod words;
mod class;
mod rules;
mod alarms;
mod folder;
mod classes;
mod plan;
mod scan;
mod time;
mod payload;
mod sheet;
mod attributes;
mod json;
mod moment;
mod memory;
mod changes;
mod pieces;
mod recent;
mod point;
mod codec;
mod profile;
mod protobuf;
pub mod render;

pub use attributes::with_attribute;
pub use class::{Alarm, Class, EnumCode, Field, FieldKind};
pub use classes::{ClassError, Classes};
pub(crate) use folder::files_of;
pub use memory::Memory;
pub use payload::{
    Encoded, Limits, MEMBER_BYTES_MAX, MEMBERS_MAX, Payload, PayloadFormat, Reject, Run, normalise,
};
pub use profile::{
    Checked, Outcome as ProfileOutcome, Problem, Profile, Profiles, ProfilesError, Reply, Report,
    Saying, Unread, explain, skeleton,
};
#[cfg(any(test, feature = "harness"))]
pub use profile::{Intended, Intent, Inverse, Learned, Sent, Unsayable};
pub use quality::Quality;
pub use rules::{Place, Rule};
pub use ucum::UnitError;

#[cfg(feature = "fuzz")]
pub mod fuzz;
#[cfg(test)]
mod tests;
