//! Quality of a field, as OPC UA status codes (`StatusCode` in IEC 62541-4; the codes are listed in IEC 62541-6, Annex A).

/// A status code of OPC UA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(pub u32);

macro_rules! qualities {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $name:literal;)*) => {
        impl Quality {
            $($(#[$doc])* pub const $constant: Self = Self($code);)*

            /// The code's name in OPC UA; none for one that is not listed here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($code => Some($name),)* _ => None }
            }

            /// The status of a name in OPC UA.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$constant),)* _ => None }
            }
        }
    };
}

qualities! {
    /// Nothing is wrong; never written, since only what is not good is.
    GOOD = 0x0000_0000, "Good";
    /// Uncertain, no cause given.
    UNCERTAIN = 0x4000_0000, "Uncertain";
    /// The last value before communication was lost.
    LAST_USABLE_NO_COMMUNICATION = 0x408F_0000, "UncertainNoCommunicationLastUsableValue";
    /// The last value; what updates it has stopped.
    LAST_USABLE = 0x4090_0000, "UncertainLastUsableValue";
    /// A value set by hand or by rule in place of the measured one.
    SUBSTITUTE = 0x4091_0000, "UncertainSubstituteValue";
    /// The value lies at one of the sensor's limits.
    SENSOR_NOT_ACCURATE = 0x4093_0000, "UncertainSensorNotAccurate";
    /// The value lies outside of the plausible range that its class declares.
    RANGE_EXCEEDED = 0x4094_0000, "UncertainEngineeringUnitsExceeded";
    /// Derived from fewer good sources than wanted.
    SUB_NORMAL = 0x4095_0000, "UncertainSubNormal";
    /// The sensor is being calibrated.
    SENSOR_CALIBRATION = 0x420A_0000, "UncertainSensorCalibration";
    /// Bad, no cause given.
    BAD = 0x8000_0000, "Bad";
    /// Of the whole reading: its observed time differs from the time of arrival by more than the skew limit (OPC UA
    /// gives the code to a timestamp outside of the range that the server allows). The values are kept as they came.
    TIME_SKEWED = 0x8023_0000, "BadInvalidTimestamp";
    /// The device could not be heard.
    NO_COMMUNICATION = 0x8031_0000, "BadNoCommunication";
    /// The value is none that its type or enum has: not a finite number, or a number that the enum does not know.
    OUT_OF_RANGE = 0x803C_0000, "BadOutOfRange";
    /// The device is misconfigured.
    CONFIGURATION = 0x8089_0000, "BadConfigurationError";
    /// There is no connection to the source.
    NOT_CONNECTED = 0x808A_0000, "BadNotConnected";
    /// The device failed.
    DEVICE_FAILURE = 0x808B_0000, "BadDeviceFailure";
    /// The sensor failed.
    SENSOR_FAILURE = 0x808C_0000, "BadSensorFailure";
    /// The source is out of service.
    OUT_OF_SERVICE = 0x808D_0000, "BadOutOfService";
}

impl Quality {
    /// `good`, `uncertain` or `bad`: the top two bits.
    #[must_use]
    pub const fn severity(self) -> &'static str {
        match self.0 >> 30 {
            0 => "good",
            1 => "uncertain",
            _ => "bad",
        }
    }
}
