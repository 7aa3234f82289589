//! What becomes of a payload, and who is owed the news.

use std::fmt;

/// What became of a payload once it is on disk, or could not get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its readings are durable.
    Stored,
    /// It could not be read as its class says; its bytes are durable in quarantine.
    Quarantined(QuarantineReason),
    /// It was not taken: its lane is full and the lane's policy is to refuse. The sender keeps it.
    Refused,
}

/// A piece of a message, which waits in quarantine for the rest of it: a name among all pieces of one run of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub u64);

/// Somebody who is owed the news of what became of a payload: in the gateway, a session and a packet id.
pub trait Settle: Send + 'static {
    /// Tells the outcome. Called once, on the spool's writer thread: must not block.
    fn settle(self, outcome: Outcome);

    /// Whether an acknowledgement depends on it: whoever is only told may be told of a loss.
    fn is_owed(&self) -> bool {
        true
    }
}

/// No one is owed anything (`QoS` 0).
impl Settle for () {
    fn settle(self, _outcome: Outcome) {}
}

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number kept on disk; never reused.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The reason of a number kept on disk.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The name in metrics, logs and listings.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

coded!(
    /// Why a payload or a reading stands in quarantine.
    QuarantineReason {
        /// Not JSON (RFC 8259), or bytes behind the end of it.
        MalformedJson = 1, "malformed_json";
        /// Not a `sensegate.device.v1.Report`, or a sample's value breaks the protobuf wire format.
        MalformedProtobuf = 2, "malformed_protobuf";
        /// JSON, but neither an object nor an array of objects.
        NotAnObject = 3, "not_an_object";
        /// A member's JSON type, or a field's wire type, is not the one that the class declares.
        FieldType = 4, "field_type";
        /// A number that does not fit the field's integer type.
        FieldRange = 5, "field_range";
        /// A member stands twice in one object.
        FieldDuplicate = 6, "field_duplicate";
        /// An enum code that the class does not know.
        EnumCode = 7, "enum_code";
        /// An `observed_at` that is neither RFC 3339 text nor Unix milliseconds.
        ObservedAt = 8, "observed_at";
        /// No reading in it, or a reading without a single field.
        Empty = 9, "empty";
        /// More readings in one payload, or a larger reading, than the limits allow.
        TooLarge = 10, "too_large";
        /// The class is not in the catalogue in force.
        UnknownClass = 11, "unknown_class";
        /// The platform refused the reading for good.
        PlatformRefused = 12, "platform_refused";
        /// A frame whose check sum is not that of its bytes.
        FrameCheck = 13, "frame_check";
        /// Bytes that break the format of the profile's codec.
        FrameMalformed = 14, "frame_malformed";
        /// A frame that its format allows and the codec cannot read: encrypted, or of a kind without data.
        FrameUnsupported = 15, "frame_unsupported";
        /// A frame, or a message of several packets, whose rest did not come in time.
        FrameIncomplete = 16, "frame_incomplete";
        /// No profile is for this topic, or none of its cases for what the payload says of itself.
        NoProfile = 17, "no_profile";
        /// The payload names no device, or one that cannot be.
        DeviceId = 18, "device_id";
        /// The sender may not report for the device that the payload names.
        DeviceRights = 19, "device_rights";
        /// A value whose meaning the gateway has not been told, such as an alias before its birth certificate.
        State = 20, "state";
        /// A unit that the profile's field cannot be converted from.
        Unit = 21, "unit";
    }
);

coded!(
    /// Why a reading that was received will not be delivered.
    DropReason {
        /// The lane was full and its policy drops the oldest.
        Capacity = 1, "capacity";
        /// The lane was full, its policy refuses, and the reading came at `QoS` 0: there is nobody to refuse it to.
        RefusedQos0 = 2, "refused_qos0";
        /// The quarantine was full and let go of its oldest entry.
        QuarantineCapacity = 3, "quarantine_capacity";
        /// A stored block did not pass its check.
        Corruption = 4, "corruption";
        /// An operator threw it out of quarantine.
        Purged = 5, "purged";
    }
);
