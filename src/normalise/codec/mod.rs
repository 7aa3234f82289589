//! Codecs: from the bytes of a payload to points. Each format is a module of its own and knows only the
//! [`Sink`](super::point::Sink); none of them knows a class.
//!
//! A payload of frames is cut by [`Framing`] first: it may hold several frames, or a part of one, between bytes that
//! belong to none. A frame that says it is one of several packets comes back as a [`Part`]; whoever calls joins the bodies
//! and hands them to `decode_joined`. Codecs keep no state.

mod any;
pub(crate) mod bits;
mod framing;
#[cfg(any(test, feature = "harness"))]
pub(crate) mod encoding;
pub(crate) mod hj212;
pub(crate) mod sl651;
pub(crate) mod szy206;
pub(crate) mod gb26875;
pub(crate) mod jt808;
pub(crate) mod gb32960;
pub(crate) mod dlt645;
pub(crate) mod cjt188;
pub(crate) mod modbus;
pub(crate) mod mbus;
pub(crate) mod layout;
pub(crate) mod cayenne;
pub(crate) mod pointer;
pub(crate) mod cbor;
pub(crate) mod senml;
pub(crate) mod sparkplug;
pub(crate) mod message;

pub(crate) use any::Any;
pub(crate) use framing::{Codec, Decoded, Framing, Part, check_failed, malformed, unsupported};

#[cfg(test)]
pub(crate) mod testing;
