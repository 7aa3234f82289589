//! The codecs by the names that profiles use.

use serde::de::DeserializeOwned;

use super::{
    super::{
        payload::Reject,
        point::{OwnedKey, Sink},
    },
    Codec, Decoded, Framing, cayenne, cbor, cjt188, dlt645, gb26875, gb32960, hj212, jt808, layout,
    mbus, modbus, pointer, senml, sl651, sparkplug, szy206,
};

macro_rules! codecs {
    ($($variant:ident = $name:literal, $codec:path, $options:path, $about:literal;)*) => {
        /// One of the codecs.
        #[derive(Debug)]
        pub(crate) enum Any {
            $(#[doc = $about] $variant(Box<$codec>),)*
        }

        impl Any {
            /// What there is: names and what they are for.
            pub(crate) const KINDS: &'static [(&'static str, &'static str)] = &[$(($name, $about),)*];

            /// Opens a codec by its name, with its options.
            ///
            /// # Errors
            /// There is no such codec, or an option is wrong.
            pub(crate) fn open(kind: &str, options: toml::Table) -> Result<Self, String> {
                match kind {
                    $($name => {
                        let options = read::<$options>(options)?;
                        <$codec>::new(options).map(|codec| Self::$variant(Box::new(codec)))
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
    Json = "json", pointer::Pointer, pointer::Options, "JSON by pointers (RFC 8259, RFC 6901)";
    Cbor = "cbor", cbor::Cbor, pointer::Options, "CBOR by pointers (RFC 8949, RFC 6901)";
    Hj212 = "hj212", hj212::Hj212, hj212::Options, "HJ 212-2017 and HJ/T 212-2005";
    Sl651 = "sl651", sl651::Sl651, sl651::Options, "SL 651-2014, hexadecimal and BCD";
    Szy206 = "szy206", szy206::Szy206, szy206::Options, "SZY 206-2016";
    Gb26875 = "gb26875", gb26875::Gb26875, gb26875::Options, "GB/T 26875.3-2011";
    Jt808 = "jt808", jt808::Jt808, jt808::Options, "JT/T 808-2013 and 2019";
    Gb32960 = "gb32960", gb32960::Gb32960, gb32960::Options, "GB/T 32960.3-2016";
    Dlt645 = "dlt645", dlt645::Dlt645, dlt645::Options, "DL/T 645-2007";
    Cjt188 = "cjt188", cjt188::Cjt188, cjt188::Options, "CJ/T 188-2004 and 2018";
    Modbus = "modbus", modbus::Modbus, modbus::Options, "Modbus RTU answers by a register map";
    Mbus = "mbus", mbus::Mbus, mbus::Options, "M-Bus, EN 13757-3";
    Layout = "layout", layout::Layout, layout::Options, "fixed frames and TLV as the profile describes them";
    Cayenne = "cayenne", cayenne::Cayenne, cayenne::Options, "Cayenne LPP";
    Sparkplug = "sparkplug", sparkplug::Sparkplug, sparkplug::Options, "Sparkplug B 3.0";
    Senml = "senml", senml::Senml, senml::Options, "SenML in JSON or CBOR (RFC 8428)";
}

impl Any {
    /// Whether the format has frames that say nothing of values, such as heartbeats. In the others, a payload without a
    /// record is one that was not understood.
    pub(crate) const fn has_frames_without_values(&self) -> bool {
        !matches!(
            self,
            Self::Json(_) | Self::Cbor(_) | Self::Layout(_) | Self::Cayenne(_)
        )
    }
}

fn read<T: DeserializeOwned>(options: toml::Table) -> Result<T, String> {
    options
        .try_into()
        .map_err(|why: toml::de::Error| why.message().to_owned())
}
