//! The codecs by the names that profiles use.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded, Framing, cayenne, cbor, cjt188, dlt645, gb26875, gb32960, hj212, jt808, layout,
    mbus, message, modbus, pointer, senml, sl651, sparkplug, szy206,
};

macro_rules! codecs {
    ($($variant:ident = $name:literal, $codec:path, $open:expr, $about:literal;)*) => {
        /// One of the codecs.
        #[derive(Debug)]
        pub(crate) enum Any {
            $(#[doc = concat!("`", $name, "`")] $variant(Box<$codec>),)*
        }

        impl Any {
            /// What there is: names and what they are for.
            pub(crate) const KINDS: &'static [(&'static str, &'static str)] = &[$(($name, $about),)*];

            /// Opens a codec by its name, with its options; files that they name lie in `dir`.
            ///
            /// # Errors
            /// There is no such codec, or an option is wrong.
            pub(crate) fn open(kind: &str, options: toml::Table, dir: &Path) -> Result<Self, String> {
                match kind {
                    $($name => {
                        let open: fn(toml::Table, &Path) -> Result<$codec, String> = $open;
                        open(options, dir).map(|codec| Self::$variant(Box::new(codec)))
                    })*
                    _ => {
                        let kinds: Vec<&str> = Self::KINDS.iter().map(|(name, _)| *name).collect();
                        Err(format!("{kind:?} is no codec; there are {}", kinds.join(", ")))
                    }
                }
            }

            /// The codec's name.
            pub(crate) const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }
        }

        impl Codec for Any {
            fn key(&mut self, spelled: &str) -> Result<OwnedKey, String> {
                match self { $(Self::$variant(codec) => codec.key(spelled),)* }
            }

            #[inline]
            fn frame(&self, bytes: &[u8]) -> Framing {
                match self { $(Self::$variant(codec) => codec.frame(bytes),)* }
            }

            #[inline]
            fn decode<'a, S: Sink>(&self, frame: &'a [u8], sink: &mut S) -> Result<Decoded<'a>, Reject> {
                match self { $(Self::$variant(codec) => codec.decode(frame, sink),)* }
            }

            fn decode_joined<S: Sink>(&self, first: &[u8], body: &[u8], sink: &mut S) -> Result<(), Reject> {
                match self { $(Self::$variant(codec) => codec.decode_joined(first, body, sink),)* }
            }
        }

        #[cfg(any(test, feature = "harness"))]
        impl super::encoding::Encoder for Any {
            fn encode(&self, report: &super::encoding::Report<'_>) -> Result<Vec<u8>, String> {
                match self { $(Self::$variant(codec) => codec.encode(report),)* }
            }
        }
    };
}

codecs! {
    Json = "json", pointer::Pointer, |options, _| pointer::Pointer::new(read(options)?), "JSON by pointers (RFC 8259, RFC 6901)";
    Cbor = "cbor", cbor::Cbor, |options, _| cbor::Cbor::new(read(options)?), "CBOR by pointers (RFC 8949, RFC 6901)";
    Hj212 = "hj212", hj212::Hj212, |options, _| hj212::Hj212::new(read(options)?), "HJ 212-2017 and HJ/T 212-2005";
    Sl651 = "sl651", sl651::Sl651, |options, _| sl651::Sl651::new(read(options)?), "SL 651-2014, hexadecimal and BCD";
    Szy206 = "szy206", szy206::Szy206, |options, _| szy206::Szy206::new(read(options)?), "SZY 206-2016";
    Gb26875 = "gb26875", gb26875::Gb26875, |options, _| gb26875::Gb26875::new(read(options)?), "GB/T 26875.3-2011";
    Jt808 = "jt808", jt808::Jt808, |options, _| jt808::Jt808::new(read(options)?), "JT/T 808-2013 and 2019";
    Gb32960 = "gb32960", gb32960::Gb32960, |options, _| gb32960::Gb32960::new(read(options)?), "GB/T 32960.3-2016";
    Dlt645 = "dlt645", dlt645::Dlt645, |options, _| dlt645::Dlt645::new(read(options)?), "DL/T 645-2007";
    Cjt188 = "cjt188", cjt188::Cjt188, |options, _| cjt188::Cjt188::new(read(options)?), "CJ/T 188-2004 and 2018";
    Modbus = "modbus", modbus::Modbus, |options, _| modbus::Modbus::new(read(options)?), "Modbus RTU answers by a register map";
    Mbus = "mbus", mbus::Mbus, |options, _| mbus::Mbus::new(read(options)?), "M-Bus, EN 13757-3";
    Layout = "layout", layout::Layout, |options, _| layout::Layout::new(read(options)?), "fixed frames and TLV as the profile describes them";
    Protobuf = "protobuf", message::Message, message::open, "protobuf messages by the profile's own .proto file";
    Cayenne = "cayenne", cayenne::Cayenne, |options, _| cayenne::Cayenne::new(read(options)?), "Cayenne LPP";
    Sparkplug = "sparkplug", sparkplug::Sparkplug, |options, _| sparkplug::Sparkplug::new(read(options)?), "Sparkplug B 3.0";
    Senml = "senml", senml::Senml, |options, _| senml::Senml::new(read(options)?), "SenML in JSON or CBOR (RFC 8428)";
}

impl Any {
    /// Whether a frame may come in several payloads, or a message in several frames.
    pub(crate) const fn comes_in_pieces(&self) -> bool {
        !matches!(
            self,
            Self::Json(_)
                | Self::Cbor(_)
                | Self::Protobuf(_)
                | Self::Cayenne(_)
                | Self::Sparkplug(_)
                | Self::Senml(_)
        )
    }

    /// Whether bytes are what stands behind a frame and no part of it: a line end that a modem sent by itself.
    pub(crate) fn is_behind_a_frame(&self, bytes: &[u8]) -> bool {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        matches!(self, Self::Hj212(_)) && !bytes.is_empty() && bytes.iter().all(is_line_end)
    }

    /// Whether the format has frames that say nothing of values, such as heartbeats. In the others, a payload without a
    /// record is one that was not understood.
    pub(crate) const fn has_frames_without_values(&self) -> bool {
        !matches!(
            self,
            Self::Json(_) | Self::Cbor(_) | Self::Layout(_) | Self::Cayenne(_)
        )
    }
}

pub(super) fn read<T: DeserializeOwned>(options: toml::Table) -> Result<T, String> {
    options
        .try_into()
        .map_err(|why: toml::de::Error| why.message().to_owned())
}
